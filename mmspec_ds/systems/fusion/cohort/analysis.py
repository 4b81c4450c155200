"""The analysis of a cohort: every method in the same nested folds, intervals, reasons, markers and controls.

Axes: N samples, M blocks, C classes, R repeats.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from mmspec_ds.errors import DataError
from mmspec_ds.evaluation.reliability import reliability
from mmspec_ds.evaluation.roc import (
    Area,
    area,
    brier_score,
    delong_area,
    delong_difference,
    grouped_area,
    grouped_difference,
)
from mmspec_ds.systems.fusion.cohort.analysis_settings import AnalysisSettings
from mmspec_ds.systems.fusion.cohort.cohort import BoolArray, Cohort, FloatMatrix, FloatVector
from mmspec_ds.systems.fusion.cohort.cohort_result import (
    CohortResult,
    Comparison,
    Controls,
    MethodScores,
    SampleContributions,
)
from mmspec_ds.systems.fusion.cohort.contribution import exact_contributions
from mmspec_ds.systems.fusion.cohort.folds import outer_splits
from mmspec_ds.systems.fusion.cohort.markers import Coefficients, find_markers
from mmspec_ds.systems.fusion.cohort.methods import fit_methods, method_names
from mmspec_ds.systems.fusion.cohort.views import batch_of

REFERENCE = "contribution"
"""The method that the others are compared with."""

_TRIES = 50
"""Draws of permuted labels until every training side has all classes in every block."""

Progress = Callable[[float, float], object]
"""Called with the number of outer folds that are done, and of all."""


@dataclass
class HeldOut:
    """Predictions of held-out samples in all repeats.

    Attributes:
        probability_RNC: by method.
        reasons: weights, contributions by the head, exact ones, true ones and expected ones, [R, N, M] each;
            empty without contribution-aware fusion.
        coefficients: of the models of single blocks.
    """

    probability_RNC: dict[str, FloatMatrix]
    reasons: tuple[FloatMatrix, ...]
    coefficients: Coefficients


def analyse(
    cohort: Cohort, settings: AnalysisSettings, progress: Progress = lambda done, total: None
) -> CohortResult:
    """Return how well each method tells the classes of a cohort, and why.

    Raises:
        DataError: too few samples or patients of a class for the folds, a class alone, or a block that a
            training side lacks.
    """
    if len(cohort.classes) < 2:
        raise DataError(f"one class, {cohort.classes[0]}: expected two at least")
    controls = settings.controls
    shuffled = len(cohort.blocks) if controls.shuffled_blocks and len(cohort.blocks) > 1 else 0
    total = settings.folds.outer * (settings.folds.repeats + controls.permutations + shuffled)
    done = 0

    def one_more() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    names = method_names(cohort, settings)
    present_NM = np.stack([block.present_N for block in cohort.blocks], axis=1)
    judged_N = judged_samples(cohort)
    by_patients = len(np.unique(cohort.group_N)) < len(cohort.samples)
    held_out = predict_held_out(cohort, settings, one_more)
    mean = {name: one.mean(0) for name, one in held_out.probability_RNC.items()}
    comparisons = comparisons_of(cohort)
    scores = {
        one.name: score_methods(one, cohort, held_out.probability_RNC, judged_N, by_patients=by_patients)
        for one in comparisons
    }
    return CohortResult(
        cohort.classes,
        tuple(block.name for block in cohort.blocks),
        cohort.samples,
        cohort.label_N,
        present_NM,
        judged_N,
        comparisons,
        names,
        mean,
        scores,
        _reasons(held_out, present_NM),
        find_markers(cohort, held_out.coefficients, settings.markers),
        run_controls(cohort, settings, scores, one_more),
        by_patients,
        (*cohort.remarks, *_remarks(cohort, judged_N, scores)),
    )


def comparisons_of(cohort: Cohort) -> tuple[Comparison, ...]:
    """Return the first class against the second; of more classes, each against the rest and each two."""
    names, every = cohort.classes, range(len(cohort.classes))
    if len(names) == 2:
        return (Comparison(f"{names[0]} against {names[1]}", 0, (1,)),)
    rest = [
        Comparison(f"{names[one]} against the rest", one, tuple(other for other in every if other != one))
        for one in every
    ]
    pairs = [Comparison(f"{names[a]} against {names[b]}", a, (b,)) for a, b in combinations(every, 2)]
    return (*rest, *pairs)


def judged_samples(cohort: Cohort) -> BoolArray:
    """Return the samples that have all blocks, if there are two at least of each class; else all."""
    complete_N = np.all([block.present_N for block in cohort.blocks], axis=0)
    counts = np.bincount(cohort.label_N[complete_N], minlength=len(cohort.classes))
    return complete_N if counts.min() >= 2 else np.ones(len(complete_N), dtype=np.bool_)


def predict_held_out(
    cohort: Cohort, settings: AnalysisSettings, one_more: Callable[[], None] = lambda: None
) -> HeldOut:
    """Predict each sample once a repeat, by methods that have not seen its patient.

    Args:
        cohort: the samples.
        settings: folds and methods.
        one_more: called after each outer fold.

    Raises:
        DataError: too few samples or patients of a class for the folds, or a block that a training side lacks.
    """
    repeats, (count, classes) = settings.folds.repeats, (len(cohort.samples), len(cohort.classes))
    blocks = len(cohort.blocks)
    found = {name: np.zeros((repeats, count, classes)) for name in method_names(cohort, settings)}
    has_reasons = REFERENCE in found
    reasons = tuple(np.zeros((repeats, count, blocks)) for _ in range(5 if has_reasons else 0))
    coefficients = Coefficients(len(cohort.blocks))
    for split in outer_splits(cohort, settings.folds):
        methods = fit_methods(cohort, split.train, settings, split.seed)
        predicted = methods.predict(batch_of(cohort, split.test))
        for name, probability_RC in predicted.probability.items():
            found[name][split.repeat, split.test] = probability_RC
        if (why := predicted.contributions) is not None:
            true_RM = exact_contributions(why.coalition_RPC, cohort.label_N[split.test])
            for target, one in zip(
                reasons, (why.weight_RM, why.head_RM, why.exact_RM, true_RM, why.expected_RM)
            ):
                target[split.repeat, split.test] = one
        coefficients.add(methods)
        one_more()
    return HeldOut(found, reasons, coefficients)


def score_methods(
    comparison: Comparison,
    cohort: Cohort,
    probability_RNC: Mapping[str, FloatMatrix],
    judged_N: BoolArray,
    *,
    by_patients: bool,
) -> dict[str, MethodScores]:
    """Return the scores of each method in one comparison, by its name.

    Args:
        comparison: which classes are told apart.
        cohort: the samples.
        probability_RNC: by method, what it said of each held-out sample in each repeat.
        judged_N: the samples that areas are of.
        by_patients: whether intervals are from resampled patients; else DeLong's.

    Raises:
        ValueError: no judged sample is of one of the classes.
    """
    among_N = comparison.among(cohort.label_N)
    chosen_N = among_N & judged_N
    score_RN = {
        name: np.stack([comparison.score(one_NC) for one_NC in some]) for name, some in probability_RNC.items()
    }
    mean_N = {name: some.mean(0) for name, some in score_RN.items()}
    is_case_N = cohort.label_N == comparison.cases

    def interval(score_N: FloatVector, rows_N: BoolArray) -> Area:
        if by_patients:
            return grouped_area(score_N[rows_N], is_case_N[rows_N], cohort.group_N[rows_N])
        return delong_area(score_N[rows_N], is_case_N[rows_N])

    found = {}
    case_n, group_n = is_case_N[chosen_N], cohort.group_N[chosen_N]
    for name, some in score_RN.items():
        share_N = np.mean([comparison.share(one_NC) for one_NC in probability_RNC[name]], axis=0)[chosen_N]
        against = None
        if REFERENCE in mean_N and name != REFERENCE:
            both = mean_N[REFERENCE][chosen_N], mean_N[name][chosen_N]
            against = (
                grouped_difference(*both, case_n, group_n) if by_patients else delong_difference(*both, case_n)
            )
        found[name] = MethodScores(
            interval(mean_N[name], chosen_N),
            tuple(area(one_N[chosen_N], case_n) for one_N in some),
            brier_score(share_N, case_n),
            reliability(share_N.tolist(), case_n.tolist()),
            against,
            interval(mean_N[name], among_N) if (among_N & ~judged_N).any() else None,
        )
    return found


def run_controls(
    cohort: Cohort,
    settings: AnalysisSettings,
    scores: Mapping[str, Mapping[str, MethodScores]],
    one_more: Callable[[], None],
) -> Controls:
    """Analyse the cohort, one repeat each, with labels drawn anew among the patients, and with the rows of a
    block exchanged.

    Args:
        cohort: the samples.
        settings: how many permutations, and whether blocks are shuffled; folds and methods.
        scores: with the true labels, by comparison and method, for the p-values.
        one_more: called after each outer fold; after all of a permutation at once.

    Raises:
        DataError: each of 50 draws of labels left a training side without a class of a block.
    """
    once = settings.model_copy(update={"folds": settings.folds.model_copy(update={"repeats": 1})})
    permuted: dict[str, dict[str, list[float]]] = {}
    for number in range(settings.controls.permutations):
        random = np.random.default_rng([settings.folds.seed, 1, number])
        found = _permuted_areas(cohort, once, random)
        for _ in range(once.folds.outer):
            one_more()
        for comparison, some in found.items():
            for method, value in some.items():
                permuted.setdefault(comparison, {}).setdefault(method, []).append(value)
    p_values = {
        comparison: {
            method: (1 + sum(value >= scores[comparison][method].mean for value in values)) / (1 + len(values))
            for method, values in some.items()
        }
        for comparison, some in permuted.items()
    }
    shuffled: dict[str, dict[str, dict[str, float]]] = {}
    if settings.controls.shuffled_blocks and len(cohort.blocks) > 1:
        for place, block in enumerate(cohort.blocks):
            random = np.random.default_rng([settings.folds.seed, 2, place])
            shuffled[block.name] = _areas(shuffled_block(cohort, place, random), once, one_more)
    lists = {one: {method: tuple(values) for method, values in some.items()} for one, some in permuted.items()}
    return Controls(lists, p_values, shuffled)


def _permuted_areas(
    cohort: Cohort, settings: AnalysisSettings, random: np.random.Generator
) -> dict[str, dict[str, float]]:
    """Return the areas with permuted labels: others where those leave a training side without a class of a
    block."""
    for _ in range(_TRIES):
        try:
            return _areas(permuted_labels(cohort, random), settings, lambda: None)
        except DataError as error:
            fault = error
    raise fault


def permuted_labels(cohort: Cohort, random: np.random.Generator) -> Cohort:
    """Return the cohort with the classes of its patients exchanged. All samples of a patient must be of one
    class: they keep a common one."""
    _, first, place_N = np.unique(cohort.group_N, return_index=True, return_inverse=True)
    return replace(cohort, label_N=random.permutation(cohort.label_N[first])[place_N])


def shuffled_block(cohort: Cohort, place: int, random: np.random.Generator) -> Cohort:
    """Return the cohort with the rows of the block at `place` exchanged between the samples that have it."""
    block = cohort.blocks[place]
    values_NF, has = block.values_NF.copy(), np.flatnonzero(block.present_N)
    values_NF[has] = block.values_NF[random.permutation(has)]
    blocks = [*cohort.blocks]
    blocks[place] = replace(block, values_NF=values_NF)
    return replace(cohort, blocks=tuple(blocks))


def _areas(
    cohort: Cohort, settings: AnalysisSettings, one_more: Callable[[], None]
) -> dict[str, dict[str, float]]:
    """Return the areas of one repeat by comparison and method."""
    held_out, judged_N = predict_held_out(cohort, settings, one_more), judged_samples(cohort)
    found: dict[str, dict[str, float]] = {}
    for comparison in comparisons_of(cohort):
        chosen_N = comparison.among(cohort.label_N) & judged_N
        is_case_n = cohort.label_N[chosen_N] == comparison.cases
        found[comparison.name] = {
            name: area(comparison.score(some[0])[chosen_N], is_case_n)
            for name, some in held_out.probability_RNC.items()
        }
    return found


def _reasons(held_out: HeldOut, present_NM: BoolArray) -> SampleContributions | None:
    if not held_out.reasons:
        return None
    weight, head, exact, true, expected = held_out.reasons

    def correlation(first_RNM: FloatMatrix, second_RNM: FloatMatrix) -> float:
        first, second = first_RNM[:, present_NM].ravel(), second_RNM[:, present_NM].ravel()
        return float(np.corrcoef(first, second)[0, 1]) if first.std() > 0 and second.std() > 0 else 0.0

    return SampleContributions(
        weight.mean(0),
        head.mean(0),
        exact.mean(0),
        true.mean(0),
        expected.mean(0),
        correlation(head, exact),
        correlation(expected, true),
    )


def _remarks(
    cohort: Cohort, judged_N: BoolArray, scores: Mapping[str, Mapping[str, MethodScores]]
) -> list[str]:
    found = []
    if not judged_N.all():
        found.append(
            f"{int((~judged_N).sum())} of {len(judged_N)} samples lack a block: they are learned from and"
            " predicted, and areas are of the others"
        )
    counts = np.bincount(cohort.label_N[judged_N], minlength=len(cohort.classes))
    if counts.min() < 50:
        rarest = int(counts.argmin())
        found.append(
            f"{counts[rarest]} samples of class {cohort.classes[rarest]}: differences of a few hundredths"
            " between areas may be chance; see the intervals"
        )
    return found
