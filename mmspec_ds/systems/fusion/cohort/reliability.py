"""How much of what a block claims to know comes true, by how unlike the training samples the sample is.

Axes: R rows, H features, P expanded features.
"""

from dataclasses import dataclass

import numpy as np

from mmspec_ds.systems.fusion.cohort.cohort import BoolArray, FloatMatrix, FloatVector
from mmspec_ds.systems.fusion.cohort.contribution import Expansion, fit_expansion

LEAST = 0.05
"""A share of the claims of sound blocks below this counts as this."""


@dataclass(frozen=True)
class Reliability:
    """The head of one block that expects its contribution to the true class: q times what the block claims.

    Attributes:
        expansion: of the features; None where nothing was to be learned, and every block counts as sound.
        weight_P, intercept: log odds that a block is sound, not noised.
        sound: the share of the claims that came true, of sound blocks: the slope of exact contributions on
            claims.
        noised: the same of noised blocks, not above zero: their values tell nothing of the class, so that what
            they claim cannot come true but by chance.
    """

    expansion: Expansion | None
    weight_P: FloatVector
    intercept: float
    sound: float
    noised: float

    def __call__(self, features_RH: FloatMatrix) -> FloatVector:
        """Return q, [R]: the expected share of the claim, between those of noised and of sound blocks."""
        if self.expansion is None:
            return np.full(len(features_RH), self.sound)
        odds_R = self.expansion(features_RH) @ self.weight_P + self.intercept
        probability_R = 1 / (1 + np.exp(-np.clip(odds_R, -500, 500)))
        return self.noised + (self.sound - self.noised) * probability_R

    def relative(self, features_RH: FloatMatrix) -> FloatVector:
        """Return r, [R]: q over that of sound blocks, not below zero. At most 1."""
        return np.clip(self(features_RH) / self.sound, 0.0, 1.0)


def fit_reliability(
    features_RH: FloatMatrix, is_sound_R: BoolArray, claim_R: FloatVector, true_R: FloatVector
) -> Reliability:
    """Return the head of a block.

    Args:
        features_RH: how unlike the training samples the rows are.
        is_sound_R: whether the block is as it was measured; else it was noised.
        claim_R: what the block claims to know.
        true_R: its exact contribution to the true class.
    """
    from sklearn import config_context
    from sklearn.linear_model import LogisticRegression

    def slope(chosen_R: BoolArray) -> float:
        square = float(claim_R[chosen_R] @ claim_R[chosen_R])
        return float(claim_R[chosen_R] @ true_R[chosen_R]) / max(square, 1e-12)

    sound = max(slope(is_sound_R), LEAST)
    if is_sound_R.all() or not is_sound_R.any():
        return Reliability(None, np.zeros(0), 0.0, sound, sound)
    expansion = fit_expansion(features_RH, np.ones(len(features_RH)))
    with config_context(skip_parameter_validation=True, assume_finite=True):
        model = LogisticRegression(max_iter=300).fit(expansion(features_RH), is_sound_R)
    noised = float(np.clip(slope(~is_sound_R), -sound, 0.0))
    return Reliability(expansion, model.coef_[0], float(model.intercept_[0]), sound, noised)
