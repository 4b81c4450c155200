"""NMR peak lists as tables: 1H multiplets, single 1H lines or 13C lines, a row each.

Columns are known by their names (`nmr_columns`). Without a header they are known by their content: a count of
the rows is passed over; the shift, its range or both limits come first; letters are the multiplicity, the first
number after them the integral, further numbers couplings.
"""

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

import numpy as np

from mmspec_ds.readers import part as keys
from mmspec_ds.readers.delimited import DelimitedTable, read_table, sample_table
from mmspec_ds.readers.hsqc_table import looks_like_hsqc_table
from mmspec_ds.readers.multiplicities import multiplicity
from mmspec_ds.readers.nmr_columns import Columns, find_columns, is_nmr_header, is_whole
from mmspec_ds.readers.nmr_lists import (
    ListedSignal,
    carbon_lines,
    check_shift,
    hydrogen_lines,
    hydrogen_list,
)
from mmspec_ds.readers.nmr_rows import RowList, list_metadata, named_rows, read_rows, shift_of, unnamed_rows
from mmspec_ds.readers.part import Item, Part, RecordFault, read_one
from mmspec_ds.readers.picking.curve import Nucleus
from mmspec_ds.readers.read_settings import DEFAULT_SETTINGS, FormatSettings
from mmspec_ds.readers.source import Head
from mmspec_ds.spectra.records import Modality

_MOST_CELLS = 40
_HIGHEST_1H = 20.0
_WORDS_1H = re.compile(r"(?<![0-9.a-z])(?:1\s*h|h1)(?![a-z0-9])|\bh[-_ ]?nmr|proton", re.IGNORECASE)
_WORDS_13C = re.compile(r"(?<![0-9.a-z])(?:13\s*c|c13)(?![a-z0-9])|\bc[-_ ]?nmr|carbon", re.IGNORECASE)


def looks_like_nmr_table(head: Head) -> bool:
    """Rows with a shift under a header that names it, or rows of a shift and a multiplicity."""
    table = sample_table(head.text, is_nmr_header, is_whole=is_whole)
    rows = list(table.rows)[:50] if table is not None else []
    if (
        table is None
        or not rows
        or looks_like_hsqc_table(head)
        or any(len(row.cells) > _MOST_CELLS for row in rows[:20])
    ):
        return False
    if table.named and table.header is not None:
        columns = find_columns(table.header)
        return columns is not None and any(_has_shift(row.cells, columns) for row in rows)
    shifts = [shift_of(row.cells[0]) for row in rows]
    if not all(shift is not None and abs(shift) <= 300 for shift in shifts):
        return False
    lettered = all(any(multiplicity(cell) is not None for cell in row.cells[1:5]) for row in rows)
    spoken = next((line for line in reversed(table.preamble)), "")
    return lettered or bool(_WORDS_1H.search(f"{spoken} {head.path.name}"))


def _has_shift(cells: Sequence[str], columns: Columns) -> bool:
    text = columns.cell(cells, "shift") or columns.cell(cells, "range") or columns.cell(cells, "high")
    return shift_of(text) is not None


def read_nmr_table(
    path: Path, modality: Modality | None = None, settings: FormatSettings = DEFAULT_SETTINGS
) -> Iterator[Item]:
    """The one list of the file. The nucleus is that asked for, else what the lines before the data or the name
    of the file say, else 13C if a shift is over 20 ppm, else 1H if there are multiplicities, couplings,
    integrals or intensities.

    Raises:
        DataError: the file cannot be read.
    """
    return read_one(path, lambda: _part(path, modality, settings))


def _part(path: Path, modality: Modality | None, settings: FormatSettings) -> Part:
    table = read_table(path, is_nmr_header, is_whole=is_whole)
    columns = find_columns(table.header) if table.named and table.header is not None else None
    rows = read_rows(table)
    found = named_rows(rows, columns) if columns is not None else unnamed_rows(rows)
    found.remarks[:0] = table.remarks
    if not found.signals:
        raise RecordFault("no row of the list could be read")
    metadata = list_metadata(table)
    nucleus = _nucleus(path, table, found, modality)
    if nucleus == "13C":
        for signal in found.signals:
            check_shift(signal.shift, "13C", signal.line)
        letters = [one.dept or ("" if one.j_hz else one.letters) for one in found.signals]
        reading = carbon_lines([signal.shift for signal in found.signals], letters)
    elif found.lines_only:
        said = metadata.get(keys.FREQUENCY_MHZ)
        mhz = _frequency(found.signals) or (None if said is None else float(said))
        heights = [math.nan if signal.intensity is None else signal.intensity for signal in found.signals]
        shifts = np.array([signal.shift for signal in found.signals])
        reading = hydrogen_lines(shifts, np.array(heights), mhz, settings.nmr)
    else:
        reading = hydrogen_list(found.signals)
    return reading.with_remarks(found.remarks).part(path, 0, metadata)


def _nucleus(path: Path, table: DelimitedTable, found: RowList, modality: Modality | None) -> Nucleus:
    if modality in (Modality.H_NMR, Modality.C_NMR):
        return "1H" if modality is Modality.H_NMR else "13C"
    for text in (table.words, path.name):
        hydrogen, carbon = bool(_WORDS_1H.search(text)), bool(_WORDS_13C.search(text))
        if hydrogen != carbon:
            return "1H" if hydrogen else "13C"
    signals = found.signals
    if any(signal.shift > _HIGHEST_1H or re.match(r"CH", signal.letters, re.I) for signal in signals):
        return "13C"
    if any(signal.letters or signal.j_hz or signal.integral for signal in signals):
        return "1H"
    if found.lines_only:
        found.remarks.append(f"taken for 1H: no shift is over {_HIGHEST_1H:g} ppm")
        return "1H"
    raise RecordFault(
        "is it 1H or 13C? Neither header, file name nor columns tell: name it (--h-nmr or --c-nmr FILE,"
        " in Python h_nmr= or c_nmr=)"
    )


def _frequency(signals: Sequence[ListedSignal]) -> float | None:
    """The spectrometer's frequency in MHz where the list has positions in Hz and in ppm."""
    ratios = [one.hz / one.shift for one in signals if one.hz and abs(one.shift) > 0.1]
    mhz = median(ratios) if ratios else 0.0
    return mhz if 1 <= mhz <= 2000 else None
