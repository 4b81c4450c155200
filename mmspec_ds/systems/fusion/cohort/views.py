"""What one model reads of a sample: a block, or several blocks side by side; and its fit on a training side.

Axes: N training samples, R rows to predict, F features, M blocks, C classes, K components.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from mmspec_ds.errors import DataError
from mmspec_ds.systems.fusion.cohort.analysis_settings import AnalysisSettings
from mmspec_ds.systems.fusion.cohort.cohort import BoolArray, Cohort, FloatMatrix, FloatVector, IntArray
from mmspec_ds.systems.fusion.cohort.learners import (
    Candidate,
    Components,
    LinearModel,
    averaged,
    candidate_shares,
    fit_candidates,
    fit_components,
    log_softmax,
)
from mmspec_ds.systems.fusion.cohort.preparation import Preparation, fit_preparation


@dataclass(frozen=True)
class Batch:
    """Samples without their classes: the values of each block, and which samples have it, [R, M]."""

    values: tuple[FloatMatrix, ...]
    present_RM: BoolArray

    def __len__(self) -> int:
        return len(self.present_RM)

    def rows(self, chosen: IntArray | BoolArray) -> "Batch":
        """Return the batch of some of the samples, by their places or a mask."""
        return Batch(tuple(one[chosen] for one in self.values), self.present_RM[chosen])


def batch_of(cohort: Cohort, rows: IntArray) -> Batch:
    """Return the values of these samples of a cohort, R, of each block."""
    present_NM = np.stack([block.present_N for block in cohort.blocks], axis=1)
    return Batch(tuple(block.values_NF[rows] for block in cohort.blocks), present_NM[rows])


@dataclass(frozen=True)
class View:
    """The blocks that a model reads.

    Attributes:
        name: for messages.
        blocks: their places.
        scaled: by what the features are divided once they are prepared. "no": nothing. "features": each by its
            standard deviation, so that all features of all blocks count alike. "blocks": those of each block by
            the root of its mean squared length, so that all blocks have the same variance in total, however
            many features they have (block scaling; Eriksson et al. 2006).
    """

    name: str
    blocks: tuple[int, ...]
    scaled: Literal["no", "features", "blocks"] = "no"

    def has(self, batch: Batch) -> BoolArray:
        """Return which samples have any of the blocks, [R]."""
        return np.asarray(batch.present_RM[:, self.blocks].any(axis=1))


@dataclass(frozen=True)
class FittedView:
    """The models of a view, fitted on some training samples.

    Attributes:
        view: what is read.
        divisors: of the features of its blocks.
        components: of the prepared values.
        models: by kind and strength.
        model: that which counts, of one or several of these; the first of them until `averaging` says which.
    """

    view: View
    divisors: tuple[FloatVector, ...]
    components: Components
    models: Mapping[Candidate, LinearModel]
    model: LinearModel

    def averaging(self, shares: Mapping[Candidate, float]) -> "FittedView":
        """Return the view with the models averaged by these shares."""
        return replace(self, model=averaged(self.models, shares))

    def joined(self, prepared: Sequence[FloatMatrix]) -> FloatMatrix:
        """Return the values that the models read, [R, F], of the prepared values of all blocks."""
        return _joined(self.view, self.divisors, prepared)

    def log_probabilities(self, prepared: Sequence[FloatMatrix]) -> FloatMatrix:
        """Return the log-probability of each class, [R, C], from the prepared values of all blocks."""
        return self.model.log_probabilities(self.components.scores(self.joined(prepared)))

    def coefficients(self, label: int) -> FloatVector:
        """Return by how much one unit of each feature that the model reads changes the log odds of one class to
        the mean of the others, [F]."""
        weight_KC = self.model.weight_KC
        along_K = weight_KC[:, label] - np.delete(weight_KC, label, axis=1).mean(1)
        return self.components.axes_FK @ along_K / self.components.scale


@dataclass(frozen=True)
class Fit:
    """All that was fitted on some training samples: the preparation of each block, and each view."""

    preparations: tuple[Preparation, ...]
    views: tuple[FittedView, ...]

    def prepared(self, batch: Batch) -> tuple[FloatMatrix, ...]:
        """Return the prepared values of each block; zero, the mean in training, where there is no block."""
        return tuple(
            np.where(batch.present_RM[:, at, None], preparation(batch.values[at]), 0.0)
            for at, preparation in enumerate(self.preparations)
        )

    def averaging(self, shares: Sequence[Mapping[Candidate, float]]) -> "Fit":
        """Return the fit with the models of each view averaged by its shares."""
        return replace(self, views=tuple(map(FittedView.averaging, self.views, shares)))


def fit_views(views: Sequence[View], side: Cohort, settings: AnalysisSettings) -> Fit:
    """Fit the views on a cohort of training samples, each on those that have any of its blocks.

    Raises:
        DataError: no training sample, or those of one class only, have a block of a view.
    """
    batch = batch_of(side, np.arange(len(side.samples)))
    preparations = []
    for at, block in enumerate(side.blocks):
        measured_NF = batch.values[at][batch.present_RM[:, at]]
        if not len(measured_NF):
            raise DataError(f"block {block.name}: no sample of a training side has it: expected more samples")
        preparations.append(fit_preparation(measured_NF, settings.prepared(block.name)))
    fit = Fit(tuple(preparations), ())
    prepared = fit.prepared(batch)
    fitted = []
    for view in views:
        has_N = view.has(batch)
        label_N = side.label_N[has_N]
        if len(np.unique(label_N)) < len(side.classes):
            raise DataError(f"{view.name}: a training side lacks samples of a class: expected all classes")
        divisors = tuple(
            _divisors(view.scaled, prepared[at][batch.present_RM[:, at]], preparations[at])
            for at in view.blocks
        )
        joined_NF = _joined(view, divisors, [values_NF[has_N] for values_NF in prepared])
        components = fit_components(joined_NF)
        models = fit_candidates(components.scores(joined_NF), label_N, len(side.classes), settings.learner)
        fitted.append(FittedView(view, divisors, components, models, next(iter(models.values()))))
    return Fit(fit.preparations, tuple(fitted))


@dataclass(frozen=True)
class NestedFit:
    """Views fitted on a training side, and on that side without each of its inner folds.

    Attributes:
        fold_N: the inner fold of each training sample.
        log_prior_C: logarithms of the shares of the classes.
        whole: fitted on all training samples.
        parts: fitted without each inner fold.
        shares: of each view, by how much each model counts, as the inner folds say.
        held_out: of each view, log-probabilities [N, C] of each training sample by the part that has not seen
            it; `log_prior_C` for samples without the view's blocks.
    """

    fold_N: IntArray
    log_prior_C: FloatVector
    whole: Fit
    parts: tuple[Fit, ...]
    shares: tuple[Mapping[Candidate, float], ...]
    held_out: tuple[FloatMatrix, ...]


def fit_nested(views: Sequence[View], side: Cohort, fold_N: IntArray, settings: AnalysisSettings) -> NestedFit:
    """Fit views on a training side and without each of its inner folds, and choose their models.

    Args:
        views: what models read.
        side: the training samples.
        fold_N: the inner fold of each, from 0.
        settings: of preparation and models.

    Raises:
        DataError: as `fit_views`, of the side or of a part of it.
    """
    log_prior_C = np.log(np.bincount(side.label_N, minlength=len(side.classes)) / len(side.label_N))
    batch = batch_of(side, np.arange(len(fold_N)))
    parts: list[Fit] = []
    held_out: list[dict[Candidate, FloatMatrix]] = [{} for _ in views]
    for fold in range(int(fold_N.max()) + 1):
        part = fit_views(views, side.subset(np.flatnonzero(fold_N != fold)), settings)
        parts.append(part)
        test_N = fold_N == fold
        prepared = part.prepared(batch.rows(test_N))
        for fitted, found in zip(part.views, held_out):
            scores_RK = fitted.components.scores(fitted.joined(prepared))
            for candidate, model in fitted.models.items():
                values_NC = found.setdefault(candidate, np.tile(log_prior_C, (len(fold_N), 1)))
                values_NC[test_N] = model.log_probabilities(scores_RK)
    whole = fit_views(views, side, settings)
    shares, chosen = [], []
    for at, (view, found) in enumerate(zip(views, held_out)):
        has_N = view.has(batch)
        kept = [one for one in whole.views[at].models if all(one in part.views[at].models for part in parts)]
        shares.append(candidate_shares({one: found[one][has_N] for one in kept}, side.label_N[has_N]))
        logits_NC = np.sum([share * found[one] for one, share in shares[at].items()], axis=0)
        chosen.append(np.where(has_N[:, None], log_softmax(logits_NC), log_prior_C))
    return NestedFit(
        fold_N,
        log_prior_C,
        whole.averaging(shares),
        tuple(part.averaging(shares) for part in parts),
        tuple(shares),
        tuple(chosen),
    )


def _divisors(scaled: str, prepared_NF: FloatMatrix, preparation: Preparation) -> FloatVector:
    """Return the divisor of each feature of a block; 1 where nothing varies."""
    if scaled == "features":
        return np.where(preparation.spread_F > 0, preparation.spread_F, 1.0)
    length = float(np.sqrt((prepared_NF**2).sum(1).mean())) if scaled == "blocks" else 1.0
    return np.full(prepared_NF.shape[1], length if length > 0 else 1.0)


def _joined(view: View, divisors: Sequence[FloatVector], prepared: Sequence[FloatMatrix]) -> FloatMatrix:
    return np.concatenate([prepared[at] / by_F for at, by_F in zip(view.blocks, divisors)], axis=1)
