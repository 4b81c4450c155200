"""Assignments against brute force and log-likelihoods worked out otherwise."""

from itertools import permutations
from math import log

import numpy as np
import pytest
from scipy.stats import t as student

from mmspec_ds.verification.matching import log_density, match_hydrogens, match_signals

FALSE = log(0.001)


def best_by_brute_force(density_OP: np.ndarray, missing: float, false: float) -> float:
    """Every one-to-one assignment of observed to predicted signals or to none."""
    observed, predicted = density_OP.shape
    best = -np.inf
    targets = [*range(predicted), *[None] * observed]
    for chosen in set(permutations(targets, observed)):
        total = (predicted - sum(p is not None for p in chosen)) * log(missing)
        for o, p in enumerate(chosen):
            total += false if p is None else density_OP[o, p] + log(1 - missing)
        best = max(best, total)
    return float(best)


def test_densities_are_those_of_students_t() -> None:
    observed, predicted, scale = np.array([10.0, 12.5]), np.array([9.0, 14.0, 60.0]), np.array([1.0, 2.0, 20.0])
    expected = student.logpdf(observed[:, None], df=3.0, loc=predicted, scale=scale)
    np.testing.assert_allclose(log_density(observed, predicted, scale, 3.0), expected, rtol=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_the_assignment_is_the_best_of_all(seed: int) -> None:
    random = np.random.default_rng(seed)
    observed, predicted = random.uniform(0, 30, random.integers(1, 4)), random.uniform(0, 30, 3)
    density = log_density(observed, predicted, np.full(3, 2.0), 4.0)
    matching = match_signals(density, np.full(3, 0.05), FALSE, 0.0, 0.0)
    assert matching.score == pytest.approx(best_by_brute_force(density, 0.05, FALSE), abs=1e-9)


def test_nothing_near_is_false_and_missing() -> None:
    density = log_density(np.array([10.0]), np.array([150.0]), np.array([1.0]), 4.0)
    matching = match_signals(density, np.array([0.05]), FALSE, 0.0, 0.0)
    assert matching.pairs == ()
    assert matching.score == pytest.approx(FALSE + log(0.05))


def test_a_hidden_signal_costs_less_than_a_missing_one() -> None:
    density = log_density(np.array([10.0]), np.array([10.0, 10.0]), np.array([1.0, 1.0]), 4.0)
    missing = np.array([0.05, 0.05])
    apart = match_signals(density, missing, FALSE, 0.0, 0.0).score
    hidden = match_signals(density, missing, FALSE, 0.2, 0.0).score
    centre = float(student.pdf(0, 4.0))
    assert apart == pytest.approx(log(centre) + log(0.95) + log(0.05))
    assert hidden == pytest.approx(log(centre) + log(0.95) + log(0.05 + 0.95 * 0.2 * centre))


def test_a_second_signal_of_the_same_hydrogens_costs_less_than_a_false_one() -> None:
    density = log_density(np.array([3.0, 3.1]), np.array([3.0]), np.array([0.2]), 4.0)
    second = match_signals(density, np.array([0.05]), FALSE, 0.0, 0.1).score
    false = match_signals(density, np.array([0.05]), FALSE, 0.0, 0.0).score
    assert second - false == pytest.approx(log(0.001 + 0.1 * np.exp(density).sum(axis=1)[1]) - FALSE)


def test_signals_share_a_multiplet_by_its_hydrogens() -> None:
    # Phenyl: 2 + 2 + 1 hydrogens predicted, one multiplet of five observed.
    density = log_density(np.array([7.3]), np.array([7.2, 7.3, 7.4]), np.full(3, 0.2), 4.0)
    matching = match_hydrogens(density, np.full(3, 0.05), FALSE, np.array([5]), np.array([2, 2, 1]))
    assert matching.pairs == ((0, 0), (0, 1), (0, 2))
    assert matching.score == pytest.approx(density.sum() + 3 * log(0.95))


def test_a_hydrogen_too_many_is_partly_false() -> None:
    density = log_density(np.array([2.1]), np.array([2.1]), np.array([0.2]), 4.0)
    matching = match_hydrogens(density, np.array([0.05]), FALSE, np.array([3]), np.array([2]))
    assert matching.score == pytest.approx(density[0, 0] + log(0.95) + FALSE / 3)


def test_without_observed_signals_all_are_missing() -> None:
    density = log_density(np.array([]), np.array([1.0, 2.0]), np.array([0.2, 0.2]), 4.0)
    assert match_signals(density, np.full(2, 0.05), FALSE, 0.1, 0.1).score == pytest.approx(2 * log(0.05))
