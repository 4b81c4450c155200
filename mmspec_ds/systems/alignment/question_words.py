"""The words of questions and answers about a molecule: groups, elements, numbers, and what denies."""

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

ELEMENTS = {
    "carbon": "C", "hydrogen": "H", "nitrogen": "N", "oxygen": "O", "sulfur": "S", "sulphur": "S",
    "phosphorus": "P", "silicon": "Si", "boron": "B", "selenium": "Se", "sodium": "Na", "potassium": "K",
    "fluorine": "F", "chlorine": "Cl", "bromine": "Br", "iodine": "I",
}  # fmt: skip
"""By name, their symbols."""
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
NEGATED = re.compile(
    r"\b(?:not|lacks?|lacking|without|free of|devoid|absent|absence|missing|neither|nor|except)\b|n't\b", re.I
)
_NEGATIVE = re.compile(
    rf"{NEGATED.pattern}|(?<!yes or )(?<!yes/)\bno\b|(?<!at most one )\bviolat|\b(?:fails?|breaks?|exceeds?)\b",
    re.I,
)
"""A question of yes or no that asks for the opposite; an answer to another may deny things one by one."""


def is_negative(question: str) -> bool:
    """Whether a question of yes or no, or for one of two, asks for the opposite of something."""
    return bool(_NEGATIVE.search(question))


def groups_in(text: str) -> list[tuple[int, str, tuple[str, ...]]]:
    """The functional groups that a text names: place, the words, and the groups of which any is meant. Hyphens
    and blanks within a name are alike, and it may be in the plural."""
    found = ((one.start(), one[0], _group_names().get(_plain(one["name"]))) for one in _groups().finditer(text))
    return [(at, words, groups) for at, words, groups in found if groups is not None]


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
