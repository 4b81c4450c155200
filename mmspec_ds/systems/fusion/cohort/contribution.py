"""What each block of a sample contributes, by exact Shapley values, and a head that predicts it.

A block m gives a sample evidence e_m(c) = log p_m(c) - log prior(c) for each class c. The coalition S of blocks
says log p_S(c) = log softmax_c(log prior(c) + sum over m in S of b_m e_m(c)), with strengths b_m of the blocks,
and without any block it says the prior. The contribution of block m to class c is its Shapley value of log
p_S(c) (Shapley 1953; Lundberg and Lee 2017, arXiv 1705.07874, for predictions). The contributions of all blocks
add up to log p(c) - log prior(c), and that of a block that is missing is zero.

In training the class is the true one: a block that spoke against it has a negative contribution. At use it is
the predicted one.

Axes: R rows, M blocks, C classes, S coalitions, H features of the head, O its outputs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np

from mmspec_ds.systems.fusion.cohort.cohort import BoolArray, FloatMatrix, FloatVector, IntArray
from mmspec_ds.systems.fusion.cohort.learners import log_softmax

RIDGE = 0.01
"""The penalty of the head for each row, with standardised features."""


def exact_contributions(scaled_RMC: FloatMatrix, log_prior_C: FloatVector, class_R: IntArray) -> FloatMatrix:
    """Return the Shapley values of the blocks, in nats, [R, M].

    Args:
        scaled_RMC: b_m e_m(c), zero for a missing block.
        class_R: whose log-probability is shared out.
    """
    rows, blocks, _ = scaled_RMC.shape
    coalitions_SM = (np.arange(1 << blocks)[:, None] >> np.arange(blocks)) & 1
    sums_RSC = np.einsum("sm,rmc->rsc", coalitions_SM.astype(np.float64), scaled_RMC)
    values_RSC = log_softmax(log_prior_C + sums_RSC)
    value_RS = values_RSC[np.arange(rows), :, class_R]
    found_RM = np.zeros((rows, blocks))
    for block in range(blocks):
        without = np.flatnonzero(coalitions_SM[:, block] == 0)
        shares = [1 / (blocks * comb(blocks - 1, int(coalitions_SM[one].sum()))) for one in without]
        found_RM[:, block] = (value_RS[:, without | (1 << block)] - value_RS[:, without]) @ np.asarray(shares)
    return found_RM


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


@dataclass(frozen=True)
class Head:
    """A ridge regression on the features of a block, their squares and products.

    Attributes:
        low_H, high_H: the range of the features in training, to which they are cut: the head does not
            extrapolate.
        centre_P, scale_P: of the squares and products.
        weight_PO: of the standardised ones.
        intercept_O: the mean of the targets.
    """

    low_H: FloatVector
    high_H: FloatVector
    centre_P: FloatVector
    scale_P: FloatVector
    weight_PO: FloatMatrix
    intercept_O: FloatVector

    def __call__(self, features_RH: FloatMatrix) -> FloatMatrix:
        """Return predicted contributions [R, O]: to the true class, and to the predicted one."""
        bounded_RH = np.clip(features_RH, self.low_H, self.high_H)
        return (_products(bounded_RH) - self.centre_P) / self.scale_P @ self.weight_PO + self.intercept_O


def fit_head(features_RH: FloatMatrix, target_RO: FloatMatrix, weight_R: FloatVector) -> Head:
    """Return the head fitted by weighted least squares; a block without rows gets a head that says zero."""
    outputs = target_RO.shape[1]
    if not len(features_RH):
        features_RH, target_RO = np.zeros((1, features_RH.shape[1])), np.zeros((1, outputs))
        weight_R = np.ones(1)
    low_H, high_H = features_RH.min(0), features_RH.max(0)
    plain_RP = _products(features_RH)
    share_R = weight_R / weight_R.sum()
    centre_P = share_R @ plain_RP
    scale_P = np.sqrt(share_R @ (plain_RP - centre_P) ** 2)
    scale_P = np.where(scale_P > 1e-9, scale_P, 1.0)
    standard_RP = (plain_RP - centre_P) / scale_P
    intercept_O = share_R @ target_RO
    square_PP = (standard_RP * share_R[:, None]).T @ standard_RP
    right_PO = (standard_RP * share_R[:, None]).T @ (target_RO - intercept_O)
    weight_PO = np.linalg.solve(square_PP + RIDGE * np.eye(len(square_PP)), right_PO)
    return Head(low_H, high_H, centre_P, scale_P, weight_PO, intercept_O)


def block_weights(
    expected_RM: FloatMatrix, strength_M: FloatVector, sharpness: float, present_RM: BoolArray
) -> FloatMatrix:
    """Return the weights of the blocks, [R, M]: softmax over the blocks present of log b_m + s f_m, where f_m
    is the contribution to the true class that the head expects, and s the sharpness. A missing block has weight
    0."""
    log_RM = np.log(np.maximum(strength_M, 1e-6)) + sharpness * expected_RM
    log_RM = np.where(present_RM, log_RM, -np.inf)
    raised_RM = np.exp(log_RM - log_RM.max(1, keepdims=True))
    return np.asarray(raised_RM / raised_RM.sum(1, keepdims=True), dtype=np.float64)


def _products(features_RH: FloatMatrix) -> FloatMatrix:
    """Return the features, and the products of each two of them, squares among them."""
    first, second = np.triu_indices(features_RH.shape[1])
    return np.concatenate([features_RH, features_RH[:, first] * features_RH[:, second]], axis=1)
