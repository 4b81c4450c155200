"""What is known of the atoms of a molecule, its formula or its mass, and which structures agree with it."""

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import Self

from rdkit import Chem
from rdkit.Chem.rdMolDescriptors import CalcExactMolWt, CalcMolFormula

from mmspec_ds.molecules.formula import ELEMENTS, monoisotopic_mass, parse_formula

_ATOM = re.compile(
    r"\[(?P<isotope>\d*)(?P<bracket>se|as|te|si|[bcnops]|[A-Z][a-z]?)[^\]]*\]"
    r"|(?P<plain>Br|Cl|[BCNOPSFI]|[bcnops])"
)
_SLACK_DA = 0.003
"""Charged molecules lack or have electrons, which the letters of a SMILES are not searched for."""


@dataclass(frozen=True)
class Composition:
    """The formula of a molecule, or the range that its monoisotopic mass is in.

    Attributes:
        elements: the number of atoms of each element, hydrogen included; None where only the mass is known.
        charge: the charge that goes with `elements`.
        mass_da: lowest and highest mass; not looked at where the elements are known.
    """

    elements: dict[str, int] | None
    charge: int = 0
    mass_da: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def of_formula(cls, formula: str) -> Self:
        """The composition that a formula such as C9H8O4 states; deuterium counts as hydrogen.

        Raises:
            ValueError: the text is no formula.
        """
        return cls(*_elements(formula))

    @classmethod
    def of_mass(cls, mass_da: float, ppm: float) -> Self:
        """All molecules of this monoisotopic mass, to within `ppm` millionths of it."""
        return cls(None, 0, (mass_da * (1 - ppm * 1e-6), mass_da * (1 + ppm * 1e-6)))

    def __str__(self) -> str:
        if self.elements is None:
            return f"mass {self.mass_da[0]:.4f} to {self.mass_da[1]:.4f}"
        atoms = (f"{element}{count if count > 1 else ''}" for element, count in self.elements.items())
        return "formula " + "".join(atoms) + (f"{self.charge:+d}" if self.charge else "")

    def may_fit(self, smiles: str) -> bool:
        """Whether the letters of a SMILES leave it open that the molecule fits. Its atoms other than hydrogen
        are counted and no structure is made: a hundred thousand lines take two seconds."""
        heavy: Counter[str] = Counter()
        for isotope, bracket, plain in _ATOM.findall(smiles):
            if isotope:
                return True
            heavy[(bracket or plain).capitalize()] += 1
        del heavy["H"]
        if self.elements is not None:
            return heavy == {element: count for element, count in self.elements.items() if element != "H"}
        low, high = (bound - sum(_mass(one) * count for one, count in heavy.items()) for bound in self.mass_da)
        hydrogens = max(0, round((low + high) / 2 / _mass("H")))
        return low - _SLACK_DA <= hydrogens * _mass("H") <= high + _SLACK_DA

    def fits(self, molecule: Chem.Mol) -> bool:
        """Whether a molecule has this formula, or a mass in this range."""
        if self.elements is not None:
            return _elements(CalcMolFormula(molecule)) == (self.elements, self.charge)
        return self.mass_da[0] <= CalcExactMolWt(molecule) <= self.mass_da[1]


def _elements(formula: str) -> tuple[dict[str, int], int]:
    counts, charge = parse_formula(formula)
    for isotope in {"D", "T"} & counts.keys():
        counts["H"] = counts.get("H", 0) + counts.pop(isotope)
    return counts, charge


@cache
def _mass(element: str) -> float:
    """The monoisotopic mass of an atom of an element in Da; 0 for a symbol that is no element."""
    return monoisotopic_mass(element) if element in ELEMENTS else 0.0
