"""Spellings of one molecule are one candidate, with the probability of all of them."""

import math

import pytest

from mmspec_ds.molecules.composition import Composition
from mmspec_ds.systems.elucidation.candidates import Candidates, unique_molecules

WRITTEN = [
    ("OCC", math.log(0.20)),
    ("CCN", math.log(0.30)),
    ("C(C", math.log(0.25)),
    ("CCO", math.log(0.15)),
    ("C1=CC=CC=C1", math.log(0.05)),
    ("", math.log(0.01)),
    ("F/C=C/F", math.log(0.002)),
    ("F/C=C\\F", math.log(0.001)),
]


def test_a_worked_example() -> None:
    found = unique_molecules(WRITTEN)
    assert [one.smiles for one in found.molecules] == ["CCO", "CCN", "c1ccccc1", "F/C=C/F", "F/C=C\\F"]
    assert [one.probability for one in found.molecules] == pytest.approx([0.35, 0.30, 0.05, 0.002, 0.001])
    assert (found.invalid, found.merged) == (2, 1)


def test_what_does_not_fit_is_left_out() -> None:
    found = unique_molecules(WRITTEN, Composition.of_formula("C2H6O"))
    assert [one.smiles for one in found.molecules] == ["CCO"]
    assert found.molecules[0].log_probability == pytest.approx(math.log(0.35))
    assert (found.invalid, found.merged) == (2, 1)


def test_probabilities_too_small_for_a_float_are_added_all_the_same() -> None:
    (one,) = unique_molecules([("CO", -2000.0), ("OC", -2000.0)]).molecules
    assert (one.smiles, one.probability) == ("CO", 0)
    assert one.log_probability == pytest.approx(-2000 + math.log(2))


def test_nothing_is_found_in_nothing() -> None:
    assert unique_molecules([]) == Candidates(())
