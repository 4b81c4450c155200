"""Contributions against the games of `evaluation.shapley`, by hand, and the heads that predict them."""

import numpy as np
import pytest

from mmspec_ds.evaluation.shapley import shapley_values
from mmspec_ds.systems.fusion.cohort.contribution import claims, exact_contributions, fit_head, head_features


def test_two_blocks_by_hand() -> None:
    """Even prior, log odds of 2 and -1 for the first class, 1 together. With s the logarithm of the logistic
    function: of the first block half of s(2) - s(0) and of s(1) - s(-1), of the second half of s(-1) - s(0) and
        of
    s(1) - s(2)."""

    def s(odds: float) -> float:
        return float(-np.log1p(np.exp(-odds)))

    value_RSC = np.array([[[s(odds), s(-odds)] for odds in (0.0, 2.0, -1.0, 1.0)]])
    found = exact_contributions(value_RSC, np.array([0]))
    first = 0.5 * (s(2) - s(0)) + 0.5 * (s(1) - s(-1))
    second = 0.5 * (s(-1) - s(0)) + 0.5 * (s(1) - s(2))
    np.testing.assert_allclose(found, [[first, second]])
    assert first > 0 > second


@pytest.mark.parametrize(("blocks", "classes"), [(1, 2), (3, 2), (4, 3), (6, 2)])
def test_contributions_are_those_of_the_game(blocks: int, classes: int) -> None:
    random = np.random.default_rng(blocks)
    value_RSC = np.log(random.dirichlet(np.ones(classes), (5, 1 << blocks)))
    class_R = random.integers(0, classes, 5)
    found_RM = exact_contributions(value_RSC, class_R)
    for row in range(5):

        def value(coalition: frozenset[str], row: int = row) -> float:
            number = sum(1 << int(name) for name in coalition)
            return float(value_RSC[row, number, class_R[row]])

        expected = shapley_values([str(at) for at in range(blocks)], value)
        np.testing.assert_allclose(found_RM[row], list(expected.values()), atol=1e-12)
    total_R = value_RSC[np.arange(5), -1, class_R] - value_RSC[np.arange(5), 0, class_R]
    np.testing.assert_allclose(found_RM.sum(1), total_R)


def test_claims_are_divergences_from_the_prior() -> None:
    prior_C = np.log([0.7, 0.3])
    found = claims(np.array([[[1.0, 0.0], [0.0, 0.0]]]), prior_C)
    said = np.array([0.7 * np.e, 0.3])
    said /= said.sum()
    np.testing.assert_allclose(found, [[(said * (np.log(said) - prior_C)).sum(), 0.0]], atol=1e-15)


def test_head_learns_a_function_of_its_features_and_does_not_extrapolate() -> None:
    random = np.random.default_rng(0)
    features = random.uniform(-1, 1, (800, 4))
    for target in (features[:, 0] * features[:, 1] + features[:, 2], 1 - features[:, 3] ** 2):
        head = fit_head(features[:600], target[:600], np.ones(600))
        assert np.corrcoef(head(features[600:]), target[600:])[0, 1] > 0.99
    far = np.full((1, 4), 50.0)
    np.testing.assert_allclose(head(far), head(features[:600].max(0, keepdims=True)))


def test_a_head_without_rows_says_nothing() -> None:
    head = fit_head(np.zeros((0, 3)), np.zeros(0), np.zeros(0))
    np.testing.assert_array_equal(head(np.ones((2, 3))), np.zeros(2))


def test_weights_of_rows_are_repetitions() -> None:
    random = np.random.default_rng(1)
    features, target = random.normal(size=(50, 3)), random.normal(size=50)
    weighted = fit_head(features, target, np.repeat([1.0, 3.0], 25))
    repeated = fit_head(
        *(np.repeat(one, np.repeat([1, 3], 25), axis=0) for one in (features, target)), np.ones(100)
    )
    np.testing.assert_allclose(weighted(features), repeated(features))


def test_features_of_the_head_by_hand() -> None:
    """Evidence 2 and -2 of block 0, 1 and 0 of block 1; the predicted class is the first."""
    scaled_RMC = np.array([[[2.0, -2.0], [1.0, 0.0]]])
    novelty = (np.array([[0.1, 0.2]]), np.array([[0.3, 0.4]]))
    first, second = head_features(scaled_RMC, np.array([0]), novelty, np.array([[0.0, 0.25]]))
    np.testing.assert_allclose(first, [[2.0, np.tanh(2.0), 0.5, np.tanh(0.5), 2.0, 0.1, 0.2, 0.0]])
    np.testing.assert_allclose(second, [[0.5, np.tanh(0.5), 2.0, np.tanh(2.0), 0.5, 0.3, 0.4, 0.25]])
