"""Areas under ROC curves against scikit-learn, a case worked out by hand, and the coverage of the intervals."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import brier_score_loss, roc_auc_score, roc_curve

from mmspec_ds.evaluation.roc import (
    area,
    brier_score,
    delong_area,
    delong_difference,
    grouped_area,
    grouped_difference,
    roc_points,
)

SCORES = np.array([3.0, 2.0, 2.0, 1.0, 0.0])
CASES = np.array([True, True, False, False, False])


def drawn(seed: int, count: int = 80, effect: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    is_case = np.arange(count) < count // 3
    return np.round(random.normal(size=count) + effect * is_case, 1), is_case


def test_a_case_by_hand() -> None:
    """Of 6 pairs 5 are right and one is a tie. The placements are 1 and 5/6 of the cases, and 3/4, 1 and 1 of
    the controls, with variances 1/72 and 1/48."""
    found = delong_area(SCORES, CASES)
    assert found.auc == pytest.approx(5.5 / 6)
    assert found.error**2 == pytest.approx(1 / 72 / 2 + 1 / 48 / 3)
    logit = np.log(5.5 / 0.5)
    reach = norm.ppf(0.975) * found.error / (5.5 / 6 * 0.5 / 6)
    assert (found.low, found.high) == pytest.approx(
        tuple(1 / (1 + np.exp(-logit + side * reach)) for side in (1, -1))
    )
    assert (found.cases, found.controls) == (2, 3)


@pytest.mark.parametrize("seed", range(5))
def test_areas_and_corners_are_those_of_scikit_learn(seed: int) -> None:
    score, is_case = drawn(seed)
    expected = roc_auc_score(is_case, score)
    assert area(score, is_case) == pytest.approx(expected, abs=1e-12)
    assert delong_area(score, is_case).auc == pytest.approx(expected, abs=1e-12)
    false_positive, true_positive, threshold = roc_curve(is_case, score, drop_intermediate=False)
    points = roc_points(score, is_case)
    np.testing.assert_allclose(points.false_positive, false_positive)
    np.testing.assert_allclose(points.true_positive, true_positive)
    np.testing.assert_allclose(points.threshold, threshold)


def test_covariance_is_that_of_all_pairs() -> None:
    """DeLong's structural components by their definition, pair by pair."""
    first, is_case = drawn(1)
    second = first + np.random.default_rng(2).normal(size=len(first))
    placements = []
    for score in (first, second):
        won = (score[is_case][:, None] > score[~is_case]) + 0.5 * (score[is_case][:, None] == score[~is_case])
        placements.append((won.mean(1), won.mean(0)))
    of_cases, of_controls = (np.stack(some) for some in zip(*placements))
    cases, controls = is_case.sum(), (~is_case).sum()
    covariance = np.cov(of_cases) / cases + np.cov(of_controls) / controls
    found = delong_difference(first, second, is_case)
    error = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    assert found.error == pytest.approx(error)
    assert found.difference == pytest.approx(roc_auc_score(is_case, first) - roc_auc_score(is_case, second))
    assert found.p_value == pytest.approx(2 * norm.sf(abs(found.difference) / error))


def test_the_interval_covers_the_true_area_as_often_as_it_says() -> None:
    truth = norm.cdf(1.5 / np.sqrt(2))
    inside = 0
    for seed in range(300):
        random = np.random.default_rng(seed)
        is_case = np.arange(60) < 25
        found = delong_area(random.normal(size=60) + 1.5 * is_case, is_case)
        inside += found.low <= truth <= found.high
    assert 0.915 <= inside / 300 <= 0.985  # 0.95, with a standard error of 0.013


def test_equal_scores_have_p_values_like_chance() -> None:
    """Two scores that are equally good: 5 % of the tests fall below 0.05."""
    below = 0
    for seed in range(300):
        random = np.random.default_rng(seed)
        is_case = np.arange(80) < 35
        signal = random.normal(size=80) + is_case
        below += delong_difference(*(signal + random.normal(size=80) for _ in range(2)), is_case).p_value < 0.05
    assert 0.015 <= below / 300 <= 0.09


def test_resampled_patients_of_one_sample_each_agree_with_delong() -> None:
    score, is_case = drawn(3)
    delong, resampled = delong_area(score, is_case), grouped_area(score, is_case, np.arange(len(score)))
    assert resampled.auc == pytest.approx(delong.auc)
    assert resampled.error == pytest.approx(delong.error, rel=0.1)
    second = score + np.random.default_rng(4).normal(size=len(score))
    test, other = (
        delong_difference(score, second, is_case),
        grouped_difference(score, second, is_case, np.arange(len(score))),
    )
    assert other.difference == pytest.approx(test.difference)
    assert other.error == pytest.approx(test.error, rel=0.1)


def test_a_patient_with_many_samples_counts_once() -> None:
    score, is_case = drawn(5, 40)
    alone = grouped_area(score, is_case, np.arange(40))
    repeated = grouped_area(*(np.repeat(one, 4) for one in (score, is_case, np.arange(40))))
    assert repeated.auc == pytest.approx(alone.auc)
    assert repeated.error == pytest.approx(alone.error, rel=0.1)
    assert delong_area(np.repeat(score, 4), np.repeat(is_case, 4)).error < 0.6 * alone.error


def test_a_perfect_score_is_not_certain() -> None:
    found = delong_area(np.arange(30.0), np.arange(30) >= 20)
    assert (found.auc, found.error, found.high) == (1.0, 0.0, 1.0)
    assert found.low == pytest.approx(1 - 3 / 10)
    assert delong_area(-np.arange(30.0), np.arange(30) >= 20).high == pytest.approx(3 / 10)


def test_a_score_does_not_differ_from_itself() -> None:
    score, is_case = drawn(6)
    assert delong_difference(score, score, is_case).p_value == 1.0
    assert grouped_difference(score, score, is_case, np.arange(len(score))).p_value == 1.0


def test_brier_score_is_that_of_scikit_learn() -> None:
    random = np.random.default_rng(7)
    probability, is_case = random.random(50), random.random(50) < 0.4
    assert brier_score(probability, is_case) == pytest.approx(brier_score_loss(is_case, probability))


def test_what_has_no_area_is_refused() -> None:
    with pytest.raises(ValueError, match="0 cases and 3 controls"):
        area(np.zeros(3), np.zeros(3, dtype=bool))
    with pytest.raises(ValueError, match="2 scores of 3 samples"):
        delong_area(np.zeros(2), np.array([True, False, False]))
    with pytest.raises(ValueError, match="1 scores that are not finite"):
        delong_area(np.array([0.0, np.nan, 1.0]), np.array([True, False, False]))


def test_a_perfect_score_of_patients_is_not_certain() -> None:
    """Ten patients of cases, of four samples each: as many as ten samples say."""
    score, is_case, group = np.arange(120.0), np.arange(120) >= 80, np.arange(120) // 4
    found = grouped_area(score, is_case, group)
    assert (found.auc, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(1 - 3 / 10)
    assert grouped_area(-score, is_case, group).high == pytest.approx(3 / 10)
