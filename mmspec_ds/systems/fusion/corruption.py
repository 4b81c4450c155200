"""Spoilt modalities: noise, another sample's spectrum, or none at all.

In training they show the contribution head what to distrust; in evaluation they are a test of robustness.

Axes: B samples, M modalities, P pieces, T tokens.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field

from mmspec_ds.settings import Settings
from mmspec_ds.spectra.axes import STEP, Axis, Form
from mmspec_ds.spectra.packed import IntArray
from mmspec_ds.systems.fusion.batch import BoolMatrix
from mmspec_ds.systems.fusion.tokens import Points

CorruptionKind = Literal["noise", "shuffled", "missing"]
STEPS_OF_NOISE = 40.0
"""Standard deviation of the error of a peak's position in steps of its axis, for a level of 1: 0.2 ppm of 1H, 2
ppm of 13C, m/z 0.2."""


class CorruptionSettings(Settings):
    """Which modalities are spoilt.

    Attributes:
        share: the probability that one modality of a sample, any of those that it has, is spoilt.
        kinds: in what way; each spoilt modality in one of these, drawn anew.
        level: of "noise": the standard deviation of what is added to intensities, as a multiple of that of the
            intensities of the piece.
    """

    share: float = Field(0.0, ge=0, le=1)
    kinds: tuple[CorruptionKind, ...] = Field(("noise", "shuffled", "missing"), min_length=1)
    level: float = Field(2.0, gt=0)


class Choice(NamedTuple):
    """What becomes of each modality: `row_BM`, the sample whose spectrum stands there, -1 for none, int64; and
    where noise is added, `noisy_BM`."""

    row_BM: IntArray
    noisy_BM: BoolMatrix


def choose(
    rows_B: IntArray,
    has_NM: BoolMatrix,
    settings: CorruptionSettings,
    seeds_B: Sequence[Sequence[int]],
    column: int | None = None,
) -> Choice:
    """Draw what is spoilt.

    A modality is left out only where the sample has another one. Draws depend on a sample's seed alone.

    Args:
        rows_B: places of the samples in the data.
        has_NM: the modalities that each sample of the data has.
        settings: how much.
        seeds_B: of each sample of the batch.
        column: the only modality that may be spoilt; any without.
    """
    row_BM = np.where(has_NM[rows_B], rows_B[:, None], -1)
    noisy_BM = np.zeros(row_BM.shape, dtype=np.bool_)
    if not settings.share:
        return Choice(row_BM, noisy_BM)
    for at, seed in enumerate(seeds_B):
        rng = np.random.default_rng(list(seed))
        chance, kind = rng.random(), settings.kinds[rng.integers(len(settings.kinds))]
        has = np.flatnonzero(row_BM[at] >= 0)
        spoilt = int(rng.choice(has)) if column is None else column
        if chance >= settings.share or row_BM[at, spoilt] < 0:
            continue
        if kind == "noise":
            noisy_BM[at, spoilt] = True
        elif kind == "shuffled":
            others = np.flatnonzero(has_NM[:, spoilt])
            row_BM[at, spoilt] = rng.choice(others)
        elif len(has) > 1:
            row_BM[at, spoilt] = -1
    return Choice(row_BM, noisy_BM)


def with_noise(piece: Points, level: float, rng: np.random.Generator) -> Points:
    """One piece with errors of normal distribution in its intensities and in the positions of its peaks.

    The deviation of the errors is `level` times that of the piece's intensities, and for positions `level`
    times `STEPS_OF_NOISE` steps of the axis. A piece without a negative value is taken for a spectrum, and no
    intensity becomes negative. One with a negative value is taken for a scaled table, or an edited HSQC
    spectrum, and its positions stay, as those of patches and precursors always do.

    Args:
        piece: the T tokens of one modality of one sample.
        level: see `CorruptionSettings`.
        rng: for the errors.
    """
    values_TW = piece.values_TW.astype(np.float64)
    filled_TW = np.zeros(values_TW.shape, dtype=np.bool_)
    filled_TW[piece.form_T == Form.PATCH] = True
    filled_TW[piece.form_T == Form.PEAK, 0] = True
    spread = values_TW[filled_TW].std() if filled_TW.any() else 0.0
    added_TW = rng.normal(scale=level * (spread or 1.0), size=values_TW.shape)
    values_TW = np.where(filled_TW, values_TW + added_TW, values_TW)
    if (piece.values_TW >= 0).all():  # a spectrum, not a scaled table: no intensity is negative
        values_TW = np.abs(values_TW)
    step_T = np.array([STEP[axis] for axis in Axis])[piece.axis_T]
    moved_T = rng.normal(size=len(step_T)) * step_T * STEPS_OF_NOISE * level
    is_peak_T = (piece.form_T == Form.PEAK) & (piece.values_TW.min(initial=0.0) >= 0)
    return replace(
        piece,
        values_TW=values_TW.astype(np.float32),
        position_T=piece.position_T + np.where(is_peak_T, moved_T, 0.0),
    )
