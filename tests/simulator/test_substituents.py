"""Shifts near nitro, silyl and boronic groups and iodine: measured values of common compounds."""

import pytest
from rdkit import Chem

from mmspec_ds.simulator.environments import surroundings
from mmspec_ds.simulator.shifts import table_shifts
from mmspec_ds.simulator.smiles_file import simulable_molecule
from mmspec_ds.simulator.substituents import WithoutGroups


def shifts(smiles: str, nucleus: str) -> list[float]:
    mol = simulable_molecule(smiles)
    found = table_shifts(mol, surroundings(mol))
    predicted = found.carbon.ppm if nucleus == "C" else found.hydrogen.ppm
    return sorted({round(value, 2) for value in predicted.values()})


@pytest.mark.parametrize(
    ("smiles", "measured", "within"),
    [
        ("C[Si](C)(C)C", [0.0], 1.0),
        ("C[Si](C)(C)c1ccccc1", [-1.1, 127.8, 128.8, 133.4, 140.1], 2.0),
        ("C[N+](=O)[O-]", [62.5], 4.0),
        ("CC[N+](=O)[O-]", [12.3, 70.4], 4.0),
        ("O=[N+]([O-])c1ccccc1", [123.5, 129.4, 134.6, 148.3], 2.0),
        ("Ic1ccccc1", [94.4, 127.4, 130.1, 137.4], 4.0),
        ("CCI", [-1.1, 20.6], 5.0),
        ("C[N+](C)(C)C", [55.6], 4.0),
        ("CC(=O)[O-]", [24.0, 181.9], 4.0),
        ("C[n+]1ccccc1", [48.6, 128.3, 145.2, 145.7], 6.0),
        ("CC[N+]#[C-]", [15.3, 36.4, 156.8], 5.0),
        ("OB(O)c1ccccc1", [127.9, 131.0, 133.0, 134.7], 4.0),
    ],
)
def test_carbon_shifts_of_common_compounds(smiles: str, measured: list[float], within: float) -> None:
    assert shifts(smiles, "C") == pytest.approx(measured, abs=within)


@pytest.mark.parametrize(
    ("smiles", "measured"),
    [
        ("C[Si](C)(C)C", [0.0]),
        ("CC[N+](=O)[O-]", [1.58, 4.37]),
        ("O=[N+]([O-])c1ccccc1", [7.55, 7.70, 8.22]),
        ("CCI", [1.88, 3.16]),
        ("Ic1ccccc1", [7.08, 7.30, 7.68]),
    ],
)
def test_hydrogen_shifts_of_common_compounds(smiles: str, measured: list[float]) -> None:
    assert shifts(smiles, "H") == pytest.approx(measured, abs=0.35)


def test_molecules_without_such_groups_are_left_to_the_table() -> None:
    mol = Chem.MolFromSmiles("CCOC(=O)c1ccc(Cl)c(Br)c1")
    assert all(
        WithoutGroups(mol).shift({}, "C", atom.GetIdx()) is None  # type: ignore[arg-type]
        for atom in mol.GetAtoms()
    )
