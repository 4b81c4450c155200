"""Small changes of a structure that turn real molecules into others like them."""

from collections.abc import Callable
from functools import cache
from random import Random

from rdkit import Chem

GROUPS = (
    ("C", 20.0), ("CC", 5.0), ("C(C)C", 4.0), ("C(C)(C)C", 2.0), ("C=C", 4.0), ("CC=C", 2.0), ("C#C", 1.5),
    ("C1CC1", 0.7), ("c1ccccc1", 2.0), ("O", 8.0), ("OC", 7.0), ("OCC", 2.0), ("CO", 4.0), ("C=O", 2.0),
    ("C(C)=O", 4.0), ("C(=O)O", 4.0), ("C(=O)OC", 4.0), ("C(=O)OCC", 1.5), ("OC(C)=O", 3.0), ("C(=O)Cl", 0.5),
    ("N", 4.0), ("NC", 1.5), ("N(C)C", 2.0), ("CN", 1.0), ("C#N", 4.0), ("C(N)=O", 2.0), ("NC(C)=O", 1.5),
    ("[N+](=O)[O-]", 35.0), ("N=C=S", 0.3), ("C=NO", 0.5), ("N=[N+]=[N-]", 0.3), ("S", 1.0), ("SC", 2.0),
    ("SC#N", 0.3), ("S(C)=O", 0.5), ("S(C)(=O)=O", 1.0), ("F", 5.0), ("C(F)(F)F", 1.5), ("Cl", 38.0),
    ("CCl", 2.0), ("Br", 28.0), ("CBr", 2.0), ("I", 10.0), ("[Si](C)(C)C", 10.0), ("P(=O)(OC)OC", 4.0),
    ("B(O)O", 0.3),
)  # fmt: skip
"""Groups with one open bond at their first atom, and how often each is taken: those of common reagents."""
DOUBLY_BOUND = (("O", 10.0), ("C", 4.0), ("CC", 1.5), ("NO", 0.7), ("S", 0.3))
SWAPS = {
    6: ((7, 1.0), (8, 3.0), (16, 1.0)),
    7: ((6, 6.0), (8, 2.0), (16, 0.5)),
    8: ((6, 2.0), (7, 1.0), (16, 1.0)),
    16: ((8, 2.0), (6, 1.0)),
    9: ((17, 2.0), (35, 2.0), (8, 1.0), (6, 1.0)),
    17: ((35, 2.0), (9, 1.0), (53, 0.5), (8, 0.5), (6, 0.5)),
    35: ((17, 1.0), (53, 0.5)),
}
"""Elements that take the place of another."""

Edit = Callable[[Chem.RWMol, Random], Chem.RWMol | None]


def edited(mol: Chem.Mol, steps: int, random: Random) -> Chem.Mol | None:
    """The molecule after so many random edits of EDITS, sanitised; None if one finds no place or breaks a
    valence."""
    work = Chem.RWMol(mol)
    Chem.Kekulize(work, clearAromaticFlags=True)
    for atom in work.GetAtoms():
        if not atom.GetFormalCharge():  # the hydrogen of [nH] is written out and would stay
            atom.SetNoImplicit(False)
            atom.SetNumExplicitHs(0)
    functions, weights = zip(*EDITS)
    for edit in random.choices(functions, weights, k=steps):
        changed = edit(work, random)
        if changed is None:
            return None
        work = changed
        work.UpdatePropertyCache(strict=False)
        Chem.FastFindRings(work)
    if Chem.SanitizeMol(work, catchErrors=True) != Chem.SanitizeFlags.SANITIZE_NONE:
        return None
    return work.GetMol()


def joined(first: Chem.Mol, second: Chem.Mol, random: Random) -> Chem.Mol | None:
    """Two molecules with a single bond in place of a hydrogen of each."""
    places = [_with_hydrogens(mol) for mol in (first, second)]
    if not all(places):
        return None
    one, other = (random.choice(among) for among in places)
    mol = Chem.RWMol(Chem.CombineMols(first, second))
    ends = (one, first.GetNumAtoms() + other)
    for index in ends:
        atom = mol.GetAtomWithIdx(index)
        atom.SetNumExplicitHs(max(0, atom.GetNumExplicitHs() - 1))
    mol.AddBond(*ends, Chem.BondType.SINGLE)
    if Chem.SanitizeMol(mol, catchErrors=True) != Chem.SanitizeFlags.SANITIZE_NONE:
        return None
    return mol.GetMol()


@cache
def _parsed(smiles: str) -> Chem.Mol:
    mol = Chem.MolFromSmiles(smiles)
    Chem.Kekulize(mol, clearAromaticFlags=True)
    return mol


def _with_hydrogens(mol: Chem.Mol, at_least: int = 1) -> list[int]:
    """Uncharged atoms that have hydrogens to replace."""
    return [
        atom.GetIdx()
        for atom in mol.GetAtoms()
        if atom.GetTotalNumHs() >= at_least and not atom.GetFormalCharge()
    ]


def _attach(mol: Chem.RWMol, random: Random) -> Chem.RWMol | None:
    return _bound(mol, _with_hydrogens(mol), GROUPS, Chem.BondType.SINGLE, random)


def _attach_doubly(mol: Chem.RWMol, random: Random) -> Chem.RWMol | None:
    places = [at for at in _with_hydrogens(mol, 2) if mol.GetAtomWithIdx(at).GetAtomicNum() == 6]
    return _bound(mol, places, DOUBLY_BOUND, Chem.BondType.DOUBLE, random)


