"""MS/MS by breaking bonds: every part that two splits leave, with hydrogens moved, and a fitted scorer that
predicts the share of the intensity of each part.

Masses are exact; isotopes other than those that the molecule names are not simulated, as in the benchmark.
"""

from contextlib import AbstractContextManager
from functools import cache

import numpy as np
from rdkit import Chem
from threadpoolctl import ThreadpoolController

from mmspec_ds.simulator.fragment_features import describe, heavy_masses
from mmspec_ds.simulator.fragment_scorer import (
    ELECTRON_MASS,
    ENERGIES_EV,
    HYDROGEN_MASS,
    POLARITIES,
    FragmentScorer,
    intensities,
    ion_grid,
    shipped_scorer,
)
from mmspec_ds.simulator.fragmentation import fragments
from mmspec_ds.simulator.graph import atoms_of
from mmspec_ds.spectra.records import FloatArray, Polarity, TandemMS

KEPT_SHARE = 0.95
"""Of the expected intensity: the largest peaks that together hold it are kept."""
MAX_PEAKS = 80
LOWEST_MZ = 14.0


def precursor_mz(mol: Chem.Mol, polarity: Polarity) -> float:
    """The exact m/z of [M+H]+ or [M-H]-."""
    sign = 1 if polarity == "positive" else -1
    hydrogens = sum(atom.GetTotalNumHs() for atom in atoms_of(mol))
    return float(heavy_masses(mol).sum()) + (hydrogens + sign) * HYDROGEN_MASS - sign * ELECTRON_MASS


def tandem_spectra(mol: Chem.Mol, scorer: FragmentScorer | None = None) -> tuple[TandemMS, ...]:
    """The six spectra of the benchmark without noise, both polarities at 10, 20 and 40 eV, by the
    shipped scorer or another one.

    Peaks rise in m/z, at most MAX_PEAKS in each; intensities are relative to the largest, 100. The precursor is
    [M+H]+ or [M-H]-; it is left out for a molecule with a net charge, whose ions these are not.
    """
    with one_blas_thread():
        described = describe(mol, fragments(mol))
        scores = (scorer or shipped_scorer()).scores(described.features)
    spectra = []
    for index, polarity in enumerate(POLARITIES):
        grid = ion_grid(described, polarity)
        precursor = _precursor(mol, polarity)
        for place, energy in enumerate(ENERGIES_EV, start=index * len(ENERGIES_EV)):
            mz, intensity = _largest_peaks(grid.mz, intensities(scores[place], grid))
            spectra.append(TandemMS(mz, intensity, polarity, energy, *precursor))
    return tuple(spectra)


def _precursor(mol: Chem.Mol, polarity: Polarity) -> tuple[float | None, str | None, int | None]:
    """m/z, adduct and charge of the ion that is fragmented."""
    if Chem.GetFormalCharge(mol):
        return None, None, None
    adduct, charge = ("[M+H]+", 1) if polarity == "positive" else ("[M-H]-", -1)
    return precursor_mz(mol, polarity), adduct, charge


def _largest_peaks(mz: FloatArray, shares: FloatArray) -> tuple[FloatArray, FloatArray]:
    """m/z and relative intensity of the peaks that are kept."""
    shares = np.where(mz >= LOWEST_MZ, shares, 0.0)
    chosen = np.arange(len(shares))
    if len(shares) > MAX_PEAKS:  # sort no more than may be kept; ties with the last of them stay in
        chosen = np.flatnonzero(shares >= np.partition(shares, -MAX_PEAKS)[-MAX_PEAKS])
    falling = chosen[np.argsort(-shares[chosen], kind="stable")]
    enough = int(np.searchsorted(np.cumsum(shares[falling]), KEPT_SHARE * shares.sum())) + 1
    kept = np.sort(falling[: min(enough, MAX_PEAKS)])
    return mz[kept].copy(), 100.0 * shares[kept] / shares[kept].max()


def one_blas_thread() -> AbstractContextManager[object]:
    """Compute matrix products on one thread inside this context.

    The matrices of a molecule have some thousand rows: enough for a BLAS to use all cores, too few to gain by
    it. On two shared cores, 22 drug-like molecules a second of processor time became 90.
    """
    return _thread_pools().limit(limits=1, user_api="blas")


@cache
def _thread_pools() -> ThreadpoolController:
    """The BLAS libraries of this process; finding them takes 5 ms, setting a limit 0.02 ms."""
    return ThreadpoolController()
