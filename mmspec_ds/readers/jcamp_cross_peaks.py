"""Cross peaks in JCAMP-DX: peak tables of two-dimensional NMR (Davies et al. 2001, nD NMR in 6.0)."""

import re

from mmspec_ds.readers.cross_peaks import CrossPeaks, hsqc_of
from mmspec_ds.readers.jcamp_curve import decode_table
from mmspec_ds.readers.jcamp_peaks import check_peak_count
from mmspec_ds.readers.jcamp_tables import decode_pairs
from mmspec_ds.readers.jcamp_text import Block, Table
from mmspec_ds.readers.nmr_lists import Reading
from mmspec_ds.readers.part import RecordFault, one_line

_PEAK_TABLES = ("PEAKTABLE", "DATATABLE", "XYPOINTS")
_SAID = ("TITLE", "DATATYPE", ".PULSESEQUENCE", ".EXPERIMENT", "$PULPROG", ".ACQUISITIONSCHEME")
_INTENSITIES = frozenset({"I", "Y", "Z", "A", "INTENSITY", "HEIGHT", "VOLUME"})


def is_two_dimensional(block: Block) -> bool:
    """Whether a block of NMR has two dimensions, by its labels or by the form of its tables."""
    dimensions = block.number("NUMDIM")
    said = block.text("DATATYPE").upper()
    if (dimensions is not None and dimensions > 1) or re.match(r"ND|2D", said):
        return True
    symbols = _fields(block, "SYMBOL")
    return {"F1", "F2"} <= set(symbols) or any("F1" in t.form and "F2" in t.form for t in block.tables)


def read_cross_peaks(block: Block) -> Reading:
    """The HSQC spectrum of a block's table of cross peaks.

    The axes are F1 and F2 in the order of the form, such as (F1F2I..F1F2I) or (XYZ..XYZ); the nuclei are those
    of .NUCLEUS or .OBSERVE NUCLEUS, F1 first, else carbon is the axis with shifts over 20 ppm.

    Raises:
        RecordFault: there is no table of peaks (no fault of the file), or a number is impossible.
    """
    table = next((t for t in block.tables if t.label in _PEAK_TABLES and "++" not in t.form), None)
    if table is None:
        raise RecordFault("an NMR spectrum of more than one dimension", line=block.line, fault=False)
    columns = _columns(block, table)
    numbers, remarks = decode_table(
        block, table, lambda lines: decode_pairs(lines, len(columns)), lambda one: block.allows(len(one))
    )
    check_peak_count(block, len(numbers))
    first, second = [place for place, name in enumerate(columns) if name not in _INTENSITIES][:2]
    height = next((place for place, name in enumerate(columns) if name in _INTENSITIES), None)
    for place in (first, second):
        _check_unit(block, columns[place])
    peaks = CrossPeaks(carbon_first=_carbon_first(block))
    for row in numbers.tolist():
        intensity = row[height] if height is not None else None
        peaks.add(row[first], row[second], intensity, None, table.line)
    return hsqc_of(peaks, " ".join(block.text(name) for name in _SAID)).with_remarks(remarks)


def _fields(block: Block, name: str) -> list[str]:
    return [field.strip().upper() for field in block.labels.get(name, "").split(",") if field.strip()]


def _columns(block: Block, table: Table) -> list[str]:
    """Symbols of the columns of a form such as (F1F2I..F1F2I) or (XYZ..XYZ); of X, Y and Z the last is the
    intensity, and without a form they are F1, F2 and the intensity."""
    form = re.sub(r"\s", "", table.form.upper()).partition("..")[0].partition(")")[0].lstrip("(")
    symbols = sorted({*_fields(block, "SYMBOL"), "F1", "F2", "X", "Y", "Z", "I", "W"}, key=len, reverse=True)
    columns = re.findall("|".join(map(re.escape, symbols)), form)
    if columns == ["X", "Y", "Z"]:
        columns = ["F1", "F2", "I"]
    if columns == ["X", "Y"]:
        columns = ["F1", "F2"]
    axes = [name for name in columns if name not in _INTENSITIES]
    if "".join(columns) not in (form, "F1F2", "F1F2I") or len(axes) < 2:
        raise RecordFault(
            f"cross peaks of form {one_line(table.form, 40)!r}, expected (F1F2I..F1F2I) or (XYZ..XYZ)",
            line=table.line,
        )
    return columns


def _carbon_first(block: Block) -> bool | None:
    """By the nuclei, which labels give from F1 on; None where they are not named."""
    nuclei = [
        re.sub(r"[^0-9A-Z]", "", one.upper()) for one in block.text(".NUCLEUS", ".OBSERVENUCLEUS").split(",")
    ]
    return True if nuclei[:2] == ["13C", "1H"] else False if nuclei[:2] == ["1H", "13C"] else None


def _check_unit(block: Block, symbol: str) -> None:
    """Refuse an axis that is not in ppm."""
    symbols, units = _fields(block, "SYMBOL"), _fields(block, "UNITS")
    known = symbol in symbols and len(units) == len(symbols)
    unit = units[symbols.index(symbol)] if known else block.text("XUNITS").upper()
    if unit and "PPM" not in unit:
        raise RecordFault(f"cross peaks in {one_line(unit, 20)!r}, expected PPM", line=block.line)
