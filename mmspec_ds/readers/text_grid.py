"""The cells of a text table as text, whatever stands between them: the first step to a table of samples.

Unlike `delimited`, which looks for lines of numbers, this keeps every cell and the line of names, for tables of
up to thousands of columns.
"""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmspec_ds.errors import DataError
from mmspec_ds.readers.part import counted
from mmspec_ds.readers.source import read_text_lines

DELIMITERS = {"\t": "tabs between cells", ";": "semicolons between cells", ",": "commas between cells"}
MOST_CELLS = 10_000_000
_SAMPLE = 50
_COMMENT = "#"

Cells = tuple[str, ...]
Numbered = tuple[int, Cells]
"""The cells of a row, after the number of its line."""


@dataclass(frozen=True)
class Grid:
    """The cells of a table, without the blanks around them; blank lines are left out.

    Attributes:
        path: the file.
        names: the cells of the line that names the columns.
        rows: the lines after it, each of as many cells as `names`.
        lines: the number of each row in the file, from 1.
        between: what stands between cells, in words; for a workbook its sheet.
        remarks: what was assumed or left out.
    """

    path: Path
    names: Cells
    rows: tuple[Cells, ...]
    lines: tuple[int, ...]
    between: str
    remarks: tuple[str, ...] = ()


def read_grid(path: Path) -> Grid:
    """The table of a text file, plain or gzip, in UTF-8, UTF-16 or Latin-1, with or without byte order mark.

    Raises:
        DataError: the file cannot be read, is no table, or is too large; a row has more cells than the line of
            names.
    """
    return grid_of(path, read_text_lines(path))


def grid_of(path: Path, text: Sequence[str], first_line: int = 1) -> Grid:
    """The table in some lines of a file.

    Args:
        path: of the file, for errors.
        text: the lines.
        first_line: the number of the first of them in the file.

    Raises:
        DataError: as `read_grid`.
    """
    delimiter = _delimiter(path, text)
    found = list(_rows(path, text, delimiter, first_line))
    if not found:
        raise DataError("is no table: all of its cells are empty", path=path)
    width = Counter(len(cells) for _, cells in found[:_SAMPLE]).most_common(1)[0][0]
    start = next((at for at, (_, cells) in enumerate(found) if len(cells) >= max(2, width - 1)), 0)
    if len(found[start][1]) < 2 or any(len(cells) > 1 for _, cells in found[:start]):
        start = 0  # a line of names shorter than the rows
    (line, names), data = found[start], found[start + 1 :]
    remarks = [f"{counted(start, 'line')} before the line of names left out"] if start else []
    names = _without_empty_end(names)
    if data and max(len(cells) for _, cells in data) == len(names) + 1 and all(names):
        names = ("", *names)  # as R writes the names of rows
        remarks.append("the line of names is one cell short: the first column is taken to name the rows")
    return make_grid(path, [(line, names), *data], DELIMITERS[delimiter], remarks)


def make_grid(path: Path, rows: Sequence[Numbered], between: str, remarks: Sequence[str] = ()) -> Grid:
    """The table of rows that are parted into cells already. The first of them names the columns.

    Raises:
        DataError: there are no rows, too many cells, or a row longer than the first.
    """
    names = _without_empty_end(rows[0][1]) if rows else ()
    data = rows[1:]
    if not names or not data:
        raise DataError("has no row below the line of names: expected samples", path=path)
    if len(names) * len(data) > MOST_CELLS:
        raise DataError(
            f"has {len(data):,} rows of {len(names):,} cells: expected at most {MOST_CELLS:,} cells", path=path
        )
    for line, cells in data:
        if len(cells) > len(names):
            told = f"line {line} has {len(cells)} cells, but the line of names has {len(names)}"
            if between == DELIMITERS[","]:
                told += ": is the comma the decimal mark as well? Export with semicolons or decimal points"
            raise DataError(told, path=path)
    filled = tuple((*cells, *[""] * (len(names) - len(cells))) for _, cells in data)
    return Grid(path, names, filled, tuple(line for line, _ in data), between, tuple(remarks))


def _delimiter(path: Path, text: Sequence[str]) -> str:
    """The delimiter that gives the most lines, one of the first among them, the same number of cells."""
    sample = [line for line in text if line.strip() and not line.startswith(_COMMENT)][:_SAMPLE]
    best, chosen = (False, 0.0, 0), ""
    for delimiter in DELIMITERS:
        counts = [sum(1 for _ in _cut(line, delimiter)) for line in sample]
        width, alike = Counter(counts).most_common(1)[0] if counts else (0, 0)
        named = any(abs(count - width) <= 1 for count in counts[: max(1, len(counts) // 2)][:10])
        if width > 1 and (named, alike / len(counts), width) > best:
            best, chosen = (named, alike / len(counts), width), delimiter
    if not chosen:
        raise DataError(
            "is no table: expected a line of names and a line for each sample or each feature, with tabs,"
            " semicolons or commas between cells",
            path=path,
        )
    return chosen


def _cut(line: str, delimiter: str) -> Sequence[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return line.split(delimiter)


def _rows(path: Path, text: Sequence[str], delimiter: str, first_line: int) -> Iterator[Numbered]:
    """The rows without blank lines, comments and empty cells at their ends."""
    reader = csv.reader((f"{line}\n" for line in text), delimiter=delimiter, skipinitialspace=True)
    while True:
        line = reader.line_num + first_line
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise DataError(f"line {line}: {error}: is a quotation mark missing?", path=path) from None
        if cells is None:
            return
        found = _without_empty_end(tuple(" ".join(cell.split()) for cell in cells))
        if found and not (len(found) == 1 and found[0].startswith(_COMMENT)):
            yield line, found


def _without_empty_end(cells: Cells) -> Cells:
    count = len(cells)
    while count and not cells[count - 1]:
        count -= 1
    return cells[:count]
