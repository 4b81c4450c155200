"""Folds for cross-validation, with each skeleton in one fold."""

from collections.abc import Sequence

from rdkit import Chem

from mmspec_ds.molecules.smiles import inchikey_block


def folds_of(mols: Sequence[Chem.Mol], folds: int) -> list[int]:
    """The fold of each molecule: they go round in the order of the molecules, and molecules that share the
    first block of their InChIKey share the fold of the first of them."""
    of_block: dict[str, int] = {}
    return [of_block.setdefault(inchikey_block(Chem.MolToSmiles(mol)), len(of_block) % folds) for mol in mols]
