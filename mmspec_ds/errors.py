"""The errors that a user may see. The command line prints them as one line and exits with status 1."""


class UserError(Exception):
    """Something the user can mend: a file, a record, a configuration key. The message says what, where
    and what was expected."""


class ConfigError(UserError):
    """A run file, an engine file or an override that cannot be used."""


class DataError(UserError):
    """A file or record that cannot be used.

    Args:
        message: what is wrong and what was expected.
        path: the file.
        row: the zero-based row or record number in that file.
        column: the column or field.
    """

    def __init__(
        self, message: str, *, path: object = None, row: int | None = None, column: str | None = None
    ) -> None:
        self.message, self.path, self.row, self.column = message, path, row, column
        where = [str(path)] if path is not None else []
        if row is not None:
            where.append(f"row {row}")
        if column is not None:
            where.append(f"column {column}")
        super().__init__(": ".join([", ".join(where), message]) if where else message)
