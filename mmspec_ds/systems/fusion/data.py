"""What a fusion model learns from, in memory: the tokens of each sample's modalities, and what is to be told.

Axes: N samples, M modalities, C classes or groups, B samples of a batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from mmspec_ds.spectra.packed import IntArray
from mmspec_ds.systems.fusion.batch import BoolMatrix, FusionBatch, lay_out
from mmspec_ds.systems.fusion.corruption import Choice, CorruptionSettings, choose, with_noise
from mmspec_ds.systems.fusion.schema import Schema
from mmspec_ds.systems.fusion.tokens import Points

Targets = npt.NDArray[np.float32]


@dataclass(frozen=True)
class FusionData:
    """Samples in memory.

    Attributes:
        ids: of the samples, N.
        pieces: of each modality, the tokens of every sample; none where a sample lacks it.
        target_NC: 1 for the true class or for each group that is there; without any column where nothing is
            told.
        groups: what must stay on one side of a split: molecules or patients, N.
        remarks: what was assumed or left out, with numbers.
    """

    ids: tuple[str, ...]
    pieces: tuple[Points, ...]
    target_NC: Targets
    groups: tuple[str, ...]
    remarks: tuple[str, ...] = ()

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
    """The pieces of a batch, [M] of B each, with what a choice changes.

    Args:
        data: the samples.
        choice: which sample's spectrum stands at each place, and where noise is added.
        level: of the noise, see `CorruptionSettings`.
        seeds_B: of each sample, for the noise.
    """
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
