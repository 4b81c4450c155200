"""Functional groups: of molecules that a textbook names, and against RDKit's own counts of fragments."""

import gzip
from pathlib import Path

import pytest
from rdkit import Chem
from rdkit.Chem import Fragments

from mmspec_ds.molecules.functional_groups import BY_NAME, GROUPS, groups_of, has_group

BY_HAND = {
    "CCO": "alcohol",
    "Oc1ccccc1": "phenol, aromatic ring, benzene ring",
    "CC(=O)Oc1ccccc1C(=O)O": "carboxylic acid, ester, aromatic ring, benzene ring",
    "CC(=O)[O-].[Na+]": "carboxylic acid",
    "OC=O": "carboxylic acid",
    "C1CO1": "ether, epoxide",
    "c1ccoc1": "aromatic ring",
    "C=O": "aldehyde",
    "CC(C)=O": "ketone",
    "O=C1CCCO1": "ester",
    "COC(=O)OC": "",
    "CC(=O)OC(C)=O": "acid anhydride",
    "CC(=O)Cl": "acyl halide, chlorine, halogen",
    "CN(C)C=O": "amide",
    "NC(=O)N": "urea",
    "CNC(=O)OC": "carbamate",
    "Nc1ccccc1": "primary amine, aromatic ring, benzene ring",
    "C[NH2+]C": "secondary amine",
    "CN(C)C": "tertiary amine",
    "C[N+](C)(C)C": "quaternary ammonium",
    "NN": "",
    "CC(N)=N": "",
    "CC=NC": "imine",
    "CC=NO": "oxime",
    "CCC#N": "nitrile",
    "C[N+](=O)[O-]": "nitro group",
    "CN=[N+]=[N-]": "azide",
    "CN=NC": "azo group",
    "CN=C=O": "isocyanate",
    "CS": "thiol",
    "CSC": "thioether",
    "CSSC": "disulfide",
    "CC(=O)SC": "",
    "CS(C)=O": "sulfoxide",
    "CS(C)(=O)=O": "sulfone",
    "CS(N)(=O)=O": "sulfonamide",
    "CS(=O)(=O)O": "sulfonic acid",
    "OP(=O)(O)O": "phosphate",
    "OB(O)c1ccccc1": "aromatic ring, benzene ring, boronic acid",
    "C=CC#C": "alkene, alkyne",
    "c1ccncc1": "aromatic ring, pyridine ring",
    "FC(Br)I": "fluorine, bromine, iodine, halogen",
}


@pytest.mark.parametrize("smiles", BY_HAND)
def test_by_hand(smiles: str) -> None:
    assert set(groups_of(smiles)) == {name for name in BY_HAND[smiles].split(", ") if name}


def test_every_group_has_a_molecule_above() -> None:
    named = {name for names in BY_HAND.values() for name in names.split(", ") if name}
    assert named == set(BY_NAME)


def test_no_name_means_two_groups() -> None:
    names = [name.lower() for group in GROUPS for name in (group.name, *group.others)]
    assert len(set(names)) == len(names)


SAME_AS_RDKIT = {
    "phenol": Fragments.fr_Ar_OH,
    "aldehyde": Fragments.fr_aldehyde,
    "nitrile": Fragments.fr_nitrile,
    "halogen": Fragments.fr_halogen,
    "azide": Fragments.fr_azide,
    "benzene ring": Fragments.fr_benzene,
    "epoxide": Fragments.fr_epoxide,
    "sulfone": Fragments.fr_sulfone,
}
"""Groups of which RDKit's contributed patterns mean the same."""


def test_as_rdkit_counts_fragments(shared_data: Path) -> None:
    with gzip.open(shared_data / "moses_100k.smi.gz", "rt") as file:
        lines = [line.strip() for line, _ in zip(file, range(2000))]
    molecules = [Chem.MolFromSmiles(line) for line in lines if line.lower() != "smiles"]
    for name, count in SAME_AS_RDKIT.items():
        ours = [has_group(one, name) for one in molecules]
        assert ours == [count(one) > 0 for one in molecules], name
