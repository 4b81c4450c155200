"""Questions about enzymes: their class by the first number of the EC number."""

from collections.abc import Sequence

from mmspec_ds.systems.alignment.questions.draw import YES_NO, Draw, yes_no
from mmspec_ds.systems.alignment.questions.items import EC_CLASSES, Item
from mmspec_ds.systems.alignment.questions.question import Question
from mmspec_ds.systems.alignment.questions.wording import a

REACTIONS = {
    "oxidoreductase": "transfers electrons, hydrogen or oxygen between molecules",
    "transferase": "transfers a group such as methyl, acyl, glycosyl or phosphate from one molecule to another",
    "hydrolase": "cleaves bonds with water",
    "lyase": "cleaves or forms bonds by elimination or addition, without water or oxidation",
    "isomerase": "rearranges a molecule into one of its isomers",
    "ligase": "joins two molecules at the cost of a nucleoside triphosphate",
    "translocase": "moves ions or molecules across a membrane",
}
"""What the enzymes of each class do."""


def enzyme_class(items: Sequence[Item], count: int, draw: Draw) -> list[Question]:
    """The class of an enzyme."""
    return [draw.ask([one], one.label, EC_CLASSES) for one in draw.some(items, count)]


def is_of_class(items: Sequence[Item], count: int, draw: Draw) -> list[Question]:
    """Whether an enzyme is of an EC class: at most `count` questions, of each class as many with yes as with
    no."""
    found = []
    for name in EC_CLASSES:
        having = [one for one in items if one.label == name]
        lacking = [one for one in items if one.label != name]
        each = min(count // (2 * len(EC_CLASSES)), len(having), len(lacking))
        for part, holds in ((having, True), (lacking, False)):
            found += [
                draw.ask([one], yes_no(holds), YES_NO, name, a_class=a(name), **{"class": name})
                for one in draw.some(part, each)
            ]
    return draw.some(found, len(found))


def description(items: Sequence[Item], count: int, draw: Draw) -> list[Question]:
    """The class of an enzyme and what it does."""
    return [
        draw.ask([one], f"The protein is {a(one.label)}, an enzyme that {REACTIONS[one.label]}.")
        for one in draw.some(items, count)
    ]
