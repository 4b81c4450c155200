"""The peaks of an MS/MS spectrum that parts of a molecule explain."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rdkit import Chem

from mmspec_ds.molecules.smiles import parse_smiles
from mmspec_ds.simulator.fragment_features import describe
from mmspec_ds.simulator.fragment_scorer import FEWEST_MISSING, ion_grid
from mmspec_ds.simulator.fragmentation import fragments
from mmspec_ds.spectra.records import TandemMS

TOLERANCE_PPM, TOLERANCE_MZ = 10.0, 0.002
"""A peak is a fragment's where it lies this near to it; the larger of the two counts."""


@dataclass(frozen=True)
class PeakMatch:
    """A peak and the fragment ion that it may be.

    Attributes:
        mz: observed.
        intensity: in per cent of the base peak.
        ion: its formula with the charge, "C6H8NO+"; None where no fragment explains the peak.
        atoms: numbers of the fragment's atoms in `Chem.MolFromSmiles(smiles)`.
        broken: order of the bonds that break.
        error_ppm: observed less calculated m/z, in parts per million.
    """

    mz: float
    intensity: float
    ion: str | None = None
    atoms: tuple[int, ...] = ()
    broken: int = 0
    error_ppm: float = 0.0


def match_peaks(spectrum: TandemMS, smiles: str) -> list[PeakMatch]:
    """All peaks of a spectrum in their order, with the fragment ion that each may be.

    Of the connected parts of the molecule that have the m/z of a peak with some number of hydrogens, the one is
    taken for which the fewest bonds break, and then the fewest hydrogens move (see `simulator.fragmentation`).
    The ions are those of the molecule with a proton more, or less in negative mode, radicals among them.

    Raises:
        ValueError: the SMILES is not a valid structure.
    """
    mol = parse_smiles(smiles)
    membership = fragments(mol)
    described = describe(mol, membership)
    grid = ion_grid(described, spectrum.polarity, radicals=True)
    missing = np.arange(grid.place.shape[1]) + 2 * FEWEST_MISSING
    cost = described.valences[:, None] * len(missing) + np.abs(missing)
    charge = 1 if spectrum.polarity == "positive" else -1
    base = spectrum.intensity.max()
    found = []
    for mz, intensity in zip(spectrum.mz.tolist(), (100.0 * spectrum.intensity / base).tolist()):
        tolerance = max(TOLERANCE_PPM * 1e-6 * mz, TOLERANCE_MZ)
        low, high = np.searchsorted(grid.mz, (mz - tolerance, mz + tolerance))
        fits = (grid.place >= low) & (grid.place < high)
        if not fits.any():
            found.append(PeakMatch(mz, intensity))
            continue
        row, column = np.unravel_index(np.where(fits, cost, np.iinfo(np.int64).max).argmin(), cost.shape)
        broken = int(described.valences[row])
        hydrogens = int(described.hydrogens[row]) + broken + charge - int(missing[column])
        atoms = tuple(np.flatnonzero(membership[row]).tolist())
        ion = _formula(mol, atoms, hydrogens) + ("+" if charge > 0 else "-")
        exact = float(grid.mz[grid.place[row, column]])
        found.append(PeakMatch(mz, intensity, ion, atoms, broken, (mz - exact) / exact * 1e6))
    return found


def explained_share(matches: Sequence[PeakMatch]) -> float:
    """The share of a spectrum's intensity, 0 to 1, in peaks that a fragment explains."""
    total = sum(one.intensity for one in matches)
    return sum(one.intensity for one in matches if one.ion is not None) / total


def _formula(mol: Chem.Mol, atoms: Sequence[int], hydrogens: int) -> str:
    """In the order of Hill: carbon, hydrogen, then the others by their letters."""
    counts = Counter(mol.GetAtomWithIdx(atom).GetSymbol() for atom in atoms)
    counts["H"] += hydrogens
    first = ("C", "H") if counts["C"] else ()
    order = [*first, *sorted(element for element in counts if element not in first)]
    return "".join(f"{one}{counts[one] if counts[one] > 1 else ''}" for one in order if counts[one])
