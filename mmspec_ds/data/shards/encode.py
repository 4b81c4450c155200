"""From batches of a file's columns to rows of a shard.

Rows whose cells are as they should be go the fast way, all at once (`compression_columns`). A row that is
doubtful in any column goes the way of `read_records`, alone: it is either understood there, or refused in the
same words.

Axes: N rows of a batch.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import pyarrow as pa

from mmspec_ds.data.packed import IntArray, PackedIds, PackedTokens, TokenPacker, offsets_of
from mmspec_ds.data.shards.distinct import molecule_hash
from mmspec_ds.data.shards.plan import Plan, Run, Task
from mmspec_ds.data.shards.rows import PackedText, ShardRows
from mmspec_ds.data.splits import draw_of
from mmspec_ds.errors import DataError
from mmspec_ds.molecules.identity import identify
from mmspec_ds.molecules.smiles import tokenize_smiles
from mmspec_ds.spectra import benchmark_schema as schema
from mmspec_ds.spectra.compression_columns import (
    BoolArray,
    ColumnTokens,
    c_nmr_columns,
    formula_column,
    h_nmr_columns,
    ir_columns,
)
from mmspec_ds.spectra.compression_columns_tandem import ms_columns
from mmspec_ds.spectra.compression_settings import CompressionSettings
from mmspec_ds.spectra.parquet import BATCH_ROWS, RowReader
from mmspec_ds.spectra.parquet_columns import InfraredColumn
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.registry import REGISTRY, compress_record
from mmspec_ds.spectra.tokens import Tokens

_ROWS = 256  # of a batch: 2 MB of IR, which the allocators give again and again without a page fault
_BUFFER_BYTES = 1 << 20  # of each column, instead of the whole column of a row group

Operator = Callable[[pa.RecordBatch, Sequence[str], CompressionSettings], ColumnTokens]
_OPERATORS: Mapping[Modality, tuple[str, Operator]] = {
    Modality.H_NMR: (schema.H_NMR, h_nmr_columns),
    Modality.C_NMR: (schema.C_NMR, c_nmr_columns),
}


@dataclass
class Rejected:
    """Rows that were left out: how many by the column at fault, and the first few in full."""

    KEPT: ClassVar[int] = 10

    counts: dict[str, int] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)

    def add(self, error: DataError) -> None:
        """Count one row."""
        column = error.column or "record"
        self.counts[column] = self.counts.get(column, 0) + 1
        if len(self.examples) < self.KEPT:
            self.examples.append(str(error))


@dataclass
class Encoded:
    """The rows of one shard before duplicates are taken out; `words` are the SMILES tokens by their ids."""

    rows: ShardRows
    words: tuple[str, ...]
    rejected: Rejected


def encode_task(
    plan: Plan, task: Task, first_shard: int, *, skip_invalid: bool
) -> Iterator[tuple[int, Encoded]]:
    """The shards of a task from `first_shard` on, by number; what is before is passed over.

    Raises:
        DataError: a row cannot be used and `skip_invalid` is off; or a file cannot be read.
    """
    shard, left = task.first_shard, task.sizes[0]
    builder = _Builder(plan, skip_invalid)
    for batch, run, row, encoder in _batches(plan, task):
        at = 0
        while at < batch.num_rows:
            taken = min(left, batch.num_rows - at)
            if shard >= first_shard:
                builder.add(encoder, batch.slice(at, taken), run.source, row + at)
            at, left = at + taken, left - taken
            if left:
                continue
            if shard >= first_shard:
                yield shard, builder.finish()
            shard += 1
            left = task.sizes[shard - task.first_shard] if shard in task.shards else 0


def _batches(plan: Plan, task: Task) -> Iterator[tuple[pa.RecordBatch, Run, int, "_ColumnEncoder"]]:
    """Batches of the row groups of a task, each with its run and its first row."""
    spectral = tuple(modality for modality in plan.modalities if modality is not Modality.FORMULA)
    for run in task.runs:
        path = plan.sources[run.source].path
        with RowReader(path, spectral, buffer_bytes=_BUFFER_BYTES) as reader:
            encoder, row = _ColumnEncoder(reader, plan), run.first_row
            for batch in reader.batches(run.groups, _ROWS):
                yield batch, run, row, encoder
                row += batch.num_rows


class _ColumnEncoder:
    """Tokens of batches of one open file, by all operators of the plan."""

    def __init__(self, reader: RowReader, plan: Plan) -> None:
        self.reader, self._modalities, self._settings = reader, plan.modalities, plan.settings.compression
        self._names = [decoder.name for decoder in reader.decoders]
        self._tandem = schema.ms_columns(self._names)
        self._points: int | None = None
        self._loaded: pa.RecordBatch | None = None
        for decoder in reader.decoders:
            if isinstance(decoder, InfraredColumn):
                # The length that a spectrum must have is that of the file's first rows, wherever we begin.
                first = next(reader.batches(rows=BATCH_ROWS, columns=[decoder.name]))
                decoder.load(first.column(decoder.name))
                self._points = decoder.length

    def encode(self, batch: pa.RecordBatch) -> tuple[dict[Modality, ColumnTokens], BoolArray]:
        """The tokens of each modality, and which rows are doubtful."""
        found: dict[Modality, ColumnTokens] = {}
        for modality in self._modalities:
            if modality is Modality.MS and self._tandem:
                found[modality] = ms_columns(batch, self._tandem, self._settings)
            elif modality is Modality.IR and schema.IR in self._names:
                found[modality] = ir_columns(batch, [schema.IR], self._settings, self._points)
            elif modality is Modality.FORMULA:
                found[modality] = formula_column(batch.column(schema.FORMULA).to_pylist())
            elif modality in _OPERATORS and _OPERATORS[modality][0] in self._names:
                name, operator = _OPERATORS[modality]
                found[modality] = operator(batch, [name], self._settings)
        doubtful_N = np.logical_or.reduce([one.doubtful for one in found.values()])
        spectra = [one.counts for modality, one in found.items() if modality is not Modality.FORMULA]
        doubtful_N |= np.sum([np.zeros(batch.num_rows, dtype=np.int64), *spectra], axis=0) == 0
        return found, doubtful_N

    def row_tokens(self, batch: pa.RecordBatch, place: int, row: int) -> dict[Modality, PackedTokens]:
        """The tokens of one row, which stands at `place` in the batch.

        Raises:
            DataError: the row cannot be used.
        """
        if self._loaded is not batch:
            self.reader.load(batch)
            self._loaded = batch
        record = self.reader.record(row, place)
        tokens = compress_record(record, self._modalities, self._settings)
        return {modality: self._pack(modality, tokens.get(modality)) for modality in self._modalities}

    def _pack(self, modality: Modality, tokens: Tokens | None) -> PackedTokens:
        packer = TokenPacker(modality, REGISTRY[modality].schema(self._settings))
        packer.add(tokens)
        return packer.pack()


class _Molecule(NamedTuple):
    canonical: str
    hash: int
    draw: int
    ids: list[int]


class _Builder:
    """Collects batches until a shard is complete."""

    def __init__(self, plan: Plan, skip_invalid: bool) -> None:
        self._plan, self._skip_invalid = plan, skip_invalid
        self._grouping, self._seed = plan.settings.split.grouping, plan.settings.split.seed
        self._schemas = {m: REGISTRY[m].schema(plan.settings.compression) for m in plan.modalities}
        self._start()

    def _start(self) -> None:
        self._parts: list[ShardRows] = []
        self._words: dict[str, int] = {}
        self._rejected = Rejected()

    def finish(self) -> Encoded:
        """The shard, and a fresh start."""
        none = {modality: TokenPacker(modality, fields).pack() for modality, fields in self._schemas.items()}
        rows = ShardRows.joined([_rows(0, np.empty(0, dtype=np.int64), [], none), *self._parts])
        encoded = Encoded(rows, tuple(self._words), self._rejected)
        self._start()
        return encoded

    def add(self, encoder: _ColumnEncoder, batch: pa.RecordBatch, source: int, first_row: int) -> None:
        """Encode a batch whose first row is row `first_row` of its file.

        Raises:
            DataError: a row cannot be used, and such rows are not to be skipped.
        """
        columns, doubtful_N = encoder.encode(batch)
        texts: list[str | None] = batch.column(schema.SMILES).to_pylist()
        molecules: dict[int, _Molecule] = {}
        slow: dict[int, dict[Modality, PackedTokens]] = {}
        for place, text in enumerate(texts):
            molecule = None if doubtful_N[place] else self._molecule(text)
            if molecule is None:
                try:
                    slow[place] = encoder.row_tokens(batch, place, first_row + place)
                    molecule = self._explained(text, self._plan.sources[source].path, first_row + place)
                except DataError as error:
                    if not self._skip_invalid:
                        raise
                    self._rejected.add(error)
                    continue
            molecules[place] = molecule
        if molecules:
            kept = np.array(list(molecules), dtype=np.int64)
            tokens = {}
            for modality in self._schemas:
                packed = self._packed(modality, columns.get(modality), batch.num_rows)
                replaced = {place: one[modality] for place, one in slow.items() if place in molecules}
                tokens[modality] = _spliced(packed, kept, replaced)
            self._parts.append(_rows(source, first_row + kept, list(molecules.values()), tokens))

    def _molecule(self, text: str | None) -> _Molecule | None:
        """What a SMILES means, None where it means nothing."""
        if text is None:
            return None
        try:
            return self._known(text)
        except ValueError:
            return None

    def _explained(self, text: str | None, path: Path, row: int) -> _Molecule:
        """The same, but with the reason where it means nothing."""
        assert text is not None  # the reader has refused the row
        try:
            return self._known(text)
        except ValueError as error:
            raise DataError(str(error), path=path, row=row, column=schema.SMILES) from None

    def _known(self, text: str) -> _Molecule:
        canonical, group = identify(text, self._grouping)
        tokens, words = tokenize_smiles(canonical), self._words
        ids = [words.setdefault(token, len(words)) for token in tokens]
        draw = draw_of(group, self._seed) if self._grouping != "none" else 0
        return _Molecule(canonical, molecule_hash(canonical), draw, ids)

    def _packed(self, modality: Modality, found: ColumnTokens | None, rows: int) -> PackedTokens:
        """A column's tokens, or none at all where a file has nothing but nulls."""
        if found is not None:
            return PackedTokens(found.discrete, found.continuous, offsets_of(found.counts))
        none = TokenPacker(modality, self._schemas[modality]).pack()
        return replace(none, offsets=np.zeros(rows + 1, dtype=np.int64))


def _rows(
    source: int, rows: IntArray, molecules: Sequence[_Molecule], tokens: Mapping[Modality, PackedTokens]
) -> ShardRows:
    return ShardRows(
        source=np.full(len(rows), source, dtype=np.int32),
        row=rows,
        molecule=np.array([one.hash for one in molecules], dtype=np.uint64),
        draw=np.array([one.draw for one in molecules], dtype=np.uint64),
        smiles=PackedText.of([one.canonical for one in molecules]),
        target=PackedIds.of([one.ids for one in molecules]),
        tokens=tokens,
    )


def _spliced(packed: PackedTokens, kept: IntArray, slow: Mapping[int, PackedTokens]) -> PackedTokens:
    """The rows `kept` of a batch, with those of `slow` in the place of its own."""
    if not slow:
        return packed if len(kept) == len(packed.offsets) - 1 else packed.subset(kept)
    one_by_one = [slow[at] if at in slow else packed.subset(np.array([at])) for at in kept.tolist()]
    return PackedTokens(
        np.concatenate([one.discrete for one in one_by_one]),
        np.concatenate([one.continuous for one in one_by_one]),
        offsets_of(np.concatenate([one.counts for one in one_by_one])),
    )
