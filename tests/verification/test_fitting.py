"""Fits against numbers that are known or found otherwise."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize

from mmspec_ds.simulator.noise_settings import NoiseSettings
from mmspec_ds.simulator.simulate import simulate_record
from mmspec_ds.verification.error_models import ErrorModels
from mmspec_ds.verification.fitting import RIDGE, fit_error_models, fit_list_weights, fit_logistic

MOLECULES = ("CCOC(=O)CC", "CCCC(=O)C", "Cc1ccccc1OC", "CC(C)CC#N", "OCCc1ccco1", "CCCCCCO", "CC1CCCCC1=O")


def test_the_noise_of_simulated_shifts_is_found_again() -> None:
    noise = NoiseSettings(carbon_ppm=1.5, hydrogen_ppm=0.1)
    records = [simulate_record(smiles, seed, noise) for smiles in MOLECULES for seed in range(15)]
    fitted = fit_error_models(records)
    assert fitted.c_nmr.error_ppm == pytest.approx(1.5, rel=0.15)
    assert fitted.h_nmr.error_ppm == pytest.approx(0.1, rel=0.2)
    assert fitted.c_nmr.spread_scale < 0.3


def test_few_signals_change_nothing() -> None:
    assert fit_error_models([simulate_record("CCO")]) == ErrorModels()


def test_a_salt_is_passed_over() -> None:
    records = [simulate_record(smiles, seed) for smiles in MOLECULES for seed in range(6)]
    salt = replace(records[0], smiles="CC(=O)[O-].[Na+]")
    assert fit_error_models([salt, *records]) == fit_error_models(records) != ErrorModels()


def test_list_weights_are_those_of_greatest_likelihood() -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(400, 6, 2))
    present = random.random((400, 6)) < 0.8
    present[:, 0] = True
    utility = np.where(present, features @ [1.5, 0.4] + random.gumbel(size=(400, 6)), -np.inf)
    right = utility.argmax(axis=1).tolist()

    def loss(weights: np.ndarray) -> float:
        total = RIDGE * ((weights - 1) ** 2).sum()
        for row, place in enumerate(right):
            scores = features[row][present[row]] @ weights
            total -= (features[row, place] @ weights - np.log(np.exp(scores).sum())) / 400
        return float(total)

    expected = minimize(loss, [1.0, 1.0], method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-10}).x
    found = fit_list_weights(features, present, right, [None, None])
    np.testing.assert_allclose(found, expected, atol=1e-3)
    np.testing.assert_allclose(found, [1.5, 0.4], atol=0.25)
    assert fit_list_weights(features, present, right, [1.0, None])[0] == 1.0


def test_a_feature_that_misleads_has_no_weight() -> None:
    features = np.zeros((100, 2, 1))
    features[:, 0, 0] = -3.0
    assert fit_list_weights(features, np.ones((100, 2), bool), [0] * 100, [None]).tolist() == [0.0]


def test_logistic_regression_is_balanced() -> None:
    # At the optimum of an intercept without penalty the mean probability is the share of true outcomes.
    random = np.random.default_rng(1)
    features = random.normal(size=(500, 2))
    true = random.random(500) < 1 / (1 + np.exp(-(0.5 + features @ [2.0, -1.0])))
    weights = fit_logistic(features, true.tolist())
    stated = 1 / (1 + np.exp(-(weights[0] + features @ weights[1:])))
    assert stated.mean() == pytest.approx(true.mean(), abs=1e-5)
    np.testing.assert_allclose(weights, [0.5, 2.0, -1.0], atol=0.4)
