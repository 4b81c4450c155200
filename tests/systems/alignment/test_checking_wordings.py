"""Every wording of the questions that follow from structure: the right answer agrees, a wrong one does not."""

from collections.abc import Iterator

import pytest

from mmspec_ds.systems.alignment.checking import Known, check_answer, check_pair
from mmspec_ds.systems.alignment.objects import Kind
from mmspec_ds.systems.alignment.questions.wording import WORDINGS, a, of_object, worded

ASPIRIN = Known("a file", smiles="CC(=O)Oc1ccccc1C(=O)O", adduct="[M+H]+")
LEUCINE = Known("a file", smiles="CC(C)C[C@H](N)C(=O)O")
ONE = {
    "formula": ("C9H8O4", "C9H8O3"),
    "exact mass": ("180.04", "180.05"),
    "adduct": ("[M+H]+", "[M+Na]+"),
    "rings": ("1", "2"),
    "aromaticity": ("yes", "no"),
    "chirality": ("no", "yes"),
    "Lipinski": ("yes", "no"),
}
"""By task the right answer about aspirin, and a wrong one."""
TWO = {
    "heavier of two": ("the first", "the second"),
    "similar": ("no", "yes"),
    "same molecule": ("no", "yes"),
}
KINDS: tuple[Kind, ...] = ("molecule", "spectrum")


def questions(task: str, **values: str) -> Iterator[str]:
    """All wordings of a task, about all kinds of objects."""
    for number in range(len(WORDINGS[task])):
        for kind in KINDS:
            noun = of_object(kind, task)
            yield worded(task, number, object=noun, first=noun, second=noun, **values)


@pytest.mark.parametrize("task", ONE)
def test_one_object(task: str) -> None:
    for question in questions(task):
        for answer, verdict in zip(ONE[task], ("agrees", "disagrees")):
            found = check_answer(question, answer, ASPIRIN)
            assert [one.verdict for one in found.checks] == [verdict], (question, found.reason)


def test_a_list_of_all_functional_groups() -> None:
    for question in questions("functional groups"):
        whole = check_answer(question, "carboxylic acid, ester, aromatic ring, benzene ring", ASPIRIN)
        assert [one.verdict for one in whole.checks] == ["agrees"] * 5, question
        short = check_answer(question, "carboxylic acid, ether", ASPIRIN)
        assert [one.verdict for one in short.checks] == ["agrees", "disagrees", "disagrees"], question
        none = check_answer(question, "none", ASPIRIN)
        assert [one.verdict for one in none.checks] == ["disagrees"], question


@pytest.mark.parametrize(
    ("group", "there"),
    [
        ("ester", True),
        ("ketone", False),
        ("carboxylic acid", True),
        ("fluorine", False),
        ("benzene ring", True),
    ],
)
def test_functional_groups(group: str, there: bool) -> None:
    for question in questions("functional group", a_group=a(group)):
        for answer in ("yes", "no"):
            (check,) = check_answer(question, answer, ASPIRIN).checks
            assert (check.what, check.verdict == "agrees") == ("group", (answer == "yes") == there), question


@pytest.mark.parametrize("task", TWO)
def test_two_objects(task: str) -> None:
    for question in questions(task):
        for answer, verdict in zip(TWO[task], ("agrees", "disagrees")):
            found = check_pair(question, answer, ASPIRIN, LEUCINE)
            assert [one.verdict for one in found.checks] == [verdict], (question, found.reason)


def test_which_of_two() -> None:
    for group, right in (("ester", "the first"), ("primary amine", "the second")):
        for question in questions("which of two", a_group=a(group)):
            for answer in ("the first", "the second"):
                (check,) = check_pair(question, answer, ASPIRIN, LEUCINE).checks
                assert (check.verdict == "agrees") == (answer == right), question
