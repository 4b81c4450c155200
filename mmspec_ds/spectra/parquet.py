"""Reader of the multimodal benchmark's parquet files (Alberts et al. 2024): streaming, every row checked.

The writer of the same schema is in `parquet_writer`; `RowReader` is for who wants whole batches of columns.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

import pyarrow as pa
import pyarrow.parquet as pq

from mmspec_ds.errors import DataError
from mmspec_ds.spectra import benchmark_schema as schema
from mmspec_ds.spectra.parquet_columns import (
    CarbonColumn,
    CellError,
    HydrogenColumn,
    InfraredColumn,
    SpectrumColumn,
    TandemColumn,
    is_text,
    read_formula,
    read_smiles,
)
from mmspec_ds.spectra.parquet_writer import write_records
from mmspec_ds.spectra.records import Modality, Record, Spectrum

__all__ = [
    "SPECTRAL_MODALITIES",
    "ReadReport",
    "RowReader",
    "available_modalities",
    "count_rows",
    "read_records",
    "row_groups",
    "write_records",
]

SPECTRAL_MODALITIES = (Modality.H_NMR, Modality.C_NMR, Modality.IR, Modality.MS)
"""What is read unless something else is asked for."""

_DECODERS: Mapping[Modality, Callable[[str], SpectrumColumn]] = {
    Modality.H_NMR: HydrogenColumn,
    Modality.C_NMR: CarbonColumn,
    Modality.IR: InfraredColumn,
}
BATCH_ROWS = 256
"""Rows that are decoded at a time."""
_REASONS_KEPT = 10

_TEXT_COLUMNS = (schema.SMILES, schema.FORMULA)


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

    def summary(self) -> str:
        """One line for a log."""
        if not self.rows_skipped:
            return f"{self.rows_read} rows read"
        return f"{self.rows_read} rows read, {self.rows_skipped} skipped, the first because {self.reasons[0]}"


def read_records(
    path: str | os.PathLike[str],
    *,
    modalities: Iterable[Modality] = SPECTRAL_MODALITIES,
    require_smiles: bool = True,
    canonicalise: bool = True,
    on_invalid: Literal["raise", "skip"] = "raise",
    report: ReadReport | None = None,
) -> Iterator[Record]:
    """Read a file of the benchmark's schema, a batch at a time.

    A null cell means that the record lacks that spectrum. MS/MS needs at least one of its six columns, under
    either spelling; each other modality needs its column. The formula is read where there is one, and required
    if `modalities` contains FORMULA. A record's id is "<file name>:<row>", rows counted from 0.

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
    return reader.records(on_invalid == "skip", report if report is not None else ReadReport())


def available_modalities(path: str | os.PathLike[str]) -> tuple[Modality, ...]:
    """The modalities, FORMULA included, for which the file has a column.

    Raises:
        DataError: the file cannot be read.
    """
    with _open(Path(path)) as file:
        names = file.schema_arrow.names
    have = [m for m in (Modality.H_NMR, Modality.C_NMR, Modality.IR) if schema.modality_column(m) in names]
    have += [Modality.MS] if schema.ms_columns(names) else []
    return (*have, Modality.FORMULA) if schema.FORMULA in names else tuple(have)


def row_groups(path: str | os.PathLike[str]) -> list[int]:
    """The number of rows of each row group, from the file's footer.

    Raises:
        DataError: the file cannot be read.
    """
    with _open(Path(path)) as file:
        return [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]


def count_rows(path: str | os.PathLike[str]) -> int:
    """The number of rows, from the file's footer.

    Raises:
        DataError: the file cannot be read.
    """
    with _open(Path(path)) as file:
        return int(file.metadata.num_rows)


