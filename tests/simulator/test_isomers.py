"""Isomers against known numbers of them, and edits against RDKit's formula."""

from random import Random

import pytest
from rdkit import Chem
from rdkit.Chem.rdMolDescriptors import CalcMolFormula

from mmspec_ds.simulator import isomers
from mmspec_ds.simulator.isomers import edited_isomers, isomers_of


@pytest.mark.parametrize(
    ("formula", "count"),
    [("CH4", 1), ("C2H4O", 3), ("C3H9N", 4), ("C5H8", 26), ("C6H6", 217), ("C7H16", 9), ("C2HF3", 1)],
)
def test_every_structure_is_made(formula: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # Numbers of constitutional isomers, as generators of structures such as MOLGEN and Surge count them.
    monkeypatch.setattr(isomers, "_NEVER", ())
    monkeypatch.setattr(isomers, "_AT_THE_END", ())
    found = isomers_of(formula)
    assert len(found) == count
    assert {CalcMolFormula(Chem.MolFromSmiles(one)) for one in found} == {formula}


def test_strained_and_unstable_structures_are_left_out() -> None:
    assert isomers_of("C2H4O") == ["C1CO1", "CC=O"]
    assert isomers_of("C2H6O2") == ["COCO", "OCCO"]


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("C2H7O", "no molecule"),
        ("C2H8O", "no molecule"),
        ("C2H4Na", "Na is not covered"),
        ("C2H8N+", "a charge is not covered"),
        ("C6H6", "more than 20"),
    ],
)
def test_what_is_refused(formula: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isomers, "MOST_ISOMERS", 20)
    with pytest.raises(ValueError, match=words):
        isomers_of(formula)


@pytest.mark.parametrize(
    "smiles", ["CC(=O)Oc1ccccc1C(=O)O", "Nc1cc([N+](=O)[O-])ccc1Cl", "CS(=O)(=O)c1ccc(N)cc1", "CCCCCCO"]
)
def test_edits_keep_the_formula(smiles: str) -> None:
    right = Chem.MolFromSmiles(smiles)
    found = [one for one, _ in zip(edited_isomers(smiles, Random(1)), range(40))]
    assert len(found) > 20
    assert len({*found, Chem.MolToSmiles(right)}) == len(found) + 1
    for one in found:
        molecule = Chem.MolFromSmiles(one)
        assert Chem.MolToSmiles(molecule) == one
        assert CalcMolFormula(molecule) == CalcMolFormula(right)
        assert molecule.GetRingInfo().NumRings() <= right.GetRingInfo().NumRings()


def test_one_seed_gives_one_list() -> None:
    first, again, other = (list(zip(edited_isomers("CCc1ccccc1O", Random(s)), range(9))) for s in (5, 5, 6))
    assert first == again != other


def test_a_molecule_without_isomers() -> None:
    assert list(edited_isomers("C", Random(0))) == []
    assert list(edited_isomers("CC", Random(0))) == []
