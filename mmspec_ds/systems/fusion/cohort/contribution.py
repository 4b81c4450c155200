"""What each block of a sample contributes, by exact Shapley values, and a head that predicts it.

A coalition S of blocks says log p_S(c) of each class c, and without any block it says the prior. The
contribution of a block to class c is its Shapley value of log p_S(c) (Shapley 1953; Lundberg and Lee 2017,
arXiv 1705.07874, for predictions). The contributions of all blocks add up to log p(c) - log prior(c), and that
of a missing block is zero.

In training the class is the true one: a block that spoke against it has a negative contribution. At use it is
the predicted one.

Axes: R rows, M blocks, C classes, S coalitions (2^M, bit m of the number says whether block m is in it), H
features of the head, P expanded features.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmspec_ds.evaluation.shapley import marginals
from mmspec_ds.systems.fusion.cohort.cohort import FloatMatrix, FloatVector, IntArray
from mmspec_ds.systems.fusion.cohort.learners import log_softmax

RIDGE = 0.01
"""The penalty of the head for each row, with standardised features."""


def exact_contributions(value_RSC: FloatMatrix, class_R: IntArray) -> FloatMatrix:
    """Return the Shapley values of the blocks, in nats, [R, M].

    Args:
        value_RSC: log-probabilities of each coalition.
        class_R: the class whose log-probability is shared out.
    """
    value_RS = value_RSC[np.arange(len(class_R)), :, class_R]
    blocks = value_RSC.shape[1].bit_length() - 1
    after_MW, before_MW, share_MW = marginals(blocks)
    gain_RMW = value_RS[:, after_MW] - value_RS[:, before_MW]
    return np.asarray((gain_RMW * share_MW).sum(-1), dtype=np.float64)


def head_features(
    scaled_RMC: FloatMatrix, class_R: IntArray, novelty: Sequence[FloatMatrix], missing_RM: FloatMatrix
) -> tuple[FloatMatrix, ...]:
    """Return what the head reads of each block, [R, H] each.

    That is the block's own evidence for the predicted class, over the mean of the classes; the
    same of the other blocks; its confidence, the most evidence for any class over that mean; how far the sample
    is from the training samples in it (two numbers of `Components.novelty`); and the share of missing values.
    Evidence is given plain and bounded, because a Shapley value levels off.
    """
    centred_RMC = scaled_RMC - scaled_RMC.mean(-1, keepdims=True)
    own_RM = centred_RMC[np.arange(len(class_R)), :, class_R]
    found = []
    for block in range(scaled_RMC.shape[1]):
        own_R = own_RM[:, block]
        others_R = own_RM.sum(1) - own_R
        sure_R = centred_RMC[:, block].max(-1)
        plain = [own_R, np.tanh(own_R), others_R, np.tanh(others_R), sure_R]
        found.append(np.column_stack([*plain, novelty[block], missing_RM[:, block]]))
    return tuple(found)


def claims(scaled_RMC: FloatMatrix, log_prior_C: FloatVector) -> FloatMatrix:
    """Return what each block claims to know, [R, M], in nats: the divergence of what it says alone from the
    prior.

    It is the contribution to the true class that a block that is right about its own certainty can expect if it
    is asked alone; zero for a missing block."""
    log_RMC = log_softmax(log_prior_C + scaled_RMC)
    return np.asarray((np.exp(log_RMC) * (log_RMC - log_prior_C)).sum(-1), dtype=np.float64)


@dataclass(frozen=True)
class Expansion:
    """Features, their squares and products, standardised, cut to the range that they had in training.

    Attributes:
        low_H, high_H: that range: nothing is extrapolated.
        centre_P, scale_P: of the features, squares and products.
    """

    low_H: FloatVector
    high_H: FloatVector
    centre_P: FloatVector
    scale_P: FloatVector

    def __call__(self, features_RH: FloatMatrix) -> FloatMatrix:
        """Return the standardised features, squares and products of rows, [R, P]."""
        return (_products(np.clip(features_RH, self.low_H, self.high_H)) - self.centre_P) / self.scale_P


def fit_expansion(features_RH: FloatMatrix, weight_R: FloatVector) -> Expansion:
    """Return the expansion of these features, whose rows count by their weights."""
    plain_RP = _products(features_RH)
    share_R = weight_R / weight_R.sum()
    centre_P = share_R @ plain_RP
    scale_P = np.sqrt(share_R @ (plain_RP - centre_P) ** 2)
    scale_P = np.where(scale_P > 1e-9, scale_P, 1.0)
    return Expansion(features_RH.min(0), features_RH.max(0), centre_P, scale_P)


@dataclass(frozen=True)
class Head:
    """A ridge regression on expanded features, whose intercept has no penalty."""

    expansion: Expansion
    weight_P: FloatVector
    intercept: float

    def __call__(self, features_RH: FloatMatrix) -> FloatVector:
        """Return the prediction for each row, [R], in the unit of what the head was fitted to."""
        return self.expansion(features_RH) @ self.weight_P + self.intercept


def fit_head(features_RH: FloatMatrix, target_R: FloatVector, weight_R: FloatVector) -> Head:
    """Return the head of least weighted squared distance to the target.

    A block without rows gets a head that says zero."""
    if not len(features_RH):
        features_RH, target_R, weight_R = np.zeros((1, features_RH.shape[1])), np.zeros(1), np.ones(1)
    expansion = fit_expansion(features_RH, weight_R)
    expanded_RP = expansion(features_RH)
    share_R = weight_R / weight_R.sum()
    intercept = float(share_R @ target_R)
    square_PP = (expanded_RP * share_R[:, None]).T @ expanded_RP + RIDGE * np.eye(expanded_RP.shape[1])
    weight_P = np.linalg.solve(square_PP, (expanded_RP * share_R[:, None]).T @ (target_R - intercept))
    return Head(expansion, weight_P, intercept)


def _products(features_RH: FloatMatrix) -> FloatMatrix:
    """Return the features, and the products of each two of them, squares among them."""
    first, second = np.triu_indices(features_RH.shape[1])
    return np.concatenate([features_RH, features_RH[:, first] * features_RH[:, second]], axis=1)
