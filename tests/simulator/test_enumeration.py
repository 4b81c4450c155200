"""The enumeration: counts, validity, no repeats, and chemistry that it must and must not contain."""

from collections import Counter

import pytest
from rdkit import Chem

from mmspec_ds.molecules.smiles import canonical_smiles, inchikey_block
from mmspec_ds.simulator.chemistry import is_sensible, may_grow
from mmspec_ds.simulator.enumeration import enumerate_molecules


@pytest.fixture(scope="module")
def molecules() -> list[str]:
    return list(enumerate_molecules(3200, seed=1))


def test_sizes_are_mixed_and_complete_up_to_six(molecules: list[str]) -> None:
    sizes = Counter(Chem.MolFromSmiles(smiles).GetNumHeavyAtoms() for smiles in molecules)
    assert sizes == {4: 90, 5: 423, 6: 2160, 7: 352, 8: 175}


def test_all_are_canonical_and_distinct(molecules: list[str]) -> None:
    assert len(set(molecules)) == 3200
    assert len({inchikey_block(smiles) for smiles in molecules}) == 3200
    assert [canonical_smiles(smiles) for smiles in molecules] == molecules


def test_elements_and_carbons(molecules: list[str]) -> None:
    for smiles in molecules:
        mol = Chem.MolFromSmiles(smiles)
        symbols = [atom.GetSymbol() for atom in mol.GetAtoms()]
        assert set(symbols) <= {"C", "N", "O", "F", "S", "Cl"}
        assert symbols.count("C") >= 2
        assert any(atom.GetSymbol() == "C" and atom.GetTotalNumHs() for atom in mol.GetAtoms())
        assert all(not atom.GetFormalCharge() and not atom.GetNumRadicalElectrons() for atom in mol.GetAtoms())


@pytest.mark.parametrize(
    "smiles",
    ["CC(C)=O", "CCC#N", "c1ccccc1", "c1ccncc1", "c1ccoc1", "c1ccsc1", "c1cc[nH]c1", "c1c[nH]cn1", "CCOC=O",
     "C1CCCCC1", "CC(=O)OC", "CC(N)=O", "CC(=O)NC", "CC#CC", "C=CC=C", "CCSC", "CCCS", "C1CCOC1", "C1CC2CC2C1",
     "CCOCC", "CC(C)(C)F", "CC(F)(F)F", "O=C1CCCN1", "COCOC", "OCCO", "CN(C)C=O"],
)  # fmt: skip
def test_well_known_molecules_are_there(molecules: list[str], smiles: str) -> None:
    assert canonical_smiles(smiles) in molecules


@pytest.mark.parametrize(
    "smiles",
    ["COOC", "CNN", "C=C=CC", "C=CO", "CC(O)O", "C1=CC1", "CC(C)=NO", "CSCl", "CNCl", "C1=CCC=1", "N#CC#N",
     "CNCO", "CC(N)O", "c1coo1", "C1#CCCC1", "CC=C=O", "O=C=NC", "C1=C2CC1C2", "NC(F)C",
     "CC(=O)OC(C)=O", "C1CC2C1C2"],
)  # fmt: skip
def test_silly_molecules_are_not(molecules: list[str], smiles: str) -> None:
    mol = Chem.MolFromSmiles(smiles)
    assert not (may_grow(mol) and is_sensible(mol))
    assert Chem.MolToSmiles(mol) not in molecules


def test_bredt() -> None:
    assert may_grow(Chem.MolFromSmiles("C1CC2CCC1C2"))
    assert not may_grow(Chem.MolFromSmiles("C1CC2=CCC1C2"))


def test_one_seed_one_list_and_blocks_are_the_inchikeys() -> None:
    first = enumerate_molecules(400, max_heavy_atoms=5, seed=3)
    assert first == enumerate_molecules(400, max_heavy_atoms=5, seed=3)
    assert list(first) != list(enumerate_molecules(400, max_heavy_atoms=5, seed=4))
    assert all(inchikey_block(smiles) == block for smiles, block in list(first.items())[:50])


def test_too_many_or_too_few_are_refused() -> None:
    with pytest.raises(ValueError, match="only 513 molecules up to 5 heavy atoms, 514 wanted"):
        enumerate_molecules(514, max_heavy_atoms=5)
    assert len(enumerate_molecules(513, max_heavy_atoms=5)) == 513
    with pytest.raises(ValueError, match="max_heavy_atoms >= 4"):
        enumerate_molecules(10, max_heavy_atoms=3)


@pytest.mark.slow
def test_forty_thousand() -> None:
    molecules = list(enumerate_molecules(40_000))
    assert len(set(molecules)) == 40_000
    assert max(Chem.MolFromSmiles(smiles).GetNumHeavyAtoms() for smiles in molecules) == 8
