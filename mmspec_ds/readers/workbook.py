"""Workbooks (xlsx) of tables of samples: the cells of a sheet as text."""

import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from mmspec_ds.errors import DataError, UserError
from mmspec_ds.readers.part import one_line
from mmspec_ds.readers.source import readable
from mmspec_ds.readers.text_grid import MOST_CELLS, Cells, Grid, Numbered, make_grid

LARGEST = 1 << 30
"""Bytes that a workbook may unfold to."""
MOST_WIDE = 16_384
_ZIP = b"PK\x03\x04"
_OLD = b"\xd0\xcf\x11\xe0"
_INSTALL = "xlsx files need openpyxl: expected `pip install 'mmspec-ds[cohorts]'`, or the table as CSV"


def is_workbook(path: Path) -> bool:
    """Whether a file begins as an xlsx workbook does, or is one of the old format xls.

    Raises:
        DataError: it cannot be read.
    """
    with readable(path), path.open("rb") as file:
        return file.read(4) in (_ZIP, _OLD)


def read_sheets(path: Path) -> dict[str, Grid]:
    """The tables of a workbook by the names of their sheets; sheets without a table are left out. Formulas
    count as the values that were stored with them.

    Raises:
        DataError: the file is no xlsx, is damaged or too large, or no sheet holds a table.
        UserError: openpyxl is not installed.
    """
    openpyxl = _openpyxl()
    _check(path)
    found = {}
    with _told(path):
        book = openpyxl.load_workbook(path, read_only=True, data_only=True, keep_links=False)
        try:
            for sheet in book.worksheets:
                rows = _rows(path, sheet)
                if len(rows) > 1 and len(rows[0][1]) > 1:
                    found[str(sheet.title)] = make_grid(path, rows, f"sheet {sheet.title!r} of a workbook")
        finally:
            book.close()
    if not found:
        raise DataError("no sheet holds a table: expected a row of names and rows below it", path=path)
    return found


def _rows(path: Path, sheet: Any) -> list[Numbered]:
    """The rows of a sheet that hold anything. Those before the first of two cells or more are left out."""
    sheet.reset_dimensions()  # as stated in the file, which may be wrong
    rows: list[Numbered] = []
    cells_read = 0
    for number, cells in enumerate(sheet.iter_rows(values_only=True), 1):
        if len(cells) > MOST_WIDE:
            raise DataError(f"sheet {sheet.title!r} has more than {MOST_WIDE} columns", path=path)
        row = _without_empty_end(tuple(_text(value) for value in cells))
        cells_read += len(row)
        if cells_read > MOST_CELLS:
            raise DataError(f"sheet {sheet.title!r} has more than {MOST_CELLS:,} cells", path=path)
        if row and (rows or len(row) > 1):
            rows.append((number, row))
    return rows


def _text(value: object) -> str:
    """A cell as a table in text would have it: 12.0 as "12", so that identifiers stay what they were."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return " ".join(str(value).split())


def _without_empty_end(cells: Cells) -> Cells:
    count = len(cells)
    while count and not cells[count - 1]:
        count -= 1
    return cells[:count]


def _openpyxl() -> Any:
    try:
        import openpyxl
    except ImportError:
        raise UserError(_INSTALL) from None
    return openpyxl


def _check(path: Path) -> None:
    """Refuse what is no xlsx, and what unfolds to far more than tables of samples hold."""
    with readable(path), path.open("rb") as file:
        start = file.read(4)
    if start == _OLD:
        raise DataError("is a workbook of the old format xls: expected xlsx or CSV", path=path)
    with _told(path), zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if not any(one.filename == "xl/workbook.xml" for one in entries):
            raise DataError("is a zip archive without a workbook: expected xlsx or CSV", path=path)
        total = sum(one.file_size for one in entries)
    if total > LARGEST:
        raise DataError(f"unfolds to {total / 2**30:.1f} GiB: expected at most {LARGEST >> 30}", path=path)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Faults of the library as an error of one line. It warns of drawings and styles, which are not read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (DataError, UserError):
        raise
    except Exception as error:  # the library raises many kinds for damaged files
        raise DataError(
            f"cannot be read as xlsx: {one_line(error) or type(error).__name__}", path=path
        ) from None


def sheet_named(path: Path, sheets: dict[str, Grid], names: Sequence[str]) -> str | None:
    """The first sheet of one of these names, whatever their case."""
    by_name = {name.lower(): name for name in sheets}
    return next((by_name[name.lower()] for name in names if name.lower() in by_name), None)
