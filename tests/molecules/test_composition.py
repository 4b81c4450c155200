"""Formula and mass as filters of molecules, against RDKit's own formula and mass."""

import pytest
from rdkit import Chem
from rdkit.Chem.Descriptors import ExactMolWt
from rdkit.Chem.rdMolDescriptors import CalcMolFormula

from mmspec_ds.molecules.composition import Composition

MOLECULES = (
    "CC(=O)Oc1ccccc1C(=O)O",
    "O=C(O)c1ccc(O)cc1C=O",  # C8H6O4
    "C[C@H](N)C(=O)[O-]",
    "C[N+](C)(C)CC([O-])=O",
    "Clc1ccc(Br)cc1[N+](=O)[O-]",
    "c1cc[se]c1",
    "[2H]C([2H])([2H])O",
    "C[Si](C)(C)Cl",
    "c1ccc2[nH]ccc2c1",
    "[Na+].CC(=O)[O-]",
)


@pytest.mark.parametrize("smiles", MOLECULES)
def test_a_molecule_fits_its_own_formula_and_no_other(smiles: str) -> None:
    formula = CalcMolFormula(Chem.MolFromSmiles(smiles))
    composition = Composition.of_formula(formula)
    fitting = [one for one in MOLECULES if composition.fits(Chem.MolFromSmiles(one))]
    assert fitting == [smiles]
    assert {one for one in MOLECULES if composition.may_fit(one)} == {smiles, "[2H]C([2H])([2H])O"}


@pytest.mark.parametrize("smiles", MOLECULES)
def test_a_molecule_fits_its_own_mass_and_no_other(smiles: str) -> None:
    mass = ExactMolWt(Chem.MolFromSmiles(smiles))
    composition = Composition.of_mass(mass * (1 + 4e-6), ppm=5)
    assert [one for one in MOLECULES if composition.fits(Chem.MolFromSmiles(one))] == [smiles]
    assert composition.may_fit(smiles)
    assert not Composition.of_mass(mass * (1 + 6e-6), ppm=5).fits(Chem.MolFromSmiles(smiles))


def test_letters_rule_out_another_mass() -> None:
    aspirin = Composition.of_mass(180.0423, ppm=10)
    assert str(aspirin) == "mass 180.0405 to 180.0441"
    assert not aspirin.may_fit("CC(=O)Oc1ccccc1C(N)=O")
    assert not aspirin.may_fit("[Na+].[Cl-]")


def test_deuterium_counts_as_hydrogen() -> None:
    assert Composition.of_formula("CD3OH").elements == {"C": 1, "O": 1, "H": 4}


def test_a_formula_that_is_none() -> None:
    with pytest.raises(ValueError, match="not a molecular formula"):
        Composition.of_formula("aspirin")
