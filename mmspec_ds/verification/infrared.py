"""How well a measured IR spectrum agrees with the groups of a molecule.

The measured curve is compared with the bands that the standard tables of group frequencies give
(`simulator/infrared_groups.py`), in the phase, free or with hydrogen bonds, that agrees better.

Axes: G points of the grid.
"""

import numpy as np
from rdkit import Chem
from scipy.ndimage import gaussian_filter1d

from mmspec_ds.simulator.infrared_groups import (
    PHASES,
    POINTS,
    START_CM1,
    STOP_CM1,
    group_absorbance,
    group_counts,
)
from mmspec_ds.spectra.records import FloatArray, Infrared

LOWEST_CM1, HIGHEST_CM1 = 600.0, 3750.0
"""What most instruments reach, up to the O-H of free molecules."""
MEASURED_CM1, PREDICTED_CM1 = 12.0, 25.0
"""Standard deviations by which the curves are broadened: 25 cm-1 is how far a band may be from its class."""
ROOT = 1.0 / 3.0
"""Power of the absorbance that is compared, so that weak bands count beside strong ones."""
BASELINE_PERCENTILE = 10.0
INDEPENDENT_POINTS = 16.0
"""Makes the score a log-likelihood: with it the softmax of the scores gives the right one among isomers the
highest likelihood, for 118 measured spectra of molecules with two or more known isomers."""
FEWEST_POINTS = 100
"""Measured points, 2 cm-1 apart, without which nothing is said."""


def infrared_score(observed: Infrared, mol: Chem.Mol) -> float:
    """The log-likelihood ratio (nats, at least 0; higher is better) of a measured IR spectrum for a molecule,
    against a spectrum that has nothing to do with it.

    With r the correlation of the cube roots of both curves between LOWEST_CM1 and HIGHEST_CM1, Gaussian errors
    give -n/2 log(1 - r^2), n being the number of INDEPENDENT_POINTS. Parts of the curve that were not measured,
    which a reader fills with one value, do not count. Scores of one spectrum can be compared.
    """
    curve, measured = _on_grid(observed)
    if measured.sum() < FEWEST_POINTS:
        return 0.0
    observed_root = _standardised(curve[measured])
    counts = group_counts(mol)
    agreement = max(
        float(observed_root @ _standardised(group_absorbance(counts, phase, PREDICTED_CM1)[measured]))
        for phase in PHASES
    )
    return -0.5 * INDEPENDENT_POINTS * float(np.log1p(-(min(max(agreement, 0.0), 0.999) ** 2)))


def _on_grid(observed: Infrared) -> tuple[FloatArray, np.ndarray]:
    """The measured curve [G] without its baseline, broadened, and which points [G] of it count."""
    axis = np.linspace(observed.start_cm1, observed.stop_cm1, len(observed.absorbance))
    changes = np.flatnonzero(np.diff(observed.absorbance))
    grid = np.linspace(START_CM1, STOP_CM1, POINTS)
    if not len(changes):
        return np.zeros(POINTS), np.zeros(POINTS, dtype=bool)
    low, high = sorted((axis[changes[0]], axis[changes[-1] + 1]))
    measured = (grid >= max(low, LOWEST_CM1)) & (grid <= min(high, HIGHEST_CM1))
    rising = np.argsort(axis)
    curve = np.interp(grid, axis[rising], observed.absorbance[rising])
    curve = np.clip(curve - np.percentile(curve, BASELINE_PERCENTILE), 0.0, None)
    step = (STOP_CM1 - START_CM1) / (POINTS - 1)
    return gaussian_filter1d(curve, MEASURED_CM1 / step), measured


def _standardised(absorbance: FloatArray) -> FloatArray:
    """Its ROOT less the mean, of length 1; zeros for a curve without bands."""
    root = np.clip(absorbance, 0.0, None) ** ROOT
    centred = root - root.mean()
    length = float(np.linalg.norm(centred))
    return np.asarray(centred / length if length > 0 else centred)
