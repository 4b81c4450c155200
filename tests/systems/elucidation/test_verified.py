"""The combined score by hand, and the fit of weights and confidence on made-up lists."""

import numpy as np
import pytest

from mmspec_ds.simulator.simulate import simulate_record
from mmspec_ds.spectra.records import CarbonNMR, Record
from mmspec_ds.systems.elucidation.calibrate import Case, fit_cases
from mmspec_ds.systems.elucidation.candidates import Candidates, MoleculeCandidate
from mmspec_ds.systems.elucidation.verified import check_confidence, combine, verify
from mmspec_ds.verification.calibration import Calibration
from mmspec_ds.verification.error_models import ErrorModels

RECORD = Record("a", (CarbonNMR((50.0, 20.0)),))


def found(**log_probabilities: float) -> Candidates:
    return Candidates(tuple(MoleculeCandidate(*one) for one in log_probabilities.items()))


def test_combined_scores_and_confidence_by_hand() -> None:
    errors = ErrorModels(weights={"c_nmr": 2.0})
    calibration = Calibration(errors=errors, model_weight=0.5, listed=(1.0, 0.5, -0.1, 0.2))
    parts = [{"c_nmr": -6.0}, {"c_nmr": -4.0}]
    answer = combine(found(CC=-1.0, CO=-2.0), parts, RECORD, calibration)
    assert [one.smiles for one in answer.molecules] == ["CO", "CC"]
    assert [one.score for one in answer.molecules] == [-9.0, -12.5]
    share = 1 / (1 + np.exp(-3.5))
    assert answer.molecules[0].share == pytest.approx(share)
    missed = 1 - np.exp(-1.0) - np.exp(-2.0)
    listed = 1 / (1 + np.exp(-(1.0 + 0.5 * -2.0 - 0.1 * np.log(missed) + 0.2 * 3.5)))
    assert answer.listed == pytest.approx(listed)
    assert answer.confidence(1) == pytest.approx(listed * share)


def test_without_a_calibration_there_is_no_confidence() -> None:
    answer = verify(found(CC=-1.0), RECORD, Calibration())
    assert answer.listed is None
    assert answer.confidence(1) is None


def test_nothing_found_is_not_listed() -> None:
    answer = verify(Candidates(()), RECORD, Calibration(listed=(1.0, 0.0, 0.0, 0.0)))
    assert (answer.molecules, answer.listed) == ((), 0.0)


def test_the_right_isomer_comes_first_and_another_spectrum_changes_that() -> None:
    candidates = Candidates((MoleculeCandidate("CCCO", -0.1), MoleculeCandidate("CC(C)O", -5.0)))
    right = verify(candidates, simulate_record("CC(C)O"), Calibration())
    shuffled = verify(candidates, simulate_record("CCCO"), Calibration())
    assert (right.molecules[0].smiles, shuffled.molecules[0].smiles) == ("CC(C)O", "CCCO")


def lists(random: np.random.Generator, count: int) -> list[Case]:
    """Lists of four candidates whose parts tell the right one; in a third of them it is missing, and the first
    agrees badly."""
    cases = []
    for _ in range(count):
        right = int(random.integers(4)) if random.random() < 2 / 3 else None
        parts = [{"c_nmr": float(random.normal(-12 if right is None else -8, 2))} for _ in range(4)]
        if right is not None:
            parts[right] = {"c_nmr": float(random.normal(-3, 2))}
        logs = np.log(random.dirichlet(np.ones(4)) * 0.8)
        names = ["C" * (number + 1) for number in range(4)]
        candidates = Candidates(tuple(MoleculeCandidate(*one) for one in zip(names, logs.tolist())))
        record = Record("a", RECORD.spectra, smiles="C" * 9 if right is None else names[right])
        cases.append(Case(record, candidates, parts, right))
    return cases


def test_fitted_confidence_comes_true_on_other_lists() -> None:
    random = np.random.default_rng(0)
    fitted = fit_cases(lists(random, 400), ErrorModels())
    assert fitted.errors.weights["c_nmr"] > 0.5
    others = lists(random, 1000)
    answers = [combine(one.candidates, one.parts, one.record, fitted) for one in others]
    checks = check_confidence(answers, [one.record.smiles for one in others])
    assert checks["first"].n == checks["listed"].n == 1000
    assert max(checks["first"].error, checks["listed"].error) < 0.05
    # Shuffled control: parts of other candidates are worth nothing, and the fit says so.
    mixed = [
        Case(c.record, c.candidates, [c.parts[at] for at in random.permutation(4)], c.right) for c in others
    ]
    assert fit_cases(mixed, ErrorModels()).errors.weights["c_nmr"] < 0.1
