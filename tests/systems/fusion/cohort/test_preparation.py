"""Preparation of values against formulas."""

import numpy as np
import pytest

from mmspec_ds.systems.fusion.cohort.analysis_settings import PreparationSettings
from mmspec_ds.systems.fusion.cohort.preparation import fit_preparation

VALUES = np.exp(np.random.default_rng(0).normal(size=(30, 7)))


def test_autoscaled_logarithms() -> None:
    prepared = fit_preparation(VALUES, PreparationSettings(transform="log"))(VALUES)
    expected = np.log(VALUES + 0.1 * np.median(VALUES, axis=0))
    np.testing.assert_allclose(prepared, (expected - expected.mean(0)) / expected.std(0))


def test_pareto_scaling_leaves_the_root_of_the_deviation() -> None:
    fitted = fit_preparation(VALUES, PreparationSettings(scaling="pareto"))
    np.testing.assert_allclose(fitted(VALUES).std(0), np.sqrt(VALUES.std(0)))
    np.testing.assert_allclose(fitted.spread_F, np.sqrt(VALUES.std(0)))


def test_dilution_is_taken_out() -> None:
    """PQN and the total take out a factor of each sample; PQN also where a feature has grown a hundredfold."""
    factor_N1 = np.random.default_rng(1).uniform(0.2, 5, (30, 1))
    for name in ("pqn", "total"):
        fitted = fit_preparation(VALUES, PreparationSettings(normalisation=name))
        np.testing.assert_allclose(fitted(VALUES * factor_N1), fitted(VALUES), atol=1e-12)
    grown = VALUES[:1].copy()
    grown[0, 3] *= 100
    change = {}
    for name in ("pqn", "total"):
        fitted = fit_preparation(VALUES, PreparationSettings(normalisation=name))
        change[name] = np.abs(np.delete(fitted(grown) - fitted(VALUES[:1]), 3)).max()
    assert change["pqn"] < 0.3 * change["total"]


def test_missing_values_are_the_median_of_training() -> None:
    values = VALUES.copy()
    values[4:9, 2] = np.nan
    prepared = fit_preparation(values, PreparationSettings())(values)
    filled = values.copy()
    filled[4:9, 2] = np.nanmedian(values[:, 2])
    np.testing.assert_allclose(prepared, (filled - filled.mean(0)) / filled.std(0))


def test_features_without_variance_become_zero() -> None:
    values = VALUES.copy()
    values[:, 0], values[:, 1] = 3.0, np.nan
    prepared = fit_preparation(values, PreparationSettings())(VALUES)
    assert np.abs(prepared[:, :2]).max() == 0
    assert np.isfinite(prepared).all()


@pytest.mark.parametrize("normalisation", ["none", "total", "pqn"])
@pytest.mark.parametrize("transform", ["none", "log", "sqrt"])
def test_negative_values_and_empty_samples_stay_finite(normalisation: str, transform: str) -> None:
    values = VALUES - 0.5
    values[0] = 0.0
    settings = PreparationSettings(normalisation=normalisation, transform=transform)  # type: ignore[arg-type]
    assert np.isfinite(fit_preparation(values, settings)(values)).all()


def test_a_row_is_prepared_alike_alone_and_among_others() -> None:
    fitted = fit_preparation(VALUES, PreparationSettings(normalisation="pqn", transform="log"))
    np.testing.assert_allclose(fitted(VALUES[3:4]), fitted(VALUES)[3:4])


def test_features_that_few_training_samples_have_are_not_used() -> None:
    """Of four samples, 1, 2 and 3 have the features: a blank and a 0 are none. What held-out samples have does
    not count."""
    values_NF = np.array([[5.0, 1, 1], [0, 3, 2], [np.nan, 0, 3], [0, 0, 0]])
    prepare = fit_preparation(values_NF, PreparationSettings(least_present=0.5))
    assert prepare.spread_F.tolist() == [0.0, 1.0, 1.0]
    prepared_RF = prepare(np.array([[9.0, 9.0, 9.0]] * 2))
    assert (prepared_RF == 0).tolist() == [[True, False, False]] * 2
    assert fit_preparation(values_NF, PreparationSettings()).spread_F.tolist() == [1.0, 1.0, 1.0]
