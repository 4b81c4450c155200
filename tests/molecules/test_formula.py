"""Formulas are read to counts and charge; other text is refused."""

import pytest

from mmspec_ds.molecules.formula import ELEMENTS, monoisotopic_mass, parse_formula


@pytest.mark.parametrize(
    ("formula", "counts", "charge"),
    [
        ("C11H15FN2O2", {"C": 11, "H": 15, "F": 1, "N": 2, "O": 2}, 0),
        ("CCl4", {"C": 1, "Cl": 4}, 0),
        ("CH3COOH", {"C": 2, "H": 4, "O": 2}, 0),
        ("C5H14N+", {"C": 5, "H": 14, "N": 1}, 1),
        ("C2O4-2", {"C": 2, "O": 4}, -2),
    ],
)
def test_counts_and_charge(formula: str, counts: dict[str, int], charge: int) -> None:
    assert parse_formula(formula) == (counts, charge)
    assert list(parse_formula(formula)[0]) == list(counts)


@pytest.mark.parametrize("formula", ["", "c6h6", "C6H6 ", "C(CH3)4", "Xx2", "6C", "C6H6+-", "CCO>"])
def test_what_is_no_formula(formula: str) -> None:
    with pytest.raises(ValueError, match=r"not a molecular formula|not an element"):
        parse_formula(formula)


def test_there_are_118_elements() -> None:
    assert len(ELEMENTS) == len(set(ELEMENTS)) == 118
    assert (ELEMENTS[5], ELEMENTS[16], ELEMENTS[78]) == ("C", "Cl", "Au")


@pytest.mark.parametrize(("formula", "mass"), [("C9H8O4", 180.04226), ("C2H3N", 41.02655), ("CD4O", 36.05132)])
def test_monoisotopic_mass(formula: str, mass: float) -> None:
    assert monoisotopic_mass(formula) == pytest.approx(mass, abs=1e-5)
