"""Encode batches of a file's columns as rows of a shard.

Axes: N rows of a batch.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np
import pyarrow as pa

from mmspec_ds.data.shards.distinct import molecule_hash
from mmspec_ds.data.shards.plan import Plan, Run, Task
from mmspec_ds.data.shards.rows import PackedText, ShardRows
from mmspec_ds.errors import DataError
from mmspec_ds.molecules.identity import identify
from mmspec_ds.molecules.smiles import tokenize_smiles
from mmspec_ds.molecules.splits import draw_of
from mmspec_ds.spectra.packed import IntArray, PackedIds, PackedTokens
from mmspec_ds.spectra.parquet import RowReader
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.registry import REGISTRY, schema_of
from mmspec_ds.spectra.rows import SMILES, FileRows

_BUFFER_BYTES = 1 << 20  # of each column, instead of the whole column of a row group


@dataclass
class Rejected:
    """Rows that were left out: their number by the column at fault, and the first few messages."""

    KEPT: ClassVar[int] = 10

    counts: dict[str, int] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)

    def add(self, error: DataError) -> None:
        """Count one row of the input."""
        column = error.column or "record"
        self.counts[column] = self.counts.get(column, 0) + 1
        if len(self.examples) < self.KEPT:
            self.examples.append(str(error))


@dataclass
class Encoded:
    """The rows of one shard with duplicates; `words` are the SMILES tokens by their ids."""

    rows: ShardRows
    words: tuple[str, ...]
    rejected: Rejected


def encode_task(
    plan: Plan, task: Task, first_shard: int, *, skip_invalid: bool
) -> Iterator[tuple[int, Encoded]]:
    """Encode the shards of a task, with their numbers; those before `first_shard` are skipped.

    Raises:
        DataError: a row cannot be used and `skip_invalid` is off; or a file cannot be read.
    """
    shard, left = task.first_shard, task.sizes[0]
    builder = _Builder(plan, skip_invalid)
    for batch, run, row, reader in _batches(plan, task):
        at = 0
        while at < batch.num_rows:
            taken = min(left, batch.num_rows - at)
            if shard >= first_shard:
                builder.add(reader.decode(batch.slice(at, taken), row + at), run.source)
            at, left = at + taken, left - taken
            if left:
                continue
            if shard >= first_shard:
                yield shard, builder.finish()
            shard += 1
            left = task.sizes[shard - task.first_shard] if shard in task.shards else 0


def _batches(plan: Plan, task: Task) -> Iterator[tuple[pa.RecordBatch, Run, int, RowReader]]:
    """Batches of the row groups of a task, each with its run and its first row."""
    spectral = tuple(modality for modality in plan.modalities if REGISTRY[modality].is_instrument)
    for run in task.runs:
        with RowReader(plan.sources[run.source].path, spectral, buffer_bytes=_BUFFER_BYTES) as reader:
            row = run.first_row
            for batch in reader.batches(run.groups):
                yield batch, run, row, reader
                row += batch.num_rows


class _Molecule(NamedTuple):
    canonical: str
    hash: int
    draw: int
    ids: list[int]


class _Builder:
    """Collect the batches of one shard after another."""

    def __init__(self, plan: Plan, skip_invalid: bool) -> None:
        self._plan, self._skip_invalid = plan, skip_invalid
        self._grouping, self._seed = plan.settings.split.grouping, plan.settings.split.seed
        self._start()

    def _start(self) -> None:
        self._parts: list[ShardRows] = []
        self._words: dict[str, int] = {}
        self._rejected = Rejected()

    def finish(self) -> Encoded:
        """Return the shard and begin the next one."""
        schemas = {m: schema_of(m, self._plan.settings.compression) for m in self._plan.modalities}
        none = {modality: PackedTokens.empty(schema) for modality, schema in schemas.items()}
        rows = ShardRows.joined([_rows(0, np.empty(0, dtype=np.int64), [], none), *self._parts])
        encoded = Encoded(rows, tuple(self._words), self._rejected)
        self._start()
        return encoded

    def add(self, rows: FileRows, source: int) -> None:
        """Encode some rows of a file.

        Raises:
            DataError: a row cannot be used, and `skip_invalid` is off.
        """
        molecules: dict[int, _Molecule] = {}
        for place in range(len(rows)):
            molecule = self._molecule(rows, place)
            if isinstance(molecule, _Molecule):
                molecules[place] = molecule
            elif self._skip_invalid:
                self._rejected.add(molecule)
            else:
                raise molecule
        if molecules:
            kept = np.array(list(molecules), dtype=np.int64)
            tokens = rows.tokens(self._plan.modalities, self._plan.settings.compression)
            if len(kept) < len(rows):
                tokens = {modality: packed.subset(kept) for modality, packed in tokens.items()}
            self._parts.append(_rows(source, rows.first_row + kept, list(molecules.values()), tokens))

    def _molecule(self, rows: FileRows, place: int) -> _Molecule | DataError:
        """The molecule of a row, or why the row cannot be used."""
        text = rows.smiles[place]
        if text is None:
            return rows.error(place, SMILES, "the SMILES is missing (null)")
        try:
            canonical, group = identify(text, self._grouping)
        except ValueError as error:
            return rows.error(place, SMILES, str(error))
        fault = rows.fault(place)
        if fault is not None:
            return fault
        words = self._words
        ids = [words.setdefault(token, len(words)) for token in tokenize_smiles(canonical)]
        draw = draw_of(group, self._seed) if self._grouping != "none" else 0
        return _Molecule(canonical, molecule_hash(canonical), draw, ids)


def _rows(
    source: int, rows: IntArray, molecules: Sequence[_Molecule], tokens: Mapping[Modality, PackedTokens]
) -> ShardRows:
    return ShardRows(
        source=np.full(len(rows), source, dtype=np.int32),
        row=rows,
        molecule=np.array([one.hash for one in molecules], dtype=np.uint64),
        draw=np.array([one.draw for one in molecules], dtype=np.uint64),
        smiles=PackedText.of_texts([one.canonical for one in molecules]),
        target=PackedIds.of([one.ids for one in molecules]),
        tokens=tokens,
    )
