"""Shifts near groups that the sources of the table lack: nitro, silyl and boronic groups, iodine, and charges.

The shift of an atom near such a group is that of the molecule with hydrogen in its place, and an increment
for the place. On measured small molecules this is nearer than what the table has seen of them; bromine it
knows well enough. The values are rounded. Those of alkyl and aryl nitro and iodine compounds are of the size
that increment tables give (such as Pretsch, Buehlmann and Badertscher, Structure Determination of Organic
Compounds); the others are differences between the known shifts of simple compounds (methyl, ethyl, vinyl,
phenyl and N-methylpyridinium) and of what they derive from. None was checked against a printed table.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from rdkit import Chem, rdBase

from mmspec_ds.simulator.environments import Surroundings, hybridisation, surroundings
from mmspec_ds.simulator.graph import atoms_of
from mmspec_ds.simulator.patterns import compiled
from mmspec_ds.simulator.shift_table import ShiftTable

METHANE_PPM = {"C": -2.3, "H": 0.23}
ETHANE_PPM = {"C": 5.7, "H": 0.86}
SPREAD_PPM = {"C": 3.0, "H": 0.2}
"""Standard deviation of a shift by increments, at least."""
ANY = "[I,B,Si,$([N+](=O)[O-])]"
"""Atoms by which the groups are bound."""


class Increments(NamedTuple):
    """What a group adds to the shifts (ppm) of atoms 1, 2, ... bonds away, by the kind of carbon that it is
    bound to."""

    sp3: tuple[float, ...]
    sp2: tuple[float, ...]
    sp: tuple[float, ...]
    aromatic: tuple[float, ...]


INCREMENTS: Mapping[str, Mapping[str, Increments]] = {
    "C": {
        "I": Increments((-7.2, 10.9, -1.5), (-38.1, 7.0), (-75.0, 10.0), (-34.1, 8.9, 1.6, -1.1)),
        "N": Increments((61.6, 3.1, -4.6), (22.3, -0.9), (0.0, 0.0), (19.9, -4.9, 0.9, 6.1)),
        "Si": Increments((2.3, 1.6, 2.5), (16.9, 6.7), (18.0, 21.7), (11.8, 4.9, -0.7, 0.4)),
        "B": Increments((7.0, 3.0, 1.0), (5.0, 8.0), (15.0, 15.0), (5.0, 5.6, -0.6, 2.3)),
    },
    "H": {
        "I": Increments((2.2, 0.8, 0.1), (1.1, 0.85), (0.0, 0.2), (0.0, 0.36, -0.24, -0.02)),
        "N": Increments((3.4, 0.7, 0.1), (1.9, 1.0), (0.0, 0.0), (0.0, 0.95, 0.26, 0.38)),
        "Si": Increments((-0.3, 0.1, 0.0), (0.8, 0.45), (0.0, 0.5), (0.0, 0.22, 0.0, 0.0)),
        "B": Increments((-0.1, 0.1, 0.0), (0.3, 0.5), (0.0, 0.3), (0.0, 0.5, 0.1, 0.1)),
    },
}

CHARGED = (
    ("[CX4][N+X4;H0]", 15.0, 0.4),
    ("[CX4][CX4][N+X4;H0]", -2.0, 0.3),
    ("C(=O)[O-]", 8.0, 0.0),
    ("[CX4]C(=O)[O-]", 2.0, -0.2),
    ("[c;$(c[n+;r6;!$(n[O-])])]", 4.0, 0.6),
    ("[c;$(c:1:c:c:[n+;!$(n[O-])]:c:c1)]", 15.0, 0.9),
    ("[CX4][n+]", 12.0, 1.3),
    ("[C-]#[N+]", 39.0, 0.0),
    ("[CX4][N+]#[C-]", -8.0, 0.3),
)
"""Ammonium, carboxylate, pyridinium, isonitrile: the first atom of a pattern, and what is added to its 13C and
its 1H shift, which the table takes from molecules without charge."""


class WithoutGroups:
    """A molecule in which hydrogen has taken the place of the groups, and how far each atom is from them."""

    def __init__(self, mol: Chem.Mol) -> None:
        found = [atom for (atom,) in mol.GetSubstructMatches(compiled(ANY))]
        # An atom of an aromatic ring is no substituent: the ring would not be one without it.
        self._roots = [atom for atom in found if not mol.GetAtomWithIdx(atom).GetIsAromatic()]
        self._distances = Chem.GetDistanceMatrix(mol) if self._roots else np.empty((0, 0))
        self._mol = mol
        self._bare: tuple[Chem.Mol, Surroundings] | None = None

    def shift(self, table: ShiftTable, nucleus: str, atom: int) -> tuple[float, float] | None:
        """Shift and spread (ppm) of an atom by increments; None where no group is in reach."""
        added = [self._increment(nucleus, atom, root) for root in self._roots]
        known = [one for one in added if one is not None]
        if not known:
            return None
        bare = self._without()
        if bare is None:
            return None
        mol, around = bare
        ((shift, spread),) = table.predict_with_spread(around, [atom])
        if around.names[atom] == "C sp3 H4":
            shift = METHANE_PPM[nucleus]
        elif all(around.names[end] == "C sp3 H3 -C" for end in (atom, *_neighbours(mol, atom))):
            shift = ETHANE_PPM[nucleus]
        return shift + sum(known), max(spread, SPREAD_PPM[nucleus])

    def _increment(self, nucleus: str, atom: int, root: int) -> float | None:
        """What the group at `root` adds; None where it is out of reach."""
        distance = int(self._distances[atom, root])
        found = None
        for anchor in self._mol.GetAtomWithIdx(root).GetNeighbors():
            if anchor.GetAtomicNum() != 6 or self._distances[atom, anchor.GetIdx()] != distance - 1:
                continue
            kinds = INCREMENTS[nucleus][self._mol.GetAtomWithIdx(root).GetSymbol()]
            values = kinds.aromatic if anchor.GetIsAromatic() else getattr(kinds, hybridisation(anchor))
            if 0 < distance <= len(values) and self._is_felt(atom, anchor, distance):
                found = (found or 0.0) + values[distance - 1]
        return found

    def _is_felt(self, atom: int, anchor: Chem.Atom, distance: int) -> bool:
        """Whether the increments of the anchor's kind are meant for the atom: those of rings for their atoms,
        those of multiple bonds for their ends."""
        if distance == 1:
            return True
        other = self._mol.GetAtomWithIdx(atom)
        if anchor.GetIsAromatic():
            rings = self._mol.GetRingInfo()
            return other.GetIsAromatic() and rings.AreAtomsInSameRing(atom, anchor.GetIdx())
        bond = self._mol.GetBondBetweenAtoms(atom, anchor.GetIdx())
        return hybridisation(anchor) == "sp3" or (
            bond is not None and bond.GetBondType() != Chem.BondType.SINGLE
        )

    def _without(self) -> tuple[Chem.Mol, Surroundings] | None:
        """The molecule and its surroundings; None where RDKit does not accept what is left of a ring."""
        if self._bare is None:
            bare = Chem.RWMol(self._mol)
            for root in self._roots:
                for other in list(bare.GetAtomWithIdx(root).GetNeighbors()):
                    if other.GetAtomicNum() == 6:
                        bare.RemoveBond(root, other.GetIdx())
                        other.SetNoImplicit(False)
            with rdBase.BlockLogs():
                if Chem.SanitizeMol(bare, catchErrors=True):
                    return None
            self._bare = bare.GetMol(), surroundings(bare)
        return self._bare


def _neighbours(mol: Chem.Mol, atom: int) -> list[int]:
    return [other.GetIdx() for other in mol.GetAtomWithIdx(atom).GetNeighbors()]


def near_charges(mol: Chem.Mol) -> dict[str, dict[int, float]]:
    """What charged groups add to the shifts (ppm) of atoms that the table gives, by nucleus and atom."""
    added: dict[str, dict[int, float]] = {"C": {}, "H": {}}
    if not any(atom.GetFormalCharge() for atom in atoms_of(mol)):
        return added
    for pattern, carbon, hydrogen in CHARGED:
        for atom in {match[0] for match in mol.GetSubstructMatches(compiled(pattern))}:
            for nucleus, ppm in (("C", carbon), ("H", hydrogen)):
                added[nucleus][atom] = added[nucleus].get(atom, 0.0) + ppm
    return added
