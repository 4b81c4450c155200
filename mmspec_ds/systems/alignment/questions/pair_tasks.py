"""Questions about two molecules, or spectra of them, or one of each."""

from collections.abc import Sequence

import numpy as np

from mmspec_ds.molecules.fingerprints import morgan_fingerprints, tanimoto_similarities
from mmspec_ds.molecules.functional_groups import GROUPS
from mmspec_ds.systems.alignment.questions.draw import YES_NO, Draw, yes_no
from mmspec_ds.systems.alignment.questions.items import Item
from mmspec_ds.systems.alignment.questions.question import Question
from mmspec_ds.systems.alignment.questions.structure_tasks import FEWEST, split_by_group
from mmspec_ds.systems.alignment.questions.wording import a

FIRST_SECOND = ("the first", "the second")
SIMILAR, UNLIKE = 0.5, 0.2
"""Tanimoto similarity (Morgan, radius 2, 2,048 bits) from which, and up to which, two molecules are called
similar and not; pairs between are not asked about."""
HEAVIER_DA = 20.0
"""By how much the heavier of two must be."""
MOST_COMPARED = 4000

Pool = Sequence[Sequence[Item]]
"""Where the two objects are from: one list for both, or one for each."""


def which_of_two(pool: Pool, count: int, draw: Draw) -> list[Question]:
    """Which of two contains a functional group; groups are asked about equally often, either place is right
    equally often. Of few molecules there are fewer questions, for none is asked twice."""
    sides = []
    for group in GROUPS:
        parts = [split_by_group(items, group.name) for items in pool]
        if all(min(len(having), len(lacking)) >= FEWEST for having, lacking in parts):
            sides.append((group.name, parts))
    found, asked = list[Question](), set[tuple[int, int, str]]()
    for number in range(count if sides else 0):
        name, parts = sides[number % len(sides)]
        place = int(draw.random.integers(2))
        order = _order(len(parts), draw)
        one = draw.one(parts[order[place]][0])
        other = _stranger(parts[order[1 - place]][1], one, draw)
        pair = [one, other] if place == 0 else [other, one]
        key = id(pair[0]), id(pair[1]), name
        if key not in asked:
            asked.add(key)
            found.append(draw.ask(pair, FIRST_SECOND[place], FIRST_SECOND, name, a_group=a(name)))
    return found


def heavier_of_two(pool: Pool, count: int, draw: Draw) -> list[Question]:
    """Which of two has the larger monoisotopic mass, by 20 Da at least; no pair is asked about twice in one
    order. There are at most `count` questions, fewer where such pairs are rare."""
    found, asked = list[Question](), set[tuple[int, int]]()
    for _ in range(10 * count):
        if len(found) == count:
            break
        order = _order(len(pool), draw)
        pair = [draw.one(pool[place]) for place in order]
        gap = pair[0].facts.exact_mass_da - pair[1].facts.exact_mass_da
        key = id(pair[0]), id(pair[1])
        if abs(gap) >= HEAVIER_DA and key not in asked:
            asked.add(key)
            found.append(draw.ask(pair, FIRST_SECOND[gap < 0], FIRST_SECOND))
    return found


def similar(pool: Pool, count: int, draw: Draw) -> list[Question]:
    """Whether two different molecules are similar, by `SIMILAR` and `UNLIKE`: at most `count` questions, as
    many with yes as with no, about pairs of at most `MOST_COMPARED` molecules from each side."""
    order = _order(len(pool), draw)
    first, second = (draw.some(pool[place], MOST_COMPARED) for place in order)
    prints = [morgan_fingerprints([one.smiles for one in items]) for items in (first, second)]
    similarity = tanimoto_similarities(prints[0], prints[1])
    same = np.array([one.group for one in first])[:, None] == np.array([one.group for one in second])[None]
    alike = np.argwhere((similarity >= SIMILAR) & ~same)
    unlike = np.argwhere((similarity <= UNLIKE) & ~same)
    each = min(count // 2, len(alike), len(unlike))
    found: list[Question] = []
    for places, holds in ((alike, True), (unlike, False)):
        for row, column in places[draw.random.permutation(len(places))[:each]]:
            pair = [first[int(row)], second[int(column)]]
            pair = pair if draw.random.integers(2) else pair[::-1]
            found.append(draw.ask(pair, yes_no(holds), YES_NO))
    return draw.some(found, len(found))


def same_molecule(pool: Pool, count: int, draw: Draw) -> list[Question]:
    """Whether a spectrum is that of a molecule, or two spectra are of one molecule: two objects of one InChIKey
    block, or of two blocks."""
    by_group: dict[str, list[Item]] = {}
    for one in pool[-1]:
        by_group.setdefault(one.group, []).append(one)
    found: list[Question] = []
    for one in draw.some(pool[0], count):
        partners = [other for other in by_group.get(one.group, ()) if other.reference != one.reference]
        if not partners or len(by_group) < 2:
            continue
        holds = len(found) % 2 == 0
        other = draw.one(partners) if holds else _stranger(pool[-1], one, draw)
        pair = [one, other] if draw.random.integers(2) else [other, one]
        found.append(draw.ask(pair, yes_no(holds), YES_NO))
    return found[: len(found) // 2 * 2]


def _stranger(items: Sequence[Item], one: Item, draw: Draw) -> Item:
    """An item of another molecule; one of the same where there is no other."""
    tried = [draw.one(items) for _ in range(20)]
    found = next((other for other in tried if other.group != one.group), None)
    if found is None:  # nearly all are of one molecule
        found = draw.one([other for other in items if other.group != one.group] or items)
    return found


def _order(lists: int, draw: Draw) -> tuple[int, int]:
    """From which list the first object is, and from which the second."""
    if lists == 1:
        return 0, 0
    return (0, 1) if draw.random.integers(2) else (1, 0)
