"""Questions about one molecule, or the spectra of one, whose answers follow from its structure."""

from collections.abc import Collection, Sequence
from itertools import cycle

from mmspec_ds.molecules.functional_groups import GROUPS
from mmspec_ds.spectra.modalities.ms import ADDUCTS
from mmspec_ds.systems.alignment.questions.draw import YES_NO, Draw, yes_no
from mmspec_ds.systems.alignment.questions.items import Item
from mmspec_ds.systems.alignment.questions.question import Question
from mmspec_ds.systems.alignment.questions.wording import a

MOST_RINGS = 8
"""Molecules with more are not asked about their rings."""
FEWEST = 5
"""A group is asked about if at least so many molecules have it and so many lack it."""
NO_GROUP = "none"
"""The answer where a molecule has none of the functional groups."""


def formula(items: Sequence[Item], count: int, draw: Draw) -> list[Question]:
    """The molecular formula, in Hill order with the charge last."""
    return [draw.ask([one], one.facts.formula) for one in draw.some(items, count)]


def exact_mass(items: Sequence[Item], count: int, draw: Draw) -> list[Question]:
    """The monoisotopic mass in Da with two decimals."""
    return [draw.ask([one], f"{one.facts.exact_mass_da:.2f}") for one in draw.some(items, count)]


def adduct(items: Sequence[Item], count: int, draw: Draw) -> list[Question]:
    """The adduct of the precursor of an MS/MS spectrum, one of those that the models tell apart."""
    known = [one for one in items if one.adduct in ADDUCTS]
    names = sorted({one.adduct for one in known})
    return [draw.ask([one], one.adduct, names) for one in draw.some(known, count)] if len(names) > 1 else []


def functional_group(items: Sequence[Item], count: int, draw: Draw) -> list[Question]:
    """Whether a functional group is there; each group is asked about as often with yes as with no, so that its
    name does not tell the answer."""
    pairs: list[list[tuple[Item, str, bool]]] = []
    for group in GROUPS:
        having, lacking = split_by_group(items, group.name)
        each = min(len(having), len(lacking))
        if each >= FEWEST:
            both = zip(draw.some(having, each), draw.some(lacking, each))
            pairs.append([(one, group.name, holds) for pair in both for one, holds in zip(pair, (True, False))])
    chosen = _in_turn(pairs, count)
    return [
        draw.ask([one], yes_no(holds), YES_NO, name, a_group=a(name))
        for one, name, holds in draw.some(chosen, len(chosen))
    ]


def functional_groups(items: Sequence[Item], count: int, draw: Draw) -> list[Question]:
    """All functional groups of a molecule, see `listed_groups`."""
    return [draw.ask([one], listed_groups(one.facts.groups)) for one in draw.some(items, count)]


def listed_groups(names: Collection[str]) -> str:
    """Functional groups by name, in the order of `GROUPS` and parted by commas; "none" where there is none."""
    return ", ".join(_in_order(names)) or NO_GROUP


def _in_order(names: Collection[str]) -> list[str]:
    return [group.name for group in GROUPS if group.name in names]


def split_by_group(items: Sequence[Item], name: str) -> tuple[list[Item], list[Item]]:
    """The items with a functional group, and those without."""
    having = [one for one in items if name in one.facts.groups]
    lacking = [one for one in items if name not in one.facts.groups]
    return having, lacking


def rings(items: Sequence[Item], count: int, draw: Draw) -> list[Question]:
    """The number of rings, in the smallest set of smallest rings."""
    few = [one for one in items if one.facts.rings <= MOST_RINGS]
    numbers = [str(number) for number in range(MOST_RINGS + 1)]
    return [draw.ask([one], str(one.facts.rings), numbers) for one in draw.some(few, count)]


def aromaticity(items: Sequence[Item], count: int, draw: Draw) -> list[Question]:
    """Whether there is an aromatic ring, by RDKit's model of aromaticity."""
    chosen = draw.balanced(items, lambda one: one.facts.aromatic_rings > 0, count)
    return [draw.ask([one], yes_no(bool(holds)), YES_NO) for one, holds in chosen]


def chirality(items: Sequence[Item], count: int, draw: Draw) -> list[Question]:
    """Whether an atom is or could be a tetrahedral stereocentre, stated in the SMILES or not."""
    chosen = draw.balanced(items, lambda one: one.facts.stereocentres > 0, count)
    return [draw.ask([one], yes_no(bool(holds)), YES_NO) for one, holds in chosen]


def lipinski(items: Sequence[Item], count: int, draw: Draw) -> list[Question]:
    """Whether at most one limit of Lipinski's rule of five is passed."""
    chosen = draw.balanced(items, lambda one: one.facts.passes_lipinski, count)
    return [draw.ask([one], yes_no(bool(holds)), YES_NO) for one, holds in chosen]


def description(items: Sequence[Item], count: int, draw: Draw) -> list[Question]:
    """The description that a file has, else one of facts: formula, groups, rings, stereocentres."""
    return [draw.ask([one], one.text or facts_in_words(one)) for one in draw.some(items, count)]


def facts_in_words(one: Item) -> str:
    """A short description of a molecule from what follows of its structure."""
    facts = one.facts
    kind = "an aromatic" if facts.aromatic_rings else "a cyclic" if facts.rings else "an acyclic"
    groups = _in_order(facts.groups)
    parts = [f"The molecule is {kind} compound of formula {facts.formula}."]
    if groups:
        parts.append(f"It contains {_listed([a(name) for name in groups])}.")
    parts.append(f"It has {_number(facts.rings, 'ring')} and {_number(facts.stereocentres, 'stereocentre')}.")
    return " ".join(parts)


def _number(count: int, what: str) -> str:
    return f"no {what}" if not count else f"{count} {what}{'s' if count > 1 else ''}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _in_turn(lists: Sequence[list[tuple[Item, str, bool]]], count: int) -> list[tuple[Item, str, bool]]:
    """At most `count` things from the heads of lists, two of each list at a time."""
    chosen: list[tuple[Item, str, bool]] = []
    heads = {number: iter(one) for number, one in enumerate(lists)}
    for number in cycle(range(len(lists))):
        if not heads or len(chosen) + 2 > count:
            break
        if number in heads:
            pair = [one for one, _ in zip(heads[number], range(2))]
            chosen += pair
            if len(pair) < 2:
                del heads[number]
    return chosen