def _bound(
    mol: Chem.RWMol,
    places: list[int],
    groups: tuple[tuple[str, float], ...],
    order: Chem.BondType,
    random: Random,
) -> Chem.RWMol | None:
    if not places:
        return None
    names, weights = zip(*groups)
    (name,) = random.choices(names, weights)
    grown = Chem.RWMol(Chem.CombineMols(mol, _parsed(name)))
    grown.AddBond(random.choice(places), mol.GetNumAtoms(), order)
    return grown


def _swap(mol: Chem.RWMol, random: Random) -> Chem.RWMol | None:
    """Another element in the place of an atom."""
    atoms = [a for a in mol.GetAtoms() if a.GetAtomicNum() in SWAPS and not a.GetFormalCharge()]
    if not atoms:
        return None
    atom = random.choice(atoms)
    elements, weights = zip(*SWAPS[atom.GetAtomicNum()])
    atom.SetAtomicNum(random.choices(elements, weights)[0])
    return mol


def _unsaturate(mol: Chem.RWMol, random: Random) -> Chem.RWMol | None:
    """A double bond of carbon, or sometimes a triple bond, where there was one less."""
    bonds = [
        bond
        for bond in mol.GetBonds()
        if all(
            atom.GetAtomicNum() in (6, 7) and atom.GetTotalNumHs() and not atom.GetFormalCharge()
            for atom in (bond.GetBeginAtom(), bond.GetEndAtom())
        )
    ]
    if not bonds:
        return None
    bond = random.choice(bonds)
    if bond.GetBondType() == Chem.BondType.SINGLE:
        bond.SetBondType(Chem.BondType.DOUBLE)
    else:
        bond.SetBondType(Chem.BondType.TRIPLE)
    return mol


def _saturate(mol: Chem.RWMol, random: Random) -> Chem.RWMol | None:
    bonds = [bond for bond in mol.GetBonds() if bond.GetBondType() != Chem.BondType.SINGLE]
    bonds = [bond for bond in bonds if not _is_charged(bond)]
    if not bonds:
        return None
    random.choice(bonds).SetBondType(Chem.BondType.SINGLE)
    return mol


def _saturate_ring(mol: Chem.RWMol, random: Random) -> Chem.RWMol | None:
    """Only single bonds in all rings."""
    bonds = [bond for bond in mol.GetBonds() if bond.IsInRing() and not _is_charged(bond)]
    if all(bond.GetBondType() == Chem.BondType.SINGLE for bond in bonds):
        return None
    for bond in bonds:
        bond.SetBondType(Chem.BondType.SINGLE)
    return mol


def _close_ring(mol: Chem.RWMol, random: Random) -> Chem.RWMol | None:
    """A bond between two atoms that makes a ring of 3 to 7, mostly of 5 or 6."""
    distances = Chem.GetDistanceMatrix(mol, force=True)
    places = _with_hydrogens(mol)
    pairs = [(a, b) for a in places for b in places if a < b and 2 <= distances[a, b] <= 6]
    if not pairs:
        return None
    weights = [{2: 0.4, 3: 0.3, 4: 3.0, 5: 3.0, 6: 0.4}[int(distances[pair])] for pair in pairs]
    first, second = random.choices(pairs, weights)[0]
    mol.AddBond(first, second, Chem.BondType.SINGLE)
    return mol


def _insert_carbon(mol: Chem.RWMol, random: Random) -> Chem.RWMol | None:
    bonds = [b for b in mol.GetBonds() if b.GetBondType() == Chem.BondType.SINGLE and not _is_charged(b)]
    if not bonds:
        return None
    bond = random.choice(bonds)
    ends = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
    middle = mol.AddAtom(Chem.Atom(6))
    mol.RemoveBond(*ends)
    for end in ends:
        mol.AddBond(end, middle, Chem.BondType.SINGLE)
    return mol


def _remove_atom(mol: Chem.RWMol, random: Random) -> Chem.RWMol | None:
    """One atom less: an end, or one of a chain or ring whose neighbours then are bound."""
    atoms = [a for a in mol.GetAtoms() if a.GetDegree() in (1, 2) and not a.GetFormalCharge()]
    atoms = [a for a in atoms if not any(n.GetFormalCharge() for n in a.GetNeighbors())]
    if not atoms:
        return None
    atom = random.choice(atoms)
    ends = [neighbour.GetIdx() for neighbour in atom.GetNeighbors()]
    if len(ends) == 2:
        first, second = ends
        if mol.GetBondBetweenAtoms(first, second) is not None:
            return None
        mol.AddBond(first, second, Chem.BondType.SINGLE)
    mol.RemoveAtom(atom.GetIdx())
    return mol


def _is_charged(bond: Chem.Bond) -> bool:
    return bool(bond.GetBeginAtom().GetFormalCharge() or bond.GetEndAtom().GetFormalCharge())


EDITS: tuple[tuple[Edit, float], ...] = (
    (_attach, 20.0),
    (_attach_doubly, 2.0),
    (_swap, 6.0),
    (_unsaturate, 2.0),
    (_saturate, 1.5),
    (_saturate_ring, 1.5),
    (_close_ring, 6.0),
    (_insert_carbon, 2.0),
    (_remove_atom, 2.0),
)
"""The edits and how often each is made."""
