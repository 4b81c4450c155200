"""Contributions against the games of `evaluation.shapley`, by hand, and weights that do as they say."""

import numpy as np
import pytest

from mmspec_ds.evaluation.shapley import shapley_values
from mmspec_ds.systems.fusion.cohort.contribution import (
    block_weights,
    exact_contributions,
    fit_head,
    head_features,
)


def test_two_blocks_by_hand() -> None:
    """Even prior, log odds of 2 and -1 for the first class. With s the logarithm of the logistic function: of
    the first block half of s(2) - s(0) and of s(1) - s(-1), of the second half of s(-1) - s(0) and of
    s(1) - s(2)."""
    scaled_RMC = np.array([[[2.0, 0.0], [-1.0, 0.0]]])
    found = exact_contributions(scaled_RMC, np.log([0.5, 0.5]), np.array([0]))

    def s(odds: float) -> float:
        return -np.log1p(np.exp(-odds))

    first = 0.5 * (s(2) - s(0)) + 0.5 * (s(1) - s(-1))
    second = 0.5 * (s(-1) - s(0)) + 0.5 * (s(1) - s(2))
    np.testing.assert_allclose(found, [[first, second]])
    assert first > 0 > second


@pytest.mark.parametrize(("blocks", "classes"), [(1, 2), (3, 2), (4, 3), (6, 2)])
def test_contributions_are_those_of_the_game(blocks: int, classes: int) -> None:
    random = np.random.default_rng(blocks)
    scaled_RMC = 2 * random.normal(size=(5, blocks, classes))
    scaled_RMC[2, 0] = 0.0  # a missing block
    prior_C = np.log(random.dirichlet(np.ones(classes)))
    class_R = random.integers(0, classes, 5)
    found_RM = exact_contributions(scaled_RMC, prior_C, class_R)
    for row in range(5):

        def value(coalition: frozenset[str], row: int = row) -> float:
            logits = prior_C + sum((scaled_RMC[row, int(name)] for name in coalition), np.zeros(classes))
            return float(logits[class_R[row]] - np.logaddexp.reduce(logits))

        expected = shapley_values([str(at) for at in range(blocks)], value)
        np.testing.assert_allclose(found_RM[row], list(expected.values()), atol=1e-12)
    assert found_RM[2, 0] == pytest.approx(0.0, abs=1e-15)


def test_weights_follow_from_contributions_and_presence() -> None:
    expected_RM = np.array([[0.5, 0.1], [-0.5, 0.1], [0.5, 0.1]])
    present_RM = np.array([[True, True], [True, True], [False, True]])
    strength_M = np.array([2.0, 1.0])
    found_RM = block_weights(expected_RM, strength_M, 2.0, present_RM)
    odds = 2 * np.exp(2 * np.array([0.4, -0.6]))
    np.testing.assert_allclose(found_RM[:2, 0], odds / (1 + odds))
    np.testing.assert_array_equal(found_RM[2], [0.0, 1.0])
    plain_RM = block_weights(expected_RM, strength_M, 0.0, present_RM)
    np.testing.assert_allclose(plain_RM[:2], [[2 / 3, 1 / 3]] * 2)


def test_weights_of_blocks_without_strength_stay_finite() -> None:
    found_RM = block_weights(np.zeros((1, 2)), np.zeros(2), 1.0, np.ones((1, 2), dtype=bool))
    np.testing.assert_allclose(found_RM, 0.5)


def test_head_learns_a_function_of_its_features_and_does_not_extrapolate() -> None:
    random = np.random.default_rng(0)
    features = random.uniform(-1, 1, (800, 4))
    target = np.stack([features[:, 0] * features[:, 1] + features[:, 2], 1 - features[:, 3] ** 2], axis=1)
    head = fit_head(features[:600], target[:600], np.ones(600))
    for output in range(2):
        assert np.corrcoef(head(features[600:])[:, output], target[600:, output])[0, 1] > 0.99
    far = np.full((1, 4), 50.0)
    np.testing.assert_allclose(head(far), head(features[:600].max(0, keepdims=True)))


def test_a_head_without_rows_says_nothing() -> None:
    head = fit_head(np.zeros((0, 3)), np.zeros((0, 2)), np.zeros(0))
    np.testing.assert_array_equal(head(np.ones((2, 3))), np.zeros((2, 2)))


def test_features_of_the_head_by_hand() -> None:
    """Evidence 2 and -2 of block 0, 1 and 0 of block 1; the predicted class is the first."""
    scaled_RMC = np.array([[[2.0, -2.0], [1.0, 0.0]]])
    novelty = (np.array([[0.1, 0.2]]), np.array([[0.3, 0.4]]))
    first, second = head_features(scaled_RMC, np.array([0]), novelty, np.array([[0.0, 0.25]]))
    np.testing.assert_allclose(first, [[2.0, np.tanh(2.0), 0.5, np.tanh(0.5), 2.0, 0.1, 0.2, 0.0]])
    np.testing.assert_allclose(second, [[0.5, np.tanh(0.5), 2.0, np.tanh(2.0), 0.5, 0.3, 0.4, 0.25]])
