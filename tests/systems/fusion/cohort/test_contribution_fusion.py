"""Coalitions, their strengths, and the weights that follow from what can be used."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from mmspec_ds.systems.fusion.cohort.contribution_fusion import (
    alone,
    coalition_strengths,
    coalitions,
    fit_weights,
    shares_of,
    soft_weights,
)
from mmspec_ds.systems.fusion.cohort.evidence import Evidence
from mmspec_ds.systems.fusion.cohort.reliability import fit_reliability

EVEN = np.log([0.5, 0.5])


def evidence_of_signals(signal_NM: np.ndarray, present_NM: np.ndarray) -> Evidence:
    """Evidence of half the signal for the first class, and the same against the second."""
    evidence_NMC = np.where(present_NM, signal_NM, 0.0)[..., None] * np.array([0.5, -0.5])
    none = tuple(np.zeros((len(signal_NM), 2)) for _ in range(signal_NM.shape[1]))
    return Evidence(evidence_NMC, none, np.zeros(signal_NM.shape), present_NM)


def test_strengths_are_those_of_a_logistic_regression() -> None:
    random = np.random.default_rng(0)
    signal_NM = random.normal(size=(300, 2))
    label_N = (random.random(300) > 1 / (1 + np.exp(-signal_NM @ [1.5, 0.6]))).astype(np.int64)
    found = fit_weights(
        evidence_of_signals(signal_NM, np.ones((300, 2), dtype=bool)).evidence_RMC, label_N, EVEN
    )
    model = LogisticRegression(C=1.0, fit_intercept=False, tol=1e-10).fit(signal_NM, label_N == 0)
    np.testing.assert_allclose(found, model.coef_[0], atol=1e-4)


def test_a_block_that_speaks_against_the_truth_has_no_strength() -> None:
    random = np.random.default_rng(1)
    label_N = np.arange(100) % 2
    signal_NM = np.stack([1 - 2 * label_N, 2 * label_N - 1], axis=1) + random.normal(size=(100, 2))
    found = fit_weights(
        evidence_of_signals(signal_NM, np.ones((100, 2), dtype=bool)).evidence_RMC, label_N, EVEN
    )
    assert found[0] > 0.5
    assert found[1] == 0


def test_strengths_of_sets_depend_on_their_blocks_alone() -> None:
    """The second block repeats the first with noise: it counts alone, and hardly beside the first."""
    random = np.random.default_rng(2)
    label_N = np.arange(400) % 2
    first_N = 1 - 2 * label_N + random.normal(size=400)
    signal_NM = np.stack([first_N, first_N + 2 * random.normal(size=400)], axis=1)
    present_NM = np.ones((400, 2), dtype=bool)
    found_PM = coalition_strengths(evidence_of_signals(signal_NM, present_NM), label_N, EVEN)
    np.testing.assert_array_equal(found_PM[0], 0.0)
    assert found_PM[1, 0] > 0
    assert found_PM[1, 1] == found_PM[2, 0] == 0
    assert found_PM[3, 1] < 0.1 * found_PM[2, 1]
    np.testing.assert_array_equal(alone(found_PM), [found_PM[1, 0], found_PM[2, 1]])


def test_samples_with_one_block_count_where_they_have_it() -> None:
    random = np.random.default_rng(3)
    label_N = np.arange(300) % 2
    signal_NM = (1 - 2 * label_N)[:, None] + random.normal(size=(300, 2))
    present_NM = np.ones((300, 2), dtype=bool)
    present_NM[:200, 1] = False
    found_PM = coalition_strengths(evidence_of_signals(signal_NM, present_NM), label_N, EVEN)
    expected = fit_weights(
        evidence_of_signals(signal_NM[200:, 1:], present_NM[200:, 1:]).evidence_RMC, label_N[200:], EVEN
    )
    assert found_PM[2, 1] == pytest.approx(expected[0])


def test_weights_are_means_over_what_can_be_used() -> None:
    """Each set of two blocks, by its probability: 0.3 both, 0.3 the first alone, 0.2 the second alone."""
    strength_PM = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 1.0], [1.5, 0.5]])
    found = soft_weights(np.array([[0.6, 0.5], [1.0, 0.0], [1.0, 1.0]]), strength_PM)
    np.testing.assert_allclose(found, [[0.3 * 1.5 + 0.3 * 2.0, 0.3 * 0.5 + 0.2 * 1.0], [2.0, 0.0], [1.5, 0.5]])


def test_coalitions_without_a_missing_block_are_those_of_the_others() -> None:
    random = np.random.default_rng(4)
    strength_PM = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 1.0], [1.5, 0.5]])
    present_NM = np.array([[True, False]])
    evidence = evidence_of_signals(random.normal(size=(1, 2)), present_NM)
    found_RPC, weight_RM = coalitions(evidence, present_NM.astype(float), strength_PM, EVEN)
    np.testing.assert_allclose(found_RPC[:, [0, 1]], found_RPC[:, [2, 3]])
    np.testing.assert_allclose(np.exp(found_RPC).sum(-1), 1.0)
    np.testing.assert_array_equal(weight_RM, [[2.0, 0.0]])


def test_shares_add_up_and_are_equal_without_weights() -> None:
    present_RM = np.array([[True, True], [True, False], [True, True]])
    found = shares_of(np.array([[3.0, 1.0], [0.0, 0.0], [0.0, 0.0]]), present_RM)
    np.testing.assert_allclose(found, [[0.75, 0.25], [1.0, 0.0], [0.5, 0.5]])


def test_reliability_falls_where_blocks_were_noised() -> None:
    """Sound blocks keep 0.8 of their claims, noised ones lose half of them."""
    random = np.random.default_rng(5)
    is_sound = np.arange(600) % 3 > 0
    features = random.normal(size=(600, 3)) + 4 * ~is_sound[:, None] * np.array([1, 0, 0])
    claim = random.uniform(0, 1, 600)
    true = claim * np.where(is_sound, 0.8, -0.5) + 0.1 * random.normal(size=600)
    found = fit_reliability(features, is_sound, claim, true)
    assert found.sound == pytest.approx(0.8, abs=0.03)
    assert found.noised == pytest.approx(-0.5, abs=0.04)
    asked = np.array([[0.0, 0.0, 0.0], [5.0, 0.0, 0.0]])
    np.testing.assert_allclose(found(asked), [0.8, -0.5], atol=0.06)
    np.testing.assert_allclose(found.relative(asked), [1.0, 0.0], atol=0.05)


def test_without_noised_blocks_all_count_as_sound() -> None:
    claim = np.linspace(0.1, 1, 10)
    found = fit_reliability(np.zeros((10, 3)), np.ones(10, dtype=bool), claim, 0.5 * claim)
    np.testing.assert_allclose(found(np.ones((2, 3))), 0.5)
    np.testing.assert_allclose(found.relative(np.ones((2, 3))), 1.0)
