"""Splitting of 13C lines by fluorine, to first order.

13C spectra are decoupled from hydrogen, not from 19F, and the benchmark's lists keep every line of a multiplet.
The constants are textbook values that agree with the fluorinated molecules of its published sample.
"""

from collections import Counter
from collections.abc import Mapping

import numpy as np
from rdkit import Chem

from mmspec_ds.simulator.environments import hybridisation
from mmspec_ds.simulator.graph import atoms_of

CARBON_MHZ = 125.76
"""13C frequency of the published lists: the lines of their CF3 quartets (272 Hz) are 2.165 ppm apart."""
RESOLVED_PPM = 0.008
"""Lines nearer than 1 Hz are one: the published lines are 0.012 ppm wide."""

_AROMATIC = {1: 248.0, 2: 22.5, 3: 8.3, 4: 3.0}
_AROMATIC_BESIDE_NITROGEN_HZ, _AROMATIC_FIVE_RING_HZ = 236.0, 290.0
_VINYL = {1: 260.0, 2: 30.0, 3: 8.0}
_TRIFLUOROMETHYL = {1: 273.0, 2: 33.0, 3: 2.0, 4: 3.0}
_TRIFLUOROMETHYL_ON_RING = {1: 272.0, 2: 32.5, 3: 4.2, 4: 4.0}
_DIFLUORO = {1: 242.0, 2: 25.0, 3: 5.0}
_MONOFLUORO = {1: 172.0, 2: 20.0, 3: 6.0}
"""Hz by number of bonds between carbon and fluorine."""


def split_by_fluorine(mol: Chem.Mol, shifts: Mapping[int, float]) -> dict[int, list[float]]:
    """The lines (ppm) of each carbon in `shifts` (atom index to ppm), split by the fluorines near it."""
    fluorines = [atom for atom in atoms_of(mol) if atom.GetAtomicNum() == 9 and atom.GetDegree()]
    if not fluorines:
        return {carbon: [shift] for carbon, shift in shifts.items()}
    apart = Chem.GetDistanceMatrix(mol)
    constants = [(fluorine.GetIdx(), _constants(mol, fluorine)) for fluorine in fluorines]
    lines: dict[int, list[float]] = {}
    for carbon, shift in shifts.items():
        couplings = Counter(
            coupling
            for fluorine, by_bonds in constants
            if (coupling := by_bonds.get(round(float(apart[carbon, fluorine])), 0.0))
        )
        lines[carbon] = multiplet_lines(shift, couplings)
    return lines


def multiplet_lines(shift: float, couplings: Counter[float]) -> list[float]:
    """Lines (ppm) of one carbon coupled to `couplings` (Hz to number of fluorines), unresolved ones merged."""
    lines = np.array([shift])
    for hertz, number in couplings.items():
        offsets = (np.arange(number + 1) - number / 2) * hertz / CARBON_MHZ
        lines = (lines[:, None] + offsets).ravel()
    resolved: list[float] = []
    for line in np.sort(lines).tolist():
        if not resolved or line - resolved[-1] >= RESOLVED_PPM:
            resolved.append(line)
    return resolved


def _constants(mol: Chem.Mol, fluorine: Chem.Atom) -> dict[int, float]:
    """Coupling constants (Hz) of a fluorine by number of bonds."""
    bearer = fluorine.GetNeighbors()[0]
    if bearer.GetAtomicNum() != 6:
        return {}
    if bearer.GetIsAromatic():
        return _AROMATIC | {1: _aromatic_one_bond(mol, bearer)}
    if hybridisation(bearer) == "sp2":
        return _VINYL
    fellows = sum(other.GetAtomicNum() == 9 for other in bearer.GetNeighbors())
    if fellows == 3:
        on_ring = any(other.GetIsAromatic() for other in bearer.GetNeighbors())
        return _TRIFLUOROMETHYL_ON_RING if on_ring else _TRIFLUOROMETHYL
    return _DIFLUORO if fellows == 2 else _MONOFLUORO


def _aromatic_one_bond(mol: Chem.Mol, bearer: Chem.Atom) -> float:
    if not mol.GetRingInfo().IsAtomInRingOfSize(bearer.GetIdx(), 6):
        return _AROMATIC_FIVE_RING_HZ
    beside = any(other.GetAtomicNum() == 7 and other.GetIsAromatic() for other in bearer.GetNeighbors())
    return _AROMATIC_BESIDE_NITROGEN_HZ if beside else _AROMATIC[1]
