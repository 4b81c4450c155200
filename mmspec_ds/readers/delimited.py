"""Tables of numbers as programs export them: commas, semicolons, tabs or blanks between cells, decimal points
or commas, with or without a header, with any lines before it.

A comma that is both the decimal mark and the separator ("7,28,m,2,03") is resolved where the header leaves one
reading only, and refused otherwise.
"""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

from mmspec_ds.readers.decimal_commas import columns_with_decimals, joined
from mmspec_ds.readers.part import RecordFault, one_line
from mmspec_ds.readers.source import Line, read_lines

COMMENTS = ("#", "%", "//", "!")
_SAMPLE = 200
_LONGEST_LINE = 10_000
_NUMBER = re.compile(r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d{1,3})?")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+\.\d*|[+-]?\d{1,3}(?:\.\d{3})+,\d*")
_FIRST_NUMBER = re.compile(
    r'\s*"?\s*[+\-−]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?\s*(?:ppm)?\s*(?:$|[,;\t "–—−-](?!\d+[-/]\d+))'
)
_NOT_A_NUMBER = frozenset({"nan", "inf", "+inf", "-inf", "infinity", "na", "n/a", "null", "none", "-", "?"})
_REMARK = re.compile(r"\s*\"?([A-Za-z][\w \-/()^]{0,40}?)\"?\s*[:=,;\t]\s*(.+)")
_COMMA_NUMBER = re.compile(r"[+-]?\d+,\d+[A-Za-z]{0,3}")

IsHeader = Callable[[Sequence[str]], bool]
"""Whether the cells of a line name the columns of the table that is looked for."""
IsWhole = Callable[[str], bool]
"""Whether a column of this name holds whole numbers: a count of the rows, or of hydrogens."""


@dataclass(frozen=True, slots=True)
class Row:
    """The cells of a line, without the blanks around them."""

    number: int
    cells: tuple[str, ...]


@dataclass(slots=True)
class DelimitedTable:
    """A table while it is read.

    Attributes:
        delimiter: between cells: tab, semicolon, comma, or a blank for any run of blanks.
        header: cells of the line that names the columns, or of the last line before the data; None where the
            data come first.
        named: whether `header` is a line that names the columns wanted.
        rows: the data, one line at a time, without blank lines and comments.
        preamble: all lines before the data but the one that names the columns, comments among them.
        remarks: what was assumed of decimal marks.
    """

    delimiter: str
    header: tuple[str, ...] | None
    named: bool
    rows: Iterator[Row]
    preamble: list[str] = field(default_factory=list)
    remarks: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """All that stands before the data, header included, on one line."""
        return " ".join([*self.preamble, *(self.header or ())])

    def remark(self, *names: str) -> str:
        """The value of the first line "name: value" or "# name = value" before the data, for these names."""
        for name in names:
            for line in self.preamble:
                found = _REMARK.match(line.lstrip("#%/! "))
                if found and found[1].strip().lower() == name:
                    return one_line(found[2].strip().strip('",;'), 200)
        return ""


def read_table(
    path: Path,
    is_header: IsHeader | None = None,
    least_columns: int = 1,
    is_whole: IsWhole = lambda _: False,
) -> DelimitedTable:
    """The table of a file. Data follow the line that names the columns; without one they begin with the first
    line whose first cell is a number or a range of numbers.

    Args:
        path: the file.
        is_header: tells the line that names the columns.
        least_columns: that the table must have.
        is_whole: tells columns without decimals, where the comma may be the decimal mark.

    Raises:
        DataError: the file cannot be read as text.
        RecordFault: no line begins with a number, or decimal commas and separators cannot be told apart.
    """
    lines = _short_lines(path)
    return _table(list(islice(lines, _SAMPLE)), lines, is_header, least_columns, is_whole)


def sample_table(
    text: str,
    is_header: IsHeader | None = None,
    least_columns: int = 1,
    is_whole: IsWhole = lambda _: False,
) -> DelimitedTable | None:
    """The table in the head of a file, as `read_table` finds it, or None."""
    lines = [Line(number, line) for number, line in enumerate(text.splitlines()[:_SAMPLE], 1)]
    lines = [line for line in lines if len(line.text) <= _LONGEST_LINE]
    try:
        return _table(lines, iter(()), is_header, least_columns, is_whole)
    except RecordFault:
        return None


def _table(
    sample: list[Line],
    more: Iterator[Line],
    is_header: IsHeader | None,
    least_columns: int,
    is_whole: IsWhole,
) -> DelimitedTable:
    start = _first_data_line(sample)
    found = _named_header(sample[:start], is_header) if is_header is not None else None
    if found is not None:
        place, header = found
        start = next((at for at in range(place + 1, len(sample)) if _has_number(sample[at].text)), None)
    if start is None:
        raise RecordFault(f"no line of the first {len(sample)} begins with a number")
    data = [line for line in sample[start:] if _is_data(line.text)]
    delimiter = find_delimiter([line.text for line in data[:50]])
    named_by = sample[found[0]].number if found is not None else 0
    spoken = [line.text for line in sample[:start] if line.text.strip() and line.number != named_by]
    if found is not None:
        columns: tuple[str, ...] | None = _without_empty_end(header)
    elif spoken and not spoken[-1].lstrip().startswith(COMMENTS):
        columns = split_cells(spoken[-1], find_delimiter([spoken[-1]], like=delimiter))
    else:
        columns = None
    rows = (
        Row(line.number, split_cells(line.text, delimiter)) for line in chain(data, more) if _is_data(line.text)
    )
    table = DelimitedTable(delimiter, columns, found is not None, rows, spoken)
    if delimiter == ",":
        _resolve_commas(table, data, least_columns, is_whole)
    return table


