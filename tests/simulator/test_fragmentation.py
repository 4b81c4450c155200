"""Parts of molecules: all of them by hand for small ones, by brute force for others."""

from collections.abc import Iterable
from itertools import combinations

import numpy as np
import pytest
from rdkit import Chem

from mmspec_ds.simulator.fragment_features import (
    BONDS,
    CONTENTS,
    FEATURES,
    SITES,
    describe,
    heavy_masses,
)
from mmspec_ds.simulator.fragmentation import fragments, split_sides


def parts(smiles: str) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(row).tolist()) for row in fragments(Chem.MolFromSmiles(smiles))}


def after_cutting(mol: Chem.Mol, bonds: Iterable[int]) -> list[frozenset[int]]:
    """Components of the molecule without some bonds, by RDKit."""
    editable = Chem.RWMol(mol)
    for bond in bonds:
        one = mol.GetBondWithIdx(bond)
        editable.RemoveBond(one.GetBeginAtomIdx(), one.GetEndAtomIdx())
    return [frozenset(piece) for piece in Chem.GetMolFrags(editable)]


def test_all_parts_of_propanol_and_of_a_ring() -> None:
    # C0-C1-C2-O3: three bonds; every stretch of the chain.
    stretches = {frozenset(range(start, stop)) for start in range(4) for stop in range(start + 1, 5)}
    assert parts("CCCO") == stretches
    # Cyclopropane: each of three pairs of cuts leaves CH2 and CH2CH2.
    assert parts("C1CC1") == {frozenset(p) for p in [(0, 1, 2), (0,), (1,), (2,), (0, 1), (1, 2), (0, 2)]}


def test_the_whole_molecule_is_first_and_none_is_twice() -> None:
    membership = fragments(Chem.MolFromSmiles("Cc1ccccc1C(=O)NCC"))
    assert membership[0].all()
    assert len({row.tobytes() for row in membership}) == len(membership)
    assert membership.any(axis=1).all()


@pytest.mark.parametrize("smiles", ["CC(C)C(=O)OC", "c1ccccc1CN", "C1CC1CC1CC1", "CC1CCC(O)C1"])
def test_every_two_bonds_of_a_molecule_without_fused_rings(smiles: str) -> None:
    mol = Chem.MolFromSmiles(smiles)
    found = parts(smiles)
    for pair in combinations(range(mol.GetNumBonds()), 2):
        assert set(after_cutting(mol, pair)) <= found
    for part in found:
        assert len(Chem.GetMolFrags(Chem.MolFromSmiles(Chem.MolFragmentToSmiles(mol, list(part)), False))) == 1


def test_the_bond_that_two_rings_share_is_cut_with_one_of_each() -> None:
    # Naphthalene, cut across both rings: C4 + C6 along the outline, three bonds.
    mol = Chem.MolFromSmiles("c1ccc2ccccc2c1")
    three = {
        piece for cut in combinations(range(11), 3) for piece in after_cutting(mol, cut) if 3 < len(piece) < 7
    }
    sides = {frozenset(i for i in range(10) if side >> i & 1) for side in split_sides(mol)}
    halves = {side for side in sides if len(side) == 5}
    assert halves
    assert halves <= three


def test_masses_and_hydrogens_of_fragments() -> None:
    mol = Chem.MolFromSmiles("CCO")
    described = describe(mol, fragments(mol))
    assert described.hydrogens[0] == 6
    assert described.valences[0] == 0
    assert described.heavy_mass[0] == pytest.approx(2 * 12.0 + 15.99491461957)
    by_mass = sorted(zip(described.heavy_mass.round(2), described.hydrogens, described.valences))
    assert by_mass == [(12.0, 2, 2), (12.0, 3, 1), (15.99, 1, 1), (24.0, 5, 1), (27.99, 3, 1), (39.99, 6, 0)]
    assert heavy_masses(Chem.MolFromSmiles("[13CH4]"))[0] == pytest.approx(13.00335484)


def test_features_of_acetamide_cut_at_its_amide_bond() -> None:
    mol = Chem.MolFromSmiles("CC(N)=O")  # atoms C0, C1, N2, O3
    membership = fragments(mol)
    described = describe(mol, membership)
    assert described.features.shape == (len(membership), FEATURES)
    acetyl = next(
        row for row, part in zip(described.features, membership) if part.tolist() == [True, True, False, True]
    )
    named = dict(zip([*(("has", c) for c in CONTENTS), *(("left", c) for c in CONTENTS)], acetyl))
    assert named["has", "carbon"] == pytest.approx(np.log(3))
    assert named["has", "carbonyl oxygen"] == pytest.approx(np.log(2))
    assert named["left", "other nitrogen"] == pytest.approx(np.log(2))
    assert named["left", "acidic hydrogen"] == pytest.approx(np.log(3))
    rest = acetyl[2 * len(CONTENTS) :]
    kept, lost = dict(zip(SITES, rest)), dict(zip(SITES, rest[len(SITES) :]))
    bonds = dict(zip(BONDS, rest[2 * len(SITES) :]))
    assert (kept["carbonyl carbon"], kept["nitrogen"], lost["nitrogen"], lost["carbon"]) == (1, 0, 1, 0)
    assert (bonds["amide"], bonds["C-N"], bonds["ester"], bonds["aromatic"]) == (1, 1, 0, 0)


def test_a_molecule_of_many_rings_stays_affordable() -> None:
    steroid = Chem.MolFromSmiles("CC(C)CCCC(C)C1CCC2C1(CCC3C2CC=C4C3(CCC(C4)O)C)C")
    membership = fragments(steroid)
    assert 200 < len(membership) < 10_000
    assert membership.shape[1] == 28


def test_more_than_64_atoms() -> None:
    membership = fragments(Chem.MolFromSmiles("C" * 70))
    assert membership.shape == (70 * 71 // 2, 70)
