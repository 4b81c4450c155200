"""The samples of one split of a prepared folder, read from memory-mapped shards.

The place and the length of each sample are in memory, 16 bytes; the tokens are copied batch by batch.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from mmspec_ds.data.data_settings import DataSettings
from mmspec_ds.data.dataset import SpectraDataset
from mmspec_ds.data.shards.distinct import molecule_hash
from mmspec_ds.data.shards.folder import PreparedFolder
from mmspec_ds.data.shards.rows import Shard
from mmspec_ds.errors import DataError
from mmspec_ds.molecules.identity import identify
from mmspec_ds.molecules.splits import SPLITS, draw_of
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.spectra.packed import IntArray, PackedIds, PackedTokens, offsets_of
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.registry import REGISTRY, schema_of
from mmspec_ds.spectra.tokens import TokenSchema


class SampleIds(Sequence[str]):
    """The id of each sample, "<file name>:<row>", made on access."""

    def __init__(self, data: "ShardedDataset") -> None:
        self._data = data

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return [self[place] for place in range(*at.indices(len(self)))]
        shard, row = self._data.locate(at)
        return f"{self._data.folder.sources[shard.rows.source[row]]}:{shard.rows.row[row]}"


@dataclass(frozen=True)
class ShardedDataset:
    """N samples of one split.

    Attributes:
        folder: where they are.
        shard_N, row_N: the shard of each sample, and its row there.
        schemas: the fields of the tokens of the chosen modalities.
        tables: per shard, the model's id of each of its SMILES tokens; empty without a vocabulary.
        remarks: the number of samples left out, by reason.
    """

    folder: PreparedFolder
    shard_N: npt.NDArray[np.int32]
    row_N: npt.NDArray[np.int32]
    schemas: Mapping[Modality, TokenSchema]
    tables: tuple[npt.NDArray[np.int16], ...] = ()
    remarks: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.shard_N)

    @property
    def ids(self) -> Sequence[str]:
        """The id of each sample."""
        return SampleIds(self)

    @cached_property
    def lengths(self) -> IntArray:
        """Encoder tokens per sample, int64 [N]."""
        return np.sum([self.counts(modality) for modality in self.schemas], axis=0, dtype=np.int64)

    @cached_property
    def target_lengths(self) -> IntArray:
        """SMILES tokens per sample, without begin and end, int64 [N]."""
        return self._per_row(lambda shard: shard.rows.target.counts)

    def counts(self, modality: Modality) -> IntArray:
        """Tokens of one modality per sample, int64 [N]."""
        return self._per_row(lambda shard: shard.rows.tokens[modality].counts)

    def locate(self, sample: int) -> tuple[Shard, int]:
        """The shard of a sample and its row there."""
        return self.folder.shards[self.shard_N[sample]], int(self.row_N[sample])

    def fetch(self, indices: npt.ArrayLike) -> tuple[SpectraDataset, IntArray]:
        """The samples `indices` in memory, and their places there."""
        chosen = np.asarray(indices, dtype=np.int64)
        return self.subset(chosen), np.arange(len(chosen))

    def subset(self, indices: npt.ArrayLike) -> SpectraDataset:
        """The samples `indices`, in that order, in memory."""
        places = [(int(self.shard_N[at]), int(self.row_N[at])) for at in np.asarray(indices, dtype=np.int64)]
        rows = [(self.folder.shards[shard].rows, row) for shard, row in places]
        targets = None
        if self.tables:
            targets = PackedIds.of([self._target(shard, row) for shard, row in places])
        sources = self.folder.sources
        return SpectraDataset(
            ids=tuple(f"{sources[one.source[row]]}:{one.row[row]}" for one, row in rows),
            smiles=tuple(one.smiles.at(row) for one, row in rows),
            tokens={m: _gathered([(one.tokens[m], row) for one, row in rows]) for m in self.schemas},
            schemas=self.schemas,
            targets=targets,
        )

    def where(self, kept: npt.NDArray[np.bool_]) -> "ShardedDataset":
        """The samples of a mask [N], without targets."""
        return replace(self, shard_N=self.shard_N[kept], row_N=self.row_N[kept], tables=())

    def words(self) -> set[str]:
        """The SMILES tokens that occur."""
        found: set[str] = set()
        for shard, rows in self._by_shard():
            target = shard.rows.target.subset(rows)
            found.update(shard.words[at] for at in np.unique(target.values))
        return found

    def with_targets(self, vocabulary: Vocabulary) -> "ShardedDataset":
        """The same samples with their structures as ids of `vocabulary`; a remark counts samples with an
        unknown token."""
        tables = tuple(np.array(vocabulary.encode(s.words), dtype=np.int16) for s in self.folder.shards)
        unknown = 0
        for number, (shard, rows) in enumerate(self._by_shard()):
            if Vocabulary.UNK in tables[number]:
                target = shard.rows.target.subset(rows)
                row_T = np.repeat(np.arange(len(rows)), target.counts)
                unknown += len(np.unique(row_T[tables[number][target.values] == Vocabulary.UNK]))
        remarks = {**self.remarks}
        if unknown:
            remarks["records with a SMILES token never trained on"] = unknown
        return replace(self, tables=tables, remarks=remarks)

    def smiles(self) -> Iterable[str]:
        """The canonical SMILES of each sample."""
        for shard, rows in self._by_shard():
            yield from (shard.rows.smiles.at(row) for row in rows.tolist())

    def holds(self, smiles: Iterable[str]) -> list[str]:
        """The canonical SMILES whose molecule is in this split: by InChIKey first block if the folder was
        divided by it, else by equal SMILES."""
        settings = self.folder.split_settings
        by_block = settings.rule == "inchikey"
        parts = [(s.rows.draw if by_block else s.rows.molecule)[rows] for s, rows in self._by_shard()]
        known = np.unique(np.concatenate(parts))
        texts = list(smiles)
        keys = [
            draw_of(identify(one, settings.grouping).group, settings.seed) if by_block else molecule_hash(one)
            for one in texts
        ]
        shared = np.isin(np.array(keys, dtype=np.uint64), known)
        return [text for text, found in zip(texts, shared) if found]

    def _target(self, shard: int, row: int) -> list[int]:
        target = self.folder.shards[shard].rows.target
        ids = self.tables[shard][target.values[target.offsets[row] : target.offsets[row + 1]]]
        return [Vocabulary.BOS, *ids.tolist(), Vocabulary.EOS]

    def _by_shard(self) -> Iterable[tuple[Shard, IntArray]]:
        """Each shard with the rows of its samples, which are in the order of shards and rows."""
        ends = np.searchsorted(self.shard_N, np.arange(len(self.folder.shards)), side="right")
        starts = np.concatenate([[0], ends[:-1]])
        for shard, start, end in zip(self.folder.shards, starts, ends):
            yield shard, self.row_N[start:end].astype(np.int64)

    def _per_row(self, value: Callable[[Shard], IntArray]) -> IntArray:
        return np.concatenate([value(shard)[rows] for shard, rows in self._by_shard()]).astype(np.int64)


def split_of(folder: PreparedFolder, split: str, settings: DataSettings) -> ShardedDataset:
    """The samples of a split that a run can use. Others are refused, or left out and counted if the settings
    say so, as with parquet files.

    Raises:
        DataError: the split is empty, or a sample cannot be used; names it.
    """
    counts = [len(shard.rows) for shard in folder.shards]
    within = folder.split_N == SPLITS.index(split)
    shard_N = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    row_N = (np.arange(sum(counts)) - np.repeat(offsets_of(counts)[:-1], counts)).astype(np.int32)
    chosen = settings.chosen_modalities()
    schemas = {modality: schema_of(modality, settings.compression) for modality in chosen}
    data = ShardedDataset(folder, shard_N[within], row_N[within], schemas)
    if not len(data):
        raise DataError(f"no molecule is in its {split} split", path=folder.path)

    usable = np.ones(len(data), dtype=np.bool_)
    for faulty, skip, why in _faults(data, settings):
        if faulty.any() and not skip:
            raise DataError(f"record {data.ids[int(np.argmax(faulty))]} {why}", path=folder.path)
        usable &= ~faulty
    skipped = int(np.count_nonzero(~usable))
    if not usable.any():
        raise DataError(f"no usable record in the {split} split: {skipped} skipped", path=folder.path)
    return replace(data.where(usable), remarks={"records skipped": skipped} if skipped else {})


def _faults(data: ShardedDataset, settings: DataSettings) -> Iterable[tuple[npt.NDArray[np.bool_], bool, str]]:
    """For each fault: the samples that have it, whether to skip them, and the message."""
    limit = settings.max_target_tokens
    yield (
        data.target_lengths > limit,
        settings.skip_long_targets,
        f"has a SMILES of more than data.max_target_tokens = {limit} tokens; raise that limit, or skip such"
        " records with data.skip_long_targets",
    )
    spectra = [data.counts(modality) for modality in data.schemas if REGISTRY[modality].is_instrument]
    yield (
        np.sum(spectra, axis=0) == 0,
        settings.skip_invalid,
        "has no token in any of the modalities that are read; skip such records with data.skip_invalid",
    )
    for modality in data.schemas:
        if not REGISTRY[modality].is_instrument:
            yield (
                data.counts(modality) == 0,
                settings.skip_invalid,
                f"has no {REGISTRY[modality].label}; skip such records with data.skip_invalid",
            )


def _gathered(rows: Sequence[tuple[PackedTokens, int]]) -> PackedTokens:
    """One row of each of several, in memory. Slices, not fancy indexing: 64 rows of 64 shards are gathered in
    1 ms."""
    bounds = [(packed, int(packed.offsets[row]), int(packed.offsets[row + 1])) for packed, row in rows]
    return PackedTokens(
        np.concatenate([packed.discrete[start:end] for packed, start, end in bounds]),
        np.concatenate([packed.continuous[start:end] for packed, start, end in bounds]),
        offsets_of([end - start for _, start, end in bounds]),
    )