def _named_header(lines: Sequence[Line], is_header: IsHeader | None) -> tuple[int, tuple[str, ...]] | None:
    """Place and cells of the first line that names the columns; a comment sign before it is passed over."""
    assert is_header is not None
    for place, line in enumerate(lines):
        text = line.text.strip()
        bare = text.lstrip("#%!/ ") if text.startswith(COMMENTS) and ":" not in text else text
        for one in dict.fromkeys((text, bare)):
            for cells in _header_cells(one):
                if is_header(cells):
                    return place, cells
    return None


def _header_cells(text: str) -> Iterator[tuple[str, ...]]:
    """The ways to cut a header into cells; names parted by blanks may have blanks in them, and units."""
    delimiter = find_delimiter([text])
    if delimiter != " ":
        yield split_cells(text, delimiter)
    elif text:
        yield from dict.fromkeys(
            tuple(re.split(pattern, text)) for pattern in (r"\s{2,}", r"\s+(?![\[(])", r"\s+")
        )


def find_delimiter(lines: list[str], like: str | None = None) -> str:
    """The delimiter of some lines: tab or semicolon where most lines have one; then blanks, if every comma is
    within a number; then comma; else blanks."""
    for delimiter in ("\t", ";"):
        if sum(delimiter in line for line in lines) > len(lines) / 2:
            return delimiter
    if lines and all(_has_blanks_and_decimal_commas(line) for line in lines):
        return " "
    if any("," in line for line in lines):
        return ","
    return like if like is not None and any(like in line for line in lines) else " "


def _has_blanks_and_decimal_commas(line: str) -> bool:
    words = line.split()
    return (
        len(words) > 1 and all(_COMMA_NUMBER.fullmatch(word) for word in words if "," in word) and "," in line
    )


def split_cells(line: str, delimiter: str) -> tuple[str, ...]:
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


def _without_empty_end(cells: Sequence[str]) -> tuple[str, ...]:
    count = len(cells)
    while count and not cells[count - 1]:
        count -= 1
    return tuple(cells[:count])


def check_width(row: Row, columns: int, what: str = "the header names") -> None:
    """Refuse a row that has more values than there are columns.

    Raises:
        RecordFault: it has; empty cells at its end do not count.
    """
    count = len(_without_empty_end(row.cells))
    if count > columns:
        raise RecordFault(
            f"{count} values, but {what} {columns}: is the comma a decimal mark or a separator?",
            line=row.number,
        )


def _resolve_commas(table: DelimitedTable, sample: list[Line], least_columns: int, is_whole: IsWhole) -> None:
    """Put cells together that a decimal comma has parted, and say so in a remark."""
    cells = [split_cells(line.text, ",") for line in sample]
    header = [is_whole(name) for name in table.header or ()] if table.named else None
    columns, decimals = columns_with_decimals(cells, header, least_columns)
    if not columns:
        return
    if decimals is None:
        raise RecordFault(
            "the comma is the decimal mark and the separator, and the columns cannot be told apart: export the"
            " table with semicolons or decimal points",
            line=sample[0].number,
        )
    table.rows = _joined_rows(table.rows, columns, decimals)
    places = " and ".join(str(place + 1) for place in decimals)
    role = "the decimal mark" if columns == 1 else "the decimal mark and the separator"
    table.remarks = (f"the comma is read as {role} (decimals in column {places})",)


def _joined_rows(rows: Iterator[Row], columns: int, decimals: Sequence[int]) -> Iterator[Row]:
    for row in rows:
        together = joined(row.cells, columns, decimals)
        if together is None:
            raise RecordFault(
                f"{len(row.cells)} values between commas, which are not {columns} columns with decimal commas",
                line=row.number,
            )
        yield Row(row.number, together)


def parse_number(cell: str, row: Row, name: str) -> float:
    """The number of a cell, with decimal point or comma; "nan" and the like are a NaN.

    Raises:
        RecordFault: it is something else.
    """
    number = to_number(cell)
    if number is None:
        raise RecordFault(f"{name} {one_line(cell, 30)!r} is not a number", line=row.number)
    return number


def to_number(cell: str) -> float | None:
    """The number of a cell, or None. Of "1,234.5" and "1.234,5" the last mark is the decimal one."""
    text = cell.strip().replace("−", "-")
    if _NUMBER.fullmatch(text):
        return float(text.replace(",", "."))
    if _THOUSANDS.fullmatch(text):
        thousands, decimal = (",", ".") if text.rfind(".") > text.rfind(",") else (".", ",")
        return float(text.replace(thousands, "").replace(decimal, "."))
    return float("nan") if text.lower() in _NOT_A_NUMBER else None


def _short_lines(path: Path) -> Iterator[Line]:
    for line in read_lines(path):
        if len(line.text) > _LONGEST_LINE:
            raise RecordFault(f"a line of {len(line.text)} characters", line=line.number)
        yield line


def _first_data_line(lines: list[Line]) -> int | None:
    """The first of the lines that begin with a number. A single one among words (a date, a count) is passed
    over: the next line that is not blank must be one too, or the one before be a header of as many cells."""
    starts = [bool(_FIRST_NUMBER.match(line.text)) for line in lines]
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


def _has_number(text: str) -> bool:
    words = re.split(r"[\t;, ]+", text)
    return _is_data(text) and any(re.match(r'"?[+-]?\d', word) for word in words)


def _is_data(text: str) -> bool:
    return bool(text.strip()) and not text.lstrip().startswith(COMMENTS)
