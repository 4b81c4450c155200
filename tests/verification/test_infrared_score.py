"""The score of a molecule for a measured IR spectrum: arithmetic, what it ignores, which isomer it finds."""

import math

import numpy as np
import pytest
from rdkit import Chem

from mmspec_ds.simulator.infrared_groups import group_absorbance, group_counts
from mmspec_ds.spectra.records import Infrared
from mmspec_ds.verification.infrared import INDEPENDENT_POINTS, infrared_score

GRID = np.linspace(400.0, 4000.0, 1800)
ISOMERS = ("CCC(C)=O", "CCCC=O", "C1CCCO1", "C=CC(C)O", "C=COCC")


def molecule(smiles: str) -> Chem.Mol:
    return Chem.MolFromSmiles(smiles)


def curve(*bands: tuple[float, float, float]) -> np.ndarray:
    """Gaussians of position, standard deviation (cm-1) and height."""
    return np.sum([height * np.exp(-0.5 * ((GRID - at) / wide) ** 2) for at, wide, height in bands], axis=0)


BUTANONE = curve(
    (2985, 25, 0.4), (2940, 20, 0.2), (1742, 8, 1.0), (1365, 10, 0.4), (1420, 12, 0.2), (1172, 14, 0.5)
)
BUTANONE += 0.001 * np.sin(GRID)
"""Bands of butanone in the gas phase as textbooks draw it, and a ripple that shows where it was measured."""


def test_the_right_isomer_has_the_highest_score() -> None:
    scores = [infrared_score(Infrared(BUTANONE), molecule(one)) for one in ISOMERS]
    assert scores[0] == max(scores)
    assert scores[0] > scores[2] + 3.0  # an ether has no carbonyl


def test_the_score_is_the_gaussian_one_of_the_correlation() -> None:
    counts = group_counts(molecule("CCC(C)=O"))
    # Bands that are already as broad as both sides make them: correlated within what 12 and 25 cm-1 differ by.
    score = infrared_score(Infrared(group_absorbance(counts, "gas", 22.0)), molecule("CCC(C)=O"))
    correlation = math.sqrt(1.0 - math.exp(-2.0 * score / INDEPENDENT_POINTS))
    assert 0.97 < correlation < 0.9991


def test_scale_and_offset_do_not_count() -> None:
    plain = infrared_score(Infrared(BUTANONE), molecule("CCC(C)=O"))
    assert infrared_score(Infrared(7.0 * BUTANONE + 0.3), molecule("CCC(C)=O")) == pytest.approx(
        plain, abs=1e-9
    )


def test_a_falling_axis_and_a_finer_grid_give_the_same() -> None:
    plain = infrared_score(Infrared(BUTANONE), molecule("CCC(C)=O"))
    turned = infrared_score(Infrared(BUTANONE[::-1].copy(), 4000.0, 400.0), molecule("CCC(C)=O"))
    assert turned == pytest.approx(plain, abs=1e-9)
    fine = np.interp(np.linspace(400.0, 4000.0, 2 * 1799 + 1), GRID, BUTANONE)
    assert infrared_score(Infrared(fine), molecule("CCC(C)=O")) == pytest.approx(plain, abs=1e-9)


def test_parts_that_were_not_measured_do_not_count() -> None:
    """A curve from 1000 cm-1 on, filled below with its lowest value: a C-Cl band there is not missed."""
    filled = np.where(GRID < 1000.0, 0.0, BUTANONE)
    chloride = molecule("CCC(C)Cl")
    whole = infrared_score(Infrared(BUTANONE), chloride)
    assert infrared_score(Infrared(filled), chloride) != pytest.approx(whole, abs=0.01)
    other = np.where(GRID < 1000.0, 0.4, filled)
    assert infrared_score(Infrared(other), chloride) == pytest.approx(
        infrared_score(Infrared(filled), chloride), abs=0.2
    )


@pytest.mark.parametrize("absorbance", [np.zeros(1800), np.where(GRID > 3900, 1.0, 0.0)], ids=["flat", "edge"])
def test_nothing_is_said_without_a_measured_curve(absorbance: np.ndarray) -> None:
    assert infrared_score(Infrared(absorbance), molecule("CCC(C)=O")) == 0.0


def test_either_phase_will_do() -> None:
    rest = ((2960, 20, 0.8), (2880, 20, 0.5), (1050, 18, 0.5), (1460, 15, 0.2), (1385, 30, 0.15))
    ether, alcohol = molecule("CCOCC"), molecule("CCCCO")
    for hydroxyl in ((3665, 15, 0.3), (3340, 90, 0.8)):
        spectrum = Infrared(curve(*rest, hydroxyl))
        assert infrared_score(spectrum, alcohol) > infrared_score(spectrum, ether) + 1.0