class RowReader:
    """One open file, its columns checked: batches of rows, and any row of a batch as a record.

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
        self._require_formula = Modality.FORMULA in asked
        self._schema = self._file.schema_arrow  # which Arrow makes anew, in 0.2 ms, each time it is asked for
        names = self._schema.names
        required = [schema.SMILES] if require_smiles else []
        required += [schema.FORMULA] if self._require_formula else []
        for name in required:
            _check_present(path, name, names)
        self._texts = [name for name in _TEXT_COLUMNS if name in names]
        for name in self._texts:
            self._check_type(name, is_text, "text")
        self._columns = [column for m in asked if m != Modality.FORMULA for column in self._columns_of(m)]
        # A column of Arrow's null type, which pandas writes for nothing but nulls, has no spectrum to decode.
        self.decoders = [c for c in self._columns if not pa.types.is_null(self._type_of(c.name))]
        self._leaves = [*self._texts, *(leaf for column in self.decoders for leaf in self._leaves_of(column))]
        self._cells: dict[str, list[str | None]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _columns_of(self, modality: Modality) -> list[SpectrumColumn]:
        names = self._schema.names
        if modality == Modality.MS and (found := schema.ms_columns(names)):
            columns: list[SpectrumColumn] = [TandemColumn(column) for column in found]
        else:
            name = schema.modality_column(modality)
            _check_present(self._path, name, names)
            columns = [_DECODERS[modality](name)]
        for column in columns:
            self._check_type(column.name, column.accepts, column.expected)
        return columns

    def _leaves_of(self, column: SpectrumColumn) -> list[str]:
        """The parquet columns, as paths, that hold what is read of an Arrow column."""
        if not column.fields:
            return [column.name]
        # Not by `ParquetFile.schema`: it and the footer keep each other alive until garbage is collected, 4 MB
        # for a file of 200 row groups. Not by the columns of a row group: a damaged one ends the process.
        paths = [".".join(parts) for parts in self._file.reader.column_paths]
        endings = tuple(f".{name}" for name in column.fields)
        # A column of nulls alone is its own leaf.
        mine = [path for path in paths if path == column.name or path.startswith(f"{column.name}.")]
        return [path for path in mine if path == column.name or path.endswith(endings)]

    def _type_of(self, name: str) -> pa.DataType:
        if self._schema.names.count(name) > 1:
            raise DataError("the column is there twice", path=self._path, column=name)
        return self._schema.field(name).type

    def _check_type(self, name: str, accepts: Callable[[pa.DataType], bool], expected: str) -> None:
        found = self._type_of(name)
        if not (accepts(found) or pa.types.is_null(found)):
            raise DataError(
                f"the type is {_one_line(found)}, expected {expected}", path=self._path, column=name
            )

    def records(self, skip_invalid: bool, report: ReadReport) -> Iterator[Record]:
        """Every row of the file as a record; `report` counts them."""
        row = 0
        with self:
            for batch in self.batches():
                self.load(batch)
                for place in range(batch.num_rows):
                    try:
                        record = self.record(row, place)
                    except DataError as error:
                        if not skip_invalid:
                            raise
                        report.count_skipped(f"{self._path.name}:{row}", str(error))
                    else:
                        report.rows_read += 1
                        yield record
                    row += 1

    def batches(
        self, groups: Iterable[int] | None = None, rows: int = BATCH_ROWS, columns: list[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The columns that are read (or those of these names), at most `rows` rows at a time, of all row groups
        or of some."""
        expected = columns or [*self._texts, *(decoder.name for decoder in self.decoders)]
        columns = columns or self._leaves
        for group in range(self._file.num_row_groups) if groups is None else groups:
            batches = self._file.iter_batches(rows, [group], columns, use_threads=False)
            while True:
                with _readable(self._path):
                    batch = next(batches, None)
                if batch is None:
                    break
                for name in set(expected).difference(batch.schema.names):
                    raise DataError("the file describes the column in two ways", path=self._path, column=name)
                yield batch

    def load(self, batch: pa.RecordBatch) -> None:
        """Make the rows of a batch ready for `record`."""
        with _readable(self._path):
            self._cells = {name: batch.column(name).to_pylist() for name in self._texts}
            for decoder in self.decoders:
                decoder.load(batch.column(decoder.name))

    def record(self, row: int, place: int) -> Record:
        """Row `row` of the file, which stands at `place` in the batch that was loaded.

        Raises:
            DataError: a cell cannot be used; names file, row and column.
        """
        smiles, formula = (self._cells[name][place] if name in self._cells else None for name in _TEXT_COLUMNS)
        spectra: list[Spectrum] = []
        column = ""  # the one being read, for the error
        try:
            column = schema.SMILES
            smiles = read_smiles(smiles, required=self._require_smiles, canonicalise=self._canonicalise)
            column = schema.FORMULA
            formula = read_formula(formula, required=self._require_formula)
            for decoder in self.decoders:
                column = decoder.name
                spectrum = decoder.spectrum(place)
                if spectrum is not None:
                    spectra.append(spectrum)
        except CellError as error:
            raise DataError(_one_line(error), path=self._path, row=row, column=column) from error
        if self._columns and not spectra:
            columns = ", ".join(column.name for column in self._columns)
            raise DataError("every spectrum is null", path=self._path, row=row, column=columns)
        return Record(f"{self._path.name}:{row}", tuple(spectra), smiles, formula)


def _open(path: Path, buffer_bytes: int = 0) -> pq.ParquetFile:
    with _readable(path):
        if path.is_dir():
            raise DataError("is a folder, expected a parquet file", path=path)
        if not path.exists():
            raise DataError("there is no such file", path=path)
        if path.stat().st_size == 0:
            raise DataError("the file is empty", path=path)
        # Arrow reads whole columns ahead unless told not to, whatever the buffer.
        file = pq.ParquetFile(path, buffer_size=buffer_bytes, pre_buffer=buffer_bytes == 0)
    if file.metadata.num_rows == 0:
        file.close()
        raise DataError("the file has no rows", path=path)
    return file


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turns what Arrow and the system say of a bad file into one line."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise DataError(f"cannot be read as parquet: {_one_line(error)}", path=path) from error


def _check_present(path: Path, name: str, names: list[str]) -> None:
    if name not in names:
        raise DataError(f"the column is missing (the file has {', '.join(names)})", path=path, column=name)


def _one_line(text: object, limit: int = 200) -> str:
    line = " ".join(str(text).split())
    return line if len(line) <= limit else f"{line[: limit - 3]}..."
