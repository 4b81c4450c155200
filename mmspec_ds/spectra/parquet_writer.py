"""Writer of the benchmark's parquet schema: what is written reads back as it was."""

import os
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mmspec_ds.files import replacing
from mmspec_ds.spectra.columns import item_type
from mmspec_ds.spectra.records import Record
from mmspec_ds.spectra.registry import REGISTRY
from mmspec_ds.spectra.rows import SMILES

_ROW_GROUP = 1000


def write_records(path: str | os.PathLike[str], records: Iterable[Record]) -> int:
    """Write records in the benchmark's schema, in row groups of 1000; the file appears whole or not at all.

    IR absorbances are stored as float32, as the benchmark does, everything else as float64. Ids are not
    stored: a reader names records by file and row. What the benchmark has no place for (HSQC, hydrogens on a
    carbon, precursors, other collision energies) is stored in columns and fields besides its own, which are
    written only if some record needs them.

    Args:
        path: the file, replaced if it exists.
        records: may be a generator; a row group at a time is held in memory.

    Returns:
        The number of records written.

    Raises:
        ValueError: a record holds what the schema cannot: two spectra for one column, an IR grid other than
            400 to 4000 cm-1.
    """
    target = Path(path)
    written, source, schema = 0, iter(records), written_schema()
    with replacing(target) as partial:
        writer = pq.ParquetWriter(partial, schema, compression="zstd")
        try:
            while group := list(islice(source, _ROW_GROUP)):
                table = pa.Table.from_batches([_to_batch(group)])
                needed = _joined(schema, table.schema)
                if needed != schema:
                    # Some record needs another column or field: the rows so far get it too, with nulls.
                    writer.close()
                    with replacing(partial) as wider, pq.ParquetFile(partial) as narrow:
                        writer = pq.ParquetWriter(wider, needed, compression="zstd")
                        for number in range(narrow.num_row_groups):
                            writer.write_table(_widened(narrow.read_row_group(number), needed))
                    schema = needed
                writer.write_table(_widened(table, schema))
                written += len(group)
        finally:
            writer.close()
    return written


def written_schema() -> pa.Schema:
    """The columns and types that every written file has: those of the benchmark that the paper uses."""
    return _to_batch([]).schema


def _to_batch(records: Sequence[Record]) -> pa.RecordBatch:
    arrays = {SMILES: pa.array([record.smiles for record in records], pa.string())}
    for modality in sorted(REGISTRY, key=lambda one: REGISTRY[one].is_instrument):
        arrays |= REGISTRY[modality].arrays(records)
    return pa.RecordBatch.from_pydict(arrays)


def _joined(one: pa.Schema, other: pa.Schema) -> pa.Schema:
    """All columns of two schemas, each of the type that has more fields."""
    types = {field.name: field.type for field in one}
    for field in other:
        known = types.get(field.name)
        if known is None or _fields(field.type) > _fields(known):
            types[field.name] = field.type
    return pa.schema(list(types.items()))


def _fields(kind: pa.DataType) -> int:
    return item.num_fields if (item := item_type(kind)) is not None else 0


def _widened(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """A table in a schema that has its columns and more."""
    rows = table.num_rows
    columns = [
        table[field.name].cast(field.type) if field.name in table.column_names else pa.nulls(rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)
