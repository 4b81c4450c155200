"""Keys of the surroundings of an atom: a coarse name, and an integer for each radius.

The invariants are our own (element, hybridisation, hydrogens, charge, ring, aromaticity) and the hash is
BLAKE2, so a table of shifts does not depend on the fingerprints of a release of RDKit.
"""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from rdkit import Chem

MAX_RADIUS = 4
"""Bonds that the widest environment spans."""
KEY_BYTES = 6
"""Bytes of a key: with 50,000 environments the chance of any collision is one in 200,000."""


_BOND = {
    Chem.BondType.SINGLE: "-",
    Chem.BondType.DOUBLE: "=",
    Chem.BondType.TRIPLE: "#",
    Chem.BondType.AROMATIC: ":",
    Chem.BondType.DATIVE: ">",
}


def hybridisation(atom: Chem.Atom) -> str:
    """`sp`, `sp2` or `sp3` from the bonds alone.

    A carbon with a triple or two double bonds is `sp`; an atom with one double or an aromatic bond `sp2`.
    """
    return _hybridisation(atom, [_BOND.get(bond.GetBondType(), "~") for bond in atom.GetBonds()])


def _hybridisation(atom: Chem.Atom, bonds: Sequence[str]) -> str:
    doubles = bonds.count("=")
    if "#" in bonds or (doubles == 2 and atom.GetAtomicNum() == 6):
        return "sp"
    return "sp2" if doubles or atom.GetIsAromatic() else "sp3"


class Surroundings(NamedTuple):
    """The coarse name and the keys of every atom of a molecule."""

    names: list[str]
    keys: list[list[int]]


def surroundings(mol: Chem.Mol, max_radius: int = MAX_RADIUS) -> Surroundings:
    """The coarse names and keys of all atoms of a molecule.

    The coarse name has hybridisation, hydrogens and neighbours, for instance `C sp3 H2 -C -O`. A shift is
    looked up by this at least: by the element alone, a carbonyl and a methyl carbon would share one median.

    The keys of an atom are each a refinement of the one before: [atom][0] is that of the coarse name, [atom][1]
    adds the hybridisation of the neighbours (a conjugated ketone is not acetone), [atom][1 + r] is that of
    radius r, 1 to `max_radius`.
    """
    atoms = [mol.GetAtomWithIdx(index) for index in range(mol.GetNumAtoms())]
    neighbours = _neighbours(mol)
    symbols, hydrogens = [atom.GetSymbol() for atom in atoms], [atom.GetTotalNumHs() for atom in atoms]
    hybrids = [_hybridisation(atom, [bond for bond, _ in around]) for atom, around in zip(atoms, neighbours)]
    names = [
        " ".join((symbol, hybrid, f"H{count}", *sorted(bond + symbols[other] for bond, other in around)))
        for symbol, hybrid, count, around in zip(symbols, hybrids, hydrogens, neighbours)
    ]
    kinds = [
        f"{symbol} {hybrid} {int(atom.GetIsAromatic())}"
        for symbol, hybrid, atom in zip(symbols, hybrids, atoms)
    ]
    keys = [
        [named_key(f"coarse {name}"), named_key(f"kinds {name}({_shell(around, kinds)})")]
        for name, around in zip(names, neighbours)
    ]
    current = [
        f"{kind} {count} {atom.GetFormalCharge()} {ring}"
        for kind, count, atom, ring in zip(kinds, hydrogens, atoms, _smallest_rings(mol))
    ]
    for radius in range(1, max_radius + 1):
        found = [
            named_key(f"{radius}({own}){_shell(around, current)}") for own, around in zip(current, neighbours)
        ]
        for own_keys, key in zip(keys, found):
            own_keys.append(key)
        current = [format(key, "x") for key in found]
    return Surroundings(names, keys)


def _neighbours(mol: Chem.Mol) -> list[list[tuple[str, int]]]:
    """The bonds of each atom: a mark for the order, and the other atom. Read bond by bond: asking each atom for
    its bonds took as long as all the rest of the keys."""
    found: list[list[tuple[str, int]]] = [[] for _ in range(mol.GetNumAtoms())]
    for index in range(mol.GetNumBonds()):
        bond = mol.GetBondWithIdx(index)
        first, second, mark = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), _BOND.get(bond.GetBondType(), "~")
        found[first].append((mark, second))
        found[second].append((mark, first))
    return found


def _shell(around: Sequence[tuple[str, int]], texts: Sequence[str]) -> str:
    """What surrounds an atom, in an order of its own."""
    return "|".join(sorted([bond + texts[other] for bond, other in around]))


@lru_cache(maxsize=2**16)
def named_key(text: str) -> int:
    """The key of a textual description, the same in every release."""
    return int.from_bytes(blake2b(text.encode(), digest_size=KEY_BYTES).digest(), "big")


def _smallest_rings(mol: Chem.Mol) -> list[int]:
    """Size of the smallest ring that each atom is in, 0 outside rings."""
    sizes = [0] * mol.GetNumAtoms()
    for atoms in sorted(mol.GetRingInfo().AtomRings(), key=len, reverse=True):
        for index in atoms:
            sizes[index] = len(atoms)
    return sizes
