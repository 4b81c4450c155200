"""Cells of known types, from tables of cells."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmspec_ds.errors import DataError
from mmspec_ds.readers.cell_table import CellTable
from mmspec_ds.readers.cells import read_cells
from mmspec_ds.systems.alignment.questions.cell_types import CellTypes
from mmspec_ds.systems.alignment.questions.items import Item, Remarks
from mmspec_ds.systems.alignment.questions.question import CellReference

FEWEST_KNOWN = 0.5
"""A column has the types of cells if it has few values and at least this share of the cells has a known one."""
MOST_VALUES = 200


def cell_items(paths: Sequence[Path], remarks: Remarks, types: CellTypes, column: str | None) -> list[Item]:
    """The cells whose type is known. The group of a cell is the name of its file: a study.

    Args:
        paths: of tables of cells; their names must differ.
        remarks: counts cells that are left out, by reason.
        types: the names of types; a cell of another type is left out.
        column: that has the types; None takes the one with most known values.

    Raises:
        DataError: a file cannot be read, has no such column, or no cell of a known type; or two files have one
            name.
    """
    names = Counter(path.stem for path in paths)
    for path in paths:
        if names[path.stem] > 1:
            raise DataError(f"two studies are named {path.stem}: expected different names", path=path)
    return [item for path in paths for item in _of_file(path, remarks, types, column)]


def _of_file(path: Path, remarks: Remarks, types: CellTypes, column: str | None) -> Iterator[Item]:
    table = read_cells(path)
    found = types_of_cells(table, types, column, path)
    for row, label in enumerate(found):
        if not label:
            remarks[f"{path.name}: cells of another type than the known ones"] += 1
            continue
        yield Item(CellReference(str(path), row), path.stem, path, label=label)


def types_of_cells(table: CellTable, types: CellTypes, column: str | None, path: Path) -> list[str]:
    """The name of the type of each cell; empty where it is none that is known.

    Raises:
        DataError: the table has no such column, or no column with types.
    """
    if column is not None:
        if column not in table.columns:
            raise DataError(
                f"has no column {column!r} of cells (has {', '.join(table.columns) or 'none'})", path=path
            )
        return _named(table.columns[column], types)
    best: list[str] = []
    for values in table.columns.values():
        if len(set(values)) <= MOST_VALUES:
            named = _named(values, types)
            best = named if sum(map(bool, named)) > sum(map(bool, best)) else best
    if sum(map(bool, best)) < FEWEST_KNOWN * len(table):
        raise DataError(
            "has no column where half of the cells are of a known type: name it with --cell-column, or the"
            " types with --types",
            path=path,
        )
    return best


def _named(values: Sequence[str], types: CellTypes) -> list[str]:
    known = {value: types.of(value) for value in set(values)}
    return ["" if (one := known[value]) is None else one.name for value in values]
