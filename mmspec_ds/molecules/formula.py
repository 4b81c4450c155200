"""Molecular formulas, parsed into counts of elements."""

import re
from functools import cache

from rdkit import Chem

ELECTRON_DA = 0.000548579909
"""Mass of an electron (CODATA 2018)."""

_SYMBOLS = """
H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb
Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au
Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv
Ts Og
"""
ELEMENTS = tuple(_SYMBOLS.split())
"""The symbols of the elements, by atomic number from 1 on."""

_KNOWN = frozenset(ELEMENTS) | {"D", "T"}
_FORMULA = re.compile(r"(?P<atoms>(?:[A-Z][a-z]?\d*)+)(?P<charge>[+-]\d*)?")
_ATOM = re.compile(r"([A-Z][a-z]?)(\d*)")


def parse_formula(formula: str) -> tuple[dict[str, int], int]:
    """Counts of each element, in the order in which they are written, and the charge of a formula without
    brackets and with the charge last ("C6H12O6", "C5H12N+", "C2O4-2").

    Raises:
        ValueError: the text is not a formula or names an unknown element.
    """
    match = _FORMULA.fullmatch(formula)
    if match is None:
        raise ValueError(f"{formula!r} is not a molecular formula (expected one like C11H15FN2O2)")
    counts: dict[str, int] = {}
    for symbol, digits in _ATOM.findall(match["atoms"]):
        if symbol not in _KNOWN:
            raise ValueError(f"{formula!r} names {symbol}, which is not an element")
        counts[symbol] = counts.get(symbol, 0) + (int(digits) if digits else 1)
    charge = match["charge"] or ""
    sign = -1 if charge.startswith("-") else 1
    return counts, sign * int(charge[1:] or 1) if charge else 0


@cache
def monoisotopic_mass(formula: str) -> float:
    """Mass in Da of the commonest isotope of each atom, without a correction for the electrons of a charge.

    Raises:
        ValueError: as `parse_formula`.
    """
    table = Chem.GetPeriodicTable()
    counts, _ = parse_formula(formula)
    heavy = {"D": 2.01410177812, "T": 3.0160492779}
    return sum(
        count * float(heavy.get(element) or table.GetMostCommonIsotopeMass(element))
        for element, count in counts.items()
    )
