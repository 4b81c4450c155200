"""Simulated IR: bands where the correlation charts have them, and a skeleton that obeys mechanics."""

import numpy as np
import pytest
from rdkit import Chem

from mmspec_ds.spectra.simulator.infrared import POINTS, group_bands, infrared, skeletal_bands


def maxima(smiles: str) -> list[float]:
    absorbance = infrared(Chem.MolFromSmiles(smiles)).absorbance
    inner = absorbance[1:-1]
    tops = (inner > absorbance[:-2]) & (inner > absorbance[2:]) & (inner > 0.1)
    return np.linspace(400, 4000, POINTS)[1:-1][tops].tolist()


@pytest.mark.parametrize(
    ("smiles", "low", "high"),
    [
        ("CC(C)=O", 1710, 1720),
        ("CC=O", 1722, 1735),
        ("CCOC(C)=O", 1735, 1750),
        ("CC(=O)O", 1700, 1725),
        ("CC(N)=O", 1650, 1690),
        ("O=C1CCCC1", 1740, 1755),
        ("C=CC(C)=O", 1675, 1700),
        ("CCC#N", 2240, 2260),
        ("C#CCC", 3290, 3315),
        ("CCO", 3250, 3450),
    ],
)
def test_group_frequencies(smiles: str, low: float, high: float) -> None:
    assert any(low <= top <= high for top in maxima(smiles))


@pytest.mark.parametrize("smiles", ["CCCC", "CCO", "CC#N", "C1CC1"])
def test_no_carbonyl_band_without_carbonyl(smiles: str) -> None:
    assert not any(1640 <= top <= 1850 for top in maxima(smiles))


def test_grid_and_scale() -> None:
    spectrum = infrared(Chem.MolFromSmiles("CCO"))
    assert spectrum.absorbance.shape == (1800,)
    assert spectrum.absorbance.max() == 1.0
    assert spectrum.absorbance.min() >= 0.0
    assert (spectrum.start_cm1, spectrum.stop_cm1) == (400.0, 4000.0)


def test_two_masses_on_a_spring() -> None:
    # Chloromethane: k = 4.2 mdyn/Angstrom, reduced mass of CH3 (15.035) and Cl (35.453): 821 cm-1.
    (band,) = skeletal_bands(Chem.MolFromSmiles("CCl"))
    assert band[0] == pytest.approx(1302.79 * np.sqrt(4.2 * (1 / 15.035 + 1 / 35.453)), abs=0.5)


def test_isomers_have_different_fingerprints() -> None:
    first, second = (skeletal_bands(Chem.MolFromSmiles(s)) for s in ("CC(C)C(C)O", "CCC(C)CO"))
    assert first.shape != second.shape or np.abs(first[:, 0] - second[:, 0]).max() > 20.0


def test_each_group_is_claimed_by_its_most_special_row() -> None:
    ester = group_bands(Chem.MolFromSmiles("COC(C)=O"))[:, 0]
    assert 1741.0 in ester
    assert 1715.0 not in ester
    lactone = group_bands(Chem.MolFromSmiles("O=C1CCCO1"))[:, 0]
    assert 1741.0 + 32.0 in lactone
