"""What the models of single blocks say of samples, also of training samples that they have not seen.

Axes: R rows, N training samples, M blocks, C classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmspec_ds.systems.fusion.cohort.cohort import BoolArray, FloatMatrix, FloatVector, IntArray
from mmspec_ds.systems.fusion.cohort.corruption import KINDS, random_copies
from mmspec_ds.systems.fusion.cohort.views import Batch, Fit, NestedFit

SOUND, NOISED = -1, KINDS.index("noise")
"""How a block of a copy was corrupted: not at all, or by noise."""


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


def held_out_evidence(
    nested: NestedFit, batch: Batch, rate: float, random: np.random.Generator
) -> tuple[Evidence, IntArray]:
    """Return the evidence of each training sample, in a copy with blocks corrupted at a rate, by the part that
    has not seen it, and how they were corrupted, [N, M].

    Values are drawn from samples of the same fold: the part knows those of other folds, and is too sure of
    them.
    """
    found, places, kinds = [], [], []
    for fold, part in enumerate(nested.parts):
        test = np.flatnonzero(nested.fold_N == fold)
        rows = batch.rows(test)
        copies, kind_RM = random_copies(rows, rows, rate, random)
        found.append(evidence_of(part, nested.log_prior_C, copies))
        places.append(test)
        kinds.append(kind_RM)
    order = np.argsort(np.concatenate(places))
    together = stacked(found)
    held_out = Evidence(
        together.evidence_RMC[order],
        tuple(one[order] for one in together.novelty),
        together.missing_RM[order],
        together.present_RM[order],
    )
    return held_out, np.concatenate(kinds)[order]


def stacked(found: Sequence[Evidence]) -> Evidence:
    """Return the rows of several as one, in their order."""
    return Evidence(
        np.concatenate([one.evidence_RMC for one in found]),
        tuple(np.concatenate(some) for some in zip(*(one.novelty for one in found))),
        np.concatenate([one.missing_RM for one in found]),
        np.concatenate([one.present_RM for one in found]),
    )
