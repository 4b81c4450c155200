"""Questions about two molecules of few, with what is there to be asked counted by hand."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmspec_ds.systems.alignment.questions.draw import Draw
from mmspec_ds.systems.alignment.questions.items import Item
from mmspec_ds.systems.alignment.questions.pair_tasks import heavier_of_two, which_of_two
from mmspec_ds.systems.alignment.questions.question import MoleculeReference, Question

ALKANES = ("CCCCC", "CCCCCC", "CCCCCCC", "CCCCCCCC", "CCCCCCCCC")


def items_of(smiles: Sequence[str]) -> list[Item]:
    return [Item(MoleculeReference(one), one, Path("a.smi"), one) for one in smiles]


def draw_for(task: str) -> Draw:
    return Draw(task, "train", np.random.default_rng(0))


def pairs_of(asked: Sequence[Question]) -> list[tuple[str, str]]:
    return [(one.references[0].smiles, one.references[1].smiles) for one in asked]  # type: ignore[union-attr]


def test_each_pair_of_unlike_mass_is_asked_about_once_in_each_order() -> None:
    items = items_of(["CO", "CCO", "CCCCCCCC"])  # 32, 46 and 114 Da: the first two differ by less than 20
    asked = heavier_of_two([items, items], 100, draw_for("heavier of two"))
    octane = "CCCCCCCC"
    answers = {pair: one.answer for pair, one in zip(pairs_of(asked), asked)}
    assert answers == {
        ("CO", octane): "the second",
        (octane, "CO"): "the first",
        ("CCO", octane): "the second",
        (octane, "CCO"): "the first",
    }
    assert len(asked) == 4


def test_no_pair_is_asked_about_a_group_twice() -> None:
    items = items_of([*ALKANES, *(f"{one}O" for one in ALKANES)])
    asked = which_of_two([items, items], 400, draw_for("which of two"))
    assert {one.about for one in asked} == {"alcohol"}
    pairs = pairs_of(asked)
    assert len(set(pairs)) == len(pairs) == 50  # five of each, in two orders
    assert all((one.answer == "the first") == pair[0].endswith("O") for pair, one in zip(pairs, asked))
