"""Answers checked by RDKit: what an answer claims, against what is known of the molecule that was asked about.

A check says whether the answer agrees, what is right, and by what it was checked: a structure that the user
gave is another matter than one that a model proposed.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, TypeAlias

from mmspec_ds.molecules.facts import Facts, facts_of
from mmspec_ds.molecules.fingerprints import morgan_fingerprints, tanimoto_similarities
from mmspec_ds.molecules.formula import ELECTRON_DA, monoisotopic_mass, parse_formula
from mmspec_ds.molecules.functional_groups import GROUPS
from mmspec_ds.molecules.identity import identify
from mmspec_ds.readers.adduct import parse_adduct
from mmspec_ds.readers.part import counted
from mmspec_ds.systems.alignment.claim import Claim
from mmspec_ds.systems.alignment.claims import claims_of, yes_or_no
from mmspec_ds.systems.alignment.pair_shapes import PairShape, pair_shape_of
from mmspec_ds.systems.alignment.question_words import is_negative

Verdict: TypeAlias = Literal["agrees", "disagrees", "possible"]
SIMILAR, UNLIKE = 0.5, 0.2
"""Tanimoto similarity from which, and up to which, two molecules are called similar and not, as in the
questions that models are trained with."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the molecule behind an object.

    Attributes:
        source: where it is known from, such as "the structure in aspirin.sdf".
        smiles: its structure, valid; None where it is not known.
        formula: valid; None where neither it nor the structure is known.
        mass_da: lowest and highest monoisotopic mass by the precursor; None where not known.
        adduct: of the precursor, as its file has it.
    """

    source: str = ""
    smiles: str | None = None
    formula: str | None = None
    mass_da: tuple[float, float] | None = None
    adduct: str | None = None


NOTHING = Known()


@dataclass(frozen=True, slots=True)
class Check:
    """One claim of an answer, checked.

    Attributes:
        what: it is about, such as "formula".
        said: what the answer says.
        expected: what is right.
        verdict: "possible" is said of what the known mass leaves open.
        by: where the truth is known from.
    """

    what: str
    said: str
    expected: str
    verdict: Verdict
    by: str

    def __str__(self) -> str:
        """One line for the reader."""
        how = {"agrees": "agrees with", "disagrees": "disagrees with", "possible": "is possible by"}[
            self.verdict
        ]
        return f"{self.said} {how} {self.by} ({self.expected})"

    def to_json(self) -> dict[str, Any]:
        """The check in JSON's types."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class Checked:
    """The checks of an answer; where there is none, `reason` says why."""

    checks: tuple[Check, ...] = ()
    reason: str = ""

    def lines(self) -> list[str]:
        """What is shown below an answer."""
        if not self.checks:
            return [f"not checked: {self.reason}"]
        return [f"checked: {one}" for one in self.checks]


def check_answer(question: str, answer: str, known: Known) -> Checked:
    """Check an answer about one molecule, or about one sample of it.

    Args:
        question: in words.
        answer: as it was written.
        known: of the molecule.
    """
    found = claims_of(question, answer)
    if not found.claims:
        return Checked(reason=found.reason)
    checks = [check for claim in found.claims if (check := _check(claim, known)) is not None]
    if checks:
        return Checked(tuple(checks))
    missing = "the structure is not known" if known.smiles is None else "nothing to check it by"
    return Checked(reason=missing)


def check_pair(question: str, answer: str, first: Known, second: Known) -> Checked:
    """Check an answer about two molecules: which of them has a group or is heavier, whether they are the same
    or similar.

    Args:
        question, answer: as of `check_answer`.
        first, second: in the order of the question.
    """
    if first.smiles is None or second.smiles is None:
        return Checked(reason="the structures of both are not known")
    by = first.source if first.source == second.source else f"{first.source} and {second.source}"
    if is_negative(question) or "differ" in question.lower():
        return Checked(reason="the question is put in the negative")
    shape = pair_shape_of(question)
    if shape is None:
        return Checked(reason="the question is none of those about two molecules that can be checked")
    said, place = yes_or_no(answer), _place(answer)
    if shape.relation in _RELATIONS:
        if said is None:
            return Checked(reason="the answer states nothing that can be checked")
        truth = _RELATIONS[shape.relation](first.smiles, second.smiles)
        if truth is None:
            return Checked(reason="neither clearly similar nor clearly unlike")
        return Checked((_pair_check(shape.relation, "yes" if said else "no", "yes" if truth else "no", by),))
    if place is None:
        return Checked(reason="the answer states nothing that can be checked")
    expected = _right_place(shape, first.smiles, second.smiles)
    if expected is None:
        return Checked(reason="the question has no single answer that can be checked")
    return Checked((_pair_check("which", ("the first", "the second")[place], expected, by),))


def _pair_check(what: str, said: str, expected: str, by: str) -> Check:
    return Check(what, said, expected, "agrees" if said == expected else "disagrees", by)


def _place(answer: str) -> int | None:
    """0 for "the first", 1 for "the second"; None where an answer names neither or both."""
    words = answer.lower()
    named = [place for place, word in enumerate(("first", "second")) if word in words]
    return named[0] if len(named) == 1 else None


def _right_place(shape: PairShape, first: str, second: str) -> str | None:
    """Which of two a question means; None where both are meant, or neither."""
    one, other = _facts(first), _facts(second)
    if shape.relation == "group":
        has = [not one.groups.isdisjoint(shape.groups), not other.groups.isdisjoint(shape.groups)]
    else:
        has = [one.exact_mass_da > other.exact_mass_da, one.exact_mass_da < other.exact_mass_da]
    return None if has[0] == has[1] else ("the first" if has[0] else "the second")


