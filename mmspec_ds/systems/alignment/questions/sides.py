"""Which objects are trained on, and which are held back."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mmspec_ds.molecules.splits import draw_of
from mmspec_ds.systems.alignment.objects import Kind
from mmspec_ds.systems.alignment.questions.draw import Side
from mmspec_ds.systems.alignment.questions.items import Item, Remarks
from mmspec_ds.systems.alignment.questions.question import CellReference, ProteinReference

SIDES: tuple[Side, ...] = ("train", "validation", "test")
OF_MOLECULES: tuple[Kind, ...] = ("molecule", "spectrum")
"""Kinds whose groups name molecules: one on a side holds for both."""


@dataclass(frozen=True)
class Split:
    """How objects are parted.

    Attributes:
        test_files: all of their objects are in the test. No others of the same kind are.
        validation, test: shares of the groups, as a hash of their names decides.
        held_out_types: labels of cells that are in the test alone.
        seed: of the hash.
        allow_shared: let a molecule or protein of the test be trained on as well, as in splits that others
            published.
    """

    test_files: frozenset[Path] = field(default_factory=frozenset)
    validation: float = 0.1
    test: float = 0.2
    held_out_types: frozenset[str] = field(default_factory=frozenset)
    seed: int = 0
    allow_shared: bool = False


Parted = dict[Side, dict[Kind, list[Item]]]


def part(items: dict[Kind, list[Item]], split: Split, remarks: Remarks) -> Parted:
    """The items of each side, by kind. No group is on two sides, but for cells of studies that are not wholly
    in the test: those are parted cell by cell between training and validation.

    A molecule of the test is in neither of the other sides, as a structure or as a spectrum, nor is a protein
    or another with its sequence; such items are left out and counted in `remarks`.
    """
    parted: Parted = {side: {kind: [] for kind in items} for side in SIDES}
    for kind, found in items.items():
        whole = any(one.source in split.test_files for one in found)
        for one in found:
            parted[_side(one, kind, split, test_is_given=whole)][kind].append(one)
    for kinds in () if split.allow_shared else (OF_MOLECULES, ("protein",)):
        _keep_apart(parted, [kind for kind in kinds if kind in items], remarks)
    return parted


def _side(one: Item, kind: Kind, split: Split, *, test_is_given: bool) -> Side:
    if one.source in split.test_files or (kind == "cell" and one.label in split.held_out_types):
        return "test"
    name = f"{one.group}:{one.reference.row}" if isinstance(one.reference, CellReference) else one.group
    share = draw_of(name, split.seed) / 2.0**64
    test = 0.0 if test_is_given else split.test
    if share < test:
        return "test"
    return "validation" if share < test + split.validation else "train"


def _keep_apart(parted: Parted, kinds: Sequence[Kind], remarks: Remarks) -> None:
    taken: set[str] = set()
    for side in reversed(SIDES):
        names = {name for kind in kinds for one in parted[side][kind] for name in _names(one)}
        for kind in kinds:
            kept = [one for one in parted[side][kind] if taken.isdisjoint(_names(one))]
            if len(kept) < len(parted[side][kind]):
                what = f"{kind}: left out of {side} because the same molecule or protein is held back"
                remarks[what] += len(parted[side][kind]) - len(kept)
            parted[side][kind] = kept
        taken |= names


def _names(one: Item) -> tuple[str, ...]:
    """What an item must not share with those of another side: its group; of a protein the sequence too, which
    another file may have under another name."""
    return (one.group, one.reference.sequence) if isinstance(one.reference, ProteinReference) else (one.group,)
