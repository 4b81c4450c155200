"""Receiver operating characteristics: areas, DeLong's intervals and test, and areas of groups of samples.

Axes: N samples, P cases, Q controls, R resamples, S scores (models on the same samples).

A score is higher for samples that are thought to be cases. The area (AUC) is the probability that a case has a
higher score than a control; a tie counts one half (Hanley and McNeil 1982, Radiology 143, 29).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

LEVEL = 0.95
DRAWS = 2000
"""Resamples of a bootstrap."""


@dataclass(frozen=True)
class Area:
    """An area under a ROC curve with its standard error and 95 % interval.

    Attributes:
        auc: 0.5 is chance, 1 all cases before all controls.
        error: its standard error.
        low, high: the ends of the interval.
        cases, controls: how many.
    """

    auc: float
    error: float
    low: float
    high: float
    cases: int
    controls: int

    def to_json(self) -> dict[str, float | int]:
        """The attributes by name."""
        return asdict(self)


@dataclass(frozen=True)
class AreaDifference:
    """By how much the area of one score exceeds that of another on the same samples.

    Attributes:
        difference: of the areas.
        error: its standard error.
        low, high: the ends of its 95 % interval.
        p_value: of no difference, two-sided.
    """

    difference: float
    error: float
    low: float
    high: float
    p_value: float

    def to_json(self) -> dict[str, float]:
        """The attributes by name."""
        return asdict(self)


@dataclass(frozen=True)
class RocPoints:
    """Corners of a ROC curve from (0, 0) to (1, 1): the share of controls (`false_positive`) and of cases
    (`true_positive`) whose score is at least `threshold`, which begins with infinity."""

    false_positive: FloatArray
    true_positive: FloatArray
    threshold: FloatArray


def roc_points(score_N: FloatArray, is_case_N: BoolArray) -> RocPoints:
    """Return one corner for each different score.

    Raises:
        ValueError: as `delong_area`.
    """
    _checked(score_N, is_case_N)
    threshold, place = np.unique(-score_N, return_inverse=True)
    cases = np.bincount(place, weights=is_case_N)
    controls = np.bincount(place, weights=~is_case_N)
    return RocPoints(
        np.concatenate([[0.0], np.cumsum(controls) / controls.sum()]),
        np.concatenate([[0.0], np.cumsum(cases) / cases.sum()]),
        np.concatenate([[np.inf], -threshold]),
    )


def area(score_N: FloatArray, is_case_N: BoolArray) -> float:
    """Return the area alone, by ranks.

    Raises:
        ValueError: as `delong_area`.
    """
    from scipy.stats import rankdata

    _checked(score_N, is_case_N)
    cases = int(is_case_N.sum())
    controls = len(is_case_N) - cases
    return float((rankdata(score_N)[is_case_N].sum() - cases * (cases + 1) / 2) / (cases * controls))


def delong_area(score_N: FloatArray, is_case_N: BoolArray) -> Area:
    """Return the area with its interval by DeLong's variance, on the scale of the logit.

    The interval on that scale stays within 0 and 1 and covers better near 1 (Pepe 2003, The Statistical
    Evaluation of Medical Tests, section 5.2.5). An area of 0 or 1 has the variance 0 by the formula. Its
    interval is then that of a proportion by the rule of three: it reaches 3 / min(P, Q) away from the end.

    Raises:
        ValueError: lengths that differ, a score that is not finite, no case or no control.
    """
    from scipy.stats import norm

    areas, covariance = _delong([score_N], is_case_N)
    cases = int(is_case_N.sum())
    controls = len(is_case_N) - cases
    auc, error = float(areas[0]), float(np.sqrt(covariance[0, 0]))
    if auc in (0.0, 1.0):
        low, high = _rule_of_three(auc, min(cases, controls))
    else:
        centre = np.log(auc / (1 - auc))
        reach = norm.ppf((1 + LEVEL) / 2) * error / (auc * (1 - auc))
        low, high = (float(1 / (1 + np.exp(-end))) for end in (centre - reach, centre + reach))
    return Area(auc, error, float(low), float(high), cases, controls)


def delong_difference(first_N: FloatArray, second_N: FloatArray, is_case_N: BoolArray) -> AreaDifference:
    """Compare two scores on the same samples (DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44, 837).

    Returns:
        The area of `first` less that of `second`. Where the variance is zero, p is 1 for equal areas and 0 for
        others.

    Raises:
        ValueError: as `delong_area`.
    """
    from scipy.stats import norm

    areas, covariance = _delong([first_N, second_N], is_case_N)
    difference = float(areas[0] - areas[1])
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    error = float(np.sqrt(max(variance, 0.0)))
    if error < 1e-12:
        p_value = 1.0 if abs(difference) < 1e-12 else 0.0
    else:
        p_value = float(2 * norm.sf(abs(difference) / error))
    reach = float(norm.ppf((1 + LEVEL) / 2)) * error
    return AreaDifference(difference, error, difference - reach, difference + reach, p_value)


def grouped_area(score_N: FloatArray, is_case_N: BoolArray, group_N: IntArray, seed: int = 0) -> Area:
    """Return the area with an interval for samples that are not independent, by resampling their groups.

    DeLong's variance counts each sample as new knowledge. Where patients have several samples, whole patients
    are drawn with replacement instead, and the interval has the percentiles of the areas. Draws without a case
    or without a control are left out. An area of 0 or 1 is that of every draw: its interval follows the rule of
    three as that of `delong_area`, of the groups that have cases and those that have controls.

    Raises:
        ValueError: as `delong_area`.
    """
    _checked(score_N, is_case_N)
    areas = _resampled(np.asarray([score_N]), is_case_N, group_N, seed)[:, 0]
    cases = int(is_case_N.sum())
    low, high = np.percentile(areas, (50 * (1 - LEVEL), 50 * (1 + LEVEL)))
    error, auc = float(areas.std(ddof=1)), area(score_N, is_case_N)
    if auc in (0.0, 1.0):
        fewest = min(len(np.unique(group_N[is_case_N])), len(np.unique(group_N[~is_case_N])))
        low, high = _rule_of_three(auc, fewest)
    return Area(auc, error, float(low), float(high), cases, len(is_case_N) - cases)


def grouped_difference(
    first_N: FloatArray, second_N: FloatArray, is_case_N: BoolArray, group_N: IntArray, seed: int = 0
) -> AreaDifference:
    """Compare two scores as `delong_difference`, by resampling groups as `grouped_area`.

    Returns:
        p is twice the share of resamples on the other side of zero, at most 1 and at least 1 / R.

    Raises:
        ValueError: as `delong_area`.
    """
    _checked(first_N, is_case_N)
    _checked(second_N, is_case_N)
    areas = _resampled(np.asarray([first_N, second_N]), is_case_N, group_N, seed)
    found = areas[:, 0] - areas[:, 1]
    low, high = np.percentile(found, (50 * (1 - LEVEL), 50 * (1 + LEVEL)))
    share = min((found <= 0).mean(), (found >= 0).mean())
    p_value = float(np.clip(2 * share, 1 / len(found), 1.0))
    difference = area(first_N, is_case_N) - area(second_N, is_case_N)
    return AreaDifference(difference, float(found.std(ddof=1)), float(low), float(high), p_value)


def brier_score(probability_N: FloatArray, is_case_N: BoolArray) -> float:
    """Return the mean squared distance of probabilities from what came true, 0 to 1 (Brier 1950)."""
    return float(np.mean((probability_N - is_case_N) ** 2))


def _rule_of_three(auc: float, fewest: int) -> tuple[float, float]:
    """Return the interval of an area of 0 or 1 by the rarer side, of which there are `fewest`."""
    reach = min(3 / fewest, 1.0)
    return (1 - reach, 1.0) if auc else (0.0, reach)


def _checked(score_N: FloatArray, is_case_N: BoolArray) -> None:
    if np.shape(score_N) != np.shape(is_case_N):
        raise ValueError(f"{len(score_N)} scores of {len(is_case_N)} samples")
    if not np.isfinite(score_N).all():
        raise ValueError(f"{int((~np.isfinite(score_N)).sum())} scores that are not finite")
    cases = int(np.sum(is_case_N))
    if not 0 < cases < len(is_case_N):
        raise ValueError(f"{cases} cases and {len(is_case_N) - cases} controls: expected some of both")


def _delong(scores: Sequence[FloatArray], is_case_N: BoolArray) -> tuple[FloatArray, Any]:
    """Return the areas [S] and their covariances [S, S].

    The placement of a case is the share of controls below it, and that of a control the share of cases above
    it. Both follow from ranks (Sun and Xu 2014, IEEE Signal Processing Letters 21, 1389).
    """
    from scipy.stats import rankdata

    for score_N in scores:
        _checked(score_N, is_case_N)
    cases = int(is_case_N.sum())
    controls = len(is_case_N) - cases
    of_cases, of_controls = np.empty((len(scores), cases)), np.empty((len(scores), controls))
    for at, score_N in enumerate(scores):
        together = rankdata(score_N)
        of_cases[at] = (together[is_case_N] - rankdata(score_N[is_case_N])) / controls
        of_controls[at] = 1 - (together[~is_case_N] - rankdata(score_N[~is_case_N])) / cases
    covariance = np.zeros((len(scores), len(scores)))
    for placed in (of_cases, of_controls):
        if placed.shape[1] > 1:  # a single case tells nothing about how cases differ
            covariance += np.cov(placed, ddof=1).reshape(covariance.shape) / placed.shape[1]
    return of_cases.mean(1), covariance


def _resampled(scores_SN: FloatArray, is_case_N: BoolArray, group_N: IntArray, seed: int) -> FloatArray:
    """Return the areas of resampled groups, [R, S]."""
    if len(group_N) != len(is_case_N):
        raise ValueError(f"{len(group_N)} groups of {len(is_case_N)} samples")
    random = np.random.default_rng(seed)
    _, place_N = np.unique(group_N, return_inverse=True)
    members = np.split(np.argsort(place_N, kind="stable"), np.cumsum(np.bincount(place_N))[:-1])
    found = []
    for _ in range(DRAWS):
        drawn = np.concatenate([members[at] for at in random.integers(0, len(members), len(members))])
        if 0 < is_case_N[drawn].sum() < len(drawn):
            found.append([area(score_N[drawn], is_case_N[drawn]) for score_N in scores_SN])
    return np.asarray(found)
