"""Which questions about an object may stand in one dialogue, and how the later ones of it are worded.

A model that is trained on a dialogue reads the right answers to the earlier questions. So no answer may follow
from one before it: two questions stand together only if no property is told by the answers to both. What an
answer tells of is written down here for the tasks of `mmspec questions`; that of another tells of its task.
A list of functional groups tells of every group. A description tells everything and stands alone. Formula, mass
and the rule of five narrow down what else a molecule can have, and come last.

Answers may still be correlated: an alcohol is more often an acid than an alkane is. What the rule excludes is
that one answer decides another.
"""

from typing import TypeAlias

from mmspec_ds.molecules.functional_groups import GROUPS
from mmspec_ds.systems.alignment.answering.methods import DESCRIPTION
from mmspec_ds.systems.alignment.objects import Example, kind_of
from mmspec_ds.systems.alignment.questions.wording import worded_later

Properties: TypeAlias = frozenset[str]
"""What an answer tells of."""

EVERYTHING: Properties = frozenset({"everything"})
COMPOSITION = "composition"

_OF_GROUPS: dict[str, Properties] = {
    "aromatic ring": frozenset({"rings"}),
    "benzene ring": frozenset({"rings"}),
    "pyridine ring": frozenset({"rings"}),
    "phenol": frozenset({"rings"}),
    "epoxide": frozenset({"rings", "ether"}),
    "fluorine": frozenset({"halogen"}),
    "chlorine": frozenset({"halogen"}),
    "bromine": frozenset({"halogen"}),
    "iodine": frozenset({"halogen"}),
    "acyl halide": frozenset({"halogen"}),
}
"""Of the functional groups of which one implies another; any other group tells of itself."""
_GROUP_TASKS = ("functional group", "which of two")


def _of_group(name: str) -> Properties:
    return _OF_GROUPS.get(name, frozenset({name}))


_OF_TASKS: dict[str, Properties] = {
    "formula": frozenset({COMPOSITION}),
    "exact mass": frozenset({COMPOSITION}),
    "Lipinski": frozenset({COMPOSITION}),
    "heavier of two": frozenset({COMPOSITION}),
    "rings": frozenset({"rings"}),
    "aromaticity": frozenset({"rings"}),
    "similar": frozenset({"likeness"}),
    "same molecule": frozenset({"likeness"}),
    "enzyme class": frozenset({"class"}),
    "is it an enzyme of": frozenset({"class"}),
    "cell type": frozenset({"type"}),
    "cell type by markers": frozenset({"type"}),
    "marker genes": frozenset({"type"}),
    "functional groups": frozenset[str]().union(*(_of_group(one.name) for one in GROUPS)),
    DESCRIPTION: EVERYTHING,
}


def properties_of(one: Example) -> Properties:
    """What the answer to a question tells of."""
    if one.task in _GROUP_TASKS and one.about:
        return _of_group(one.about)
    return _OF_TASKS.get(one.task, frozenset({one.task}))


def may_join(new: Properties, told: Properties) -> bool:
    """Whether a question may stand in a dialogue whose answers tell of these properties."""
    return not told or (not new & told and not EVERYTHING & (new | told))


def comes_last(properties: Properties) -> bool:
    """Whether such a question ends a dialogue, for its answer narrows down many others."""
    return COMPOSITION in properties


def later_prompt(one: Example) -> str:
    """The prompt of a question that goes on a dialogue: its object has been named. A question about several
    objects names them again, for else it would not tell which is which."""
    if len(one.objects) != 1:
        return one.prompt
    return worded_later(one.task, one.prompt, kind_of(one.objects[0]), one.about)
