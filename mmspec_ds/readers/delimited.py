"""Tables of numbers as programs export them: commas, semicolons, tabs or blanks, decimal points or commas, with
or without a header, with lines of anything before it."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

from mmspec_ds.readers.part import RecordFault, one_line
from mmspec_ds.readers.source import Line, read_lines

Delimiter = str
"""One of tab, semicolon, comma, or a blank for any run of blanks."""

COMMENTS = ("#", "%", "//", "!")
_SAMPLE = 200
_LONGEST_LINE = 10_000
_DECIMAL_COMMA_PAIR = re.compile(r"\s*[+-]?\d+,\d+\s+[+-]?\d+(,\d+)?\s*")
_NUMBER = re.compile(r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d{1,3})?")
_FIRST_NUMBER = re.compile(
    r'\s*"?\s*[+\-−]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?\s*(?:ppm)?\s*(?:$|[,;\t "–—−-](?!\d+[-/]\d+))'
)
_NOT_A_NUMBER = frozenset({"nan", "inf", "+inf", "-inf", "infinity", "na", "n/a", "null", "none", "-", "?"})
_REMARK = re.compile(r"\s*\"?([A-Za-z][\w \-/()^]{0,40}?)\"?\s*[:=,;\t]\s*(.+)")


@dataclass(frozen=True, slots=True)
class Row:
    """The cells of a line, blanks around them off."""

    number: int
    cells: tuple[str, ...]


@dataclass(slots=True)
class DelimitedTable:
    """A table while it is read.

    Attributes:
        delimiter: between cells.
        header: cells of the last line before the data, or None where the first line is data.
        preamble: all lines before the data, comments and header among them.
        rows: the data, one line at a time; blank lines and comments are left out.
    """

    delimiter: Delimiter
    header: tuple[str, ...] | None
    rows: Iterator[Row]
    preamble: list[str] = field(default_factory=list)

    def remark(self, *names: str) -> str:
        """What a line "name: value" or "# name = value" before the data says of the first of these names."""
        for name in names:
            for line in self.preamble:
                found = _REMARK.match(line.lstrip("#%/! "))
                if found and found[1].strip().lower() == name:
                    return one_line(found[2].strip().strip('",;'), 200)
        return ""


def read_table(path: Path) -> DelimitedTable:
    """The table of a file. Data begin with the first line whose first cell is a number (or a range of numbers).

    Raises:
        DataError: the file cannot be read as text.
        RecordFault: no line begins with a number.
    """
    lines = _short_lines(path)
    sample = list(islice(lines, _SAMPLE))
    start = _first_data_line(sample)
    if start is None:
        raise RecordFault(f"no line of the first {len(sample)} begins with a number")
    preamble = sample[:start]
    data = [line for line in sample[start:] if _is_data(line.text)]
    delimiter = find_delimiter([line.text for line in data[:50]])
    spoken = [line.text for line in preamble if line.text.strip()]
    header = None
    if spoken and not spoken[-1].lstrip().startswith(COMMENTS):
        header = split_cells(spoken[-1], find_delimiter([spoken[-1]], like=delimiter))
    rows = (
        Row(line.number, split_cells(line.text, delimiter))
        for line in chain(data, lines)
        if _is_data(line.text)
    )
    return DelimitedTable(delimiter, header, rows, spoken)


def sample_table(text: str) -> tuple[list[str], list[tuple[str, ...]]]:
    """Lines before the data, and the cells of the first data lines, of the head of a file; empty lists where it
    is no table."""
    lines = [Line(number, line) for number, line in enumerate(text.splitlines()[:_SAMPLE], 1)]
    lines = [line for line in lines if len(line.text) <= _LONGEST_LINE]
    start = _first_data_line(lines)
    if start is None:
        return [], []
    data = [line.text for line in lines[start:] if _is_data(line.text)]
    delimiter = find_delimiter(data[:50])
    return [line.text for line in lines[:start]], [split_cells(line, delimiter) for line in data]


def find_delimiter(lines: list[str], like: Delimiter | None = None) -> Delimiter:
    """The delimiter of some lines: tab or semicolon where most lines have one; then blanks, if every line is a
    pair of numbers with decimal commas; then comma; else blanks."""
    for delimiter in ("\t", ";"):
        if sum(delimiter in line for line in lines) > len(lines) / 2:
            return delimiter
    if lines and all(_DECIMAL_COMMA_PAIR.fullmatch(line) for line in lines):
        return " "
    if any("," in line for line in lines):
        return ","
    return like if like is not None and any(like in line for line in lines) else " "


def split_cells(line: str, delimiter: Delimiter) -> tuple[str, ...]:
    """The cells of a line; quotes hold a cell with the delimiter in it together."""
    if delimiter == " ":
        return tuple(line.split())
    if '"' not in line:
        return tuple(cell.strip() for cell in line.split(delimiter))
    try:
        cells = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))
    except (csv.Error, StopIteration):
        return tuple(cell.strip() for cell in line.split(delimiter))
    return tuple(cell.strip() for cell in cells)


def parse_number(cell: str, row: Row, name: str) -> float:
    """The number of a cell, decimal point or comma; "nan" and the like are a NaN.

    Raises:
        RecordFault: it is none.
    """
    number = to_number(cell)
    if number is None:
        raise RecordFault(f"{name} {one_line(cell, 30)!r} is no number", line=row.number)
    return number


def to_number(cell: str) -> float | None:
    """The number of a cell, or None."""
    text = cell.strip().replace("−", "-")
    if _NUMBER.fullmatch(text):
        return float(text.replace(",", "."))
    return float("nan") if text.lower() in _NOT_A_NUMBER else None


def _short_lines(path: Path) -> Iterator[Line]:
    for line in read_lines(path):
        if len(line.text) > _LONGEST_LINE:
            raise RecordFault(f"a line of {len(line.text)} characters", line=line.number)
        yield line


def _first_data_line(lines: list[Line]) -> int | None:
    """The first of the lines that begin with a number. A lone one among words (a date, a count) is passed over:
    the next line that is not blank must be one too, or the one before be a header of as many cells."""
    starts = [_begins_with_number(line.text) for line in lines]
    spoken = [place for place, line in enumerate(lines) if line.text.strip()]
    for at, place in enumerate(spoken):
        after = spoken[at + 1] if at + 1 < len(spoken) else None
        if not starts[place]:
            continue
        if after is None or starts[after] or lines[after].text.startswith(COMMENTS):
            return place
        if at and _cells_alike(lines[spoken[at - 1]].text, lines[place].text):
            return place
    return None


def _cells_alike(header: str, row: str) -> bool:
    delimiter = find_delimiter([row])
    count = len(split_cells(row, delimiter))
    return count > 1 and len(split_cells(header, delimiter)) == count


def _begins_with_number(text: str) -> bool:
    return bool(_FIRST_NUMBER.match(text))


def _is_data(text: str) -> bool:
    return bool(text.strip()) and not text.lstrip().startswith(COMMENTS)
