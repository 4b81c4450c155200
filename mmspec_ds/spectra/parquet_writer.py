"""Writer of the benchmark's parquet schema: what is written reads back as it was."""

import os
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mmspec_ds.files import replacing
from mmspec_ds.spectra import benchmark_schema as schema
from mmspec_ds.spectra.records import CarbonNMR, HydrogenNMR, Infrared, Multiplet, Record, TandemMS

_ROW_GROUP = 1000


def write_records(path: str | os.PathLike[str], records: Iterable[Record]) -> int:
    """Write records in the benchmark's schema, in row groups of 1000; the file appears whole or not at all.

    IR absorbances are stored as float32, as the benchmark does, everything else as float64. Ids are not
    stored: a reader names records by file and row.

    Args:
        path: the file, replaced if it exists.
        records: may be a generator; a row group at a time is held in memory.

    Returns:
        The number of records written.

    Raises:
        ValueError: a record holds what the schema cannot: two spectra for one column, a collision energy
            other than 10, 20 or 40 eV, an IR grid other than 400 to 4000 cm-1.
    """
    target = Path(path)
    written, source = 0, iter(records)
    with (
        replacing(target) as partial,
        pq.ParquetWriter(partial, schema.written_schema(), compression="zstd") as writer,
    ):
        while group := list(islice(source, _ROW_GROUP)):
            writer.write_batch(_to_batch(group))
            written += len(group)
    return written


def _to_batch(records: Sequence[Record]) -> pa.RecordBatch:
    cells = [_cells(record) for record in records]
    arrays = []
    for column in schema.written_schema():
        values = [row.get(column.name) for row in cells]
        build = _pairs_array if column.type == schema.PEAK_PAIRS else pa.array
        arrays.append(build(values, column.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema.written_schema())


def _cells(record: Record) -> dict[str, Any]:
    cells: dict[str, Any] = {}
    if record.smiles is not None:
        cells[schema.SMILES] = record.smiles
    if record.formula is not None:
        cells[schema.FORMULA] = record.formula
    for spectrum in record.spectra:
        name, write = _cell_of(record, spectrum)
        if name in cells:
            raise ValueError(f"record {record.id} has two spectra for column {name}")
        cells[name] = write()
    return cells


def _cell_of(record: Record, spectrum: object) -> tuple[str, Callable[[], Any]]:
    match spectrum:
        case HydrogenNMR(multiplets=multiplets):
            return schema.H_NMR, lambda: [_multiplet_struct(multiplet) for multiplet in multiplets]
        case CarbonNMR(shifts_ppm=shifts):
            return schema.C_NMR, lambda: [{schema.CARBON_SHIFT: shift} for shift in shifts]
        case Infrared(absorbance=absorbance, start_cm1=start, stop_cm1=stop):
            if (start, stop) != (400.0, 4000.0):
                raise ValueError(
                    f"record {record.id} has an IR grid from {start:g} to {stop:g}, not 400 to 4000 cm-1"
                )
            return schema.IR, lambda: absorbance.astype(np.float32)
        case TandemMS(polarity=polarity, collision_energy_ev=energy):
            if energy not in schema.ENERGIES_EV:
                raise ValueError(f"record {record.id} has MS/MS at {energy} eV, the schema has 10, 20 and 40")
            tandem = spectrum
            return schema.ms_column_name(polarity, int(energy)), lambda: np.stack(
                [tandem.mz, tandem.intensity], axis=1
            )
    raise ValueError(f"record {record.id} has a {type(spectrum).__name__}, for which the schema has no column")


def _multiplet_struct(multiplet: Multiplet) -> dict[str, Any]:
    return {
        "category": multiplet.category,
        "centroid": multiplet.centroid_ppm,
        # The benchmark's delta is its centroid to within 0.04 ppm; a multiplet here has one position.
        "delta": multiplet.centroid_ppm,
        "j_values": "".join(f"{float(j)!r}_" for j in multiplet.j_hz) or None,
        "nH": multiplet.hydrogens,
        "rangeMax": multiplet.max_ppm,
        "rangeMin": multiplet.min_ppm,
    }


def _pairs_array(spectra: Sequence[np.ndarray | None], column_type: pa.DataType) -> pa.Array:
    """Lists of pairs from [peaks, 2] arrays, by offsets: lists of Python lists take ten times as long."""
    counts = [0 if pairs is None else len(pairs) for pairs in spectra]
    flat = np.concatenate([np.empty((0, 2)), *(pairs for pairs in spectra if pairs is not None)])
    inner_starts = np.arange(0, 2 * len(flat) + 1, 2, dtype=np.int32)
    inner = pa.ListArray.from_arrays(pa.array(inner_starts), pa.array(flat.ravel()))
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    null = pa.array([pairs is None for pairs in spectra])
    return pa.ListArray.from_arrays(pa.array(starts), inner, mask=null).cast(column_type)
