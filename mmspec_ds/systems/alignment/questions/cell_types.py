"""Names of cell types, other labels for them, and their marker genes: ours, or those of a user's table."""

from dataclasses import dataclass
from pathlib import Path

from mmspec_ds.errors import DataError
from mmspec_ds.readers.source import read_lines
from mmspec_ds.systems.alignment.questions.marker_lists import fault_of_type

OURS = Path(__file__).with_name("cell_types.tsv")


@dataclass(frozen=True)
class CellType:
    """A type of cells.

    Attributes:
        name: as questions and answers have it.
        labels: other names for the same type.
        markers: symbols of genes that are high in it, the most telling first.

    Raises:
        ValueError: a name or a marker gene that could not be read back from a question, see `marker_lists`.
    """

    name: str
    labels: tuple[str, ...] = ()
    markers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        wrong = fault_of_type(self.name, self.markers)
        if wrong:
            raise ValueError(wrong)


class CellTypes:
    """Types by any of their names; case and a plural s make no difference."""

    def __init__(self, types: tuple[CellType, ...]) -> None:
        self.types = types
        self._by_label = {_plain(label): one for one in types for label in (one.name, *one.labels)}

    def of(self, label: str) -> CellType | None:
        """The type that a label names, None if none does."""
        return self._by_label.get(_plain(label))


def read_cell_types(path: Path = OURS) -> CellTypes:
    """The types of a table with tabs: a name, other labels parted by semicolons, marker genes parted by commas;
    the last two may be empty. Empty lines and lines that start with `#` are comments.

    Raises:
        DataError: the file cannot be read or has no type, or a line cannot be used.
    """
    types: list[CellType] = []
    taken: dict[str, str] = {}
    for line in read_lines(path):
        if not line.text.strip() or line.text.startswith("#"):
            continue
        cells = [cell.strip() for cell in line.text.split("\t")]
        if not cells[0] or len(cells) > 3:
            raise DataError(
                f"line {line.number}: expected a name, other labels and marker genes, parted by tabs", path=path
            )
        labels, markers = (
            tuple(filter(None, (part.strip() for part in text.split(mark))))
            for text, mark in zip([*cells[1:], "", ""], ";,")
        )
        for label in dict.fromkeys(map(_plain, (cells[0], *labels))):
            if label in taken:
                raise DataError(f"line {line.number}: {label!r} names {taken[label]!r} already", path=path)
            taken[label] = cells[0]
        try:
            types.append(CellType(cells[0], labels, markers))
        except ValueError as error:
            raise DataError(f"line {line.number}: {error}", path=path) from None
    if not types:
        raise DataError("no cell type in the file", path=path)
    return CellTypes(tuple(types))


def _plain(label: str) -> str:
    return " ".join(label.lower().split()).removesuffix("s")
