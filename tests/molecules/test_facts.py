"""The facts of structures, by hand."""

import pytest

from mmspec_ds.molecules.facts import facts_of
from mmspec_ds.molecules.formula import ELECTRON_DA

C, H, N, O = 12.0, 1.00782503223, 14.00307400443, 15.99491461957  # noqa: E741


def test_aspirin() -> None:
    facts = facts_of("CC(=O)Oc1ccccc1C(=O)O")
    assert facts.formula == "C9H8O4"
    assert facts.exact_mass_da == pytest.approx(9 * C + 8 * H + 4 * O, abs=1e-4)
    assert facts.groups == {"carboxylic acid", "ester", "aromatic ring", "benzene ring"}
    assert (facts.rings, facts.aromatic_rings) == (1, 1)
    assert (facts.stereocentres, facts.specified_stereocentres) == (0, 0)
    assert facts.weight_da == pytest.approx(180.16, abs=0.01)
    assert (facts.donors, facts.acceptors, facts.lipinski_violations) == (1, 4, 0)


@pytest.mark.parametrize(
    ("smiles", "centres", "specified"),
    [
        ("CC(N)C(=O)O", 1, 0),
        ("C[C@H](N)C(=O)O", 1, 1),
        ("C[C@H](O)C(C)Cl", 2, 1),
        ("CC(C)O", 0, 0),
    ],
)
def test_stereo_centres(smiles: str, centres: int, specified: int) -> None:
    facts = facts_of(smiles)
    assert (facts.stereocentres, facts.specified_stereocentres) == (centres, specified)


def test_an_ion_has_the_mass_of_its_electrons_less() -> None:
    facts = facts_of("C[NH3+]")
    assert facts.formula == "CH6N+"
    assert facts.exact_mass_da == pytest.approx(C + 6 * H + N - ELECTRON_DA, abs=1e-4)


def test_rings_of_naphthalene_and_of_decalin() -> None:
    found = [facts_of(one) for one in ("c1ccc2ccccc2c1", "C1CCC2CCCCC2C1")]
    assert [(one.rings, one.aromatic_rings) for one in found] == [(2, 2), (2, 0)]


def test_the_rule_of_five() -> None:
    sucrose = facts_of("OCC1OC(OC2(CO)OC(CO)C(O)C2O)C(O)C(O)C1O")  # 8 OH, 11 O, 342 Da
    assert (sucrose.donors, sucrose.acceptors) == (8, 11)
    assert (sucrose.lipinski_violations, sucrose.passes_lipinski) == (2, False)
    octadecane = facts_of("C" * 18)  # log P above 5 alone
    assert (octadecane.lipinski_violations, octadecane.passes_lipinski) == (1, True)


def test_no_structure() -> None:
    with pytest.raises(ValueError, match="C1CC"):
        facts_of("C1CC")
