"""All methods of fusion, fitted on one training side and asked about the same samples.

alone: the model of one block; a sample without it gets the shares of the classes.
concatenated: one model of the prepared values of all blocks, side by side, each feature with variance 1.
block_scaled: the same with each block divided so that all blocks have equal variance in total.
late_mean: the mean of the probabilities of the blocks present.
late_weighted: the same with weights AUC - 0.5 of the inner folds, not below zero.
stacked: logistic regression on the evidence that the blocks gave in the inner folds.
contribution: see `contribution_fusion.py`.

Axes: N training samples, R rows, M blocks, C classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mmspec_ds.evaluation.roc import area
from mmspec_ds.systems.fusion.cohort.analysis_settings import AnalysisSettings
from mmspec_ds.systems.fusion.cohort.cohort import Cohort, FloatMatrix, FloatVector, IntArray
from mmspec_ds.systems.fusion.cohort.contribution_fusion import (
    ContributionFusion,
    Contributions,
    fit_contribution,
)
from mmspec_ds.systems.fusion.cohort.evidence import Evidence, evidence_of
from mmspec_ds.systems.fusion.cohort.folds import inner_folds
from mmspec_ds.systems.fusion.cohort.views import Batch, NestedFit, View, batch_of, fit_nested

JOINT: Mapping[str, Literal["features", "blocks"]] = {"concatenated": "features", "block_scaled": "blocks"}
"""Methods that read all blocks in one model, and what is scaled to count alike."""


@dataclass(frozen=True)
class Predictions:
    """Probabilities [R, C] of each method by its name, and the reasons of the contribution-aware fusion, if
    asked."""

    probability: Mapping[str, FloatMatrix]
    contributions: Contributions | None


@dataclass(frozen=True)
class FittedMethods:
    """Every method of the settings, fitted on one training side; `fit_methods` makes it.

    Attributes:
        names: of the methods, the blocks alone as "nmr alone".
        blocks: their names.
        nested: the models: of each block, then those of several blocks.
        late_M: weights of late_weighted.
        stacked: logistic regression on the evidence, None if not asked for.
        contribution: None if not asked for.
    """

    names: tuple[str, ...]
    blocks: tuple[str, ...]
    nested: NestedFit
    late_M: FloatVector
    stacked: Any
    contribution: ContributionFusion | None

    def predict(self, batch: Batch) -> Predictions:
        """Return what each method says of R new samples."""
        nested = self.nested
        evidence = evidence_of(nested.whole, nested.log_prior_C, batch)
        block_RMC = np.exp(evidence.evidence_RMC + nested.log_prior_C)
        reasons = self.contribution(evidence) if self.contribution else None
        prepared = nested.whole.prepared(batch)
        found: dict[str, FloatMatrix] = {}
        for name in self.names:
            if name in JOINT:
                place = [view.view.name for view in nested.whole.views].index(name)
                log_RC = nested.whole.views[place].log_probabilities(prepared)
                found[name] = np.exp(log_RC)
            elif name == "late_mean":
                found[name] = _late(block_RMC, batch, np.ones(len(self.blocks)), nested.log_prior_C)
            elif name == "late_weighted":
                found[name] = _late(block_RMC, batch, self.late_M, nested.log_prior_C)
            elif name == "stacked":
                found[name] = np.asarray(self.stacked.predict_proba(_flat(evidence)))
            elif name == "contribution":
                assert reasons is not None
                found[name] = np.exp(reasons.log_probability_RC)
            else:
                found[name] = block_RMC[:, self.blocks.index(name.removesuffix(" alone"))]
        return Predictions(found, reasons)


def method_names(cohort: Cohort, settings: AnalysisSettings) -> tuple[str, ...]:
    """Return the names of the results; with one block, only that block alone."""
    alone = tuple(f"{block.name} alone" for block in cohort.blocks)
    if len(cohort.blocks) == 1:
        return alone
    return tuple(name for method in settings.methods for name in (alone if method == "alone" else (method,)))


def fit_methods(cohort: Cohort, train: IntArray, settings: AnalysisSettings, seed: int) -> FittedMethods:
    """Fit every method on the training samples of a cohort.

    Args:
        train: their places. Nothing else of the cohort is read.
        seed: of the inner folds and of what the contribution head learns from.

    Raises:
        DataError: as `inner_folds` and `fit_nested`.
    """
    side = cohort.subset(train)
    names = method_names(cohort, settings)
    places = tuple(range(len(side.blocks)))
    views = [View(block.name, (at,)) for at, block in enumerate(side.blocks)]
    views += [View(name, places, scaled) for name, scaled in JOINT.items() if name in names]
    nested = fit_nested(views, side, inner_folds(cohort, train, settings.folds, seed), settings)
    batch = batch_of(side, np.arange(len(train)))
    held_out_NMC = np.stack([nested.held_out[at] for at in places], axis=1)
    late_M = np.asarray(
        [
            _mean_area(held_out_NMC[here_N, at], side.label_N[here_N])
            for at in places
            for here_N in [batch.present_RM[:, at]]
        ]
    )
    stacked = None
    if "stacked" in names:
        from sklearn.linear_model import LogisticRegression

        evidence_NMC = held_out_NMC - nested.log_prior_C
        stacked = LogisticRegression().fit(evidence_NMC.reshape(len(train), -1), side.label_N)
    contribution = None
    if "contribution" in names:
        contribution = fit_contribution(nested, batch, side.label_N, settings.corruption, seed)
    return FittedMethods(
        names,
        tuple(block.name for block in side.blocks),
        nested,
        np.maximum(late_M - 0.5, 0),
        stacked,
        contribution,
    )


def _mean_area(log_NC: FloatMatrix, label_N: IntArray) -> float:
    """Return the mean over the classes of the AUC of one class against the rest."""
    classes = [label for label in range(log_NC.shape[1]) if 0 < (label_N == label).sum() < len(label_N)]
    margins = {
        label: log_NC[:, label] - np.logaddexp.reduce(np.delete(log_NC, label, 1), axis=1) for label in classes
    }
    return float(np.mean([area(margins[label], label_N == label) for label in classes]))


def _late(block_RMC: FloatMatrix, batch: Batch, weight_M: FloatVector, log_prior_C: FloatVector) -> FloatMatrix:
    """Return weighted means of the probabilities of the blocks present; equal weights where all are zero."""
    weight_RM = np.where(batch.present_RM, weight_M, 0.0)
    total_R1 = weight_RM.sum(1, keepdims=True)
    weight_RM = np.where(total_R1 > 0, weight_RM, batch.present_RM)
    weight_RM = weight_RM / weight_RM.sum(1, keepdims=True)
    return np.einsum("rm,rmc->rc", weight_RM, block_RMC)


def _flat(evidence: Evidence) -> FloatMatrix:
    return evidence.evidence_RMC.reshape(len(evidence.evidence_RMC), -1)
