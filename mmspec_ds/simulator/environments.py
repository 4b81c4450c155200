"""Keys of the surroundings of an atom: a coarse name, and an integer for each radius.

The invariants are our own (element, hybridisation, hydrogens, charge, ring, aromaticity) and the hash is
BLAKE2, so a table of shifts does not depend on the fingerprints of a release of RDKit.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

from rdkit import Chem

MAX_RADIUS = 4
"""Bonds that the widest environment spans."""
KEY_BYTES = 6
"""Bytes of a key: with 50,000 environments the chance of any collision is one in 200,000."""


def hybridisation(atom: Chem.Atom) -> str:
    """`sp`, `sp2` or `sp3` from the bonds alone.

    A carbon with a triple or two double bonds is `sp`; an atom with one double or an aromatic bond `sp2`.
    """
    orders = [bond.GetBondType() for bond in atom.GetBonds()]
    doubles = orders.count(Chem.BondType.DOUBLE)
    if Chem.BondType.TRIPLE in orders or (doubles == 2 and atom.GetAtomicNum() == 6):
        return "sp"
    return "sp2" if doubles or atom.GetIsAromatic() else "sp3"


class Surroundings(NamedTuple):
    """The coarse name and the keys of every atom of a molecule."""

    names: list[str]
    keys: list[list[int]]


def surroundings(mol: Chem.Mol) -> Surroundings:
    """The coarse names and keys of all atoms of a molecule."""
    names = coarse_names(mol)
    return Surroundings(names, environment_keys(mol, names))


def coarse_names(mol: Chem.Mol) -> list[str]:
    """Hybridisation, hydrogens and neighbours of each atom, for instance `C sp3 H2 -C -O`.

    A shift is looked up by this at least: by the element alone, a carbonyl and a methyl carbon would share one
    median.
    """
    names = []
    for atom in mol.GetAtoms():
        around = sorted(
            _BOND.get(bond.GetBondType(), "~") + bond.GetOtherAtom(atom).GetSymbol() for bond in atom.GetBonds()
        )
        names.append(
            f"{atom.GetSymbol()} {hybridisation(atom)} H{atom.GetTotalNumHs()} {' '.join(around)}".rstrip()
        )
    return names


def environment_keys(mol: Chem.Mol, names: Sequence[str] | None = None) -> list[list[int]]:
    """Keys of every atom, each a refinement of the one before: [atom][0] is that of the coarse name, [atom][1]
    adds the hybridisation of the neighbours (a conjugated ketone is not acetone), [atom][1 + r] is that of
    radius r, 1 to MAX_RADIUS. `names` are the coarse names, if they are known."""
    neighbours = [
        [(_BOND.get(bond.GetBondType(), "~"), bond.GetOtherAtomIdx(atom.GetIdx())) for bond in atom.GetBonds()]
        for atom in mol.GetAtoms()
    ]
    kinds = [f"{atom.GetSymbol()} {hybridisation(atom)} {int(atom.GetIsAromatic())}" for atom in mol.GetAtoms()]
    names = coarse_names(mol) if names is None else names
    keys = [
        [
            named_key(f"coarse {name}"),
            named_key(f"kinds {name}({'|'.join(sorted(bond + kinds[i] for bond, i in around))})"),
        ]
        for name, around in zip(names, neighbours)
    ]
    ring = _smallest_rings(mol)
    current = [
        f"{kind} {atom.GetTotalNumHs()} {atom.GetFormalCharge()} {ring[atom.GetIdx()]}"
        for kind, atom in zip(kinds, mol.GetAtoms())
    ]
    for radius in range(1, MAX_RADIUS + 1):
        following = []
        for index, around in enumerate(neighbours):
            shell = sorted(bond + current[other] for bond, other in around)
            key = named_key(f"{radius}({current[index]}){'|'.join(shell)}")
            keys[index].append(key)
            following.append(format(key, "x"))
        current = following
    return keys


_BOND = {
    Chem.BondType.SINGLE: "-",
    Chem.BondType.DOUBLE: "=",
    Chem.BondType.TRIPLE: "#",
    Chem.BondType.AROMATIC: ":",
    Chem.BondType.DATIVE: ">",
}


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
