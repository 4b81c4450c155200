"""Reader of the multimodal benchmark's parquet files (Alberts et al. 2024): streaming, every row checked.

The writer of the same schema is in `parquet_writer`; `RowReader` is for who wants whole batches of columns.

Axes: N rows of a batch.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mmspec_ds.errors import DataError
from mmspec_ds.spectra.columns import Faults, FileColumn, is_text
from mmspec_ds.spectra.modalities.definition import ModalityDefinition
from mmspec_ds.spectra.parquet_writer import write_records as write_records
from mmspec_ds.spectra.records import Modality, Record
from mmspec_ds.spectra.registry import PAPER_MODALITIES, REGISTRY
from mmspec_ds.spectra.rows import SMILES, FileRows, one_line

BATCH_ROWS = 256
"""Rows that are decoded at a time: 2 MB of IR, which allocators give again and again without a page fault."""
_REASONS_KEPT = 10
_MAGIC = b"PAR1"


@dataclass
class ReadReport:
    """What became of the rows of one file or of several that share the report."""

    rows_read: int = 0
    rows_skipped: int = 0
    reasons: list[str] = field(default_factory=list)
    """Why the first few rows were skipped, one line each."""
    on_skip: Callable[[str, str], None] | None = None
    """Called with the id and the reason of every record that is skipped."""

    def count_skipped(self, record: str, reason: str) -> None:
        """Note one row that was skipped."""
        self.rows_skipped += 1
        if self.on_skip is not None:
            self.on_skip(record, reason)
        if len(self.reasons) < _REASONS_KEPT:
            self.reasons.append(reason)


def read_records(
    path: str | os.PathLike[str],
    *,
    modalities: Iterable[Modality] = PAPER_MODALITIES,
    require_smiles: bool = True,
    canonicalise: bool = True,
    on_invalid: Literal["raise", "skip"] = "raise",
    report: ReadReport | None = None,
) -> Iterator[Record]:
    """Read a file of the benchmark's schema, a batch at a time.

    A null cell means that the record lacks that spectrum. MS/MS needs at least one of its columns, under either
    spelling; each other modality needs its column. The formula is read where there is one, and required if
    `modalities` contains FORMULA. A record's id is "<file name>:<row>", rows counted from 0.

    Args:
        path: the file.
        modalities: the spectra to read; columns of others are not loaded.
        require_smiles: whether a missing SMILES is an error. Files to predict have none.
        canonicalise: whether SMILES are put into RDKit's canonical form (they are checked in any case).
        on_invalid: whether an invalid row ends the reading or is skipped and counted in `report`.
        report: counts rows while they are read.

    Raises:
        DataError: at once for a file that cannot be read or lacks a column; while iterating, for an invalid
            row under "raise". The message names file, row and column.
    """
    asked = tuple(dict.fromkeys(modalities))
    reader = RowReader(Path(path), asked, require_smiles=require_smiles, canonicalise=canonicalise)
    return _records(reader, on_invalid == "skip", report if report is not None else ReadReport())


def _records(reader: "RowReader", skip_invalid: bool, report: ReadReport) -> Iterator[Record]:
    with reader:
        for rows in reader.rows():
            for place, record in enumerate(rows.records()):
                if isinstance(record, Record):
                    report.rows_read += 1
                    yield record
                elif skip_invalid:
                    report.count_skipped(rows.id(place), str(record))
                else:
                    raise record


def available_modalities(path: str | os.PathLike[str]) -> tuple[Modality, ...]:
    """The modalities, FORMULA included, for which the file has a column.

    Raises:
        DataError: the file cannot be read.
    """
    with _open(Path(path)) as file:
        names = file.schema_arrow.names
    return tuple(modality for modality, entry in REGISTRY.items() if entry.file_columns(names))


def row_groups(path: str | os.PathLike[str]) -> list[int]:
    """The number of rows of each row group, from the file's footer.

    Raises:
        DataError: the file cannot be read.
    """
    with _open(Path(path)) as file:
        return [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]


class RowReader:
    """One open file, its columns checked: batches of rows.

    Args:
        path: the file.
        asked: the modalities to read, as for `read_records`.
        require_smiles: whether a missing SMILES is an error.
        canonicalise: whether the SMILES of records are put into canonical form.
        buffer_bytes: read column chunks piece by piece through a buffer of this size; 0 reads them whole, which
            is faster and takes as much memory as the columns of a row group do.

    Raises:
        DataError: the file cannot be read or lacks a column.
    """

    def __init__(
        self,
        path: Path,
        asked: tuple[Modality, ...],
        *,
        require_smiles: bool = True,
        canonicalise: bool = True,
        buffer_bytes: int = 0,
    ) -> None:
        self._path, self._file = path, _open(path, buffer_bytes)
        self._require_smiles, self._canonicalise = require_smiles, canonicalise
        self._schema = self._file.schema_arrow  # which Arrow makes anew, in 0.2 ms, each time it is asked for
        self._required = tuple(modality for modality in asked if not REGISTRY[modality].is_instrument)
        names = self._schema.names
        texts = [FileColumn(SMILES, is_text, "text")] if SMILES in names or require_smiles else []
        self._columns: dict[Modality, list[FileColumn]] = {}
        instruments: list[str] = []
        # What is known besides the spectra is read wherever it is.
        besides = [m for m, entry in REGISTRY.items() if not entry.is_instrument]
        for column in texts:
            self._check(column)
        for modality in dict.fromkeys([*besides, *asked]):
            found = REGISTRY[modality].file_columns(names)
            if not found and modality in asked:
                self._check_present(REGISTRY[modality].stored_in)
            for column in found:
                self._check(column)
            if REGISTRY[modality].is_instrument:
                instruments += [column.name for column in found]
            # pandas writes a column of nothing but nulls with Arrow's null type: there is nothing to decode.
            self._columns[modality] = [c for c in found if not pa.types.is_null(self._type_of(c.name))]
        self._asked_columns = ", ".join(instruments)
        self._read = [*texts, *(column for found in self._columns.values() for column in found)]
        self._learnt: dict[Modality, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _check_present(self, name: str) -> None:
        if name not in self._schema.names:
            have = ", ".join(self._schema.names)
            raise DataError(f"the column is missing (the file has {have})", path=self._path, column=name)

    def _check(self, column: FileColumn) -> None:
        self._check_present(column.name)
        found = self._type_of(column.name)
        if not (column.accepts(found) or pa.types.is_null(found)):
            raise DataError(
                f"the type is {one_line(found)}, expected {column.expected}",
                path=self._path,
                column=column.name,
            )

    def _type_of(self, name: str) -> pa.DataType:
        if self._schema.names.count(name) > 1:
            raise DataError("the column is there twice", path=self._path, column=name)
        return self._schema.field(name).type

    def _leaves(self, columns: Iterable[FileColumn]) -> list[str]:
        """The parquet columns, as paths, that hold what is read of Arrow columns."""
        # Not by `ParquetFile.schema`: it and the footer keep each other alive until garbage is collected, 4 MB
        # for a file of 200 row groups. Not by the columns of a row group: a damaged one ends the process.
        paths = [".".join(parts) for parts in self._file.reader.column_paths]
        leaves: list[str] = []
        for column in columns:
            # A column of nulls alone is its own leaf.
            mine = [path for path in paths if path == column.name or path.startswith(f"{column.name}.")]
            endings = tuple(f".{name}" for name in column.fields) or ("",)
            leaves += [path for path in mine if path == column.name or path.endswith(endings)]
        return leaves

    def batches(
        self, groups: Iterable[int] | None = None, columns: list[FileColumn] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The columns that are read (or those given), at most `BATCH_ROWS` rows at a time, of all row groups or
        of some.

        Raises:
            DataError: the file cannot be read, or describes a column in two ways.
        """
        wanted = self._read if columns is None else columns
        leaves = self._leaves(wanted)
        for group in range(self._file.num_row_groups) if groups is None else groups:
            batches = self._file.iter_batches(BATCH_ROWS, [group], leaves, use_threads=False)
            while True:
                with _readable(self._path):
                    batch = next(batches, None)
                if batch is None:
                    break
                for name in {column.name for column in wanted}.difference(batch.schema.names):
                    raise DataError("the file describes the column in two ways", path=self._path, column=name)
                yield batch

    def rows(self) -> Iterator[FileRows]:
        """All rows of the file, at most `BATCH_ROWS` at a time."""
        first_row = 0
        for batch in self.batches():
            yield self.decode(batch, first_row)
            first_row += batch.num_rows

    def decode(self, batch: pa.RecordBatch, first_row: int) -> FileRows:
        """The rows of a batch, checked; `first_row` is the number of its first row in the file.

        Raises:
            DataError: the file cannot be read.
        """
        with _readable(self._path):
            smiles: list[str | None] = [None] * batch.num_rows
            if SMILES in batch.schema.names:
                smiles = batch.column(SMILES).to_pylist()
            columns: dict[Modality, Any] = {}
            faults: list[Faults] = []
            spectrum_N = np.zeros(batch.num_rows, dtype=np.bool_)
            for modality in self._columns:
                entry = REGISTRY[modality]
                cells = {column.name: batch.column(column.name) for column in self._columns[modality]}
                if cells:
                    learnt = self._learn(entry, cells, first_row)
                    columns[modality], found = entry.decode(cells, learnt)
                    faults += found
                if modality in self._required:
                    faults.append(_missing(entry, cells, batch.num_rows))
                if entry.is_instrument:
                    for cell in cells.values():
                        spectrum_N |= cell.is_valid().to_numpy(zero_copy_only=False)
        if not self._asked_columns:
            spectrum_N[:] = True
        return FileRows(
            self._path,
            first_row,
            smiles,
            columns,
            faults,
            ~spectrum_N,
            self._asked_columns,
            self._require_smiles,
            self._canonicalise,
        )

    def _learn(self, entry: ModalityDefinition[Any, Any], cells: dict[str, pa.Array], first_row: int) -> Any:
        """What the first rows of the file say, wherever we begin to read."""
        known = self._learnt.get(entry.modality)
        if known is None:
            if first_row and type(entry).learn is not ModalityDefinition.learn:
                first = next(self.batches(columns=[c for c in self._read if c.name in cells]))
                known = entry.learn({name: first.column(name) for name in cells})
            if known is None:
                known = entry.learn(cells)
            self._learnt[entry.modality] = known
        return known


