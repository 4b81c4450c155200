"""What a question asks of a molecule, and what an answer in words claims, as far as both can be checked.

Only what is said in so many words is a claim, and only questions of a few whole shapes are checked, see
`question_shapes`: a check that is left out is better than a wrong one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mmspec_ds.molecules.formula import parse_formula
from mmspec_ds.readers.adduct import parse_adduct
from mmspec_ds.readers.part import counted
from mmspec_ds.systems.alignment.claim import Claim, What
from mmspec_ds.systems.alignment.question_shapes import Shape, shape_of, things_in
from mmspec_ds.systems.alignment.question_words import NEGATED, NUMBERS, groups_in, is_negative

_ANSWER = r"\W*(?:(?:the )?answer(?: is)?\W+)?"
_YES, _NO = re.compile(rf"{_ANSWER}yes\b", re.I), re.compile(rf"{_ANSWER}no\b(?!\s*\.?\s*\d)", re.I)
_FORMULA_WORD = re.compile(r"\b(?:formula|elemental composition)\b", re.I)
_FORMULA = re.compile(
    r"(?<![A-Za-z0-9\[\]()=#@+-])(?:[A-Z][a-z]?\d*){1,12}(?:[+-]\d?)?(?![A-Za-z0-9\[\]()=#@])"
)
_NUMBER = re.compile(r"(?<![\w.,])(\d{1,5})(?:\.(\d{1,6}))?(?![\w]|[.,]\d)")
_ADDUCT = re.compile(r"\[\d?M[^\]\s]*\]\d?[+-]?")
_ADDUCT_WORD = re.compile(r"\badduct|\bkind of ion\b|\bwhich ion\b", re.I)
_NO_GROUP = re.compile(
    r"^\W*(?:none|nothing)\b|\bno (?:functional |such |known )*groups?\b"
    r"|(?:\bnot|n't) (?:contain|have|bear) any (?:functional |such )*groups?\b",
    re.I,
)
_NUMBER_OF = {word: number for number, word in enumerate(NUMBERS)} | {"none": 0, "zero": 0}
_MASSES = ("exact mass", "molecular weight", "mass")
_COUNTED: dict[What, str] = {
    "rings": r"rings?\b",
    "aromatic rings": r"aromatic rings?\b",
    "stereocentres": r"(?:stereocent(?:re|er)s?|chiral cent(?:re|er)s?)\b",
}
_HOLDING = re.compile(
    r"\b(?:contains?|containing|has|have|having|bears?|bearing|includes?|including)\b(?! a role)", re.I
)


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
    if is_negative(question):
        return Claims(reason="the question is put in the negative")
    shape = shape_of(question)
    if shape is None:
        return Claims(reason=_NOT_CHECKED[min(things_in(question), 2)])
    said = yes_or_no(answer)
    if shape.form == "holds" and said is not None:
        claim = _of_yes_or_no(shape, said)
        return Claims(reason=_NOT_CHECKED[1]) if claim is None else Claims((claim,))
    everywhere = shape.form in ("all groups", "some groups")
    found = _asked_value(shape, answer) or _stated(answer, everywhere=everywhere)
    if shape.form == "all groups":
        found = [*found, *_whole_list(answer, found)]
    return Claims(tuple(found)) if found else Claims(reason="the answer states nothing that can be checked")


_NOT_CHECKED = (
    "the question asks for nothing that can be checked",
    "the question asks for more than can be checked",
    "the question asks for more than one thing",
)
"""By how many things a question names that is none of `question_shapes`."""


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


def _whole_list(answer: str, found: Sequence[Claim]) -> list[Claim]:
    """What a list of all functional groups claims beside each: that there is no other one."""
    named = [name for one in found if one.what == "group" and one.holds for name in one.names]
    if named:
        return [Claim("groups", "no other group", tuple(dict.fromkeys(named)))]
    return [Claim("groups", "no group")] if not found and _NO_GROUP.search(answer) else []


def _of_yes_or_no(shape: Shape, said: bool) -> Claim | None:
    """The claim that the thing that a question asks about is so, or is not; None where it gives no value."""
    assert shape.what is not None
    if shape.what == "formula":
        found = _bare_formula(shape.value)
    elif shape.value or shape.what in _MASSES:
        found = _masses(shape.what, shape.value)
    else:
        found = [Claim(shape.what, shape.words, shape.names)]
    if len(found) != 1:
        return None
    return replace(found[0], said=f"{found[0].said}: {'yes' if said else 'no'}", holds=said)


def _asked_value(shape: Shape, answer: str) -> list[Claim]:
    """The value or the number that a question asks for, as an answer gives it; none where it gives several."""
    if shape.what is None or shape.form not in ("value", "count"):
        return []
    if shape.form == "count":
        return _count_claim(shape.what, shape.names, answer)
    if shape.what == "formula":
        return _formula_claims(answer)[:1] or _bare_formula(answer)
    if shape.what == "adduct":
        adducts = [(one[0], parse_adduct(one[0])) for one in _ADDUCT.finditer(answer)]
        return [Claim("adduct", text, adduct=one) for text, one in adducts if one is not None][:1]
    masses = _masses(shape.what, answer)
    return masses if len({one.number for one in masses}) == 1 else []


def _count_claim(what: What, names: tuple[str, ...], answer: str) -> list[Claim]:
    number = _only_number(answer)
    if number is None:
        return []
    said = f"{number} {names[0]}" if what == "element" else counted(number, what.removesuffix("s"))
    return [Claim(what, said, names, number=number)]


def _only_number(answer: str) -> int | None:
    """The whole number that an answer names; None without one, or where it names two."""
    words = re.findall(r"[A-Za-z]+|\d+(?:\.\d+)?", answer)
    numbers = {word for word in words if word[0].isdecimal()}
    found = {_NUMBER_OF.get(word.lower(), int(word) if word.isdecimal() else None) for word in words} - {None}
    if len(found) != 1 or any(not one.isdecimal() or len(one) > 5 for one in numbers):
        return None
    return found.pop()


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


def _masses(what: What, text: str) -> list[Claim]:
    """The numbers of a text as masses."""
    return [
        Claim(what, f"{one[0]} Da", number=float(one[0]), half_unit=0.5 * 10.0 ** -len(one[2] or ""))
        for one in _NUMBER.finditer(text)
    ]


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
