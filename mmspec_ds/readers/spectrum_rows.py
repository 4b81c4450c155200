"""Parquet with a mass spectrum a row: lists `mz` and `intensity`, and a column for each field.

The fields are those of all mass spectra, by any of their spellings (see `mass_fields`): `precursor_mz`,
`precursor_type`, `ion_mode`, `collision_energy`, `smiles`, `inchikey`, `ionization`, `institute`, ... A column
`energy` is the collision energy, or that of the electrons of an EI spectrum.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mmspec_ds.errors import DataError
from mmspec_ds.readers import part as keys
from mmspec_ds.readers.mass_fields import Fields
from mmspec_ds.readers.mass_spectra import items_of, mass_part
from mmspec_ds.readers.part import Item, RecordFault, one_line
from mmspec_ds.readers.peaks import MOST_PEAKS_READ
from mmspec_ds.readers.read_settings import DEFAULT_SETTINGS, FormatSettings
from mmspec_ds.readers.source import Head
from mmspec_ds.spectra.columns import ListCells, float_values, is_number, item_type
from mmspec_ds.spectra.packed import offsets_of
from mmspec_ds.spectra.records import FloatArray, Modality

_PEAKS = ("mz", "intensity")
_ENERGY = "energy"
_MAGIC = "PAR1"
_BATCH_ROWS = 1024

Row = tuple[list[FloatArray | None], Fields]
"""m/z and intensities, None where the cell is null, and the fields."""


def looks_like_spectrum_rows(head: Head) -> bool:
    """Whether the file is parquet with lists of numbers `mz` and `intensity`."""
    if not head.text.startswith(_MAGIC):
        return False
    try:
        schema = pq.read_schema(head.path)
    except (pa.ArrowException, OSError, UnicodeError):
        return False
    return all(schema.names.count(name) == 1 and _is_list(schema.field(name).type) for name in _PEAKS)


def _is_list(kind: pa.DataType) -> bool:
    item = item_type(kind)
    return is_number(item) or (item is not None and pa.types.is_null(item))


def read_spectrum_rows(
    path: Path, modality: Modality | None = None, settings: FormatSettings = DEFAULT_SETTINGS
) -> Iterator[Item]:
    """The rows of the file, a part each: an MS/MS or an EI spectrum. A row that cannot be used is rejected.

    Raises:
        DataError: the file cannot be read as parquet.
    """
    yield from items_of(
        path, _rows(path), lambda number, row: mass_part(path, number, _both(row[0]), row[1], settings.ms)
    )


def _both(peaks: Sequence[FloatArray | None]) -> tuple[FloatArray, FloatArray]:
    mz, intensity = peaks
    if mz is None or intensity is None:
        raise RecordFault(f"{_PEAKS[0 if mz is None else 1]} is null, expected a list of numbers")
    if max(len(mz), len(intensity)) > MOST_PEAKS_READ:
        raise RecordFault(f"more than {MOST_PEAKS_READ:,} peaks")
    return mz, intensity


def _rows(path: Path) -> Iterator[Row]:
    try:
        with pq.ParquetFile(path) as file:
            names = _scalar_names(file.schema_arrow)
            for batch in file.iter_batches(_BATCH_ROWS, columns=[*_PEAKS, *names], use_threads=False):
                peaks = zip(*(_lists(batch.column(name)) for name in _PEAKS))
                cells = zip(*(_texts(batch.column(name)) for name in names)) if names else iter(())
                for both in peaks:
                    yield list(both), _fields(dict(zip(names, next(cells, ()))))
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise DataError(f"cannot be read as parquet: {one_line(error)}", path=path) from None


def _scalar_names(schema: pa.Schema) -> list[str]:
    """Columns of texts, numbers and truth values that are there once."""
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_boolean, is_number)
    found = []
    for field in schema:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if schema.names.count(field.name) == 1 and any(test(kind) for test in tests):
            found.append(field.name)
    return found


def _lists(column: pa.Array) -> list[FloatArray | None]:
    """The list of each row, nulls inside as NaN; None where the cell is null."""
    cells = ListCells(column)
    if not cells.counts_N.any():
        values = np.empty(0)
    else:
        values = cells.pick(float_values(cells.values)).astype(np.float64)
    offsets = offsets_of(cells.counts_N).tolist()
    present = cells.present_N.tolist()
    return [values[a:b] if here else None for a, b, here in zip(offsets[:-1], offsets[1:], present)]


def _texts(column: pa.Array) -> list[str | None]:
    """The cells as a text file would have them: numbers with all their digits, `true` and `false`."""
    found: list[str | None] = []
    for cell in column.to_pylist():
        if cell is None or isinstance(cell, str):
            found.append(cell)
        else:
            found.append(str(cell).lower() if isinstance(cell, bool) else repr(cell))
    return found


def _fields(row: Mapping[str, Any]) -> Fields:
    fields = Fields()
    for name, text in row.items():
        if text is not None:
            fields.set(name, text)
    energy = fields.pop(_ENERGY)
    if energy is not None:
        fields.values.setdefault(keys.COLLISION_ENERGY, energy)
    return fields
