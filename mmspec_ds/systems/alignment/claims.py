"""What a question asks of a molecule, and what an answer in words claims, as far as both can be checked.

Only what is said in so many words is a claim. A question that asks for two things at once, or for the opposite
of one, gives none: a check that is left out is better than a wrong one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from mmspec_ds.molecules.formula import parse_formula
from mmspec_ds.readers.adduct import Adduct, parse_adduct
from mmspec_ds.readers.part import counted
from mmspec_ds.systems.alignment.question_words import (
    COMPARED,
    COUNTED_WORDS,
    NEGATED,
    NUMBERS,
    WHOLLY,
    are_alone,
    asks_for_groups_alone,
    groups_in,
    is_negative,
    without_groups,
)

What: TypeAlias = Literal[
    "group", "groups", "element", "formula", "exact mass", "molecular weight", "rings", "aromatic rings",
    "stereocentres", "rule of five", "adduct",
]  # fmt: skip

_ELEMENT_NAMES = {
    "carbon": "C", "hydrogen": "H", "nitrogen": "N", "oxygen": "O", "sulfur": "S", "sulphur": "S",
    "phosphorus": "P", "silicon": "Si", "boron": "B", "selenium": "Se", "sodium": "Na", "potassium": "K",
    "fluorine": "F", "chlorine": "Cl", "bromine": "Br", "iodine": "I",
}  # fmt: skip

_ANSWER = r"\W*(?:(?:the )?answer(?: is)?\W+)?"
_YES, _NO = re.compile(rf"{_ANSWER}yes\b", re.I), re.compile(rf"{_ANSWER}no\b(?!\s*\.?\s*\d)", re.I)
_FORMULA_WORD = re.compile(r"\b(?:formula|elemental composition)\b", re.I)
_FORMULA = re.compile(
    r"(?<![A-Za-z0-9\[\]()=#@+-])(?:[A-Z][a-z]?\d*){1,12}(?:[+-]\d?)?(?![A-Za-z0-9\[\]()=#@])"
)
_MASS_WORD = re.compile(r"\bmass(?:es)?\b(?!\s*spectr)|\bheavy\b|\bweighs?\b", re.I)
_WEIGHT_WORD = re.compile(r"\b(?:molecular|molar|average|formula)\s+(?:weight|mass)\b", re.I)
_NUMBER = re.compile(r"(?<![\w.,])(\d{1,5})(?:\.(\d{1,6}))?(?![\w]|[.,]\d)")
_RINGS = re.compile(r"\b(?P<aromatic>aromatic )?rings?\b", re.I)
_HOW_MANY = re.compile(r"\b(?:how many|count|number of)\b", re.I)
_AROMATIC = re.compile(r"(?<![\w-])(?<!non )aromatic(?! (?:ring|system|hydroxyl))\b", re.I)
_STEREO = re.compile(
    r"\b(?:stereocent(?:re|er)s?|stereogenic|asymmetric carbons?|chiral(?:ity)?|cent(?:re|er)s? of chirality"
    r"|tetrahedral cent(?:re|er)s?)\b",
    re.I,
)
_RULE_OF_FIVE = re.compile(r"\blipinski|\brule of (?:five|5)\b", re.I)
_ADDUCT = re.compile(r"\[\d?M[^\]\s]*\]\d?[+-]?")
_ADDUCT_WORD = re.compile(r"\badduct|\bkind of ion\b|\bwhich ion\b", re.I)
_WHICH_GROUPS = re.compile(r"\b(?:which|what|list|name)\b.*\bgroups\b", re.I)
_ALL_GROUPS = re.compile(r"\bfunctional groups\b|\b(?:which|what) groups\b", re.I)
_SOME = rf"some|any|other|further|more|\d+|{'|'.join(NUMBERS[1:])}"
_SOME_GROUPS = re.compile(rf"\b(?:{_SOME})(?: of)?(?: its| the)?(?: functional)? groups\b", re.I)
_NO_GROUP = re.compile(
    r"^\W*(?:none|nothing)\b|\bno (?:functional |such |known )*groups?\b"
    r"|(?:\bnot|n't) (?:contain|have|bear) any (?:functional |such )*groups?\b",
    re.I,
)
_NUMBER_OF = {word: number for number, word in enumerate(NUMBERS)} | {"none": 0, "zero": 0}
_COUNTED: dict[What, str] = {
    "rings": r"rings?\b",
    "aromatic rings": r"aromatic rings?\b",
    "stereocentres": r"(?:stereocent(?:re|er)s?|chiral cent(?:re|er)s?)\b",
}
_HOLDING = re.compile(
    r"\b(?:contains?|containing|has|have|having|bears?|bearing|includes?|including)\b(?! a role)", re.I
)


@dataclass(frozen=True, slots=True)
class Claim:
    """A statement on a molecule that can be true or false.

    Attributes:
        what: it is about.
        said: the words or the number, for the reader.
        names: of a group: any of these; of groups: all that are said to be there; of an element: its symbol.
        holds: of a group, an element, the rule of five: whether it is claimed to be so. Of rings and
            stereocentres without a number: whether there is any.
        number: of a mass in Da, of rings, of stereocentres or of atoms; None where only `holds` is said.
        half_unit: of a mass, half of its last decimal.
        formula: counts of elements, and the charge.
        adduct: of a precursor.
    """

    what: What
    said: str
    names: tuple[str, ...] = ()
    holds: bool = True
    number: float | None = None
    half_unit: float = 0.0
    formula: tuple[tuple[tuple[str, int], ...], int] | None = None
    adduct: Adduct | None = None


@dataclass(frozen=True, slots=True)
class Claims:
    """What an answer claims; `reason` says why nothing, where that is so."""

    claims: tuple[Claim, ...] = ()
    reason: str = ""


def claims_of(question: str, answer: str) -> Claims:
    """What an answer claims of the molecule that its question is about.

    Args:
        question: in words, with or without placeholders.
        answer: as it was written.
    """
    said = yes_or_no(answer)
    all_groups = _asks_for_all_groups(question)
    if said is not None and not all_groups:
        return _of_yes_or_no(question, said)
    if NEGATED.search(question):
        return Claims(reason="the question is put in the negative")
    found = _asked_values(question, answer) or _stated(answer, everywhere=bool(_WHICH_GROUPS.search(question)))
    if all_groups:
        found = [*found, *_whole_list(answer, found)]
    return Claims(tuple(found)) if found else Claims(reason="the answer states nothing that can be checked")


def yes_or_no(answer: str) -> bool | None:
    """Whether an answer begins with yes or no; None if it does not."""
    return True if _YES.match(answer) else False if _NO.match(answer) else None


def asks_adduct(question: str) -> bool:
    """Whether a question asks for the adduct of a precursor."""
    return bool(_ADDUCT_WORD.search(question))


def groups_listed(answer: str) -> frozenset[str]:
    """The functional groups that an answer says are there, by their names in `GROUPS`. A word that means any of
    several groups, such as "amine", names none of them; nor does a group that is denied."""
    return frozenset(
        one.names[0] for one in _stated(answer, everywhere=True) if one.holds and _is_one_group(one)
    )


def formulas_in(text: str) -> list[tuple[str, dict[str, int], int]]:
    """The molecular formulas that a text names, of two atoms at least, with their elements and charges."""
    found = []
    for match in _FORMULA.finditer(text):
        try:
            elements, charge = parse_formula(match[0])
        except ValueError:
            continue
        if sum(elements.values()) > 1 and any(letter.isdigit() for letter in match[0]):
            found.append((match[0], elements, charge))
    return found


def _asks_for_all_groups(question: str) -> bool:
    """Whether a question asks for a list of all functional groups."""
    asked = _WHICH_GROUPS.search(question) and _ALL_GROUPS.search(question)
    return bool(asked) and not _SOME_GROUPS.search(question) and not groups_in(question)


def _whole_list(answer: str, found: Sequence[Claim]) -> list[Claim]:
    """What a list of all functional groups claims beside each: that there is no other one."""
    named = [name for one in found if one.what == "group" and one.holds for name in one.names]
    if named:
        return [Claim("groups", "no other group", tuple(dict.fromkeys(named)))]
    return [Claim("groups", "no group")] if not found and _NO_GROUP.search(answer) else []


def _of_yes_or_no(question: str, said: bool) -> Claims:
    """The claim that the thing that a question asks about is so, or is not."""
    if is_negative(question):
        return Claims(reason="the question is put in the negative")
    asked = _properties(question)
    if not asked:
        return Claims(reason="the question asks for nothing that can be checked")
    if len(asked) > 1:
        return Claims(reason="the question asks for more than one thing")
    (one,) = asked
    if not _is_simple(one, question):
        return Claims(reason="the question asks for more than can be checked")
    return Claims((Claim(one.what, f"{one.said}: {'yes' if said else 'no'}", one.names, said, one.number,
                         one.half_unit, one.formula),))  # fmt: skip


def _is_simple(one: Claim, question: str) -> bool:
    """Whether the one thing that a question of yes or no asks for is all that it asks."""
    plain = without_groups(question)
    match one.what:
        case "group":
            return asks_for_groups_alone(question)
        case "element":
            names = "|".join(name for name, symbol in _ELEMENT_NAMES.items() if symbol == one.names[0])
            return are_alone(rf"\b(?:{names})s?\b", plain)
        case "rings":
            return are_alone(_RINGS, plain)
        case "aromatic rings":
            return not WHOLLY.search(question)
        case "stereocentres":
            return not COUNTED_WORDS.search(question)
        case "exact mass" | "molecular weight":
            return not COMPARED.search(question)
        case _:
            return True


def _properties(question: str) -> list[Claim]:
    """Everything that a question of yes or no may ask for."""
    found = [Claim("group", words, names) for _, words, names in groups_in(question)]
    taken = {name for one in found for name in one.names}
    found += [
        Claim("element", name, (symbol,))
        for name, symbol in _ELEMENT_NAMES.items()
        if re.search(rf"\b{name}s?\b(?![- ]carbon)", without_groups(question), re.I)
        and not (name == "carbon" and _STEREO.search(question))
    ]
    if _AROMATIC.search(without_groups(question)):
        found.append(Claim("aromatic rings", "aromatic"))
    if _STEREO.search(question):
        found.append(Claim("stereocentres", "stereocentre"))
    if _RULE_OF_FIVE.search(question):
        found.append(Claim("rule of five", "rule of five"))
    if _RINGS.search(without_groups(question)) and not taken:
        found.append(Claim("rings", "ring"))
    found += _formula_claims(question) if _FORMULA_WORD.search(question) else []
    found += _mass_claims(question, question)
    return list({(one.what, one.names, one.number, one.formula): one for one in found}.values())


def _asked_values(question: str, answer: str) -> list[Claim]:
    """The value that a question asks for, as an answer gives it."""
    if _FORMULA_WORD.search(question) and not _WEIGHT_WORD.search(question):
        return _formula_claims(answer)[:1] or _bare_formula(answer)
    if asks_adduct(question):
        adducts = [(one[0], parse_adduct(one[0])) for one in _ADDUCT.finditer(answer)]
        return [Claim("adduct", text, adduct=one) for text, one in adducts if one is not None][:1]
    if _HOW_MANY.search(question) or "ring count" in question.lower():
        return _count_claim(question, answer)
    return _mass_claims(question, answer)[:1]


def _count_claim(question: str, answer: str) -> list[Claim]:
    number = _first_number(answer)
    named = [s for name, s in _ELEMENT_NAMES.items() if re.search(rf"\b{name}s?\b", question, re.I)]
    counted_things = (_RINGS, _STEREO, rf"\b(?:{'|'.join(_ELEMENT_NAMES)})s?\b")
    if number is None or not all(are_alone(one, question) for one in counted_things):
        return []
    rings = _RINGS.search(question)
    if rings:
        what: What = "aromatic rings" if rings["aromatic"] else "rings"
        return [Claim(what, counted(number, what.removesuffix("s")), number=number)]
    if _STEREO.search(question):
        return [Claim("stereocentres", counted(number, "stereocentre"), number=number)]
    return [Claim("element", f"{number} {named[0]}", (named[0],), number=number)] if len(named) == 1 else []


def _first_number(answer: str) -> int | None:
    for word in re.findall(r"[A-Za-z]+|\d+(?:\.\d+)?", answer):
        if word.isdecimal():
            return int(word) if len(word) <= 5 else None
        if word.lower() in _NUMBER_OF:
            return _NUMBER_OF[word.lower()]
    return None


def _formula_claims(text: str) -> list[Claim]:
    return [
        Claim("formula", words, formula=(tuple(sorted(elements.items())), charge))
        for words, elements, charge in formulas_in(text)
    ]


def _bare_formula(answer: str) -> list[Claim]:
    """An answer that is nothing but a formula, such as HCN."""
    text = answer.strip().rstrip(".")
    try:
        elements, charge = parse_formula(text)
    except ValueError:
        return []
    return [Claim("formula", text, formula=(tuple(sorted(elements.items())), charge))]


def _mass_claims(question: str, text: str) -> list[Claim]:
    """Masses in a text, if a question asks for one."""
    what: What = "molecular weight" if _WEIGHT_WORD.search(question) else "exact mass"
    if what == "exact mass" and not _MASS_WORD.search(question):
        return []
    found = []
    for match in _NUMBER.finditer(text):
        decimals = len(match[2] or "")
        found.append(Claim(what, f"{match[0]} Da", number=float(match[0]), half_unit=0.5 * 10.0**-decimals))
    return found if text is not question else [one for one in found if one.number and one.number >= 10]


def _stated(answer: str, *, everywhere: bool) -> list[Claim]:
    """What the sentences of a free answer state: formulas named as such, groups that are said to be there or
    not, numbers of rings and stereocentres. Groups count after a verb such as "contains", or `everywhere`."""
    found: list[Claim] = []
    for sentence in re.split(r"(?<=[.;!?])\s+|\n|\bbut\b|\bhowever\b|\bwhereas\b|\bwhile\b", answer):
        if _FORMULA_WORD.search(sentence) and not NEGATED.search(sentence):
            found += _formula_claims(sentence)
        holding = _HOLDING.search(sentence)
        if holding is None and not everywhere and not (found and sentence.lower().startswith(" no ")):
            continue
        start = holding.start() if holding and not everywhere else 0
        for place, words, names in groups_in(sentence):
            if place >= start:
                holds = not _is_denied(sentence[:place])
                found.append(Claim("group", words if holds else f"no {words}", names, holds))
        if not NEGATED.search(sentence):
            found += _stated_counts(sentence[start:])
    return list(dict.fromkeys(found))


def _is_denied(before: str) -> bool:
    """Whether what follows these words of a sentence is said not to be there: "does not contain an ester or",
    "it has an ester and no"."""
    return bool(NEGATED.search(before) or re.search(r"\bno\b", re.split(r",|\band\b", before)[-1], re.I))


def _stated_counts(text: str) -> Sequence[Claim]:
    number = rf"\b(\d{{1,3}}|{'|'.join(NUMBERS)})\s+"
    found = []
    for what, pattern in _COUNTED.items():
        for match in re.finditer(number + pattern, text, re.I):
            value = int(match[1]) if match[1].isdecimal() else _NUMBER_OF.get(match[1].lower())
            found += [] if value is None else [Claim(what, match[0].strip(), number=value)]
    return found


def _is_one_group(one: Claim) -> bool:
    return one.what == "group" and len(one.names) == 1
