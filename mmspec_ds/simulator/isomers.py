"""Isomers: all of a small formula, or some that differ from a molecule by few edits.

A structure is a graph of atoms without hydrogens, each with a fixed number of bonds; hydrogens fill up what is
left. Whatever takes as much bond order away as it adds, or exchanges two atoms, keeps the formula.
"""

from collections.abc import Iterator
from itertools import combinations
from random import Random
from typing import NamedTuple

from rdkit import Chem, rdBase

from mmspec_ds.molecules.formula import parse_formula
from mmspec_ds.molecules.smiles import parse_smiles
from mmspec_ds.simulator.patterns import compiled

VALENCES = {"C": 4, "Si": 4, "N": 3, "P": 3, "B": 3, "O": 2, "S": 2, "F": 1, "Cl": 1, "Br": 1, "I": 1}
"""Bonds of the atoms of an enumeration: no nitro groups, sulfoxides, phosphates or ions."""
MOST_ISOMERS = 20_000
"""Structures of one formula, or on the way to it, beyond which an enumeration is refused."""
MOST_EDITS = 3
_TRIES = 200
"""Edits that are tried for each structure."""
_NEVER = (
    "[#8]-[#8]",
    "[r3]=[*]",  # strained
    "[r4]=@[r4]",
    "[R;!r8;!r9;!r10]#@[*]",
    "[R]=@[R]=@[R]",
    "[r3]1[r3][r3]1~@[r3;R2]",
)
"""Patterns that no further bond mends."""
_AT_THE_END = (
    "[CX3;!a]=[CX3;!a][OX2H]",  # enols
    "[OX2H][CX4][OX2H,NX3]",  # hydrates, hemiaminals
    "[OX2H]C(=O)[OX2H]",
)
_TYPES = {1: Chem.BondType.SINGLE, 2: Chem.BondType.DOUBLE, 3: Chem.BondType.TRIPLE}


class Atom(NamedTuple):
    """Atomic number, charge, and the number of bonds, those to hydrogens included."""

    number: int
    charge: int
    valence: int

    @property
    def is_usual(self) -> bool:
        """Whether it is neutral and has the bonds that its element usually has."""
        symbol = Chem.GetPeriodicTable().GetElementSymbol(self.number)
        return not self.charge and VALENCES.get(symbol) == self.valence


class Graph(NamedTuple):
    """Atoms, and the order of the bond between each bonded pair (a, b) with a < b."""

    atoms: tuple[Atom, ...]
    orders: dict[tuple[int, int], int]

    def free(self) -> list[int]:
        """The number of hydrogens on each atom; below 0 where there are too many bonds."""
        left = [atom.valence for atom in self.atoms]
        for (a, b), order in self.orders.items():
            left[a] -= order
            left[b] -= order
        return left

    def changed(self, pair: tuple[int, int], by: int) -> "Graph":
        """The graph with more or less bond order between two atoms."""
        a, b = sorted(pair)
        order = self.orders.get((a, b), 0) + by
        others = {bond: kept for bond, kept in self.orders.items() if bond != (a, b)}
        return Graph(self.atoms, {**others, (a, b): order} if order else others)


def isomers_of(formula: str) -> list[str]:
    """Canonical SMILES without stereo of the isomers of a formula, sorted, in usual valences (see VALENCES) and
    without peroxides, strained multiple bonds, enols, hydrates and hemiaminals.

    All saturated trees of the heavy atoms are made; then bonds are added or raised, one at a time, as often as
    the formula is unsaturated.

    Raises:
        ValueError: no such molecule exists, an element or a charge is not covered, or there are more than
            MOST_ISOMERS structures on the way.
    """
    atoms, unsaturation = _heavy_atoms(formula)
    level: dict[str, Graph] = {}
    for atom in set(atoms):
        _add(level, Graph((atom,), {}))
    for _ in range(len(atoms) - 1):
        grown: dict[str, Graph] = {}
        for graph in level.values():
            left = list(atoms)
            for used in graph.atoms:
                left.remove(used)
            for atom in set(left):
                for at, hydrogens in enumerate(graph.free()):
                    if hydrogens:
                        bonds = {**graph.orders, (at, len(graph.atoms)): 1}
                        _add(grown, Graph((*graph.atoms, atom), bonds))
        level = grown
    for _ in range(unsaturation):
        raised: dict[str, Graph] = {}
        for graph in level.values():
            open_atoms = [at for at, hydrogens in enumerate(graph.free()) if hydrogens]
            for pair in combinations(open_atoms, 2):
                if graph.orders.get(pair, 0) < 3:
                    _add(raised, graph.changed(pair, 1))
        level = raised
    return sorted(smiles for smiles in level if not _has(parse_smiles(smiles), _AT_THE_END))


