"""Splitting of 13C by fluorine: multiplets by hand, and the published lines of fluorinated molecules."""

from collections import Counter
from itertools import pairwise

import pytest
from rdkit import Chem

from mmspec_ds.simulator.fluorine import CARBON_MHZ, multiplet_lines, split_by_fluorine


def lines(smiles: str, atom: int) -> list[float]:
    return split_by_fluorine(Chem.MolFromSmiles(smiles), {atom: 100.0})[atom]


def gaps_hz(found: list[float]) -> list[float]:
    return [round((high - low) * CARBON_MHZ, 1) for low, high in pairwise(found)]


def test_a_doublet_of_quartets_by_hand() -> None:
    # 100 Hz to one, 10 Hz to three fluorines: two quartets, 8 lines.
    found = multiplet_lines(50.0, Counter({100.0: 1, 10.0: 3}))
    assert gaps_hz(found) == [10.0, 10.0, 10.0, 70.0, 10.0, 10.0, 10.0]
    assert sum(found) / 8 == pytest.approx(50.0)


def test_unresolved_lines_are_one() -> None:
    assert len(multiplet_lines(50.0, Counter({0.5: 1}))) == 1
    assert multiplet_lines(50.0, Counter()) == [50.0]


@pytest.mark.parametrize(
    ("smiles", "atom", "number"),
    [
        ("Fc1ccccc1", 1, 2),
        ("Fc1ccccc1", 2, 2),
        ("FC(F)(F)c1ccccc1", 1, 4),
        ("FC(F)(F)c1ccccc1", 4, 4),
        ("CCF", 1, 2),
        ("CC(F)F", 1, 3),
        ("CCCCCF", 0, 1),
        ("CCO", 1, 1),
        ("CS(=O)(=O)F", 0, 1),
    ],
)
def test_number_of_lines(smiles: str, atom: int, number: int) -> None:
    assert len(lines(smiles, atom)) == number


def test_molecules_without_fluorine_keep_their_shifts() -> None:
    mol = Chem.MolFromSmiles("CCO")
    assert split_by_fluorine(mol, {0: 18.0, 1: 58.0}) == {0: [18.0], 1: [58.0]}


@pytest.mark.parametrize(
    ("smiles", "atom", "hertz"),
    [
        ("CN(c1ccc(F)cc1)S(=O)(=O)c1ccccc1C=O", 5, 159.34 - 157.37),
        ("FC(F)(F)COC[C@@H]1CCCN1Cc1ccccc1", 1, 125.38 - 123.21),
        ("FC(F)(F)COC[C@@H]1CCCN1Cc1ccccc1", 4, 67.20 - 66.92),
        ("CC1CCN(C2CCN(S(=O)(=O)c3cccnc3F)CC2)CC1", 17, 161.15 - 159.29),
    ],
)
def test_gaps_of_published_multiplets(smiles: str, atom: int, hertz: float) -> None:
    """Between neighbouring lines in the published sample, ppm at 125.76 MHz; within a tenth or 3 Hz."""
    ours = gaps_hz(lines(smiles, atom))[0]
    assert ours == pytest.approx(hertz * CARBON_MHZ, rel=0.1, abs=3.0)
