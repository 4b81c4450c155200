"""The table of MassSpecGym (Bushuiev et al. 2024): a row for each spectrum, fields separated by tabs.

The columns `mzs` and `intensities` hold numbers separated by commas; the other columns are read under the rules
of all mass spectra.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mmspec_ds.errors import DataError
from mmspec_ds.readers.mass_fields import Fields
from mmspec_ds.readers.mass_spectra import mass_part
from mmspec_ds.readers.part import Item, Part, RecordFault, one_line
from mmspec_ds.readers.peaks import MOST_PEAKS_READ
from mmspec_ds.readers.read_settings import DEFAULT_SETTINGS, FormatSettings
from mmspec_ds.readers.source import Head, Line, read_lines
from mmspec_ds.spectra.records import FloatArray, Modality

_PEAKS = ("mzs", "intensities")


def looks_like_massspecgym(head: Head) -> bool:
    """Whether the first line names the two columns of peaks."""
    return set(_PEAKS) <= set(_cells(head.text.partition("\n")[0]))


def read_massspecgym(
    path: Path, modality: Modality | None = None, settings: FormatSettings = DEFAULT_SETTINGS
) -> Iterator[Item]:
    """The rows of the table, a part each; `identifier` is in the metadata as the accession.

    Raises:
        DataError: the file cannot be read, or its first line lacks a column or has one twice.
    """
    lines = read_lines(path)
    columns = _cells(next((line.text for line in lines), ""))
    for needed in _PEAKS:
        if columns.count(needed) != 1:
            raise DataError(
                f"the column is there {columns.count(needed)} times, expected once (the file has"
                f" {one_line(', '.join(columns))})",
                path=path,
                column=needed,
            )
    rows = (line for line in lines if line.text.strip())
    for number, line in enumerate(rows):
        try:
            yield _part(path, number, columns, line, settings)
        except RecordFault as fault:
            yield fault.rejected(path, number, line.number)


def _part(path: Path, number: int, columns: Sequence[str], line: Line, settings: FormatSettings) -> Part:
    cells = _cells(line.text)
    if len(cells) != len(columns):
        raise RecordFault(f"{len(cells)} fields, expected {len(columns)} as in the first line")
    fields, peaks = Fields(), {}
    for name, value in zip(columns, cells):
        if name in _PEAKS:
            peaks[name] = _numbers(value, name)
        elif name:
            fields.set(name, value)
    return mass_part(path, number, (peaks["mzs"], peaks["intensities"]), fields, settings.ms)


def _cells(line: str) -> list[str]:
    """The fields of a row, without the quotes that a writer may put around one."""
    return [cell.strip().removeprefix('"').removesuffix('"') for cell in line.split("\t")]


def _numbers(text: str, name: str) -> FloatArray:
    words = text.strip("[] ").split(",")
    if len(words) > MOST_PEAKS_READ:
        raise RecordFault(f"more than {MOST_PEAKS_READ:,} {name}")
    try:
        numbers = np.array([float(word) for word in words], dtype=np.float64)
    except ValueError:
        raise RecordFault(f"{name} are not numbers separated by commas") from None
    if name == "mzs" and "." not in text and (np.diff(numbers) < 0).any():
        raise RecordFault("mzs are out of order and have no decimal points: decimal commas?")
    return numbers
