"""Adducts of precursor ions: every common spelling, in one bracket form with the charge.

`M+H`, `M+H+`, `MH+`, `(M+H)+`, `[M+H]1+`, `[M+H]+1` and `[M+H+]` are all `[M+H]+`. An adduct that states no
charge has that of its ions: `M-H2O-H` is `[M-H2O-H]-`, for water is neutral.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from mmspec_ds.molecules.formula import ELECTRON_DA, monoisotopic_mass

_CATIONS = ("H", "Li", "Na", "K", "Rb", "Cs", "Ag", "NH4")
_DOUBLE_CATIONS = ("Mg", "Ca", "Ba", "Zn", "Fe", "Ni")
_ANIONS = (
    *("F", "Cl", "Br", "I", "NO3", "HSO4", "H2PO4", "ClO4", "e"),
    *("HCOO", "CHO2", "HCO2", "formate", "CH3COO", "CH3CO2", "C2H3O2", "OAc", "acetate"),
    *("CF3COO", "CF3CO2", "C2F3O2"),
)
_CHARGE_OF = {
    **dict.fromkeys(_CATIONS, 1),
    **dict.fromkeys(_DOUBLE_CATIONS, 2),
    **dict.fromkeys(_ANIONS, -1),
}
"""Charge of each ion; a formula that is not listed is a neutral molecule (H2O, FA, ACN, C6H10O5)."""
_FORMULA_OF = {
    "FA": "CH2O2",
    "formate": "CHO2",
    "ACN": "C2H3N",
    "MeOH": "CH4O",
    "DMSO": "C2H6OS",
    "IsoProp": "C3H8O",
    **dict.fromkeys(("OAc", "acetate"), "C2H3O2"),
    "TFA": "C2HF3O2",
}
"""Usual names of ions and solvents."""
_ANY_CASE = {ion.upper(): ion for ion in ("H", "Li", "Na", "K", "NH4", "Cl", "Br")}

_COMMENT = re.compile(r"\s+\(.*\)$|\s+[a-z-]{4,}$")  # "[M+H]+ (in-source)"
_BRACKETS = re.compile(r"[\[({](?P<inner>.+)[\])}](?P<charge>[^\])}]*)")
_CHARGE = re.compile(r"(?P<size>\d*)(?P<signs>\++|-+)(?P<after>\d*)")
_FORMULA = r"[A-Za-z][A-Za-z0-9]*"
_MOLECULE = re.compile(rf"(?P<count>\d*)[Mm](?P<ion>{_FORMULA})?(?P<terms>(?:[-+]\d*{_FORMULA})*)")
_TERM = re.compile(rf"([-+])(\d*)({_FORMULA})")
_RADICAL = re.compile(r"[*.•·]")
_LONGEST = 80


@dataclass(frozen=True, slots=True)
class Adduct:
    """An adduct: its bracket with what is in it, and its charge.

    Attributes:
        bracket: such as "[M+H]".
        charge: signed, 0 if it is not known.
        is_stated: whether the text states the charge; else it is that of the ions.
        of_ions: the charge of the ions in the bracket together, 0 if there are none.
        is_radical: whether the text marks a radical ion.
    """

    bracket: str
    charge: int
    is_stated: bool
    of_ions: int
    is_radical: bool = False

    def __str__(self) -> str:
        """The bracket form with the charge: "[M+H]+", "[M-2H]2-", "[M]+*"."""
        if not self.charge:
            return self.bracket
        size = "" if abs(self.charge) == 1 else str(abs(self.charge))
        return f"{self.bracket}{size}{'+' if self.charge > 0 else '-'}{'*' if self.is_radical else ''}"

    def neutral_mass(self, mz: float) -> float | None:
        """Monoisotopic mass in Da of the molecule M whose ion has this m/z; None where the charge is not known,
        or an ion is no formula."""
        match = _MOLECULE.fullmatch(self.bracket[1:-1])
        if not self.charge or match is None:
            return None
        ions = 0.0
        for sign, count, formula in _TERM.findall(match["terms"]):
            try:
                mass = monoisotopic_mass(_FORMULA_OF.get(formula, formula))
            except ValueError:
                return None
            ions += (-1 if sign == "-" else 1) * int(count or 1) * mass
        return (abs(self.charge) * mz + self.charge * ELECTRON_DA - ions) / int(match["count"] or 1)


@lru_cache(maxsize=1000)
def parse_adduct(text: str) -> Adduct | None:
    """The adduct that a text names, None if it is not understood."""
    if len(text) > _LONGEST:
        return None
    bare = _COMMENT.sub("", text.strip().replace("−", "-").replace("–", "-"))
    bare = re.sub(r"\(([\d+-]+)\)$", r"\1", "".join(bare.split()))  # "[M+2H](2+)"
    bracketed = _BRACKETS.fullmatch(bare)
    inner, stated = (bracketed["inner"], bracketed["charge"]) if bracketed else (bare, "")
    is_radical = bool(_RADICAL.search(stated or inner[-2:]))
    stated, inner = _RADICAL.sub("", stated), _RADICAL.sub("", re.sub(r"[()]", "", inner))
    if stated and _CHARGE.fullmatch(stated) is None:
        return None
    if not stated and inner[-1:] in ("+", "-"):
        inner, stated = _without_sign(inner)
    charge = _charge(stated)
    read = _terms(inner)
    if read is None:  # "[Cat]+": an ion by another name
        return Adduct(f"[{inner}]", charge, True, 0) if bracketed and charge and inner.isalnum() else None
    body, of_ions = read
    return Adduct(f"[{body}]", charge or of_ions, bool(charge), of_ions, is_radical)


def _without_sign(inner: str) -> tuple[str, str]:
    """The text without the charge at its end, and the charge: "M+H+" ends with one sign, "M+2H2+" with two
    charges if its ions have as many."""
    bare = inner.rstrip("+-")
    signs = inner[len(bare) :]
    if len(signs) == 1 and bare[-1:].isdecimal():
        shorter = _terms(bare[:-1])
        if shorter is not None and abs(shorter[1]) == int(bare[-1]) > 1:
            return bare[:-1], f"{bare[-1]}{signs}"
    return bare, signs


def _charge(stated: str) -> int:
    match = _CHARGE.fullmatch(stated)
    if match is None:
        return 0
    digits = (match["size"] or match["after"])[:2]
    return (-1 if match["signs"][0] == "-" else 1) * (int(digits) if digits else len(match["signs"]))


def _terms(inner: str) -> tuple[str, int] | None:
    """The content of the bracket, ions in their usual spelling, and the charge of the ions together."""
    match = _MOLECULE.fullmatch(inner)
    if match is None or (match["ion"] and _ion(match["ion"]) not in _CHARGE_OF):
        return None
    body, charge = f"{match['count']}M", 0
    terms = f"+{match['ion']}{match['terms']}" if match["ion"] else match["terms"]
    for sign, count, formula in _TERM.findall(terms):
        formula = _ion(formula)
        count = "" if count == "1" else count
        body += f"{sign}{count}{formula}"
        charge += (-1 if sign == "-" else 1) * int(count[:2] or 1) * _CHARGE_OF.get(formula, 0)
    return body, charge


def _ion(formula: str) -> str:
    """ "NA" and "Na1" are Na; other formulas stay as they are."""
    for text in (formula, formula.removesuffix("1")):
        if text in _CHARGE_OF:
            return text
        if text.upper() in _ANY_CASE:
            return _ANY_CASE[text.upper()]
    return formula
