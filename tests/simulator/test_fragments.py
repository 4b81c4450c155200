"""Pieces of molecules: what the cuts of acyclic bonds leave."""

import pytest
from rdkit import Chem
from rdkit.Chem import BRICS

from mmspec_ds.molecules.smiles import canonical_smiles
from mmspec_ds.simulator.fragments import fragments


def test_pieces_of_a_molecule_by_hand() -> None:
    # Cut are the bonds of the benzene ring to O and CH2 and of CH2 to N; not O-CH3, which would leave one atom.
    found = fragments("COc1ccc(CN2CCCCC2)cc1", 20)
    assert found == {
        canonical_smiles(smiles)
        for smiles in ("COc1ccc(CN2CCCCC2)cc1", "COc1ccc(C)cc1", "COc1ccccc1", "CN1CCCCC1", "C1CCNCC1",
                       "CO", "Cc1ccccc1", "c1ccccc1", "c1ccc(CN2CCCCC2)cc1")
    }  # fmt: skip


def test_small_pieces_only_and_all_of_them_valid() -> None:
    found = fragments("CC(C)Cc1ccc(cc1)C(C)C(=O)NCCn1ccnc1", 8)
    assert max(Chem.MolFromSmiles(smiles).GetNumAtoms() for smiles in found) == 8
    assert "c1c[nH]cn1" in found  # a hydrogen takes the place of the chain on an aromatic nitrogen
    assert all(canonical_smiles(smiles) == smiles for smiles in found)


@pytest.mark.parametrize("smiles", ["CCOC(=O)Cc1ccc(OCCN2CCOCC2)cc1", "Cc1ccc(CNc2ccncc2)cc1"])
def test_fragments_of_brics_are_among_them(smiles: str) -> None:
    mol = Chem.MolFromSmiles(smiles)
    pieces = set()
    for dummied in BRICS.BRICSDecompose(mol):
        piece = Chem.RWMol(Chem.MolFromSmiles(dummied))
        for atom in piece.GetAtoms():
            if atom.GetAtomicNum() == 0:
                atom.SetAtomicNum(1)
                atom.SetIsotope(0)
        pieces.add(Chem.MolToSmiles(Chem.RemoveHs(piece)))
    acyl = Chem.MolFromSmarts("[CX3H1]=O")  # an acyl carbon stays on its carbon
    mols = {piece: Chem.MolFromSmiles(piece) for piece in pieces}
    pieces = {p for p, mol in mols.items() if mol.GetNumAtoms() > 1 and not mol.HasSubstructMatch(acyl)}
    assert pieces
    assert pieces <= fragments(smiles, 30)


def test_charges_keep_their_bonds() -> None:
    assert fragments("C[N+](C)(C)CCO", 20) == {"C[N+](C)(C)CCO", "C[N+](C)(C)C", "CO"}
    assert "O=[N+]([O-])c1ccccc1" in fragments("O=[N+]([O-])c1ccc(CCO)cc1", 20)
