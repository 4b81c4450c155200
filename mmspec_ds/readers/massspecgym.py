"""The table of MassSpecGym (Bushuiev et al. 2024): a spectrum a row, fields parted by tabs.

The columns `mzs` and `intensities` hold numbers parted by commas; `identifier`, `smiles`, `inchikey`,
`formula`, `precursor_mz`, `adduct`, `instrument_type` and `collision_energy` (in eV) are read under the rules
of all mass spectra, the others are kept as they are.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mmspec_ds.errors import DataError
from mmspec_ds.readers.part import Item, RecordFault, one_line
from mmspec_ds.readers.peaks import MOST_PEAKS_READ
from mmspec_ds.readers.read_settings import DEFAULT_SETTINGS, FormatSettings
from mmspec_ds.readers.source import Head, read_lines
from mmspec_ds.readers.tandem import Fields, tandem_part
from mmspec_ds.spectra.records import FloatArray, Modality

_MZS, _INTENSITIES = "mzs", "intensities"


def looks_like_massspecgym(head: Head) -> bool:
    """By the two columns of peaks."""
    columns = _cells(head.text.partition("\n")[0])
    return _MZS in columns and _INTENSITIES in columns


def read_massspecgym(
    path: Path, modality: Modality | None = None, settings: FormatSettings = DEFAULT_SETTINGS
) -> Iterator[Item]:
    """The rows of the table, a part each; `identifier` is in the metadata as the accession.

    Raises:
        DataError: the file cannot be read, or its first line lacks a column or has one twice.
    """
    lines = read_lines(path)
    columns = _cells(next((line.text for line in lines), ""))
    for needed in (_MZS, _INTENSITIES):
        if columns.count(needed) != 1:
            raise DataError(
                f"the column is there {columns.count(needed)} times, expected once (the file has"
                f" {one_line(', '.join(columns))})",
                path=path,
                column=needed,
            )
    number = 0
    for line in lines:
        if not line.text.strip():
            continue
        try:
            yield _part(path, number, columns, _cells(line.text), settings)
        except RecordFault as fault:
            yield fault.rejected(path, number, line.number)
        number += 1


def _part(
    path: Path, number: int, columns: Sequence[str], cells: Sequence[str], settings: FormatSettings
) -> Item:
    if len(cells) != len(columns):
        raise RecordFault(f"{len(cells)} fields, expected {len(columns)} as in the first line")
    fields, peaks = Fields(), {}
    for name, value in zip(columns, cells):
        if name in (_MZS, _INTENSITIES):
            peaks[name] = _numbers(value, name)
        elif name:
            fields.set(name, value)
    return tandem_part(path, number, (peaks[_MZS], peaks[_INTENSITIES]), fields, settings.ms)


def _cells(line: str) -> list[str]:
    """The fields of a row; the quotes that a writer may put around one are none of it."""
    return [cell.strip().removeprefix('"').removesuffix('"') for cell in line.split("\t")]


def _numbers(text: str, name: str) -> FloatArray:
    words = text.strip("[] ").split(",")
    if len(words) > MOST_PEAKS_READ:
        raise RecordFault(f"more than {MOST_PEAKS_READ:,} {name}")
    try:
        return np.array([float(word) for word in words], dtype=np.float64)
    except ValueError:
        raise RecordFault(f"{name} are no numbers parted by commas") from None