def edited_isomers(smiles: str, draw: Random) -> Iterator[str]:
    """Isomers of a molecule that are near to it, each once: a substituent moved, two atoms exchanged, or a bond
    shifted, up to MOST_EDITS times, those with fewer edits first. They have no more rings, no more rings of 3
    or 4, no fewer aromatic atoms and no strange pattern that the molecule itself has not. There may be none.

    Args:
        smiles: the molecule; ions and unusual valences move with what they are bonded to.
        draw: the source of chance.

    Raises:
        ValueError: not a valid structure.
    """
    molecule = parse_smiles(smiles)
    Chem.RemoveStereochemistry(molecule)
    refused = tuple(pattern for pattern in (*_NEVER, *_AT_THE_END) if not _has(molecule, (pattern,)))
    limits = _shape(molecule)
    seen = {Chem.MolToSmiles(molecule)}
    nearest = [_graph(molecule)]
    for _ in range(MOST_EDITS):
        reached = []
        for graph in nearest:
            for _ in range(_TRIES):
                edited = _edited(graph, draw)
                made = None if edited is None else _molecule(edited)
                if edited is None or made is None:
                    continue
                text = str(Chem.MolToSmiles(made))
                if text in seen or "." in text or _has(made, refused):
                    continue
                if all(one <= most for one, most in zip(_shape(made), limits)):
                    seen.add(text)
                    reached.append(edited)
                    yield text
        nearest = reached


def _shape(molecule: Chem.Mol) -> tuple[int, int, int]:
    """Rings, rings of 3 or 4 atoms, and minus the aromatic atoms."""
    rings = molecule.GetRingInfo().AtomRings()
    aromatic = sum(atom.GetIsAromatic() for atom in molecule.GetAtoms())
    return len(rings), sum(len(ring) < 5 for ring in rings), -aromatic


def _heavy_atoms(formula: str) -> tuple[list[Atom], int]:
    """The atoms other than hydrogen, and how many bonds there are beyond those of a saturated tree."""
    elements, charge = parse_formula(formula)
    strange = next((element for element in elements if element not in (*VALENCES, "H")), None)
    if charge or strange:
        raise ValueError(f"isomers of {formula} are not enumerated: {strange or 'a charge'} is not covered")
    table = Chem.GetPeriodicTable()
    atoms = [
        Atom(table.GetAtomicNumber(element), 0, VALENCES[element])
        for element, count in elements.items()
        for _ in range(count if element != "H" else 0)
    ]
    twice = 2 + sum(atom.valence - 2 for atom in atoms) - elements.get("H", 0)
    if not atoms or twice % 2 or twice < 0:
        raise ValueError(f"no molecule of usual valences has the formula {formula}")
    return atoms, twice // 2


def _add(level: dict[str, Graph], graph: Graph) -> None:
    """Add a structure under its SMILES, unless it is refused or there already."""
    molecule = _molecule(graph)
    if molecule is None or _has(molecule, _NEVER):
        return
    level.setdefault(str(Chem.MolToSmiles(molecule)), graph)
    if len(level) > MOST_ISOMERS:
        raise ValueError(f"there are more than {MOST_ISOMERS:,} isomers or structures on the way to them")


def _edited(graph: Graph, draw: Random) -> Graph | None:
    """One random edit; None where it is not allowed."""
    fixed = {at for at, atom in enumerate(graph.atoms) if not atom.is_usual}
    fixed |= {at for bond, order in graph.orders.items() if order > 1 and fixed & set(bond) for at in bond}
    usual = [at for at in range(len(graph.atoms)) if at not in fixed]
    if len(usual) < 2 or not graph.orders:
        return None
    kind = draw.choice(("move", "move", "swap", "shift"))
    if kind == "swap":
        a, b = draw.sample(usual, 2)
        atoms = list(graph.atoms)
        atoms[a], atoms[b] = atoms[b], atoms[a]
        edited = Graph(tuple(atoms), graph.orders)
    else:
        a, b = draw.sample(draw.choice(list(graph.orders)), 2)  # a keeps its bonds, b loses one
        c = draw.choice(usual)
        d = a if kind == "move" else draw.choice(usual)
        touched = {b, c} if kind == "move" else {a, b, c, d}
        if touched & fixed or c == d or {c, d} == {a, b}:
            return None
        edited = graph.changed((a, b), -1).changed((c, d), 1)
    return edited if min(edited.free()) >= 0 and max(edited.orders.values()) <= 3 else None


def _graph(molecule: Chem.Mol) -> Graph:
    kekule = Chem.Mol(molecule)
    Chem.Kekulize(kekule, clearAromaticFlags=True)
    atoms = tuple(
        Atom(atom.GetAtomicNum(), atom.GetFormalCharge(), atom.GetTotalValence()) for atom in kekule.GetAtoms()
    )
    orders = {}
    for bond in kekule.GetBonds():
        a, b = sorted((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()))
        orders[a, b] = int(bond.GetBondTypeAsDouble())
    return Graph(atoms, orders)


def _molecule(graph: Graph) -> Chem.Mol | None:
    """The sanitised molecule, None where RDKit refuses it."""
    made = Chem.RWMol()
    for (number, charge, _), hydrogens in zip(graph.atoms, graph.free()):
        atom = Chem.Atom(number)
        atom.SetFormalCharge(charge)
        atom.SetNoImplicit(True)
        atom.SetNumExplicitHs(hydrogens)
        made.AddAtom(atom)
    for (a, b), order in graph.orders.items():
        made.AddBond(a, b, _TYPES[order])
    with rdBase.BlockLogs():
        failed = Chem.SanitizeMol(made, catchErrors=True)
    return None if failed else made.GetMol()


def _has(molecule: Chem.Mol, patterns: tuple[str, ...]) -> bool:
    return any(molecule.HasSubstructMatch(compiled(pattern)) for pattern in patterns)
