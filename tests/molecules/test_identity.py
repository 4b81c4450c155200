"""What a molecule is and belongs to: by the short way the same as by RDKit's own."""

import gzip
from itertools import islice
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from rdkit import Chem
from rdkit.Chem.Scaffolds import MurckoScaffold

from mmspec_ds.molecules.identity import Grouping, identify
from mmspec_ds.molecules.smiles import parse_smiles

ODD = (
    "OCC",
    "C(C)=CC",  # a double bond that could have stereo
    "CC(O)F",  # a centre that could have stereo
    "C/C=C/C",
    "N[C@@H](C)C(=O)O",
    "[H]OC",
    "[2H]OC",
    "[13CH4]",
    "[H][H]",
    "[Na+].[Cl-]",
    "C[N+](C)(C)CC([O-])=O",
    "[nH]1cccc1",
    "c1ccc2c(c1)[nH]c1ccccc12",
    "C1CC%12CC1CC%12",
    "O=c1cc[nH]cc1",
    "[CH3:1][OH:2]",
    "CC1CC(C)C1",  # a ring that could have stereo
    "C*",
    "[Fe]Cl",
    "C[Si](C)(C)C#N",
    "CS(=O)C",
    "N(=O)(=O)c1ccccc1",  # which RDKit charges
)


def by_rdkit(smiles: str, grouping: Grouping) -> tuple[str, str]:
    """The same of RDKit's ordinary molecule."""
    molecule = parse_smiles(smiles)
    canonical = Chem.MolToSmiles(molecule)
    if grouping == "none":
        return canonical, ""
    if grouping == "skeleton":
        key = Chem.MolToInchiKey(molecule).split("-")[0]
        return canonical, key or Chem.MolToSmiles(molecule, isomericSmiles=False)
    scaffold = MurckoScaffold.GetScaffoldForMol(molecule)
    part = scaffold if scaffold.GetNumAtoms() else molecule
    return canonical, Chem.MolToSmiles(part, isomericSmiles=False)


@pytest.mark.parametrize("grouping", ["none", "skeleton", "scaffold"])
def test_odd_molecules_are_what_rdkit_says(grouping: Grouping) -> None:
    for smiles in ODD:
        assert identify(smiles, grouping) == by_rdkit(smiles, grouping), smiles


@pytest.mark.parametrize("grouping", ["skeleton", "scaffold"])
def test_real_molecules_are_what_rdkit_says(shared_data: Path, grouping: Grouping) -> None:
    table = pq.read_table(shared_data / "alberts" / "example_data_1.parquet", columns=["smiles"])
    with gzip.open(shared_data / "moses_100k.smi.gz", "rt") as file:
        moses = [line.split()[0] for line in islice(file, 0, 60_000, 200)]
    for smiles in [*table.column("smiles").to_pylist(), *moses]:
        assert identify(smiles, grouping) == by_rdkit(smiles, grouping), smiles


@pytest.mark.parametrize(
    ("smiles", "message"),
    [
        ("", "the SMILES is empty"),
        ("C C", "contains a blank"),
        ("C1CC", "invalid SMILES 'C1CC': it cannot be parsed"),
        ("C(C)(C)(C)(C)C", "invalid SMILES .*valence"),
        ("c1cccc1", "invalid SMILES .*kekulize"),
    ],
)
def test_what_is_no_molecule_is_refused_with_the_reason(smiles: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        identify(smiles, "none")
