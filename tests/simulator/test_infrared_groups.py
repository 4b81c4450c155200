"""Group frequencies: a sound table, the groups that a chemist counts, bands with their areas."""

import numpy as np
import pytest
from rdkit import Chem

from mmspec_ds.simulator.infrared_groups import (
    POINTS,
    START_CM1,
    STOP_CM1,
    Phase,
    group_absorbance,
    group_counts,
    shipped_groups,
)

GRID = np.linspace(START_CM1, STOP_CM1, POINTS)


def absorbance(smiles: str, phase: Phase = "gas") -> np.ndarray:
    return group_absorbance(group_counts(Chem.MolFromSmiles(smiles)), phase)


def area(curve: np.ndarray, low: float, high: float) -> float:
    inside = slice(*np.searchsorted(GRID, (low, high)))
    return float(np.trapezoid(curve[inside], GRID[inside]))


def test_every_row_has_a_pattern_and_possible_bands() -> None:
    for group in shipped_groups():
        assert group.pattern is not None, group.name
        assert group.phase in (None, "gas", "condensed"), group.name
        for position, width, strength in group.bands:
            assert START_CM1 < position < STOP_CM1, group.name
            assert 3 <= width <= 200, group.name
            assert 0 < strength <= 1200, group.name


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        (
            "CCOC(C)=O",
            {"methyl", "methyl on a carbonyl", "methylene beside oxygen", "ester", "aliphatic ester C-O"},
        ),
        ("CC#N", {"methyl on a nitrile or an alkyne", "nitrile"}),
        (
            "Clc1ccccc1",
            {"monosubstituted benzene", "aromatic ring with a hetero substituent", "aromatic chlorine"},
        ),
        ("CC(O)=O", {"carboxylic acid", "methyl on a carbonyl"}),
        ("C=CCl", {"vinyl halide", "vinyl chlorine"}),
    ],
)
def test_groups_of_small_molecules(smiles: str, expected: set[str]) -> None:
    counts = group_counts(Chem.MolFromSmiles(smiles))
    found = {group.name for group, count in zip(shipped_groups(), counts) if count}
    assert found - {"C-C skeleton", "aromatic hydrogen"} == expected


def test_the_area_of_a_band_is_its_strength_for_each_match() -> None:
    # Ketone: 180 km/mol at 1722 cm-1. Two of them in heptane-2,6-dione; nothing else within 1550 to 1900.
    assert area(absorbance("CC(C)=O"), 1550, 1900) == pytest.approx(180.0, rel=1e-3)
    assert area(absorbance("CC(=O)CCCC(C)=O"), 1550, 1900) == pytest.approx(360.0, rel=1e-3)


def test_broadening_keeps_the_area_and_lowers_the_height() -> None:
    counts = group_counts(Chem.MolFromSmiles("CC(C)=O"))
    sharp, broad = group_absorbance(counts), group_absorbance(counts, "gas", 25.0)
    assert area(broad, 1500, 1950) == pytest.approx(area(sharp, 1500, 1950), rel=5e-3)
    assert broad.max() / sharp.max() == pytest.approx(12.0 / np.hypot(12.0, 25.0), rel=1e-2)


def test_hydrogen_bonds_move_and_widen_the_band_of_an_alcohol() -> None:
    free, bonded = absorbance("CCO"), absorbance("CCO", "condensed")
    assert area(free, 3600, 3720) == pytest.approx(22.0, rel=1e-2)
    assert area(free, 3150, 3500) < 0.5
    assert area(bonded, 3150, 3500) > 300.0
