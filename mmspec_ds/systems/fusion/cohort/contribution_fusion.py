"""Contribution-aware fusion: the logits of the blocks, weighted for each sample by what each can be expected to
contribute.

On the training side the models of the inner folds predict the samples that they have not seen, as these are and
in copies with corrupted blocks. From these predictions follow, in this order:

1. the strength b_m of each block: logistic regression of the class on the evidence, with b_m not below zero;
2. the exact contributions of the blocks to the true class, under these strengths (`contribution.py`);
3. the head, which predicts them from what is known of a sample;
4. the sharpness s and the strength k of the fusion, by least loss:

    log p(c) = log softmax_c(log prior(c) + k (sum over m of w_m e_m(c)))
    w_m = softmax over the blocks present of (log b_m + s f_m), f_m what the head expects of the block

With s = 0 the weights are the same for all samples. The sharpness is judged with heads that have not seen the
fold of the sample. Weights that follow from Shapley values are the project's own form of the
"contribution-aware dynamic balance" of SpectraLLM, of which only the abstract is public.

Axes: N training samples, R rows, M blocks, C classes, H features of the head.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmspec_ds.systems.fusion.cohort.analysis_settings import CorruptionSettings
from mmspec_ds.systems.fusion.cohort.cohort import BoolArray, FloatMatrix, FloatVector, IntArray
from mmspec_ds.systems.fusion.cohort.contribution import (
    Head,
    block_weights,
    exact_contributions,
    fit_head,
    head_features,
)
from mmspec_ds.systems.fusion.cohort.corruption import random_copies
from mmspec_ds.systems.fusion.cohort.learners import log_softmax
from mmspec_ds.systems.fusion.cohort.views import Batch, Fit, NestedFit

SHARPNESS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
STRENGTH = tuple(np.geomspace(0.25, 8.0, 16))

TRUE, PREDICTED = 0, 1
"""The outputs of a head."""


@dataclass(frozen=True)
class Evidence:
    """What the models of the blocks say of rows.

    Attributes:
        evidence_RMC: log-probabilities less those of the prior; zero where there is no block.
        novelty: of each block, [R, 2].
        missing_RM: the share of missing values of a block.
        present_RM: which blocks there are.
    """

    evidence_RMC: FloatMatrix
    novelty: tuple[FloatMatrix, ...]
    missing_RM: FloatMatrix
    present_RM: BoolArray


@dataclass(frozen=True)
class Contributions:
    """Predictions with their reasons.

    Attributes:
        log_probability_RC: of the classes.
        weight_RM: of the blocks; they add up to 1.
        expected_RM: contribution to the true class that the head expects, in nats.
        head_RM: contribution to the predicted class by the head.
        exact_RM: contribution to the predicted class, exact.
        scaled_RMC: the evidence by the strengths, of which the exact contributions are taken.
    """

    log_probability_RC: FloatMatrix
    weight_RM: FloatMatrix
    expected_RM: FloatMatrix
    head_RM: FloatMatrix
    exact_RM: FloatMatrix
    scaled_RMC: FloatMatrix


@dataclass(frozen=True)
class ContributionFusion:
    """A fitted fusion.

    Attributes:
        log_prior_C: of the training side.
        strength_M: of the blocks, b.
        heads: of the blocks.
        sharpness: s.
        strength: k.
    """

    log_prior_C: FloatVector
    strength_M: FloatVector
    heads: tuple[Head, ...]
    sharpness: float
    strength: float

    def __call__(self, evidence: Evidence) -> Contributions:
        """Fuse the evidence of rows."""
        scaled_RMC = evidence.evidence_RMC * self.strength_M[:, None]
        together_R = (self.log_prior_C + scaled_RMC.sum(1)).argmax(-1)
        features = head_features(scaled_RMC, together_R, evidence.novelty, evidence.missing_RM)
        said = np.stack([head(one_RH) for head, one_RH in zip(self.heads, features)], axis=1)
        said = np.where(evidence.present_RM[..., None], said, 0.0)
        weight_RM = block_weights(said[..., TRUE], self.strength_M, self.sharpness, evidence.present_RM)
        log_RC = fused(self.log_prior_C, evidence.evidence_RMC, weight_RM * self.strength)
        exact_RM = exact_contributions(scaled_RMC, self.log_prior_C, together_R)
        return Contributions(log_RC, weight_RM, said[..., TRUE], said[..., PREDICTED], exact_RM, scaled_RMC)


def fused(log_prior_C: FloatVector, evidence_RMC: FloatMatrix, weight_RM: FloatMatrix) -> FloatMatrix:
    """Return log-probabilities [R, C]: the prior and the weighted evidence."""
    return log_softmax(log_prior_C + np.einsum("rm,rmc->rc", weight_RM, evidence_RMC))


def evidence_of(fit: Fit, log_prior_C: FloatVector, batch: Batch) -> Evidence:
    """Return the evidence of a batch, by the views of a fit that read one block each, in order of the
    blocks."""
    prepared = fit.prepared(batch)
    blocks = batch.present_RM.shape[1]
    evidence_RMC = np.zeros((len(batch), blocks, len(log_prior_C)))
    missing_RM = np.zeros((len(batch), blocks))
    novelty = []
    for block in range(blocks):
        view, here_R = fit.views[block], batch.present_RM[:, block]
        log_RC = view.log_probabilities(prepared)
        evidence_RMC[here_R, block] = (log_RC - log_prior_C)[here_R]
        novelty.append(np.where(here_R[:, None], view.components.novelty(prepared[block]), 0.0))
        missing_RM[:, block] = np.where(here_R, np.isnan(batch.values[block]).mean(1), 0.0)
    return Evidence(evidence_RMC, tuple(novelty), missing_RM, batch.present_RM)


def fit_contribution(
    nested: NestedFit, batch: Batch, label_N: IntArray, settings: CorruptionSettings, seed: int
) -> ContributionFusion:
    """Return the fusion of the first M views of a nested fit, which read one block each.

    Args:
        batch: the training samples.
        seed: of the corrupted copies.
    """
    random = np.random.default_rng(seed)
    found = [_held_out(nested, batch, 0.0, random)]
    found += [_held_out(nested, batch, settings.rate, random) for _ in range(settings.copies)]
    strength_M = fit_strengths(found[0].evidence_RMC, label_N, nested.log_prior_C)
    rows = _stacked(found)
    label_R, fold_R = (np.tile(one, len(found)) for one in (label_N, nested.fold_N))
    weight_R = np.ones(len(label_R))
    weight_R[len(label_N) :] /= max(settings.copies, 1)  # all copies count as much as the samples themselves
    scaled_RMC = rows.evidence_RMC * strength_M[:, None]
    together_R = (nested.log_prior_C + scaled_RMC.sum(1)).argmax(-1)
    features = head_features(scaled_RMC, together_R, rows.novelty, rows.missing_RM)
    target_RMO = np.stack(
        [exact_contributions(scaled_RMC, nested.log_prior_C, one) for one in (label_R, together_R)], axis=-1
    )
    expected_RM = np.zeros(rows.present_RM.shape)
    heads = []
    for block, features_RH in enumerate(features):
        here_R = rows.present_RM[:, block]
        for fold in range(len(nested.parts)):
            learns_R, judged_R = here_R & (fold_R != fold), here_R & (fold_R == fold)
            head = fit_head(features_RH[learns_R], target_RMO[learns_R, block], weight_R[learns_R])
            expected_RM[judged_R, block] = head(features_RH[judged_R])[:, TRUE]
        heads.append(fit_head(features_RH[here_R], target_RMO[here_R, block], weight_R[here_R]))
    best = (np.inf, 0.0, 1.0)
    for sharpness in SHARPNESS:
        weight_RM = block_weights(expected_RM, strength_M, sharpness, rows.present_RM)
        for strength in STRENGTH:
            log_RC = fused(nested.log_prior_C, rows.evidence_RMC, weight_RM * strength)
            loss = float(-(log_RC[np.arange(len(label_R)), label_R] * weight_R).sum())
            best = min(best, (loss, sharpness, float(strength)))
    return ContributionFusion(nested.log_prior_C, strength_M, tuple(heads), best[1], best[2])


def fit_strengths(evidence_NMC: FloatMatrix, label_N: IntArray, log_prior_C: FloatVector) -> FloatVector:
    """Return the strengths b_m >= 0 of least loss, with the penalty sum of b_m^2 / 2, [M]."""
    from scipy.optimize import minimize

    places = np.arange(len(label_N)), label_N

    def loss(strength_M: FloatVector) -> tuple[float, FloatVector]:
        log_NC = fused(log_prior_C, evidence_NMC, np.broadcast_to(strength_M, evidence_NMC.shape[:2]))
        expected_NM = np.einsum("nc,nmc->nm", np.exp(log_NC), evidence_NMC)
        slope_M = (expected_NM - evidence_NMC[places[0], :, label_N]).sum(0) + strength_M
        return float(-log_NC[places].sum() + 0.5 * (strength_M**2).sum()), slope_M

    blocks = evidence_NMC.shape[1]
    found = minimize(loss, np.ones(blocks), jac=True, method="L-BFGS-B", bounds=[(0.0, None)] * blocks)
    return np.asarray(found.x, dtype=np.float64)


def _held_out(nested: NestedFit, batch: Batch, rate: float, random: np.random.Generator) -> Evidence:
    """Return the evidence of each training sample, or of a copy with blocks corrupted at a rate, by the part that
    has not seen it.

    Values are drawn from samples of the same fold: the part knows those of other folds, and is too sure of them.
    """
    found, places = [], []
    for fold, part in enumerate(nested.parts):
        test = np.flatnonzero(nested.fold_N == fold)
        rows = batch.rows(test)
        copies = random_copies(rows, rows, rate, random)[0] if rate > 0 else rows
        found.append(evidence_of(part, nested.log_prior_C, copies))
        places.append(test)
    order = np.argsort(np.concatenate(places))
    rows = _stacked(found)
    return Evidence(
        rows.evidence_RMC[order],
        tuple(one[order] for one in rows.novelty),
        rows.missing_RM[order],
        rows.present_RM[order],
    )


def _stacked(found: Sequence[Evidence]) -> Evidence:
    return Evidence(
        np.concatenate([one.evidence_RMC for one in found]),
        tuple(np.concatenate(some) for some in zip(*(one.novelty for one in found))),
        np.concatenate([one.missing_RM for one in found]),
        np.concatenate([one.present_RM for one in found]),
    )
