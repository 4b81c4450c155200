"""What a question about two molecules asks for, where it is one of a few whole shapes that can be checked, see
`question_shapes`."""

import re
from functools import cache
from typing import Literal, NamedTuple

from mmspec_ds.systems.alignment.question_shapes import ANY, GROUP, HAS, OBJECT, WHETHER, put

Relation = Literal["similar", "same", "group", "heavier"]

_PLACEHOLDER = re.compile(OBJECT, re.I)
_OBJECT = re.compile(rf"{OBJECT}|\bthe (?:first|second)(?: (?:one|molecule|compound))?\b", re.I)
"""Where the order makes no difference, "the first" is one of the two as well."""
_BOTH = r"(?:IT and IT|they|these|the two|both|(?:these|the|both) (?:two )?(?:molecules|compounds|structures))"
_ONE = r"(?:which|which one|which (?:molecule|compound)|which (?:one )?of (?:IT and IT|them|these|the two))"
_MORE = r"(?:is (?:the )?heavier(?: one)?|weighs more|has the (?:larger|greater|higher) \{mass\})"
_SAME = r"(?:identical|the same|the same (?:compound|molecule|structure|substance)|one (?:compound|molecule))"

_SHAPES: tuple[tuple[Relation, str], ...] = (
    ("similar", rf"are {_BOTH} (?:structurally )?(?:similar|alike)(?: in structure)?(?: to each other)?"),
    ("similar", rf"do {_BOTH} resemble each other(?: in structure)?"),
    ("similar", r"is IT (?:structurally )?similar(?: in structure)? to IT"),
    ("similar", rf"(?:would you call {_BOTH}|are {_BOTH}) analogues"),
    ("similar", rf"{WHETHER} {_BOTH} are (?:structurally )?(?:similar|alike)(?: in structure)?"),
    ("same", rf"are {_BOTH} {_SAME}"),
    ("same", rf"is IT (?:identical (?:with|to)|{_SAME} as) IT"),
    ("same", rf"do {_BOTH} belong to one and the same structure"),
    ("same", r"is it true that IT is IT"),
    ("same", rf"{WHETHER} {_BOTH} are {_SAME}"),
    ("group", rf"{_ONE} {HAS} {ANY}{GROUP}(?:[:,] IT or IT)?"),
    ("group", rf"one of (?:IT and IT|them) {HAS} {ANY}{GROUP}\. which(?: one)?"),
    ("group", rf"compare IT (?:with|and|to) IT: which(?: one)? {HAS} {ANY}{GROUP}"),
    ("group", rf"where is {ANY}{GROUP}, in IT or in IT"),
    ("group", rf"tell which of the two, IT or IT, {HAS} {ANY}{GROUP}"),
    ("heavier", rf"{_ONE} {_MORE}(?:[:,] IT or IT)?"),
    ("heavier", rf"compare IT (?:with|and|to) IT: which(?: one)? {_MORE}"),
    ("heavier", rf"of IT and IT, which(?: one)? {_MORE}"),
    ("heavier", rf"tell which of the two {_MORE}(?:, IT or IT)?"),
)


class PairShape(NamedTuple):
    """What a question about two molecules asks.

    Attributes:
        relation: whether they are similar or the same, which has a group, which is heavier.
        groups: any of these.
    """

    relation: Relation
    groups: tuple[str, ...] = ()


def pair_shape_of(question: str) -> PairShape | None:
    """What a question about two molecules asks, None where it has none of the shapes that can be checked."""
    if "{" in question:
        return None
    either, (text, named) = put(question, _OBJECT)[0], put(question, _PLACEHOLDER)
    for relation, pattern in _patterns():
        if pattern.fullmatch(either if relation in ("similar", "same") else text):
            return PairShape(relation, named[0].names if relation == "group" else ())
    return None


@cache
def _patterns() -> tuple[tuple[Relation, "re.Pattern[str]"], ...]:
    return tuple((relation, re.compile(pattern, re.IGNORECASE)) for relation, pattern in _SHAPES)
