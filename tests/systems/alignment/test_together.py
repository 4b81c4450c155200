"""Which questions may stand in one dialogue: no answer decides another, by structures that show it."""

from itertools import permutations

import pytest

from mmspec_ds.molecules.facts import facts_of
from mmspec_ds.molecules.functional_groups import GROUPS
from mmspec_ds.systems.alignment.objects import Example, Molecule, Protein
from mmspec_ds.systems.alignment.questions.wording import LATER, WORDINGS, worded
from mmspec_ds.systems.alignment.together import comes_last, later_prompt, may_join, properties_of

MOLECULE = Molecule("CCO")
WITNESSES = (
    "CCO", "Oc1ccccc1", "COC", "C1CO1", "CC=O", "CC(C)=O", "CC(=O)O", "CC(=O)OC", "CC(=O)OC(C)=O", "CC(=O)F",
    "CC(=O)Cl", "CC(=O)NC", "NC(N)=O", "COC(=O)NC", "CN", "CNC", "CN(C)C", "C[N+](C)(C)C", "CC=NC", "CC=NO",
    "CC#N", "C[N+](=O)[O-]", "CN=[N+]=[N-]", "CN=NC", "CN=C=O", "CS", "CSC", "CSSC", "CS(C)=O", "CS(C)(=O)=O",
    "CS(=O)(=O)N", "CS(=O)(=O)O", "OP(=O)(O)O", "CB(O)O", "C=C", "C#C", "c1ccoc1", "c1ccccc1", "c1ccncc1",
    "CF", "CCl", "CBr", "CI",
)  # fmt: skip
"""Small molecules: of each group one at least that has little else."""


def asked(task: str, about: str = "") -> Example:
    return Example("About [MOLECULE]?", (MOLECULE,), "yes", task, about=about)


def test_no_group_that_may_stand_beside_another_implies_it() -> None:
    facts = [facts_of(one) for one in WITNESSES]
    names = [one.name for one in GROUPS]
    told = {name: properties_of(asked("functional group", name)) for name in names}
    for one, other in permutations(names, 2):
        if may_join(told[one], told[other]):
            assert any(one in fact.groups and other not in fact.groups for fact in facts), (one, other)
    rings = properties_of(asked("rings"))
    for name in names:
        if may_join(told[name], rings):
            assert any(name in fact.groups and not fact.rings for fact in facts), name
    for name in ("phenol", "benzene ring", "pyridine ring"):  # have others, and so stand by themselves
        assert all("aromatic ring" in fact.groups for fact in facts if name in fact.groups)
        assert not may_join(told[name], told["aromatic ring"])


@pytest.mark.parametrize("name", [one.name for one in GROUPS])
def test_a_list_of_all_groups_stands_beside_no_question_about_one(name: str) -> None:
    told = properties_of(asked("functional groups"))
    assert not may_join(properties_of(asked("functional group", name)), told)
    assert not may_join(told, properties_of(asked("which of two", name)))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (asked("formula"), asked("exact mass"), False),
        (asked("rings"), asked("aromaticity"), False),
        (asked("rings"), asked("chirality"), True),
        (asked("formula"), asked("functional group", "ester"), True),
        (asked("functional group", "ester"), asked("functional group", "ester"), False),
        (asked("functional groups"), asked("functional groups"), False),
        (asked("functional groups"), asked("rings"), False),
        (asked("functional groups"), asked("aromaticity"), False),
        (asked("functional groups"), asked("chirality"), True),
        (asked("functional groups"), asked("formula"), True),
        (asked("functional groups"), asked("description"), False),
        (asked("description"), asked("chirality"), False),
        (asked("description"), asked("description"), False),
        (asked("my own"), asked("my own"), False),
        (asked("my own"), asked("rings"), True),
    ],
    ids=lambda value: value.task if isinstance(value, Example) else str(value),
)
def test_what_may_stand_together(one: Example, other: Example, expected: bool) -> None:
    assert may_join(properties_of(one), properties_of(other)) is expected
    assert may_join(properties_of(other), properties_of(one)) is expected
    assert may_join(properties_of(one), frozenset())


def test_formula_mass_and_the_rule_of_five_come_last() -> None:
    last = [task for task in WORDINGS if comes_last(properties_of(asked(task)))]
    assert last == ["formula", "exact mass", "Lipinski", "heavier of two"]


def test_later_questions_by_hand() -> None:
    group = worded("functional group", 1, object="the molecule [MOLECULE]", a_group="an ester")
    one = Example(group, (MOLECULE,), "no", "functional group", about="ester")
    assert later_prompt(one) == "Does it have an ester?"
    own = Example("[MOLECULE] is what?", (MOLECULE,), "ethanol", "name")
    assert later_prompt(own) == "The molecule is what?"
    other = Example("Does the protein [PROTEIN] bind iron?", (Protein("MK"),), "no", "iron")
    assert later_prompt(other) == "Does the protein bind iron?"
    changed = Example("How many aromatic rings has [MOLECULE]?", (MOLECULE,), "0", "rings")
    assert later_prompt(changed) == "How many aromatic rings has the molecule?"
    pair = Example("[MOLECULE] or [MOLECULE]?", (MOLECULE, MOLECULE), "the first", "longer")
    assert later_prompt(pair) == pair.prompt


def test_every_task_with_short_wordings_is_found_by_its_long_ones() -> None:
    for task, short in LATER.items():
        for number in range(len(WORDINGS[task])):
            prompt = worded(task, number, object="the molecule [MOLECULE]", a_group="a thiol")
            found = later_prompt(Example(prompt, (MOLECULE,), "yes", task, about="thiol"))
            assert found == short[number % len(short)].replace("{a group}", "a thiol")
