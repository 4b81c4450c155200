"""HSQC peak lists as tables: a row with the 13C and the 1H shift of each cross peak."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmspec_ds.readers.cross_peaks import CrossPeaks, hsqc_of
from mmspec_ds.readers.delimited import DelimitedTable, Row, check_width, read_table, sample_table, to_number
from mmspec_ds.readers.multiplicities import carbon_type
from mmspec_ds.readers.nmr_columns import Columns, is_index, kind_of, not_of_sample
from mmspec_ds.readers.nmr_rows import list_metadata, read_rows
from mmspec_ds.readers.part import Item, Part, RecordFault, counted, one_line, read_one
from mmspec_ds.readers.read_settings import DEFAULT_SETTINGS, FormatSettings
from mmspec_ds.readers.source import Head
from mmspec_ds.spectra.records import Modality

_AXES = {
    "13C": frozenset(["13c", "c13", "c", "carbon", "carbons"]),
    "1H": frozenset(["1h", "h1", "h", "proton", "protons", "hydrogen"]),
    "F1": frozenset(["f1", "w1", "nuf1", "vf1"]),
    "F2": frozenset(["f2", "w2", "nuf2", "vf2"]),
}
_FILL = re.compile(r"ppm|chemical|shifts?|centroid|position|delta|peaks?|nmr|[^a-z0-9]")


def _axis_of(cell: str) -> str | None:
    """ "13C", "1H", "F1" or "F2" for a column of shifts in ppm, None for any other."""
    text = cell.lower()
    if re.search(r"\bhz\b|width|intensity|atom|point", text):
        return None
    name = _FILL.sub("", text)
    return next((axis for axis, names in _AXES.items() if name in names), None)


def _axes(header: Sequence[str]) -> tuple[int, int, bool | None] | None:
    """Places of the two columns of shifts, and whether the first of them is carbon (None: not said)."""
    places: dict[str, int] = {}
    for place, cell in enumerate(header):
        axis = _axis_of(cell)
        if axis is not None:
            places.setdefault(axis, place)
    if {"13C", "1H"} <= places.keys():
        return places["13C"], places["1H"], True
    return (places["F1"], places["F2"], None) if {"F1", "F2"} <= places.keys() else None


def is_hsqc_header(cells: Sequence[str]) -> bool:
    """Whether a line names two columns of shifts, 13C and 1H or F1 and F2."""
    return len(cells) <= 40 and _axes(cells) is not None


def looks_like_hsqc_table(head: Head) -> bool:
    """A header with two columns of shifts, and a row with two numbers under it; or pairs of numbers in a file
    that is called HSQC."""
    table = sample_table(head.text, is_hsqc_header, 2)
    if table is None:
        return False
    rows = list(table.rows)[:50]
    if table.named and table.header is not None:
        first, second, _ = _axes(table.header) or (0, 1, None)
        return any(_pair(row, first, second) is not None for row in rows)
    said = f"{table.words} {head.path.name}"
    return "hsqc" in said.lower() and all(_pair(row, 0, 1) is not None for row in rows)


def _pair(row: Row, first: int, second: int) -> tuple[float, float] | None:
    if len(row.cells) <= max(first, second):
        return None
    one, other = (to_number(re.sub(r"\s*ppm$", "", row.cells[place])) for place in (first, second))
    return None if one is None or other is None or one != one or other != other else (one, other)


def read_hsqc_table(
    path: Path, modality: Modality | None = None, settings: FormatSettings = DEFAULT_SETTINGS
) -> Iterator[Item]:
    """The one list of the file. Which of two columns F1 and F2, or of two without names, is carbon is told by
    shifts over 20 ppm. Rows without one of the two shifts are left out with a remark.

    Raises:
        DataError: the file cannot be read.
    """
    return read_one(path, lambda: _part(path))


def _part(path: Path) -> Part:
    table = read_table(path, is_hsqc_header, 2)
    rows = read_rows(table)
    peaks, remarks = _named(table, rows) if table.named else _unnamed(rows)
    reading = hsqc_of(peaks, f"{table.words} {path.name}")
    return reading.with_remarks([*table.remarks, *remarks]).part(path, 0, list_metadata(table))


def _named(table: DelimitedTable, rows: Sequence[Row]) -> tuple[CrossPeaks, list[str]]:
    header = table.header or ()
    found = _axes(header)
    assert found is not None
    first, second, carbon_first = found
    columns = Columns()
    for place, name in enumerate(header):
        if place not in (first, second) and (known := kind_of(name)):
            columns.places.setdefault(known, []).append(place)

    def cell(row: Row, *wanted: str) -> str:
        return next((text for kind in wanted for text in columns.cells(row.cells, kind) if text), "")

    peaks, incomplete, left_out = CrossPeaks(carbon_first=carbon_first), 0, 0
    for row in rows:
        check_width(row, len(header))
        pair = _pair(row, first, second)
        if pair is None:
            if any(to_number(one) is None and one for one in _at(row, first, second)):
                said = one_line(" and ".join(_at(row, first, second)), 40)
                raise RecordFault(f"the shifts {said!r} are not numbers", line=row.number)
            incomplete += 1
            continue
        kind = cell(row, "multiplicity", "dept")
        if not_of_sample(kind, columns.cells(row.cells, "note")):
            left_out += 1
            continue
        intensity = to_number(cell(row, "area", "integral", "intensity"))
        peaks.add(*pair, intensity, _hydrogens(cell(row, "hydrogens"), kind), row.number)
    remarks = [f"{counted(incomplete, 'row')} without one of the two shifts left out"] if incomplete else []
    if left_out:
        remarks.append(f"{counted(left_out, 'cross peak')} of solvent or impurities left out")
    return peaks, remarks


def _at(row: Row, *places: int) -> list[str]:
    return [row.cells[place] if place < len(row.cells) else "" for place in places]


def _hydrogens(text: str, kind: str) -> int | None:
    """The count of a column of hydrogens, else of CH3, CH2 or CH."""
    number = to_number(re.sub(r"\s*H$", "", text)) if text else None
    if number is not None and number.is_integer() and number > 0:
        return int(number)
    return carbon_type(kind) or None if kind else None


def _unnamed(rows: Sequence[Row]) -> tuple[CrossPeaks, list[str]]:
    """Rows of two shifts and, if there is a third number, an intensity; a count of the rows before them."""
    peaks, remarks = CrossPeaks(), []
    widths = {len(row.cells) for row in rows}
    start = int(min(widths) > 2 and is_index([row.cells[0] for row in rows]))
    if max(widths) > start + 2:
        remarks.append("no header: the column after the two shifts is taken for intensities")
    for row in rows:
        pair = _pair(row, start, start + 1)
        if pair is None:
            said = one_line(" ".join(row.cells), 40)
            raise RecordFault(f"{said!r} does not begin with two shifts", line=row.number)
        check_width(row, start + 3, "two shifts and an intensity are")
        peaks.add(*pair, to_number(_at(row, start + 2)[0]), None, row.number)
    return peaks, remarks
