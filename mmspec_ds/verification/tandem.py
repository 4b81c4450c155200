"""How well measured MS/MS spectra agree with the fragments of a molecule.

The peaks are compared with the shares that a scorer, fitted on measured spectra, gives to the fragments of the
molecule (`simulator/fragmentation.py`) with hydrogens moved: bonds that break easily get much, two cuts and far
hydrogens little.

Axes: P peaks, I ions of the molecule.
"""

from collections.abc import Sequence

import numpy as np
from rdkit import Chem

from mmspec_ds.simulator.fragment_features import describe
from mmspec_ds.simulator.fragment_scorer import (
    ENERGIES_EV,
    POLARITIES,
    IonGrid,
    intensities,
    ion_grid,
    measured_scorer,
)
from mmspec_ds.simulator.fragmentation import fragments
from mmspec_ds.simulator.tandem import one_blas_thread, precursor_mz
from mmspec_ds.spectra.records import FloatArray, TandemMS

TOLERANCE_DA = 0.01
"""An ion makes a peak no farther away: what lists of time-of-flight instruments need at low m/z. With 0.002 the
right one of isomers is found less often, by one measured spectrum in a hundred."""
PRECURSOR_WINDOW_DA = 1.5
"""Peaks from here below the precursor on tell nothing of the fragments."""
INTENSITY_POWER = 1.0 / 3.0
"""Of the intensities as weights, so that small peaks count beside large ones."""
UNEXPLAINED_SHARE = 1e-3
"""What any peak is expected to hold, explained or not."""
INDEPENDENT_PEAKS = 2.8
"""Makes the score a log-likelihood: with it the softmax of the scores gives the right one among isomers the
highest likelihood, for measured spectra of MassBank."""
PRECURSOR_PENALTY = 10.0
"""Nats off for a molecule whose ion has another m/z than the precursor."""
ADDUCTS = {"positive": "[M+H]+", "negative": "[M-H]-"}
"""The ions whose fragments are known, by polarity."""


def tandem_score(observed: Sequence[TandemMS], mol: Chem.Mol) -> float:
    """The log-likelihood ratio (nats, higher is better) of measured MS/MS spectra for a molecule, against
    spectra of which it explains nothing; the mean over the spectra, whose errors are the same.

    With weights w of the peaks that sum to 1 and shares q that are predicted for them, that of a spectrum is
    n sum w log((q + e) / e): n is INDEPENDENT_PEAKS, e UNEXPLAINED_SHARE. A precursor of another mass costs
    PRECURSOR_PENALTY. Spectra of other adducts than [M+H]+ and [M-H]- are passed over, and molecules with a net
    charge have 0, for their fragments are not known. Scores of the same spectra can be compared.
    """
    usable = [one for one in observed if one.adduct in (None, ADDUCTS[one.polarity])]
    if not usable or Chem.GetFormalCharge(mol):
        return 0.0
    with one_blas_thread():
        described = describe(mol, fragments(mol))
        scores = measured_scorer().scores(described.features)
    shares = {}
    for polarity in {one.polarity for one in usable}:
        grid = ion_grid(described, polarity, radicals=True)
        first = POLARITIES.index(polarity) * len(ENERGIES_EV)
        of_polarity = scores[first : first + len(ENERGIES_EV)]
        shares[polarity] = grid, np.mean([intensities(one, grid) for one in of_polarity], axis=0)
    return float(np.mean([_score(one, mol, *shares[one.polarity]) for one in usable]))


def _score(observed: TandemMS, mol: Chem.Mol, grid: IonGrid, shares: FloatArray) -> float:
    """The score of one spectrum, given the shares [I] of the ions of a grid."""
    own = precursor_mz(mol, observed.polarity)
    precursor = own if observed.precursor_mz is None else observed.precursor_mz
    kept = observed.mz < precursor - PRECURSOR_WINDOW_DA
    weights = observed.intensity[kept] ** INTENSITY_POWER
    total = weights.sum()
    found = 0.0
    if total > 0:
        expected = _expected(observed.mz[kept], grid.mz, shares)
        found = float(weights / total @ np.log1p(expected / UNEXPLAINED_SHARE))
    return INDEPENDENT_PEAKS * found - PRECURSOR_PENALTY * float(abs(own - precursor) > TOLERANCE_DA)


def _expected(mz: FloatArray, ions: FloatArray, shares: FloatArray) -> FloatArray:
    """Sum [P] of the shares [I] of the ions, whose m/z rise, near each peak."""
    below = np.concatenate([[0.0], np.cumsum(shares)])
    last = np.searchsorted(ions, mz + TOLERANCE_DA, side="right")
    return np.asarray(below[last] - below[np.searchsorted(ions, mz - TOLERANCE_DA)])
