"""Contribution-aware fusion: the logits of the blocks, weighted for each sample by what each can be expected to
contribute.

On the training side the models of the inner folds predict the samples that they have not seen, as these are and
in copies with corrupted blocks. From these predictions follow, in this order:

1. The strengths b_m(S) of the blocks of each coalition S: logistic regressions of the class on their evidence
   e_m, with b_m not below zero. Then b_m(P), where P are the blocks that a sample has: the mean over all
   coalitions S in P, weighted by their evidence in the sense of Bayes, exp(-loss - |S| log(N) / 2) (Bayesian
   model averaging with BIC; Raftery 1995, Sociological Methodology 25, 111). A block that adds nothing to
   another gets little strength.
2. The exact contributions of the blocks to the true class, with the strengths of all blocks
   (`contribution.py`).
3. Two heads for each block. The first expects q_m d_m of the block's contribution to the true class: d_m is
   what the block claims to know, and q_m says how much of such claims comes true, by how unlike the training
   samples the sample is (`reliability.py`). The second predicts the contribution to the predicted class.
4. The fusion. With r_m = q_m over that of sound blocks, cut to 0 .. 1 and taken for the probability that the
   block can be used, the weights are means over the blocks P that may be usable of those that are present:

       log p(c) = log softmax_c(log prior(c) + sum over m of w_m e_m(c))
       w_m = sum over P of (product over j in P of r_j) (product over j not in P of (1 - r_j)) b_m(P)

The exact contributions at use are those of this fusion, asked with each set of the blocks.

Weights that follow from Shapley values are the project's own form of the "contribution-aware dynamic balance"
of SpectraLLM, of which only the abstract is public.

Axes: N training samples, R rows, M blocks, C classes, H features of a head, P sets of blocks (2^M, bit m of the
number says whether block m is in it).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmspec_ds.systems.fusion.cohort.analysis_settings import CorruptionSettings
from mmspec_ds.systems.fusion.cohort.cohort import BoolArray, FloatMatrix, FloatVector, IntArray
from mmspec_ds.systems.fusion.cohort.contribution import (
    Head,
    claims,
    exact_contributions,
    fit_head,
    head_features,
)
from mmspec_ds.systems.fusion.cohort.evidence import (
    NOISED,
    SOUND,
    Evidence,
    held_out_evidence,
    stacked,
)
from mmspec_ds.systems.fusion.cohort.learners import log_softmax
from mmspec_ds.systems.fusion.cohort.reliability import Reliability, fit_reliability
from mmspec_ds.systems.fusion.cohort.views import Batch, NestedFit


@dataclass(frozen=True)
class Contributions:
    """Predictions with their reasons.

    Attributes:
        log_probability_RC: of the classes.
        weight_RM: shares of the blocks in the sum of all weights; 0 for a missing block.
        expected_RM: contribution to the true class that the head expects, in nats.
        head_RM: contribution to the predicted class by the head.
        exact_RM: contribution to the predicted class, exact.
        coalition_RPC: log-probabilities of the fusion with each set of blocks alone.
    """

    log_probability_RC: FloatMatrix
    weight_RM: FloatMatrix
    expected_RM: FloatMatrix
    head_RM: FloatMatrix
    exact_RM: FloatMatrix
    coalition_RPC: FloatMatrix


@dataclass(frozen=True)
class ContributionFusion:
    """A fitted fusion.

    Attributes:
        log_prior_C: of the training side.
        strength_PM: of the blocks of each set.
        reliability: heads that say q of a block.
        heads: those of the contribution to the predicted class.
    """

    log_prior_C: FloatVector
    strength_PM: FloatMatrix
    reliability: tuple[Reliability, ...]
    heads: tuple[Head, ...]

    def __call__(self, evidence: Evidence) -> Contributions:
        """Return the fused log-probabilities of rows, with the weights and contributions of their blocks."""
        present_RM, unlike = evidence.present_RM, unlikeness(evidence)
        share_RM = np.stack([head(one_RH) for head, one_RH in zip(self.reliability, unlike)], axis=1)
        usable_RM = _usable(self.reliability, evidence)
        coalition_RPC, weight_RM = coalitions(evidence, usable_RM, self.strength_PM, self.log_prior_C)
        class_R = coalition_RPC[:, -1].argmax(-1)
        features = _features(evidence, weight_RM, class_R)
        said_RM = np.stack([head(one_RH) for head, one_RH in zip(self.heads, features)], axis=1)
        claim_RM = claims(evidence.evidence_RMC * alone(self.strength_PM)[:, None], self.log_prior_C)
        return Contributions(
            coalition_RPC[:, -1],
            shares_of(weight_RM, present_RM),
            np.where(present_RM, share_RM * claim_RM, 0.0),
            np.where(present_RM, said_RM, 0.0),
            exact_contributions(coalition_RPC, class_R),
            coalition_RPC,
        )


def coalitions(
    evidence: Evidence, usable_RM: FloatMatrix, strength_PM: FloatMatrix, log_prior_C: FloatVector
) -> tuple[FloatMatrix, FloatMatrix]:
    """Return log-probabilities with each set of blocks, [R, P, C], and the weights with all of them, [R, M].

    Args:
        usable_RM: the probability that a block can be used; 0 for a missing one.
    """
    within_RPM = usable_RM[:, None] * _members(usable_RM.shape[1])
    weight_RPM = soft_weights(within_RPM, strength_PM)
    sums_RPC = np.einsum("rpm,rmc->rpc", weight_RPM, evidence.evidence_RMC)
    return log_softmax(log_prior_C + sums_RPC), weight_RPM[:, -1]


def alone(strength_PM: FloatMatrix) -> FloatVector:
    """Return the strength of each block when it is the only one, [M]."""
    places = np.arange(strength_PM.shape[1])
    return strength_PM[1 << places, places]


def soft_weights(usable_XM: FloatMatrix, strength_PM: FloatMatrix) -> FloatMatrix:
    """Return the mean strengths of the blocks, [..., M], over the sets of blocks that may be usable.

    Args:
        usable_XM: the probability of each block, independent of the others, [..., M].
    """
    inside_PM = _members(usable_XM.shape[-1])
    probability_XP = np.where(inside_PM, usable_XM[..., None, :], 1 - usable_XM[..., None, :]).prod(-1)
    return np.asarray(probability_XP @ strength_PM, dtype=np.float64)


def shares_of(weight_RM: FloatMatrix, present_RM: BoolArray) -> FloatMatrix:
    """Return weights that add up to 1, [R, M]; equal ones of the blocks present where all are zero. A row must
    have a block."""
    total_R1 = weight_RM.sum(1, keepdims=True)
    weight_RM = np.where(total_R1 > 1e-12, weight_RM, present_RM)
    return np.asarray(weight_RM / weight_RM.sum(1, keepdims=True), dtype=np.float64)


def unlikeness(evidence: Evidence) -> tuple[FloatMatrix, ...]:
    """Return what the reliability of each block depends on, [R, 3] each: its novelty and missing values."""
    return tuple(
        np.column_stack([novelty_R2, evidence.missing_RM[:, at]])
        for at, novelty_R2 in enumerate(evidence.novelty)
    )


def fused(log_prior_C: FloatVector, evidence_RMC: FloatMatrix, weight_RM: FloatMatrix) -> FloatMatrix:
    """Return log-probabilities [R, C]: the prior and the weighted evidence."""
    return log_softmax(log_prior_C + np.einsum("rm,rmc->rc", weight_RM, evidence_RMC))


def fit_contribution(
    nested: NestedFit, batch: Batch, label_N: IntArray, settings: CorruptionSettings, seed: int
) -> ContributionFusion:
    """Return the fusion of the first M views of a nested fit, which read one block each.

    Args:
        batch: the training samples.
        seed: of the corrupted copies.
    """
    random, log_prior_C = np.random.default_rng(seed), nested.log_prior_C
    found = [held_out_evidence(nested, batch, 0.0, random)]
    found += [held_out_evidence(nested, batch, settings.rate, random) for _ in range(settings.copies)]
    strength_PM = coalition_strengths(found[0][0], label_N, log_prior_C)
    rows, kind_RM = stacked([one for one, _ in found]), np.concatenate([kinds for _, kinds in found])
    label_R = np.tile(label_N, len(found))
    weight_R = np.ones(len(label_R))
    weight_R[len(label_N) :] /= max(settings.copies, 1)  # all copies count as much as the samples themselves
    whole_RPC, _ = coalitions(rows, rows.present_RM.astype(np.float64), strength_PM, log_prior_C)
    true_RM = exact_contributions(whole_RPC, label_R)
    claim_RM = claims(rows.evidence_RMC * alone(strength_PM)[:, None], log_prior_C)
    reliability = []
    for block, unlike_RH in enumerate(unlikeness(rows)):
        # the block of another sample looks like a sound one
        told_R = rows.present_RM[:, block] & np.isin(kind_RM[:, block], (SOUND, NOISED))
        is_sound_R = kind_RM[told_R, block] == SOUND
        learned = unlike_RH[told_R], is_sound_R, claim_RM[told_R, block], true_RM[told_R, block]
        reliability.append(fit_reliability(*learned))
    coalition_RPC, weight_RM = coalitions(rows, _usable(reliability, rows), strength_PM, log_prior_C)
    class_R = coalition_RPC[:, -1].argmax(-1)
    exact_RM = exact_contributions(coalition_RPC, class_R)
    heads = []
    for block, features_RH in enumerate(_features(rows, weight_RM, class_R)):
        here_R = rows.present_RM[:, block]
        heads.append(fit_head(features_RH[here_R], exact_RM[here_R, block], weight_R[here_R]))
    return ContributionFusion(log_prior_C, strength_PM, tuple(reliability), tuple(heads))


def coalition_strengths(evidence: Evidence, label_N: IntArray, log_prior_C: FloatVector) -> FloatMatrix:
    """Return the strengths of the blocks of each set, [P, M], averaged over the coalitions in it.

    A coalition is fitted on the samples that have any of its blocks, and judged on those that have any of the
    set's."""
    evidence_NMC, (count, blocks) = evidence.evidence_RMC, evidence.present_RM.shape
    inside_PM = _members(blocks)
    fitted_PM, loss_PN = np.zeros(inside_PM.shape), np.zeros((len(inside_PM), count))
    for number, inside_M in enumerate(inside_PM):
        if number:
            has_N = evidence.present_RM[:, inside_M].any(1)
            chosen_NMC = evidence_NMC[has_N][:, inside_M]
            fitted_PM[number, inside_M] = fit_weights(chosen_NMC, label_N[has_N], log_prior_C)
        weight_NM = np.broadcast_to(fitted_PM[number], evidence.present_RM.shape)
        log_NC = fused(log_prior_C, evidence_NMC, weight_NM)
        loss_PN[number] = -log_NC[np.arange(count), label_N]
    found_PM = np.zeros_like(fitted_PM)
    for number, inside_M in enumerate(inside_PM):
        within = [one for one in range(1, len(inside_PM)) if one & number == one]
        if within:
            has_N = evidence.present_RM[:, inside_M].any(1)
            sizes = inside_PM[within].sum(1)
            score = -loss_PN[within][:, has_N].sum(1) - sizes * np.log(max(int(has_N.sum()), 1)) / 2
            share = np.exp(score - score.max())
            found_PM[number] = share / share.sum() @ fitted_PM[within]
    return found_PM


