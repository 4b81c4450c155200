"""A statement on a molecule that can be true or false."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from mmspec_ds.readers.adduct import Adduct

What: TypeAlias = Literal[
    "group", "groups", "element", "formula", "exact mass", "molecular weight", "mass", "rings",
    "aromatic rings", "stereocentres", "rule of five", "adduct",
]  # fmt: skip
"""A "mass" is said without which: an exact mass or a molecular weight."""
Formula: TypeAlias = tuple[tuple[tuple[str, int], ...], int]
"""Counts of elements, and the charge."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A statement on a molecule.

    Attributes:
        what: it is about.
        said: the words or the number, for the reader.
        names: of a group: any of these; of groups: all that are said to be there; of an element: its symbol.
        holds: of a group, an element, the rule of five: whether it is claimed to be so. Of rings and
            stereocentres without a number: whether there is any.
        number: of a mass in Da, of rings, of stereocentres or of atoms; None where only `holds` is said.
        half_unit: of a mass, half of its last decimal.
        formula: counts of elements, and the charge.
        adduct: of a precursor.
    """

    what: What
    said: str
    names: tuple[str, ...] = ()
    holds: bool = True
    number: float | None = None
    half_unit: float = 0.0
    formula: Formula | None = None
    adduct: Adduct | None = None
