"""The words of questions and answers about a molecule: groups, and what is denied, counted or compared."""

import re
from functools import cache

from mmspec_ds.molecules.functional_groups import GROUPS

FAMILIES: dict[str, tuple[str, ...]] = {
    "amine": ("primary amine", "secondary amine", "tertiary amine"),
    "amino group": ("primary amine", "secondary amine", "tertiary amine"),
    "hydroxyl group": ("alcohol", "phenol"),
    "hydroxy group": ("alcohol", "phenol"),
    "carbonyl group": (
        *("aldehyde", "ketone", "carboxylic acid", "ester", "acid anhydride", "acyl halide", "amide", "urea"),
        "carbamate",
    ),
}
"""Names of which each means any of several groups."""

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
NEGATED = re.compile(
    r"\b(?:not|lacks?|lacking|without|free of|devoid|absent|absence|missing|neither|nor|except)\b|n't\b", re.I
)
_NEGATIVE = re.compile(
    rf"{NEGATED.pattern}|(?<!yes or )(?<!yes/)\bno\b|(?<!at most one )\bviolat|\b(?:fails?|breaks?|exceeds?)\b",
    re.I,
)
"""A question of yes or no that asks for the opposite; an answer to another may deny things one by one."""
COMPARED = re.compile(
    r"\b(?:above|below|over|under|than|at least|at most|between|up to|about|around|approximately|roughly"
    r"|nearly|near|close)\b",
    re.I,
)
WHOLLY = re.compile(r"\b(?:all|fully|entirely|completely|wholly|purely|only)\b", re.I)
COUNTED_WORDS = re.compile(
    rf"(?<!at least )\b(?:{'|'.join(NUMBERS[1:])}|several|exactly|only)\b|\bthan\b", re.I
)
_BEFORE = re.compile(
    r"(?:^|\]|\b(?:an?|any|some|its|it|contain(?:s|ing)?|have|has|having|bears?|bearing|holds?|carry|carries"
    r"|includes?|possess(?:es)?|there|can|with|of|is|many|count|at least one|one or more"
    r"|(?<!is )(?<!are )the))\s*$",
    re.I,
)
_AFTER = re.compile(
    r"\s*(?:$|[?.!,;:)]|(?:(?:functional )?groups?|functions?|functionality|moiet(?:y|ies)|units?|atoms?"
    r"|counts?|of (?:the|this|it)|of (?=\[)|in|within|inside|be|present|there|found|anywhere|somewhere|at all"
    r"|does|do|has|is|are|or|and)(?![\w-]))",
    re.I,
)


def stands_alone(text: str, start: int, end: int) -> bool:
    """Whether a noun in a question stands for itself: no word next to it narrows or counts what is meant, as in
    "a primary alcohol", "two esters", "an ester of glycerol" or "hydrogen bonds".

    Args:
        text: the question.
        start, end: of the noun.
    """
    return bool(_BEFORE.search(text[:start]) and _AFTER.match(text, end))


def is_negative(question: str) -> bool:
    """Whether a question of yes or no, or for one of two, asks for the opposite of something."""
    return bool(_NEGATIVE.search(question))


def groups_in(text: str) -> list[tuple[int, str, tuple[str, ...]]]:
    """The functional groups that a text names: place, the words, and the groups of which any is meant. Hyphens
    and blanks within a name are alike, and it may be in the plural."""
    found = ((one.start(), one[0], _group_names().get(_plain(one["name"]))) for one in _groups().finditer(text))
    return [(at, words, groups) for at, words, groups in found if groups is not None]


def asks_for_groups_alone(question: str) -> bool:
    """Whether each functional group that a question names is meant as such, see `stands_alone`."""
    return all(stands_alone(question, at, at + len(words)) for at, words, _ in groups_in(question))


def are_alone(pattern: "str | re.Pattern[str]", text: str) -> bool:
    """Whether all that a pattern finds stands for itself; a text where it finds nothing passes."""
    found = re.finditer(pattern, text, re.I) if isinstance(pattern, str) else pattern.finditer(text)
    return all(stands_alone(text, *one.span()) for one in found)


@cache
def _group_names() -> dict[str, tuple[str, ...]]:
    """By every name, `_plain`, the groups of which any is meant."""
    ours = {name: (group.name,) for group in GROUPS for name in (group.name, *group.others)}
    return {_plain(name): groups for name, groups in (FAMILIES | ours).items()}


@cache
def _groups() -> "re.Pattern[str]":
    names = sorted(_group_names(), key=len, reverse=True)
    parts = "|".join(re.escape(name).replace(r"\ ", r"[\s-]+") for name in names)
    return re.compile(rf"(?<![\w-])(?P<name>{parts})(?:e?s)?(?![\w-])", re.I)


def _plain(name: str) -> str:
    """A name in lower case, with blanks for its hyphens."""
    return re.sub(r"[\s-]+", " ", name.lower())


def without_groups(text: str) -> str:
    """A text in which a blank stands for each functional group that it names."""
    return _groups().sub(" ", text)
