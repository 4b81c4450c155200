"""Values of a block on the scale of a model. What is taken from data is taken from the training samples alone.

Axes: N training samples, R rows to prepare, F features.
"""

from dataclasses import dataclass

import numpy as np

from mmspec_ds.errors import DataError
from mmspec_ds.readers.part import counted, one_line
from mmspec_ds.readers.sample_columns import shortened
from mmspec_ds.systems.fusion.cohort.analysis_settings import PreparationSettings
from mmspec_ds.systems.fusion.cohort.cohort import Block, FloatMatrix, FloatVector

STARTED = 0.1
"""The share of a feature's median that is added before the logarithm, so that values of noise stay near
linear (a started logarithm; Tukey 1977)."""

REFERENCE_SHARE = 0.7
"""The share of the features, those of largest reference, whose quotients count in PQN: the quotients of
baseline are noise."""

MOST_BELOW = 0.3
"""The share of the values of a block that may be below zero where logarithms or roots are taken."""


@dataclass(frozen=True)
class Preparation:
    """A fitted preparation of one block; `fit_preparation` makes it.

    Attributes:
        settings: what is done.
        reference_F: the median training sample, for PQN; else empty.
        start_F: what is added before the logarithm; else empty.
        fill_F: what replaces a missing value: the feature's median in training, after normalisation.
        centre_F: the mean that is subtracted.
        scale_F: by which is divided; infinite for features that are not used or have no variance, which become
            zero.
        spread_F: the standard deviation of prepared training values: 1 where features are autoscaled.
    """

    settings: PreparationSettings
    reference_F: FloatVector
    start_F: FloatVector
    fill_F: FloatVector
    centre_F: FloatVector
    scale_F: FloatVector
    spread_F: FloatVector

    def __call__(self, values_RF: FloatMatrix) -> FloatMatrix:
        """Return the prepared values [R, F], without missing ones."""
        normalised_RF = _normalised(values_RF, self.settings, self.reference_F)
        filled_RF = np.where(np.isfinite(normalised_RF), normalised_RF, self.fill_F)
        return (_transformed(filled_RF, self.settings, self.start_F) - self.centre_F) / self.scale_F


def fit_preparation(values_NF: FloatMatrix, settings: PreparationSettings) -> Preparation:
    """Return the preparation fitted on the training samples that were measured.

    A feature that no sample has, or fewer than `least_present`, or that is the same in all, becomes zero.

    Raises:
        ValueError: no sample.
    """
    if not len(values_NF):
        raise ValueError("no training sample")
    empty = np.zeros(0)
    if settings.normalisation == "pqn":
        totals = _normalised(values_NF, PreparationSettings(normalisation="total"), empty)
        reference_F = _median(totals)
        least = np.quantile(reference_F, 1 - REFERENCE_SHARE)
        reference_F = np.where((reference_F >= least) & (reference_F > 0), reference_F, np.nan)
    else:
        reference_F = empty
    normalised_NF = _normalised(values_NF, settings, reference_F)
    fill_F = _median(normalised_NF)
    start_F = empty
    if settings.transform == "log":
        positive = (normalised_NF > 0).all()
        start_F = STARTED * _median(
            normalised_NF if positive else np.where(normalised_NF > 0, normalised_NF, np.nan)
        )
        start_F = np.where(start_F > 0, start_F, 1.0)
    filled_NF = np.where(np.isfinite(normalised_NF), normalised_NF, fill_F)
    transformed_NF = _transformed(filled_NF, settings, start_F)
    centre_F, deviation_F = transformed_NF.mean(0), transformed_NF.std(0)
    constant_F = deviation_F <= 1e-9 * np.maximum(1e-12, np.abs(centre_F))
    present_F = (np.isfinite(values_NF) & (values_NF != 0)).mean(0)
    constant_F |= present_F < settings.least_present
    powers = {"auto": 1.0, "pareto": 0.5, "centre": 0.0}
    scale_F = np.where(constant_F, np.inf, np.where(constant_F, 1.0, deviation_F) ** powers[settings.scaling])
    spread_F = np.where(constant_F, 0.0, deviation_F) / scale_F
    return Preparation(settings, reference_F, start_F, fill_F, centre_F, scale_F, spread_F)


def check_preparation(block: Block, settings: PreparationSettings) -> list[str]:
    """Return what is told of the values of a block before they are prepared: how many count as zero.

    Raises:
        DataError: too many are below zero for the transform, or nothing varies once they are prepared.
    """
    values_NF = block.values_NF[block.present_N]
    remarks = []
    below_NF = values_NF < 0
    below = int(below_NF.sum())
    if settings.transform != "none" and below:
        share = below / np.isfinite(values_NF).sum()
        told = f"{block.name}: {counted(below, 'value')} below zero ({100 * share:.1f} %)"
        if share > MOST_BELOW:
            worst = block.features[int(below_NF.sum(axis=0).argmax())]
            raise DataError(
                f"{told}, most in column {one_line(worst, 60)}: expected at most {100 * MOST_BELOW:.0f} % with"
                f" `transform: {settings.transform}`, or `transform: none` if they are logarithms already"
            )
        what = "logarithms" if settings.transform == "log" else "roots"
        remarks.append(f"{told} count as 0, for {what} are taken: `transform: none` takes none")
    if not fit_preparation(values_NF, settings).spread_F.any():
        names = shortened(block.features, 3)
        raise DataError(
            f"{block.name}: no column varies once `prepare` is done ({names}): expected different values"
        )
    return remarks


def _normalised(values_RF: FloatMatrix, settings: PreparationSettings, reference_F: FloatVector) -> FloatMatrix:
    """Return the values with each sample divided by its amount; one without any stays as it is."""
    if settings.normalisation == "none":
        return values_RF
    amount_R1 = np.nansum(np.abs(values_RF), axis=1, keepdims=True)
    if settings.normalisation == "pqn":
        shares_RF = values_RF / np.where(amount_R1 > 0, amount_R1, 1.0)
        known_F = np.isfinite(reference_F)
        quotient_R1 = _median((shares_RF[:, known_F] / reference_F[known_F]).T)[:, None]
        amount_R1 = amount_R1 * np.where(quotient_R1 > 0, quotient_R1, 1.0)
    return values_RF / np.where(amount_R1 > 0, amount_R1, 1.0)


def _transformed(values_RF: FloatMatrix, settings: PreparationSettings, start_F: FloatVector) -> FloatMatrix:
    if settings.transform == "log":
        return np.log(np.maximum(values_RF, 0.0) + start_F)
    return np.sqrt(np.maximum(values_RF, 0.0)) if settings.transform == "sqrt" else values_RF


def _median(values_NF: FloatMatrix) -> FloatVector:
    """Return the median of each column without missing values; 0 for one that has none."""
    if np.isfinite(values_NF).all():
        return np.asarray(np.median(values_NF, axis=0), dtype=np.float64)
    missing_F = ~np.isfinite(values_NF).any(axis=0)
    return np.asarray(np.nanmedian(np.where(missing_F, 0.0, values_NF), axis=0), dtype=np.float64)
