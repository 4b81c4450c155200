"""The atoms that SMILES tokens write, and how many bonds and hydrogens they take.

RDKit is asked for each token, so that what is possible here is what RDKit accepts.
"""

from dataclasses import dataclass

from rdkit import Chem, rdBase

from mmspec_ds.molecules.formula import ELEMENTS

MOST_BONDS = 7
"""Of one atom; an atom that takes more is given no more."""

_AROMATIC_BONDS = {"C": 3, "N": 3, "P": 3, "B": 3, "O": 2, "S": 2, "Se": 2, "Te": 2}


@dataclass(frozen=True, slots=True)
class AtomKind:
    """The atom that a token writes, before it has bonds.

    Attributes:
        element: its symbol, "*" for any.
        valence: the usual one of its element, by which a formula's rings and double bonds are counted.
        capacity: how many bonds it takes, double ones twice. Of an aromatic atom: its neighbours.
        hydrogens: on it, by the number of bonds that are taken, 0 .. capacity. An atom in brackets is given
            none by RDKit; there, the bonds that it usually has and has not yet are counted too, so that what a
            bond changes is the same for all.
        aromatic: whether it is in lower case.
        needs_double: of an aromatic atom, whether one of its ring bonds must be double in a Kekule structure
            (1) or not (0).
        third_frees: a third neighbour frees an aromatic atom of that need, as in N-methylpyrrole.
    """

    element: str
    valence: int
    capacity: int
    hydrogens: tuple[int, ...]
    aromatic: bool = False
    needs_double: int = 0
    third_frees: bool = False

    @property
    def takes_double(self) -> bool:
        """Whether a double bond to a neighbour outside the ring is possible, as in a pyridone."""
        return not self.aromatic or (self.element == "C" and self.needs_double == 1)

    @property
    def is_heavy(self) -> bool:
        """Whether it counts among the atoms other than hydrogen."""
        return self.element != "H"


def atom_kind(token: str) -> AtomKind | None:
    """The atom of a SMILES token, None for a token that is no atom."""
    with rdBase.BlockLogs():
        molecule = Chem.MolFromSmiles(token, sanitize=False)
        if molecule is None or molecule.GetNumAtoms() != 1:
            return None
        atom = molecule.GetAtomWithIdx(0)
        element = "*" if atom.GetAtomicNum() == 0 else str(atom.GetSymbol())
        if element == "*":
            return AtomKind("*", 2, MOST_BONDS, (0,) * (MOST_BONDS + 1))
        valence = int(Chem.GetPeriodicTable().GetDefaultValence(atom.GetAtomicNum()))
        valence = valence if valence > 0 else 1
        if atom.GetIsAromatic():
            return _aromatic(token, atom, element, valence)
        hydrogens = _hydrogens(token, element)
        if token.startswith("[") and element != "H":
            hydrogens = _with_unfilled(hydrogens[0], _usual_bonds(atom), len(hydrogens) - 1)
    return AtomKind(element, valence, len(hydrogens) - 1, hydrogens)


def _usual_bonds(atom: Chem.Atom) -> int:
    """Bonds that an atom in brackets usually has: as many as the neutral atom with its electrons."""
    like = atom.GetAtomicNum() - atom.GetFormalCharge()
    valence = Chem.GetPeriodicTable().GetDefaultValence(like) if 0 < like <= len(ELEMENTS) else 0
    return max(int(valence) - atom.GetNumExplicitHs(), 0)


def _with_unfilled(hydrogens: int, usual: int, capacity: int) -> tuple[int, ...]:
    return tuple(hydrogens + max(usual - bonds, 0) for bonds in range(capacity + 1))


def _hydrogens(token: str, element: str) -> tuple[int, ...]:
    """Hydrogens on a non-aromatic atom with 0, 1, ... carbons bonded to it, as far as RDKit takes them."""
    found = []
    for bonds in range(MOST_BONDS + 1):
        molecule = Chem.MolFromSmiles(token + "(C)" * bonds)
        if molecule is None:
            break
        # [H] counts itself; RDKit folds it into its neighbour.
        found.append(1 if element == "H" else int(molecule.GetAtomWithIdx(0).GetTotalNumHs()))
    return tuple(found) or (0,)


def _aromatic(token: str, atom: Chem.Atom, element: str, valence: int) -> AtomKind:
    charge, explicit = atom.GetFormalCharge(), atom.GetNumExplicitHs()
    capacity = max(_AROMATIC_BONDS.get(element, 2) - explicit, 0)
    if element in ("N", "P") and charge < 0:
        capacity = 2
    neutral_n = element in ("N", "P") and charge == 0 and not explicit
    hydrogens = _with_unfilled(explicit, 2 if neutral_n else capacity, capacity)
    if element == "C":
        needs = charge == 0
    elif element in ("N", "P"):
        needs = charge > 0 or (charge == 0 and not explicit)
    else:
        needs = charge > 0
    return AtomKind(element, valence, capacity, hydrogens, True, int(needs), third_frees=neutral_n)
