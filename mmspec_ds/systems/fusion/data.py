"""What a fusion model learns from, in memory: the tokens of each sample's modalities, and what is to be told.

Axes: N samples, M modalities, C classes or groups, B samples of a batch.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.library.entries import matches, read_entries
from mmspec_ds.library.entry import Entry
from mmspec_ds.molecules.functional_groups import GROUPS, groups_of
from mmspec_ds.molecules.splits import draw_of
from mmspec_ds.readers.part import Rejected
from mmspec_ds.spectra.packed import IntArray
from mmspec_ds.spectra.records import Modality, Record
from mmspec_ds.systems.fusion.batch import BoolMatrix, FusionBatch, lay_out
from mmspec_ds.systems.fusion.corruption import Choice, CorruptionSettings, choose, with_noise
from mmspec_ds.systems.fusion.run_settings import FusionRun
from mmspec_ds.systems.fusion.schema import Schema
from mmspec_ds.systems.fusion.tokens import Points, TokenSettings, of_records

Targets = npt.NDArray[np.float32]
AT_ONCE = 1024


@dataclass(frozen=True)
class FusionData:
    """Samples in memory.

    Attributes:
        ids: of the samples, N.
        pieces: of each modality, the tokens of every sample; none where a sample lacks it.
        target_NC: 1 for the true class or for each group that is there; without any column where nothing is
            told.
        groups: what must stay on one side of a split: molecules or patients, N.
        remarks: what was left out, with the number of records.
    """

    ids: tuple[str, ...]
    pieces: tuple[Points, ...]
    target_NC: Targets
    groups: tuple[str, ...]
    remarks: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def has_NM(self) -> BoolMatrix:
        """Which modalities each sample has."""
        has: BoolMatrix = np.stack([one.counts > 0 for one in self.pieces], axis=1)
        return has

    def subset(self, rows: IntArray) -> "FusionData":
        """Some of the samples, in that order."""
        ids, groups = (tuple(one[at] for at in rows.tolist()) for one in (self.ids, self.groups))
        pieces = tuple(one.subset(rows) for one in self.pieces)
        return FusionData(ids, pieces, self.target_NC[rows], groups, self.remarks)


@dataclass(frozen=True)
class FusionSets:
    """What a run learns from and is measured on, and what it reads and tells."""

    train: FusionData
    validation: FusionData
    schema: Schema


def pieces_of(data: FusionData, choice: Choice, level: float, seeds_B: Sequence[Sequence[int]]) -> list[Points]:
    """The pieces of a batch, [M], with what a choice changes; `seeds_B` of each sample decide the noise."""
    found = []
    for column, points in enumerate(data.pieces):
        rows_B = choice.row_BM[:, column]
        chosen = points.subset(rows_B.clip(0))
        if (rows_B < 0).any():
            chosen = chosen.where(rows_B >= 0)
        if choice.noisy_BM[:, column].any():
            parts = [chosen.subset(np.array([row])) for row in range(len(chosen))]
            for row in np.flatnonzero(choice.noisy_BM[:, column]).tolist():
                parts[row] = with_noise(parts[row], level, np.random.default_rng([*seeds_B[row], 1 + column]))
            chosen = Points.joined(parts)
        found.append(chosen)
    return found


def make_batch(
    data: FusionData,
    rows_B: IntArray,
    *,
    weight_B: npt.NDArray[np.float32] | None = None,
    corruption: CorruptionSettings | None = None,
    seeds_B: Sequence[Sequence[int]] = (),
    dropout: float = 0.0,
    hidden: float = 0.0,
    column: int | None = None,
) -> FusionBatch:
    """The batch of some samples.

    Args:
        data: where they are.
        rows_B: their places.
        weight_B: 0 for those that only fill up the batch; without, all count.
        corruption: what is spoilt; nothing without.
        seeds_B: of each sample, for everything that is drawn.
        dropout: the probability with which the loss does without a modality.
        hidden: share of the tokens whose intensities are to be predicted; 0 outside of pretraining.
        column: the only modality that is spoilt; any without.
    """
    settings = corruption or CorruptionSettings()
    choice = choose(rows_B, data.has_NM, settings, seeds_B, column)
    pieces = pieces_of(data, choice, settings.level, seeds_B)
    kept_BM = np.ones((len(rows_B), len(pieces)), dtype=np.bool_)
    if dropout:
        for at, seed in enumerate(seeds_B):
            rng = np.random.default_rng([*seed, 101])
            kept = rng.random(len(pieces)) >= dropout
            there = np.array([one.counts[at] > 0 for one in pieces])
            if not (kept & there).any() and there.any():
                kept[rng.choice(np.flatnonzero(there))] = True
            kept_BM[at] = kept
    return FusionBatch(
        pieces=lay_out(pieces, _hidden(pieces, hidden, seeds_B) if hidden else None),
        target_BC=torch.from_numpy(data.target_NC[rows_B]),
        kept_BM=torch.from_numpy(kept_BM),
        weight_B=torch.ones(len(rows_B)) if weight_B is None else torch.from_numpy(weight_B),
    )


def _hidden(
    pieces: Sequence[Points], share: float, seeds_B: Sequence[Sequence[int]]
) -> list[npt.NDArray[np.bool_]]:
    """Of each modality, True for tokens whose intensities are to be predicted: a share of each piece."""
    found = []
    for column, points in enumerate(pieces):
        draws = [
            np.random.default_rng([*seed, 201 + column]).random(count) < share
            for seed, count in zip(seeds_B, points.counts.tolist())
        ]
        found.append(np.concatenate(draws))
    return found


class Collector:
    """Makes tokens of records as they come, and keeps no record.

    Args:
        modalities: the kinds of spectra to read.
        settings: of tokens.
        told: whether a structure is needed.
    """

    def __init__(self, modalities: Sequence[Modality], settings: TokenSettings, *, told: bool) -> None:
        self._modalities, self._settings, self._told = modalities, settings, told
        self._waiting, self._parts = list[Entry](), list[list[Points]]()
        self._ids, self._blocks, self._found = list[str](), list[str](), list[tuple[str, ...]]()
        self._known: dict[str, tuple[str, ...]] = {}
        self._remarks = dict[str, int]()

    def add(self, entry: Entry) -> None:
        """One entry; it counts if it has a spectrum, and a structure where that is needed."""
        if self._told and (not entry.block or entry.record.smiles is None):
            self.remark("records without a structure")
            return
        if not any(True for one in self._modalities for _ in entry.record.of(one)):
            self.remark("records without a spectrum that the model reads")
            return
        self._waiting.append(entry)
        if len(self._waiting) == AT_ONCE:
            self._encode()

    def remark(self, what: str) -> None:
        """Count a record that is left out."""
        self._remarks[what] = self._remarks.get(what, 0) + 1

    def finish(self, where: str) -> tuple[FusionData, list[tuple[str, ...]]]:
        """All that was added, without targets, and the functional groups of each.

        Raises:
            DataError: no record is left; `where` says of what.
        """
        self._encode()
        if not self._ids:
            left = ", ".join(f"{count} {what}" for what, count in self._remarks.items())
            raise DataError(f"{where}: no record to use{': ' + left if left else ''}")
        pieces = tuple(Points.joined(one) for one in zip(*self._parts))
        target_NC = np.zeros((len(self._ids), 0), dtype=np.float32)
        data = FusionData(tuple(self._ids), pieces, target_NC, tuple(self._blocks), self._remarks)
        return data, self._found

    def _encode(self) -> None:
        entries, self._waiting = self._waiting, []
        if not entries:
            return
        records = [one.record for one in entries]
        self._parts.append([of_records(records, one, self._settings) for one in self._modalities])
        for entry in entries:
            self._ids.append(entry.record.id)
            self._blocks.append(entry.block or entry.record.id)
            self._found.append(self._groups(entry))

    def _groups(self, entry: Entry) -> tuple[str, ...]:
        if not self._told:
            return ()
        if entry.block not in self._known:
            assert entry.record.smiles is not None
            self._known[entry.block] = groups_of(entry.record.smiles)
        return self._known[entry.block]


def frequent_groups(found: Iterable[tuple[str, ...]], count: int) -> tuple[str, ...]:
    """The functional groups that the most records have, at most `count`, in the order of `GROUPS`; not those
    that all or none have.

    Raises:
        DataError: there is no such group.
    """
    everything = [set(one) for one in found]
    times = {group.name: sum(group.name in one for one in everything) for group in GROUPS}
    usable = [name for name, number in times.items() if 0 < number < len(everything)]
    if not usable:
        raise DataError("all records have the same functional groups: expected some that differ")
    chosen = set(sorted(usable, key=lambda name: -times[name])[:count])
    return tuple(group.name for group in GROUPS if group.name in chosen)


def read_spectra(
    run: FusionRun, schema: Schema | None = None, progress: Callable[[int], None] | None = None
) -> FusionSets:
    """Everything that a run of files of spectra reads.

    Held back are the records of `validation`, or those of `train` that `validation_where` chooses, or a part of
    the molecules that a hash of their InChIKey block decides.

    Args:
        run: the settings.
        schema: of the weights that the run begins with, whose groups are told; without, those of the records.
        progress: told how many records are read.

    Raises:
        ConfigError: no training file is named.
        DataError: a file cannot be read, a side is empty, or a molecule is on both sides.
    """
    settings, told = run.data, run.objective.kind == "classify"
    if not settings.train:
        raise ConfigError("data.train names no file to learn from")
    modalities = settings.chosen_modalities()
    sides = [Collector(modalities, run.tokens, told=told) for _ in range(2)]
    count = 0
    for files, of_train in ((settings.train, True), (settings.validation, False)):
        for item in read_entries(files) if files else ():
            if isinstance(item, Rejected):
                sides[0].remark("records that cannot be used")
                continue
            count += 1
            if progress is not None and count % AT_ONCE == 0:
                progress(count)
            side = (
                _side_of(item, run) if of_train else matches(item.metadata, settings.validation_where) or None
            )
            if side is not None:
                sides[int(side)].add(item)
    (train, of_train_groups), (held_back, held_groups) = (
        side.finish(name) for side, name in zip(sides, ("data.train", "the held-back part"))
    )
    shared = set(train.groups) & set(held_back.groups)
    if told and shared and not settings.allow_shared_molecules:
        raise DataError(
            f"{len(shared)} molecules of the held-back records are also trained on, such as {min(shared)}:"
            " expected a split by molecule, or data.allow_shared_molecules"
        )
    if schema is None:
        names = frequent_groups(of_train_groups, settings.groups) if told else ()
        kind = "groups" if told else "none"
        schema = Schema(tuple(one.name.lower() for one in modalities), kind, names, {})  # type: ignore[arg-type]
    return FusionSets(
        _with_groups(train, of_train_groups, schema), _with_groups(held_back, held_groups, schema), schema
    )


def _side_of(entry: Entry, run: FusionRun) -> bool | None:
    """Whether an entry of the training files is held back; None where it is not used at all."""
    settings = run.data
    where = settings.validation_where
    if where and not settings.validation and matches(entry.metadata, where):
        return True
    if not matches(entry.metadata, settings.train_where):
        return None
    if settings.validation or where:
        return False
    group = entry.block or entry.record.id
    return draw_of(group, settings.split_seed) / 2**64 < settings.validation_fraction


def _with_groups(data: FusionData, found: Sequence[tuple[str, ...]], schema: Schema) -> FusionData:
    target_NC = np.array([[name in one for name in schema.names] for one in found], dtype=np.float32)
    return FusionData(data.ids, data.pieces, target_NC.reshape(len(found), -1), data.groups, data.remarks)


def data_of_records(records: Sequence[Record], schema: Schema, settings: TokenSettings) -> FusionData:
    """Records whose targets are not known, for prediction."""
    modalities = [Modality[name.upper()] for name in schema.modalities]
    pieces = tuple(of_records(records, one, settings) for one in modalities)
    ids = tuple(one.id for one in records)
    return FusionData(ids, pieces, np.zeros((len(records), len(schema.names)), dtype=np.float32), ids)
