"""IR spectra as tables of two columns: wavenumber or wavelength, absorbance or transmittance."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from mmspec_ds.readers import part as keys
from mmspec_ds.readers.delimited import (
    DelimitedTable,
    check_width,
    parse_number,
    read_table,
    sample_table,
    to_number,
)
from mmspec_ds.readers.jcamp_tables import MOST_POINTS
from mmspec_ds.readers.part import Item, Part, RecordFault, Trace, counted, part_id, read_one
from mmspec_ds.readers.picking.infrared import AxisUnit, Ordinate, axis_unit, ordinate, to_grid
from mmspec_ds.readers.read_settings import DEFAULT_SETTINGS, FormatSettings
from mmspec_ds.readers.source import Head
from mmspec_ds.spectra.records import FloatArray, Modality

_LEAST_ROWS = 10
_X_NAMES = ("wavenumber", "wavelength", "frequency", "x")
_SHIFTS_END = 300.0
"""An axis that begins and ends below is of shifts in ppm, or of micrometers with a unit."""


def looks_like_infrared_table(head: Head) -> bool:
    """Rows of at least two numbers, whose first runs in one direction, and either a unit of IR before them or
    values beyond any shift."""
    table = sample_table(head.text, least_columns=2)
    if table is None:
        return False
    cells = [row.cells for row in islice(table.rows, 50)]
    numbers = [(to_number(row[0]), to_number(row[1])) for row in cells if len(row) > 1]
    if len(numbers) < _LEAST_ROWS or any(None in pair for pair in numbers):
        return False
    axis = np.array([pair[0] for pair in numbers], dtype=np.float64)
    steps = np.diff(axis)
    if not ((steps > 0).all() or (steps < 0).all()):
        return False
    said = any(axis_unit(line) is not None for line in table.preamble)
    return said or bool(axis.min() > _SHIFTS_END)


def read_infrared_table(
    path: Path, modality: Modality | None = None, settings: FormatSettings = DEFAULT_SETTINGS
) -> Iterator[Item]:
    """The one spectrum of the file. Units come from the header or the lines before it; `processing.infrared`
    tells the rules by which missing ones are guessed. Of several columns of values the first is read.

    Raises:
        DataError: the file cannot be read.
    """
    return read_one(path, lambda: _part(path, settings))


def _part(path: Path, settings: FormatSettings) -> Part:
    table = read_table(path, least_columns=2)
    x, y, more = _columns(table)
    axis, values = _numbers(table, x, y)
    unit, kind = _units(table, x, y)
    made = to_grid(axis, values, unit, kind, settings.ir)
    unread = "further column is" if more == 1 else "further columns are"
    remarks = [f"{more} {unread} not read"] if more else []
    title = table.remark("title", "name", "sample", "sample name")
    return Part(
        part_id(path, 0),
        (made.spectrum,),
        metadata={keys.NAME: title} if title else {},
        remarks=(*table.remarks, *remarks, *made.remarks),
        trace=Trace(made.wavenumber_cm1, made.absorbance, "cm-1"),
    )


def _columns(table: DelimitedTable) -> tuple[int, int, int]:
    """The columns of places and values, and how many more there are."""
    header = [cell.lower() for cell in table.header] if table.header else []
    if len(header) < 2:
        return 0, 1, 0
    named = [i for i, cell in enumerate(header) if axis_unit(cell) is not None]
    named += [i for i, cell in enumerate(header) if any(cell.startswith(name) for name in _X_NAMES)]
    x = named[0] if named else 0
    rest = [i for i in (*range(x + 1, len(header)), *range(x)) if header[i]]
    spoken = [i for i in rest if ordinate(header[i]) is not None]
    y = spoken[0] if spoken else rest[0] if rest else 1 - min(x, 1)
    return x, y, max(0, len(rest) - 1)


def _numbers(table: DelimitedTable, x: int, y: int) -> tuple[FloatArray, FloatArray]:
    axis: list[float] = []
    values: list[float] = []
    columns, what = _width(table, x, y)
    for row in table.rows:
        if columns is None:
            columns = len(row.cells)
        check_width(row, columns, what)
        if len(row.cells) <= max(x, y):
            said = counted(len(row.cells), "cell")
            raise RecordFault(f"{said}, expected at least {max(x, y) + 1}", line=row.number)
        axis.append(parse_number(row.cells[x], row, "the axis"))
        values.append(parse_number(row.cells[y] or "nan", row, "the value"))
        if len(axis) > MOST_POINTS:
            raise RecordFault(f"more than {MOST_POINTS} points", line=row.number)
    return np.array(axis), np.array(values)


def _width(table: DelimitedTable, x: int, y: int) -> tuple[int | None, str]:
    """Columns that a row may have, None for those of the first row, and who says so."""
    header = table.header or ()
    try:
        named = any(axis_unit(cell) is not None or ordinate(cell) is not None for cell in header)
    except RecordFault:
        named = True
    if named and len(header) > max(x, y):
        return len(header), "the header names"
    return None, "the first row has"


def _units(table: DelimitedTable, x: int, y: int) -> tuple[AxisUnit | None, Ordinate | None]:
    """Units of axis and values, from the header's cells, else from the lines before it."""
    header = table.header or ()
    unit = axis_unit(header[x]) if x < len(header) else None
    kind = ordinate(header[y]) if y < len(header) else None
    for line in reversed(table.preamble):
        unit = unit or axis_unit(line)
        words = [part for cell in line.split(table.delimiter) for part in cell.split("=")]
        kind = kind or next((found for word in words if (found := _said(word)) is not None), None)
    return unit, kind


def _said(word: str) -> Ordinate | None:
    """The kind of values that a word before the data names, or None; "reflection" may name an ATR accessory."""
    try:
        return ordinate(word.strip(' "#'))
    except RecordFault:
        return None