def _missing(entry: ModalityDefinition[Any, Any], cells: Mapping[str, pa.Array], rows: int) -> Faults:
    """Rows that lack what is required besides spectra."""
    faults = Faults(entry.stored_in, rows)
    null_N = np.ones(rows, dtype=np.bool_)
    for cell in cells.values():
        null_N &= cell.is_null().to_numpy(zero_copy_only=False)
    faults.rows(null_N, lambda _: f"the {entry.label} is missing (null)")
    return faults


def _open(path: Path, buffer_bytes: int = 0) -> pq.ParquetFile:
    with _readable(path):
        if path.is_dir():
            raise DataError("is a folder, expected a parquet file", path=path)
        if not path.exists():
            raise DataError("there is no such file", path=path)
        if path.stat().st_size == 0:
            raise DataError("the file is empty", path=path)
        with path.open("rb") as start:
            if start.read(len(_MAGIC)) != _MAGIC:
                raise DataError(
                    "cannot be read as parquet: expected a file in the benchmark's schema; `mmspec inspect`"
                    " reads other formats",
                    path=path,
                )
        # Arrow reads whole columns ahead unless told not to, whatever the buffer.
        file = pq.ParquetFile(path, buffer_size=buffer_bytes, pre_buffer=buffer_bytes == 0)
    if file.metadata.num_rows == 0:
        file.close()
        raise DataError("the file has no rows", path=path)
    return file


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn errors of Arrow and of the system into a DataError of one line."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise DataError(f"cannot be read as parquet: {one_line(error)}", path=path) from error
