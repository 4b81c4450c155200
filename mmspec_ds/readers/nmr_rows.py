"""Rows of NMR lists: what each says of a signal, under a header or without one."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmspec_ds.readers import part as keys
from mmspec_ds.readers.delimited import DelimitedTable, Row, check_width, to_number
from mmspec_ds.readers.multiplicities import carbon_type, multiplicity
from mmspec_ds.readers.nmr_columns import Columns, is_index, is_role, not_of_sample
from mmspec_ds.readers.nmr_lists import MOST_LISTED, ListedSignal
from mmspec_ds.readers.part import RecordFault, counted, one_line

_WIDEST_RANGE = 2.0  # ppm between two columns that are limits
_MOST_HYDROGENS = 20  # in a column of whole numbers that are hydrogens and not intensities
_NUMBER = r"[+-]?\d+(?:[.,]\d+)?"
_RANGE = re.compile(rf"\s*({_NUMBER})\s*(?:ppm)?\s*(?:-|–|—|−|to|bis|\.\.+|…)\s*({_NUMBER})\s*(?:ppm)?\s*")
_COUPLING = re.compile(r"\d+(?:[.,]\d+)?")
_COUPLING_CELL = re.compile(r"(?:[\d.,;:/|_&\s()=+-]|hz|and|\d?j(?:[a-z]{1,3})?)*", re.IGNORECASE)
_INTEGRAL = re.compile(r"\s*(\d+(?:[.,]\d+)?)\s*(?:×\s*)?H?s?\s*", re.IGNORECASE)


@dataclass(slots=True)
class RowList:
    """All rows of a file, and what was assumed of them."""

    signals: list[ListedSignal]
    remarks: list[str]
    lines_only: bool = False
    """Whether the rows are single lines with intensities instead of multiplets."""


def read_rows(table: DelimitedTable) -> list[Row]:
    """The rows of a list that are not empty.

    Raises:
        RecordFault: there are more than in any list.
    """
    rows = []
    for row in table.rows:
        if any(row.cells):
            rows.append(row)
        if len(rows) > MOST_LISTED:
            raise RecordFault(f"more than {MOST_LISTED} rows: is it a list of peaks?", line=row.number)
    return rows


def list_metadata(table: DelimitedTable) -> dict[str, str | float | int]:
    """Name, solvent and frequency of a list, from the lines before its data."""
    found: dict[str, str | float | int] = {}
    if name := table.remark("name", "title", "compound", "sample"):
        found[keys.NAME] = name
    if solvent := table.remark("solvent"):
        found[keys.SOLVENT] = solvent
    frequency = to_number(table.remark("frequency", "mhz", "field").removesuffix("MHz").strip())
    if frequency is not None and 1 <= frequency <= 2000:
        found[keys.FREQUENCY_MHZ] = frequency
    return found


def named_rows(rows: Sequence[Row], columns: Columns) -> RowList:
    """The signals of a table with a header, and remarks: on what was left out and how columns were understood.

    Raises:
        RecordFault: a cell is not what its column holds.
    """
    found = RowList([], [])
    roles = [text for row in rows if (text := columns.cell(row.cells, "multiplicity"))]
    by_role = bool(roles) and all(is_role(text) for text in roles)
    left_out: list[str] = []
    for row in rows:
        if columns.count is not None:
            row = _within_width(row, columns)
        role = columns.cell(row.cells, "multiplicity") if by_role else ""
        signal = _signal(row, columns)
        signal.letters = "" if by_role else columns.cell(row.cells, "multiplicity")
        if not_of_sample(role, columns.cells(row.cells, "note")):
            left_out.append(f"{signal.shift:g}")
        else:
            found.signals.append(signal)
    if left_out:
        places = ", ".join(left_out[:5]) + (" ..." if len(left_out) > 5 else "")
        lines = counted(len(left_out), "line")
        found.remarks.append(f"{lines} of solvent or impurities left out ({places} ppm)")
    telling = {"range", "high", "multiplicity", "hydrogens", "integral", "coupling"} & columns.places.keys()
    has_heights = "intensity" in columns or "area" in columns
    found.lines_only = has_heights and telling <= ({"multiplicity"} if by_role or not roles else set())
    return found


def _within_width(row: Row, columns: Columns) -> Row:
    """The row; what goes beyond the last column belongs to it if that is the couplings, else is refused."""
    assert columns.count is not None
    last = columns.count - 1
    if last in columns.places.get("coupling", []) and len(row.cells) > columns.count:
        return Row(row.number, (*row.cells[:last], "; ".join(cell for cell in row.cells[last:] if cell)))
    check_width(row, columns.count)
    return row


def _signal(row: Row, columns: Columns) -> ListedSignal:
    def cell(kind: str) -> str:
        return columns.cell(row.cells, kind)

    edges = _edges(row, cell("range"), cell("high"), cell("low"))
    text = cell("shift")
    shift = shift_of(text) if text else None
    if text and shift is None:
        raise RecordFault(f"the shift {one_line(text, 30)!r} is not a number", line=row.number)
    if edges is None and text:
        edges = _edges(row, text, "", "")
    if shift is None and edges is not None:
        shift = sum(edges) / 2
    if shift is None:
        raise RecordFault("the shift is missing", line=row.number)
    integral = cell("hydrogens") or cell("integral")
    return ListedSignal(
        shift,
        integral=_integral(integral, row) if integral else None,
        j_hz=[j for text in columns.cells(row.cells, "coupling") for j in _couplings(text, row)],
        edges=edges,
        line=row.number,
        intensity=to_number(cell("area") or cell("intensity")),
        hz=to_number(cell("hz")),
        dept=cell("dept") or (cell("hydrogens") if cell("hydrogens") in ("0", "1", "2", "3") else ""),
    )


# Rows without a header


def unnamed_rows(rows: Sequence[Row]) -> RowList:
    """The signals of a table without a header, and remarks: for what its columns were taken.

    Raises:
        RecordFault: a cell is not what its column is taken for.
    """
    found = RowList([], [])
    columns = list(zip(*(row.cells for row in rows))) if rows else []
    first = 0
    if len(columns) > 1 and is_index(columns[0]) and all(shift_of(cell) is not None for cell in columns[1]):
        first = 1
        found.remarks.append("no header: the first column counts the rows, the second is taken for the shift")
    head = [[_plain_number(cell) for cell in column] for column in columns[first : first + 3]]
    centred, limits = _are_centre_and_limits(head), _are_limits(head, columns[first + 2 :])
    if centred or limits:
        what = "shift and limits" if centred else "limits"
        found.remarks.append(
            f"no header: the first {3 if centred else 2} numbers are taken for {what} of ranges"
        )
    heights = _second_column(columns[first:], found.remarks) if not (centred or limits) else ""
    for row in rows:
        cells = row.cells[first:]
        pair = (cells[1], cells[2]) if centred else (cells[0], cells[1]) if limits else ("", "")
        rest = cells[3:] if centred else cells[2:] if limits else cells[1:]
        found.signals.append(_unnamed(row, cells[0], pair, rest, heights))
    found.lines_only = heights == "intensity"
    if any(signal.integral is not None and not signal.letters for signal in found.signals) and not heights:
        found.remarks.append("no header: numbers between shift and multiplicity taken for hydrogens")
    return found


def _plain_number(cell: str) -> float:
    number = to_number(cell)
    return math.nan if number is None else number


def _are_limits(head: list[list[float]], after: Sequence[Sequence[str]]) -> bool:
    """Two columns of numbers, the second always below (or always above) the first by up to 2 ppm, and a
    multiplicity, hydrogens or nothing after them."""
    if len(head) < 2:
        return False
    first, second = np.array(head[0]), np.array(head[1])
    apart = first - second
    near = bool((np.abs(apart) <= _WIDEST_RANGE).all() and ((apart > 0).all() or (apart < 0).all()))
    if not after:
        return near and len(first) > 1 and bool((second != second.round()).any())
    return near and all(multiplicity(cell) is not None or re.fullmatch(r"\d+\s*H", cell) for cell in after[0])


def _are_centre_and_limits(head: list[list[float]]) -> bool:
    """Three columns of numbers, the first always between the two others, which are up to 2 ppm apart."""
    if len(head) < 3:
        return False
    centre, one, other = (np.array(column) for column in head)
    inside = (np.minimum(one, other) <= centre) & (centre <= np.maximum(one, other))
    return bool(inside.all() and (np.abs(one - other) <= _WIDEST_RANGE).all() and (one != other).any())


def _second_column(columns: Sequence[Sequence[str]], remarks: list[str]) -> str:
    """The meaning of a second column of numbers without letters behind it: "integral" or "intensity"; empty for
    anything else."""
    if len(columns) < 2 or any(multiplicity(cell) is not None for column in columns[1:] for cell in column):
        return ""
    numbers = [_plain_number(cell) for cell in columns[1]]
    if not all(math.isfinite(number) for number in numbers):
        return ""
    whole = all(number.is_integer() and 1 <= number <= _MOST_HYDROGENS for number in numbers)
    kind = "integral" if whole else "intensity"
    remarks.append(f"no header: the second column is taken for {'hydrogens' if whole else 'intensities'}")
    return kind


def _unnamed(row: Row, first: str, limits: tuple[str, str], rest: Sequence[str], heights: str) -> ListedSignal:
    """A row of a table without header; `rest` are the cells after shift and limits."""
    shift = shift_of(first)
    if shift is None:
        raise RecordFault(f"the shift {one_line(first, 30)!r} is not a number", line=row.number)
    edges = _edges(row, "" if any(limits) else first, *limits)
    middle = sum(edges) / 2 if edges and limits[0] == first else shift
    signal = ListedSignal(middle, edges=edges, line=row.number)
    for text in rest:
        if not text:
            continue
        if not signal.letters and (multiplicity(text) is not None or carbon_type(text) is not None):
            signal.letters = text
        elif heights and signal.intensity is None:
            signal.intensity = to_number(text)
            signal.integral = signal.intensity if heights == "integral" else None
        elif heights:
            continue
        elif signal.integral is None and _INTEGRAL.fullmatch(text):
            signal.integral = _integral(text, row)
        elif signal.letters:
            signal.j_hz = [*signal.j_hz, *_couplings(text, row)]
        elif to_number(text) is None and not _INTEGRAL.fullmatch(text):
            raise RecordFault(f"{one_line(text, 30)!r} is not a number or a multiplicity", line=row.number)
    return signal


# Cells


def shift_of(text: str) -> float | None:
    """A number, with or without "ppm", or the middle of a range."""
    plain = re.sub(r"\s*(ppm|δ)\s*$", "", text.strip(), flags=re.IGNORECASE)
    number = to_number(plain) if re.search(r"\d", plain) or plain.lower() == "nan" else None
    if number is not None:
        return number
    found = _RANGE.fullmatch(text)
    return sum(float(part.replace(",", ".")) for part in found.groups()) / 2 if found else None


def _edges(row: Row, text: str, high: str, low: str) -> tuple[float, float] | None:
    if high and low:
        pair = to_number(high), to_number(low)
        if pair[0] is None or pair[1] is None or not (math.isfinite(pair[0]) and math.isfinite(pair[1])):
            said = one_line(f"{high} to {low}", 40)
            raise RecordFault(f"the range {said} is not two numbers", line=row.number)
        return pair[0], pair[1]
    found = _RANGE.fullmatch(text)
    if found is None:
        if text and to_number(re.sub(r"\s*ppm\s*$", "", text, flags=re.IGNORECASE)) is None:
            raise RecordFault(f"the range {one_line(text, 30)!r} is not two numbers", line=row.number)
        return None
    first, second = (float(part.replace(",", ".")) for part in found.groups())
    return first, second


def _integral(text: str, row: Row) -> float:
    found = _INTEGRAL.fullmatch(text)
    if found is None:
        said = one_line(text, 30)
        raise RecordFault(f"the integral {said!r} is not a number of hydrogens", line=row.number)
    return float(found[1].replace(",", "."))


def _couplings(text: str, row: Row) -> list[float]:
    """Constants in Hz, in any order: "7.1, 1.5", "7,1 1,5", "J = 7.1 Hz", "1.63_14.08_"."""
    if not text.strip() or text.strip().lower() in ("none", "-", "–", "n/a", "na", "null"):
        return []
    if not _COUPLING_CELL.fullmatch(text):
        raise RecordFault(f"the couplings {one_line(text, 30)!r} are not numbers", line=row.number)
    plain = re.sub(r"\d?[jJ][a-zA-Z]{0,3}\s*=?", " ", text)
    if "." in plain or ", " in plain:
        plain = plain.replace(",", " ")
    return [float(one.replace(",", ".")) for one in _COUPLING.findall(plain)]