def fit_weights(evidence_NMC: FloatMatrix, label_N: IntArray, log_prior_C: FloatVector) -> FloatVector:
    """Return the strengths b_m >= 0 of blocks with the least loss plus sum of b_m^2 / 2, [M]. The loss is the
    cross-entropy of the fused log-probabilities (`fused`) in nats, summed over the samples.

    Args:
        evidence_NMC: of the blocks, zeros for missing ones.
        label_N: the classes.
        log_prior_C: of the training side.
    """
    from scipy.optimize import minimize

    places = np.arange(len(label_N)), label_N

    def loss(given_M: FloatVector) -> tuple[float, FloatVector]:
        log_NC = fused(log_prior_C, evidence_NMC, np.broadcast_to(given_M, evidence_NMC.shape[:2]))
        expected_NM = np.einsum("nc,nmc->nm", np.exp(log_NC), evidence_NMC)
        slope_M = (expected_NM - evidence_NMC[places[0], :, label_N]).sum(0) + given_M
        return float(-log_NC[places].sum() + 0.5 * (given_M**2).sum()), slope_M

    blocks = evidence_NMC.shape[1]
    found = minimize(loss, np.full(blocks, 0.5), jac=True, method="L-BFGS-B", bounds=[(0.0, None)] * blocks)
    return np.asarray(found.x, dtype=np.float64)


def _usable(reliability: Sequence[Reliability], evidence: Evidence) -> FloatMatrix:
    """Return r of each block, [R, M]; 0 for a missing one."""
    found = [head.relative(one_RH) for head, one_RH in zip(reliability, unlikeness(evidence))]
    return np.where(evidence.present_RM, np.stack(found, axis=1), 0.0)


def _features(evidence: Evidence, weight_RM: FloatMatrix, class_R: IntArray) -> tuple[FloatMatrix, ...]:
    """Return what the heads of the predicted class read."""
    weighed_RMC = weight_RM[..., None] * evidence.evidence_RMC
    return head_features(weighed_RMC, class_R, evidence.novelty, evidence.missing_RM)


def _members(blocks: int) -> BoolArray:
    """Return which blocks are in each set, [P, M]."""
    return ((np.arange(1 << blocks)[:, None] >> np.arange(blocks)) & 1).astype(np.bool_)
