"""Molecules from pieces of others: plausible, canonical, repeatable, and with the elements of real ones."""

from collections import Counter
from itertools import islice
from random import Random

import pytest
from rdkit import Chem

from mmspec_ds.molecules.smiles import canonical_smiles, inchikey_block
from mmspec_ds.simulator import edits
from mmspec_ds.simulator.derivation import derived_molecules, pieces_of
from mmspec_ds.simulator.edits import EDITS, Edit, edited, joined
from mmspec_ds.simulator.plausibility import is_plausible

DRUGS = (
    "CC(C)Cc1ccc(cc1)C(C)C(=O)O", "CC(=O)Nc1ccc(OCC2CCCO2)cc1", "O=C(NCCN1CCOCC1)c1ccc(Cl)cc1",
    "Cc1ccc(cc1)S(=O)(=O)NC1CCCCC1", "COc1ccc2[nH]cc(CCN(C)C)c2c1", "CCOC(=O)c1cnn(CC2CC2)c1C(F)(F)F",
)  # fmt: skip


def rounds(seed: int, number: int, workers: int = 1) -> list[tuple[str, str]]:
    made = derived_molecules(pieces_of(DRUGS, 11), 11, seed, workers)
    return [pair for found in islice(made, number) for pair in found]


@pytest.fixture(scope="module")
def molecules() -> list[tuple[str, str]]:
    return rounds(0, 12)


def test_they_are_canonical_plausible_and_of_the_size(molecules: list[tuple[str, str]]) -> None:
    assert len(set(molecules)) > 600
    for smiles, _ in molecules:
        mol = Chem.MolFromSmiles(smiles)
        assert canonical_smiles(smiles) == smiles
        assert 4 <= mol.GetNumAtoms() <= 11
        assert is_plausible(mol)
        assert all(atom.GetNumRadicalElectrons() == 0 for atom in mol.GetAtoms())
    assert all(inchikey_block(smiles) == block for smiles, block in molecules[::10])


def test_larger_ones_are_more_and_all_elements_come(molecules: list[tuple[str, str]]) -> None:
    mols = [Chem.MolFromSmiles(smiles) for smiles, _ in molecules]
    sizes = Counter(mol.GetNumAtoms() for mol in mols)
    assert sizes[11] > sizes[8] > sizes[5]
    elements = Counter(symbol for mol in mols for symbol in {atom.GetSymbol() for atom in mol.GetAtoms()})
    assert {"C", "N", "O", "F", "S", "Cl", "Br", "I", "Si"} <= set(elements)
    assert any("[N+](=O)[O-]" in smiles for smiles, _ in molecules)


def test_the_seed_decides_and_the_processes_do_not(molecules: list[tuple[str, str]]) -> None:
    assert rounds(0, 2, workers=2) == molecules[: len(rounds(0, 2))]
    assert rounds(1, 2) != rounds(0, 2)


@pytest.mark.parametrize("edit", [edit for edit, _ in EDITS], ids=lambda edit: edit.__name__)
def test_each_edit_leaves_a_molecule_or_says_that_there_is_no_place(
    edit: Edit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edits, "EDITS", ((edit, 1.0),))
    changed = 0
    for number, smiles in enumerate(DRUGS * 5):
        mol = Chem.MolFromSmiles(smiles)
        result = edited(mol, 1, Random(number))
        assert Chem.MolToSmiles(mol) == canonical_smiles(smiles)  # the molecule itself is left alone
        if result is not None:
            changed += Chem.MolToSmiles(result) != canonical_smiles(smiles)
            assert Chem.MolFromSmiles(Chem.MolToSmiles(result)) is not None
    assert changed >= 5


def test_two_molecules_are_joined_at_hydrogens() -> None:
    made = {
        Chem.MolToSmiles(mol)
        for seed in range(40)
        if (mol := joined(Chem.MolFromSmiles("C1CC1"), Chem.MolFromSmiles("c1cc[nH]c1"), Random(seed)))
    }
    assert made == {canonical_smiles(s) for s in ("C1CC1n1cccc1", "C1CC1c1ccc[nH]1", "C1CC1c1cc[nH]c1")}


@pytest.mark.parametrize(
    "smiles",
    ["CC(=O)OC(C)=O", "O=[N+]([O-])c1ccccc1", "CS(C)(=O)=O", "CS(C)=O", "CC=NO", "NNc1ccccc1", "C1COCO1",
     "O=C1CCC(=O)N1", "CC(C)=NO", "BrCCBr", "CCI", "C[Si](C)(C)C", "COP(=O)(OC)OC", "CCB(O)O", "S=C=Nc1ccccc1",
     "CC(=O)CC(C)=O", "ClC(Cl)CCl", "OC1CCCCO1", "CC1=CCC2CC1C2(C)C"],
)  # fmt: skip
def test_common_chemistry_is_plausible(smiles: str) -> None:
    assert is_plausible(Chem.MolFromSmiles(smiles))


@pytest.mark.parametrize(
    "smiles",
    ["CCOOC", "CC(O)O", "CNCO", "C=C(O)C", "NC=CC", "CC(N)Cl", "C1=CC1", "CC(=O)C#N", "CSO", "CNF", "OC(=O)O",
     "CC(=O)Br", "CC(=S)C", "C[SH](=O)=O", "C1#CCCCC1", "CC=C=O", "CC(=N)C", "NCCBr",
     "C1=C2CC1C2", "OCC(=O)Cl", "NCCC=O", "CC(F)O"],
)  # fmt: skip
def test_what_nobody_has_is_not(smiles: str) -> None:
    assert not is_plausible(Chem.MolFromSmiles(smiles))
