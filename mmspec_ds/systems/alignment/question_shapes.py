"""What a question about one molecule asks for, where it is one of a few whole shapes that can be checked.

A question is read as a whole: "How many rings does it have?" is a shape, "How many rings are aromatic?" is
none. What it names (groups, elements, numbers) is put as `{group}` and the like, and the object as IT.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

from mmspec_ds.systems.alignment.claim import What
from mmspec_ds.systems.alignment.question_words import ELEMENTS, groups_in

Form = Literal["holds", "count", "value", "all groups", "some groups", "description"]

_NOUN = r"(?:the|this|my) (?:unknown )?(?:compound|molecule|structure|substance|sample|unknown)"
OBJECT = rf"(?:{_NOUN}(?: with the spectrum)? )?\[(?:SPECTRUM|MOLECULE)(?:[ :]?\d+)?\]"
"""A placeholder, with its noun."""
_OBJECT = re.compile(rf"{OBJECT}|\b{_NOUN}\b|\bit\b", re.I)
BEGINNING = re.compile(
    r"^(?:About IT: |yes or no[:,] |please,? |(?:can|could) you (?:please )?(?=tell\b))+", re.I
)
ENDING = re.compile(r"[\s?.!]+$")
WHETHER = r"(?:tell|say|state|decide|check)(?: me)? (?:whether|if)"
HAVE = r"(?:contain|have|bear|include|possess|hold|carry)"
HAS = r"(?:contains|has|bears|includes|possesses|holds|carries)"
ANY = r"(?:an? |any |some |at least one |one or more )?"
GROUP = r"\{group\}(?: (?:functional )?(?:groups?|function|functionality|moiety|moieties|units?))?"

_NOUNS: tuple[tuple[str, str], ...] = (
    ("stereocentre", r"asymmetric carbon or another stereocentre|tetrahedral cent(?:re|er)s? of chirality"
                     r"|stereocent(?:re|er)s?|(?:stereogenic|chiral) cent(?:re|er)s?"),
    ("ring", r"rings?"),
    ("element", rf"(?P<symbol>{'|'.join(ELEMENTS)})(?: atom)?s?"),
    ("exact mass", r"(?:monoisotopic|exact|accurate)(?: molecular)? mass"),
    ("molecular weight", r"molecular weight|molar mass|average (?:molecular )?mass|formula weight"),
    ("mass", r"(?:molecular )?mass(?!es| spectr)"),
    ("rule of five", r"(?:the |Lipinski's |Lipinski )*rule of (?:five|5)|Lipinski's filter for oral drugs"),
)  # fmt: skip
_FORMULA = r"(?:molecular |chemical |sum )?formula"
_MASS = r"\{(?:exact mass|molecular weight|mass)\}"
_UNIT = r"(?:,? ?\(?(?:in )?(?:Da|daltons?|g/mol)\b\)?)?"
_DECIMALS = r"(?:[,?]? ?\(?(?:with |to )?(?:one|two|three|four|\d) decimals?(?: places)?(?:, please)?\)?)?"
_GROUPS = r"(?:functional )?groups"
_SOME = r"(?:some|any|other|further|more|one|two|three|four|five|\d)(?: of)?(?: its| the)?"
_THING = rf"(?:{GROUP}|\{{(?:element|ring|stereocentre)\}})"
_IN = r"(?: (?:in|within|of) IT| present| there| at all| anywhere)*"
_ION = r"the (?:precursor|ion|precursor ion)"
_SPECTRUM = r" (?:the spectrum )?IT"
_ARE = r"are (?:there|present|found)(?: in IT)?|are in IT"
_OF = rf"(?: (?:of|in) IT| (?:that )?IT {HAS}| present in IT)?"
_ASK = r"(?:what is|what's|which is|give|give me|state|tell|tell me|write|write down|name)"

_SHAPES: tuple[tuple[Form, str], ...] = (
    ("holds", rf"does IT {HAVE} {ANY}{_THING}{_IN}"),
    ("holds", rf"has IT (?:got )?{ANY}{_THING}{_IN}"),
    ("holds", rf"(?:is|are) there {ANY}{_THING}{_IN}"),
    ("holds", rf"(?:is|are) {ANY}{_THING} (?:present|found|contained)(?: in IT)?"),
    ("holds", rf"can {ANY}{_THING} be found in IT"),
    ("holds", rf"{WHETHER} (?:IT {HAS}|there (?:is|are)) {ANY}{_THING}{_IN}"),
    ("holds", r"can IT have stereoisomers that differ at a (?P<stereocentre>tetrahedral centre)"),
    ("holds", rf"(?:is IT|can IT be called|{WHETHER} IT is) (?:an )?(?P<aromatic>aromatic)(?: compound)?"),
    ("holds", r"(?:does|would) IT (?:obey|pass|meet|fulfill?|satisfy|follow) \{rule of five\}"),
    ("holds", r"is \{rule of five\} (?:fulfilled|met|obeyed|satisfied) by IT(?:, with at most one violation)?"),
    ("holds", rf"{WHETHER} IT (?:obeys|passes|meets|fulfill?s|satisfies|follows) \{{rule of five\}}"),
    ("holds", rf"is (?:its|the) {_FORMULA} (?:of IT )?(?P<formula>(?-i:[A-Z])\w*[+-]?)"),
    ("holds", rf"does IT have the {_FORMULA} (?P<formula>(?-i:[A-Z])\w*[+-]?)"),
    ("holds", rf"is (?:its|the) {_MASS} (?:of IT )?(?P<number>\d+(?:\.\d+)?){_UNIT}"),
    ("holds", rf"does IT have an? {_MASS} of (?P<number>\d+(?:\.\d+)?){_UNIT}"),
    ("count", rf"how many {_THING}(?: does IT {HAVE}| has IT| are there| are present)?(?: in IT)?"),
    ("count", rf"how many {_THING} are in IT"),
    ("count", rf"count (?:the |its |all )?{_THING}(?: (?:of|in) IT)?"),
    ("count", rf"{_ASK} (?:the|its) number of {_THING}(?: (?:of|in) IT)?"),
    ("count", rf"{_ASK} (?:the|its) \{{ring\}} count(?: of IT)?"),
    ("value", rf"(?:{_ASK} )?(?:the|its) (?P<asks_formula>{_FORMULA})(?: of IT)?"),
    ("value", rf"(?:which|what) (?P<asks_formula>{_FORMULA}) (?:has IT|does IT have)"),
    ("value", rf"{_ASK} (?:the|its) (?P<asks_formula>elemental composition)(?: of IT)?(?: as a {_FORMULA})?"),
    ("value", rf"(?:{_ASK} )?(?:the|its) {_MASS}(?: of IT)?{_UNIT}{_DECIMALS}"),
    ("value", rf"(?:{_ASK} )?(?:the|its) {_MASS}(?: of IT)? \(Da, two decimals\)"),
    ("value", rf"(?:which|what) {_MASS}{_UNIT} (?:has IT|does IT have){_UNIT}{_DECIMALS}"),
    ("value", rf"how heavy is IT(?:, as an? {_MASS})?{_UNIT}{_DECIMALS}"),
    ("value", rf"how much does IT weigh{_UNIT}{_DECIMALS}"),
    ("value", rf"(?:which|what) (?P<adduct>adduct) (?:was|is) (?:IT|{_ION}(?: of{_SPECTRUM})?)"),
    ("value", rf"{_ASK} the (?P<adduct>adduct) of {_ION}(?: that was fragmented)?(?: in{_SPECTRUM})?"),
    ("value", rf"{_ASK} the (?P<adduct>precursor's adduct)(?: in{_SPECTRUM})?"),
    ("value", r"what (?P<adduct>kind of ion) gave the spectrum IT"),
    ("value", r"the spectrum IT was measured of which (?P<adduct>adduct)"),
    ("all groups", rf"(?:which|what) {_GROUPS} (?:does IT {HAVE}|has IT|{_ARE})"),
    ("all groups", rf"(?:{_ASK}|list)(?: all)?(?: the| its)? {_GROUPS}{_OF}"),
    ("all groups", rf"{_ASK} (?:which|what) {_GROUPS} IT {HAS}"),
    ("some groups", rf"(?:which|what) {_SOME} {_GROUPS} (?:does IT {HAVE}|has IT|{_ARE})"),
    ("some groups", rf"(?:{_ASK}|list) {_SOME} {_GROUPS}{_OF}"),
    ("description", r"describe IT"),
    ("description", r"what (?:can be said|is known|do you know) about IT"),
    ("description", r"(?:write|give)(?: me)? a (?:short |brief )?description of IT"),
    ("description", r"tell (?:me )?(?:what is known )?about IT"),
    ("description", r"tell what is known about IT"),
)  # fmt: skip


class Named(NamedTuple):
    """What a question names.

    Attributes:
        kind: "group", or a name in `_NOUNS`.
        words: as they stand there.
        names: of a group, any of these; of an element its symbol.
    """

    kind: str
    words: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shape:
    """What a question asks.

    Attributes:
        form: whether something "holds", how many there are, a value, groups, or all that can be said.
        what: the thing; None where `form` says it.
        words: of the question, that name it.
        names: of a group, any of these; of an element its symbol.
        value: a formula or a mass that is asked about, as it stands there.
    """

    form: Form
    what: What | None = None
    words: str = ""
    names: tuple[str, ...] = ()
    value: str = ""


def shape_of(question: str) -> Shape | None:
    """What a question about one molecule asks, None where it has none of the shapes that can be checked."""
    text, named = put(question, _OBJECT)
    if "{" in question or len(named) > 1:
        return None
    for form, pattern in _patterns():
        found = pattern.fullmatch(text)
        if found is not None:
            return _shape(form, found, named)
    return None


def things_in(question: str) -> int:
    """How many things that may be asked for a question names; one for a mere word on them, such as "chiral"."""
    _, named = put(question, _OBJECT)
    return len({(one.kind, one.names) for one in named}) or int(bool(_MENTIONED.search(question)))


_MENTIONED = re.compile(
    r"(?<![\w-])(?:aromatic|chiral|chirality|asymmetric|formula|composition|heavy|weighs?|adduct|groups)\b",
    re.I,
)


def put(question: str, objects: "re.Pattern[str]") -> tuple[str, list[Named]]:
    """A question with IT for each object and `{kind}` for what it names, and what that is, in its order."""
    text = objects.sub("IT", " ".join(question.split()))
    text = ENDING.sub("", BEGINNING.sub("", text))
    spans: list[tuple[int, int, Named]] = [
        (at, at + len(words), Named("group", words, names)) for at, words, names in groups_in(text)
    ]
    for kind, pattern in _NOUNS:
        for found in re.finditer(rf"(?<![\w-])(?:{pattern})(?![\w-])", text, re.I):
            if all(found.end() <= start or end <= found.start() for start, end, _ in spans):
                symbol = (ELEMENTS[found["symbol"].lower()],) if kind == "element" else ()
                spans.append((*found.span(), Named(kind, found[0], symbol)))
    parts, at = "", 0
    for start, end, one in sorted(spans):
        parts += f"{text[at:start]}{{{one.kind}}}"
        at = end
    return parts + text[at:], [one for _, _, one in sorted(spans)]


@cache
def _patterns() -> tuple[tuple[Form, "re.Pattern[str]"], ...]:
    return tuple((form, re.compile(pattern, re.I)) for form, pattern in _SHAPES)


def _shape(form: Form, found: "re.Match[str]", named: Sequence[Named]) -> Shape | None:
    given = {name: text for name, text in found.groupdict().items() if text is not None}
    if "formula" in given or "asks_formula" in given:
        return Shape(form, "formula", "formula", value=given.get("formula", ""))
    if "adduct" in given:
        return Shape(form, "adduct", "adduct")
    if "aromatic" in given:
        return Shape(form, "aromatic rings", "aromatic")
    if "stereocentre" in given:
        return Shape(form, "stereocentres", "stereocentre")
    if not named:
        return Shape(form, "mass", "mass") if form == "value" else Shape(form)
    (one,) = named
    what = _what(one, form)
    words = one.words if one.kind in ("group", "element") else one.kind
    return None if what is None else Shape(form, what, words, _names(one, what), given.get("number", ""))


def _what(one: Named, form: Form) -> What | None:
    """What a noun means in a question of a form; of groups only aromatic rings and halogens are counted."""
    match one.kind:
        case "group" if form == "holds":
            return "group"
        case "group" if re.fullmatch(r"aromatic rings?", one.words, re.I):
            return "aromatic rings"
        case "group" if one.names[0] in ELEMENTS:
            return "element"
        case "ring":
            return "rings"
        case "stereocentre":
            return "stereocentres"
        case "element" | "exact mass" | "molecular weight" | "mass" | "rule of five":
            return one.kind
    return None


def _names(one: Named, what: What) -> tuple[str, ...]:
    return (ELEMENTS[one.names[0]],) if what == "element" and one.kind == "group" else one.names
