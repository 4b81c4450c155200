"""Features that the models of single blocks rely on, and how sure that is.

Axes: N samples, F features, T fits, C classes.
"""

from collections.abc import Sequence

import numpy as np

from mmspec_ds.systems.fusion.cohort.cohort import Block, Cohort, FloatMatrix, FloatVector, IntArray
from mmspec_ds.systems.fusion.cohort.cohort_result import Marker
from mmspec_ds.systems.fusion.cohort.methods import FittedMethods


class Coefficients:
    """Collects the coefficients of the models of single blocks over the outer folds.

    Args:
        blocks: how many there are.
    """

    def __init__(self, blocks: int) -> None:
        self._found: list[list[FloatMatrix]] = [[] for _ in range(blocks)]

    def add(self, methods: FittedMethods) -> None:
        """Note the coefficients of one training side, by standard deviations of the prepared features."""
        whole, classes = methods.nested.whole, len(methods.nested.log_prior_C)
        for place, found in enumerate(self._found):
            spread_F = whole.preparations[place].spread_F
            view = whole.views[place]
            found.append(np.stack([view.coefficients(label) * spread_F for label in range(classes)]))

    def of(self, block: int) -> FloatMatrix:
        """Return the coefficients of a block, [T, C, F]."""
        return np.stack(self._found[block])


def find_markers(cohort: Cohort, coefficients: Coefficients, count: int) -> tuple[Marker, ...]:
    """Return the features of each block with the largest mean coefficients.

    Of two classes the coefficients are those of the first; of more, those of the class with the largest one."""
    found: list[Marker] = []
    for place, block in enumerate(cohort.blocks):
        values_TCF = coefficients.of(place)
        mean_CF = values_TCF.mean(0)
        label_F = np.zeros(len(block.features), dtype=np.int64)
        if len(cohort.classes) > 2:
            label_F = np.abs(mean_CF).argmax(0)
        every_F = np.arange(len(block.features))
        value_TF = values_TCF[:, label_F, every_F]
        mean_F = value_TF.mean(0)
        most = min(count, len(every_F))
        ranked_TF = np.argsort(-np.abs(value_TF), axis=1)[:, :most]
        chosen_F = np.bincount(ranked_TF.ravel(), minlength=len(every_F)) / len(value_TF)
        agreement_F = (np.sign(value_TF) == np.sign(mean_F)).mean(0)
        auc_F, q_F = single_features(block, cohort.label_N, label_F)
        for at in np.argsort(-np.abs(mean_F), kind="stable")[:most].tolist():
            position = None if block.position_F is None else float(block.position_F[at])
            found.append(
                Marker(
                    block.name,
                    block.features[at],
                    None if position is None or not np.isfinite(position) else position,
                    block.unit,
                    cohort.classes[label_F[at]],
                    float(mean_F[at]),
                    float(agreement_F[at]),
                    float(chosen_F[at]),
                    float(auc_F[at]),
                    float(q_F[at]),
                )
            )
    return tuple(found)


def single_features(
    block: Block, label_N: IntArray, label_F: Sequence[int] | IntArray
) -> tuple[FloatVector, FloatVector]:
    """Return the area of each feature alone for one class against the rest, and its q-value, [F] each.

    Features that are constant, or that only one side has, get 0.5 and 1."""
    from scipy.stats import false_discovery_control, mannwhitneyu

    area_F, p_F = np.full(len(block.features), 0.5), np.ones(len(block.features))
    for at, label in enumerate(label_F):
        known_N = np.isfinite(block.values_NF[:, at])
        values, is_case = block.values_NF[known_N, at], label_N[known_N] == label
        if 0 < is_case.sum() < len(values) and values.min() < values.max():
            test = mannwhitneyu(values[is_case], values[~is_case], method="asymptotic")
            area_F[at] = test.statistic / (is_case.sum() * (~is_case).sum())
            p_F[at] = test.pvalue
    return area_F, np.asarray(false_discovery_control(p_F))
