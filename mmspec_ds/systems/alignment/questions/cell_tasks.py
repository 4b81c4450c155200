"""Questions about cells: their type, by its name or by its marker genes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from string import ascii_uppercase

from mmspec_ds.systems.alignment.questions.cell_types import CellTypes
from mmspec_ds.systems.alignment.questions.draw import YES_NO, Draw, yes_no
from mmspec_ds.systems.alignment.questions.high_genes import HighGenes
from mmspec_ds.systems.alignment.questions.items import Item
from mmspec_ds.systems.alignment.questions.marker_lists import ListedType, written_types
from mmspec_ds.systems.alignment.questions.question import Question
from mmspec_ds.systems.alignment.questions.wording import a

MARKERS = 4
"""Marker genes that a question names for each type."""
MOST_ABSENT = 3
"""Types that no study has, in a question."""


@dataclass(frozen=True)
class Studies:
    """What cells may be.

    Attributes:
        types: names and marker genes.
        of_study: by study the names of the types that its cells are said to be.
        unnamed: share of the questions with marker genes in which types have letters, not names.
        exchanged: share of the questions that list types with marker genes in which each has the name of
            another one, so that the markers alone tell which name is right.
        absent: names of types that no study has, with marker genes. In training up to `MOST_ABSENT` of them
            stand among those that a question names.
        high: genes that the markers of types with letters are drawn from, beside those of `types`.
    """

    types: CellTypes
    of_study: Mapping[str, Sequence[str]]
    unnamed: float = 0.0
    exchanged: float = 0.0
    absent: Sequence[str] = ()
    high: HighGenes = field(default_factory=dict)

    def markers(self, name: str) -> str:
        """Some marker genes of a type, as a question names them; empty where none are known."""
        known = self.types.of(name)
        return ", ".join(known.markers[:MARKERS]) if known is not None else ""

    def with_markers(self, items: Sequence[Item]) -> list[Item]:
        """The items of studies all of whose types have marker genes."""
        known = {study for study, names in self.of_study.items() if all(map(self.markers, names))}
        return [one for one in items if one.group in known]


def _told(studies: Studies, study: str, names: Sequence[str], draw: Draw) -> dict[str, ListedType]:
    """By name how a question tells of types: the name, or "type K", and marker genes. In a share of the
    questions one of them or more have a letter that is drawn, and markers that are drawn from those that are
    known and from the genes that are high in their cells: such a type is known by its markers alone."""
    lettered: dict[str, str] = {}
    if studies.unnamed and draw.random.random() < studies.unnamed:
        chosen = draw.some(names, int(draw.random.integers(1, len(names) + 1)))
        lettered = dict(zip(chosen, draw.some(ascii_uppercase, len(chosen))))
    found = {}
    for name in names:
        markers = studies.markers(name)
        if name in lettered:
            known = studies.types.of(name)
            pool = dict.fromkeys(
                [*(known.markers if known else ()), *studies.high.get(study, {}).get(name, ())]
            )
            markers = ", ".join(draw.some(list(pool), MARKERS))
        found[name] = ListedType(f"type {lettered[name]}" if name in lettered else name, markers)
    return found


def _exchanged(studies: Studies, types: dict[str, ListedType], draw: Draw) -> dict[str, ListedType]:
    """The same types; in a share of the questions each has the name of the next one, and the last has that of
    the first."""
    if not studies.exchanged or draw.random.random() >= studies.exchanged:
        return types
    told = list(types.values())
    names = [one.name for one in (*told[1:], told[0])]
    return {own: ListedType(name, one.genes) for own, name, one in zip(types, names, told)}


def _named(studies: Studies, one: Item, draw: Draw) -> list[str]:
    """The types of which a question asks for one, in random order: all of the study. In training they are two
    or more of them, each number as likely: another study may have monocytes of one kind alone, and a model that
    always chose among the same types would know no answer but theirs. Types that no study has may stand beside
    them."""
    names = studies.of_study[one.group]
    if draw.side == "train" and len(names) > 2:
        others = draw.some(
            [name for name in names if name != one.label], int(draw.random.integers(1, len(names)))
        )
        names = [one.label, *others]
    if draw.side == "train" and studies.absent:
        names = [*names, *draw.some(studies.absent, int(draw.random.integers(MOST_ABSENT + 1)))]
    return draw.some(names, len(names))


def cell_type(studies: Studies, items: Sequence[Item], count: int, draw: Draw) -> list[Question]:
    """The type of a cell, one of those that `_named` draws, in random order."""
    found = []
    for one in draw.some(items, count):
        names = _named(studies, one, draw)
        found.append(draw.ask([one], one.label, names, types=", ".join(names)))
    return found


def cell_type_by_markers(studies: Studies, items: Sequence[Item], count: int, draw: Draw) -> list[Question]:
    """As `cell_type`, each type with some of its marker genes."""
    found = []
    for one in draw.some(studies.with_markers(items), count):
        names = _named(studies, one, draw)
        types = _exchanged(studies, _told(studies, one.group, names, draw), draw)
        told = written_types([types[name] for name in names])
        choices = [types[name].name for name in names]
        found.append(draw.ask([one], types[one.label].name, choices, types_with_markers=told))
    return found


def marker_genes(studies: Studies, items: Sequence[Item], count: int, draw: Draw) -> list[Question]:
    """Whether a cell is of the type that is told with its marker genes; each type is asked about as often with
    yes as with no."""
    found: list[Question] = []
    known = studies.with_markers(items)
    labels = sorted({one.label for one in known})
    for name in labels:
        having = [one for one in known if one.label == name]
        lacking = [one for one in known if one.label != name]
        each = min(count // (2 * len(labels)), len(having), len(lacking))
        for part, holds in ((having, True), (lacking, False)):
            for one in draw.some(part, each):
                told = _told(studies, one.group, [name], draw)[name]
                kind = a(name) if told.name == name else told.name
                found.append(draw.ask([one], yes_no(holds), YES_NO, told.name, a_type=kind, markers=told.genes))
    return draw.some(found, len(found))


def description(studies: Studies, items: Sequence[Item], count: int, draw: Draw) -> list[Question]:
    """The type of a cell with its marker genes."""
    return [
        draw.ask([one], f"The cell is {a(one.label)}. Its marker genes are {studies.markers(one.label)}.")
        for one in draw.some(studies.with_markers(items), count)
    ]
