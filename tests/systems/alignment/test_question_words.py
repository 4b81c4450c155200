"""Every name of a functional group that a question may have, however it is written."""

import pytest

from mmspec_ds.molecules.functional_groups import BY_NAME, GROUPS, groups_of
from mmspec_ds.systems.alignment.claims import groups_listed
from mmspec_ds.systems.alignment.dialogue import checked_answer
from mmspec_ds.systems.alignment.question_words import FAMILIES
from mmspec_ds.systems.alignment.subjects import molecule_subject

HEXENYNE = molecule_subject("C=CCCC#C")
OURS = [(name, (group.name,)) for group in GROUPS for name in (group.name, *group.others)]
NAMES = [*OURS, *FAMILIES.items()]


def writings(name: str) -> list[str]:
    """A name as it is, in capitals, in the plural, with other hyphens and blanks."""
    written = [name, name.upper(), name.replace(" ", "-"), name.replace("-", " "), name.replace(" ", "  ")]
    return [*written, *(f"{one}s" for one in written), f"{name}es"]


@pytest.mark.parametrize(("name", "groups"), NAMES)
def test_every_name_is_checked(name: str, groups: tuple[str, ...]) -> None:
    there = set(groups) & set(groups_of("C=CCCC#C"))
    for written in writings(name):
        (check,) = checked_answer(f"Does it contain any {written}?", "yes", [HEXENYNE]).checks
        assert (check.what, check.verdict) == ("group", "agrees" if there else "disagrees"), written
        assert groups_listed(written) == (frozenset(groups) if len(groups) == 1 else frozenset()), written


def test_bonds_are_alkenes_and_alkynes() -> None:
    listed = "It contains carbon-carbon double bonds and a carbon-carbon triple bond."
    assert groups_listed(listed) == {"alkene", "alkyne"} <= BY_NAME.keys()
    found = checked_answer("Which functional groups does it contain?", listed, [HEXENYNE]).checks
    assert [(one.said, one.verdict) for one in found] == [
        ("carbon-carbon double bonds", "agrees"),
        ("carbon-carbon triple bond", "agrees"),
        ("no other group", "agrees"),
    ]


@pytest.mark.parametrize("text", ["e\u017fter", "am\u0131ne", "am\u0130ne", "\u017fix rings"])
def test_letters_that_only_look_alike_claim_nothing(text: str) -> None:
    assert groups_listed(text) == frozenset()
    assert checked_answer("Describe it.", f"It contains {text}.", [HEXENYNE]).checks == ()