def _same(first: str, second: str) -> bool | None:
    return identify(first, "skeleton").group == identify(second, "skeleton").group


def _similar(first: str, second: str) -> bool | None:
    prints = morgan_fingerprints([first, second])
    similarity = float(tanimoto_similarities(prints[:1], prints[1:])[0, 0])
    return True if similarity >= SIMILAR else False if similarity <= UNLIKE else None


_RELATIONS: dict[str, Callable[[str, str], bool | None]] = {"similar": _similar, "same": _same}


def _check(claim: Claim, known: Known) -> Check | None:
    """One claim against what is known; None where that does not decide it."""
    if claim.what == "adduct":
        return _check_adduct(claim, known)
    if known.smiles is not None:
        truth = _by_facts(claim, _facts(known.smiles))
    elif known.formula is not None:
        truth = _by_formula(claim, known.formula)
    else:
        return _check_by_mass(claim, known)
    if truth is None:
        return None
    agrees, expected = truth
    return Check(claim.what, claim.said, expected, "agrees" if agrees else "disagrees", known.source)


Truth: TypeAlias = tuple[bool, str]
"""Whether a claim agrees, and what is right."""


def _by_facts(claim: Claim, facts: Facts) -> Truth | None:
    match claim.what:
        case "group":
            there = [name for name in claim.names if name in facts.groups]
            told = f"it contains {', '.join(there)}" if there else f"no {' or '.join(claim.names)}"
            return bool(there) == claim.holds, told
        case "groups":
            missing = [one.name for one in GROUPS if one.name in facts.groups and one.name not in claim.names]
            told = f"it {'also ' if claim.names else ''}contains {', '.join(missing)}"
            return not missing, told if missing else f"it contains {'no other' if claim.names else 'none'}"
        case "molecular weight":
            return _near(claim, facts.weight_da)
        case "mass":
            return _either_mass(claim, facts)
        case "rings" | "aromatic rings" | "stereocentres":
            number = int(getattr(facts, claim.what.replace(" ", "_")))
            return _counted(claim, number, counted(number, claim.what.removesuffix("s")))
        case "rule of five":
            return facts.passes_lipinski == claim.holds, counted(facts.lipinski_violations, "violation")
        case _:
            return _by_formula(claim, facts.formula)


def _by_formula(claim: Claim, formula: str) -> Truth | None:
    """What follows from the formula alone."""
    elements, charge = parse_formula(formula)
    match claim.what:
        case "formula":
            assert claim.formula is not None
            same = (dict(claim.formula[0]), claim.formula[1]) == (elements, charge)
            return same == claim.holds, formula
        case "exact mass":
            return _near(claim, monoisotopic_mass(formula) - charge * ELECTRON_DA)
        case "mass":  # of the other kind it may be right
            near = _near(claim, monoisotopic_mass(formula) - charge * ELECTRON_DA)
            return near if claim.holds and near[0] else None
        case "element":
            number = elements.get(claim.names[0], 0)
            return _counted(claim, number, f"{number} {claim.names[0]}")
        case "group" if set(claim.names) <= _HALOGENS.keys():
            there = [name for name in claim.names if elements.keys() & _HALOGENS[name]]
            return bool(there) == claim.holds, formula
    return None


_HALOGENS = {
    "fluorine": {"F"},
    "chlorine": {"Cl"},
    "bromine": {"Br"},
    "iodine": {"I"},
    "halogen": {"F", "Cl", "Br", "I"},
}


def _near(claim: Claim, value: float) -> Truth:
    """A mass, equal when rounded to the decimals that were given."""
    assert claim.number is not None
    near = abs(claim.number - value) <= claim.half_unit + 1e-4
    return near == claim.holds, f"{value:.4f} Da"


def _either_mass(claim: Claim, facts: Facts) -> Truth | None:
    """A mass said without which: right as the exact mass or as the molecular weight."""
    near = any(_near(replace(claim, holds=True), one)[0] for one in (facts.exact_mass_da, facts.weight_da))
    told = f"exact mass {facts.exact_mass_da:.4f} Da, molecular weight {facts.weight_da:.2f} Da"
    return None if near and not claim.holds else (near == claim.holds, told)


def _counted(claim: Claim, value: int, told: str) -> Truth:
    agrees = value > 0 if claim.number is None else claim.number == value
    return agrees == claim.holds, told


def _check_by_mass(claim: Claim, known: Known) -> Check | None:
    """A formula or a mass against the mass by the precursor, which can refute it, and not prove it."""
    if known.mass_da is None or not claim.holds:
        return None
    low, high = known.mass_da
    if claim.what == "formula" and claim.formula is not None:
        mass = math.fsum(monoisotopic_mass(element) * count for element, count in claim.formula[0])
        fits = low <= mass <= high and claim.formula[1] == 0
    elif claim.what in ("exact mass", "mass") and claim.number is not None:
        fits = low - claim.half_unit <= claim.number <= high + claim.half_unit
        if claim.what == "mass" and not fits:
            return None
    else:
        return None
    verdict: Verdict = "possible" if fits else "disagrees"
    return Check(claim.what, claim.said, f"mass {low:.4f} to {high:.4f} Da", verdict, known.source)


def _check_adduct(claim: Claim, known: Known) -> Check | None:
    expected = None if known.adduct is None else parse_adduct(known.adduct)
    if expected is None or claim.adduct is None:
        return None
    same = (claim.adduct.bracket, claim.adduct.charge) == (expected.bracket, expected.charge)
    return Check(
        "adduct", claim.said, str(expected), "agrees" if same else "disagrees", "the file of the spectrum"
    )


@lru_cache(maxsize=1000)
def _facts(smiles: str) -> Facts:
    return facts_of(smiles)
