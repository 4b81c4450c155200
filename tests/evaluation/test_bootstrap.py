"""The paired bootstrap against the formula of the standard error, and its coverage of a known difference."""

import numpy as np
import pytest

from mmspec_ds.evaluation.bootstrap import Bootstrap


def test_the_error_of_a_mean_is_that_of_the_formula() -> None:
    values = np.random.default_rng(0).normal(2.0, 3.0, 400)
    found = Bootstrap(np.arange(400)).estimate(values)
    expected = values.std() / 20
    assert found.mean == pytest.approx(values.mean())
    assert found.error == pytest.approx(expected, rel=0.05)  # 4,000 resamples: 1.1 % at one standard error
    assert (found.low, found.high) == pytest.approx(
        (found.mean - 1.96 * expected, found.mean + 1.96 * expected), abs=0.15 * expected
    )
    assert (found.n, found.groups) == (400, 400)


def test_queries_of_one_molecule_count_once() -> None:
    values = np.random.default_rng(1).normal(size=100)
    alone = Bootstrap([str(at) for at in range(100)]).estimate(values)
    repeated = Bootstrap(np.repeat(np.arange(100), 5)).estimate(np.repeat(values, 5))
    assert repeated.error == pytest.approx(alone.error, rel=0.05)
    assert (repeated.n, repeated.groups) == (500, 100)


def test_a_ratio_of_sums_has_the_error_of_the_formula() -> None:
    random = np.random.default_rng(3)
    wholes = random.integers(1, 9, 500).astype(float)
    parts = wholes * random.random(500)
    found = Bootstrap(np.arange(500)).ratio(parts, wholes)
    assert found.mean == pytest.approx(parts.sum() / wholes.sum())
    rest = parts - found.mean * wholes  # the delta method (Davison and Hinkley 1997, section 2.7)
    assert found.error == pytest.approx(rest.std() / wholes.mean() / np.sqrt(500), rel=0.05)
    assert found.low < found.mean < found.high
    nothing = Bootstrap(np.arange(3)).ratio(np.zeros(3), np.zeros(3))
    assert (nothing.mean, nothing.low, nothing.high) == (0, 0, 0)


def test_a_pair_hides_what_is_hard_for_both() -> None:
    random = np.random.default_rng(2)
    hardness = random.normal(0, 10, 300)
    gain = random.normal(0.5, 1.0, 300)
    found = Bootstrap(np.arange(300)).difference(hardness + gain, hardness)
    assert found.mean == pytest.approx(gain.mean())
    assert found.error == pytest.approx(gain.std() / np.sqrt(300), rel=0.05)


def test_the_interval_covers_a_known_difference_as_often_as_it_says() -> None:
    random = np.random.default_rng(4)
    inside = 0
    for seed in range(200):
        found = Bootstrap(np.arange(60), seed).estimate(random.normal(1.0, 1.0, 60))
        inside += found.low <= 1.0 <= found.high
    assert (
        0.89 <= inside / 200 <= 0.99
    )  # 0.95, with a standard error of 0.015, and a little less in small samples


def test_one_seed_gives_one_result() -> None:
    values = np.arange(20.0)
    groups = np.arange(20)
    assert Bootstrap(groups, 7).estimate(values) == Bootstrap(groups, 7).estimate(values)


def test_equal_methods_do_not_differ() -> None:
    values = np.random.default_rng(5).random(50)
    found = Bootstrap(np.arange(50)).difference(values, values)
    assert (found.mean, found.error, found.low, found.high) == (0, 0, 0, 0)


def test_lengths_are_compared() -> None:
    with pytest.raises(ValueError, match="2 and 3 values"):
        Bootstrap(np.arange(2)).difference(np.zeros(2), np.zeros(3))
    with pytest.raises(ValueError, match="3 values of 2 queries"):
        Bootstrap(np.arange(2)).estimate(np.zeros(3))
    with pytest.raises(ValueError, match="no queries"):
        Bootstrap([])
