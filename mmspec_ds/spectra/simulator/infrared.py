"""IR absorbance: group frequencies, and a skeleton of masses and springs for the fingerprint.

The group bands say which groups there are; the skeletal modes depend on how all heavy atoms are joined, as
the bands below 1500 cm-1 do in a real spectrum.
"""

from collections import defaultdict
from dataclasses import dataclass
from functools import cache

import numpy as np
from rdkit import Chem

from mmspec_ds.spectra.records import FloatArray, Infrared
from mmspec_ds.spectra.simulator.infrared_bands import DISPLACEMENTS, GROUPS

POINTS = 1800
"""Points from 400 to 4000 cm-1, as in the benchmark."""
START_CM1, STOP_CM1 = 400.0, 4000.0
WAVENUMBER_FACTOR = 1302.79
"""cm-1 of a spring of 1 mdyn/Angstrom on a mass of 1 dalton: sqrt(k / m) / (2 pi c)."""
SPRING = {
    Chem.BondType.SINGLE: 4.2,
    Chem.BondType.AROMATIC: 6.4,
    Chem.BondType.DOUBLE: 9.0,
    Chem.BondType.TRIPLE: 15.0,
}
"""Stretching force constants in mdyn/Angstrom, the usual means over molecules."""
BEND_SPRING = 0.35
"""Spring between second neighbours, which stands for the angle between two bonds."""
SKELETAL_RANGE_CM1 = (400.0, 1500.0)
SKELETAL_HEIGHT, SKELETAL_HALF_WIDTH_CM1 = 0.45, 9.0
ELECTRONEGATIVITY = {
    1: 2.20,
    6: 2.55,
    7: 3.04,
    8: 3.44,
    9: 3.98,
    15: 2.19,
    16: 2.58,
    17: 3.16,
    35: 2.96,
    53: 2.66,
}
"""Pauling's scale."""


@dataclass(frozen=True)
class _Pattern:
    family: str
    query: Chem.Mol
    values: FloatArray
    """[bands, 3] centre, half width, height; for a displacement [1, 1]."""


def infrared(mol: Chem.Mol) -> Infrared:
    """The IR spectrum without noise: 1800 points from 400 to 4000 cm-1, the largest 1."""
    bands = np.concatenate([group_bands(mol), skeletal_bands(mol)])
    grid = np.linspace(START_CM1, STOP_CM1, POINTS)
    absorbance = np.zeros(POINTS)
    if len(bands):
        centre_N1, half_width_N1, height_N1 = bands.T[:, :, None]
        squares = half_width_N1**2
        absorbance = (height_N1 * squares / ((grid - centre_N1) ** 2 + squares)).sum(axis=0)
    top = absorbance.max()
    return Infrared(absorbance / top if top > 0 else absorbance, START_CM1, STOP_CM1)


def group_bands(mol: Chem.Mol) -> FloatArray:
    """Bands [n, 3] (centre, half width, height) of the groups that the molecule has."""
    groups, displacements = _patterns()
    moved: dict[tuple[str, int], float] = defaultdict(float)
    for pattern in displacements:
        for anchor in _anchors(mol, pattern.query):
            moved[pattern.family, anchor] += float(pattern.values[0, 0])
    claimed: set[tuple[str, int]] = set()
    found = [np.zeros((0, 3))]
    for pattern in groups:
        for anchor in _anchors(mol, pattern.query):
            place = (pattern.family, anchor)
            if place in claimed:
                continue
            claimed.add(place)
            bands = pattern.values.copy()
            bands[0, 0] += moved.get(place, 0.0)
            found.append(bands)
    return np.concatenate(found)


def skeletal_bands(mol: Chem.Mol) -> FloatArray:
    """Bands [n, 3] of the heavy-atom skeleton within SKELETAL_RANGE_CM1.

    Each atom with its hydrogens is a mass, each bond a spring, each pair of second neighbours a weak one;
    displacements are scalars. The squared change of dipole, with charges from differences of
    electronegativity, gives the heights.
    """
    masses, charges = _masses_and_charges(mol)
    if len(masses) < 2:
        return np.zeros((0, 3))
    stiffness = _stiffness(mol)
    scale = 1.0 / np.sqrt(masses)
    squares, modes = np.linalg.eigh(stiffness * scale[:, None] * scale[None, :])
    wavenumbers = WAVENUMBER_FACTOR * np.sqrt(np.clip(squares, 0.0, None))
    dipole = np.abs((charges * scale) @ modes)
    heights = SKELETAL_HEIGHT * (0.1 + np.minimum(dipole / 0.25, 1.0) ** 2)
    low, high = SKELETAL_RANGE_CM1
    within = (wavenumbers > low) & (wavenumbers < high)
    widths = np.full(len(masses), SKELETAL_HALF_WIDTH_CM1)
    return np.stack([wavenumbers, widths, heights], axis=1)[within]


def _masses_and_charges(mol: Chem.Mol) -> tuple[FloatArray, FloatArray]:
    table = Chem.GetPeriodicTable()
    hydrogen = table.GetAtomicWeight(1)
    masses = np.array([atom.GetMass() + hydrogen * atom.GetTotalNumHs() for atom in mol.GetAtoms()])
    charges = np.array([float(atom.GetFormalCharge()) for atom in mol.GetAtoms()])
    for bond in mol.GetBonds():
        first, second = bond.GetBeginAtom(), bond.GetEndAtom()
        pull = _electronegativity(second) - _electronegativity(first)
        charges[first.GetIdx()] += 0.25 * pull
        charges[second.GetIdx()] -= 0.25 * pull
    return masses, charges


def _stiffness(mol: Chem.Mol) -> FloatArray:
    springs = np.zeros((mol.GetNumAtoms(), mol.GetNumAtoms()))
    for bond in mol.GetBonds():
        i, j = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        springs[i, j] = springs[j, i] = SPRING.get(bond.GetBondType(), 4.2)
    second = (Chem.GetDistanceMatrix(mol) == 2) * BEND_SPRING
    springs = springs + second
    return np.diag(springs.sum(axis=1)) - springs


def _electronegativity(atom: Chem.Atom) -> float:
    return ELECTRONEGATIVITY.get(atom.GetAtomicNum(), 2.2)


def _anchors(mol: Chem.Mol, query: Chem.Mol) -> list[int]:
    return sorted({match[0] for match in mol.GetSubstructMatches(query, uniquify=True)})


@cache
def _patterns() -> tuple[tuple[_Pattern, ...], tuple[_Pattern, ...]]:
    groups = tuple(_Pattern(g.family, Chem.MolFromSmarts(g.smarts), np.array(g.bands)) for g in GROUPS)
    displacements = tuple(
        _Pattern(d.family, Chem.MolFromSmarts(d.smarts), np.array([[d.by]])) for d in DISPLACEMENTS
    )
    return groups, displacements
