"""Measures of the difference between simulated and published spectra, for fits, tests and docs/simulator.md."""

import numpy as np
from scipy.optimize import linear_sum_assignment

from mmspec_ds.spectra.records import HSQC, CarbonNMR, FloatArray, HydrogenNMR, Infrared, Multiplet, TandemMS

MZ_TOLERANCE = 0.002
"""Dalton. The published peaks have five decimals; the benchmark's text rounds to 0.1."""
SMOOTHING_CM1 = 10.0
"""Standard deviation of the Gaussian that published IR is smoothed with: about the 9 cm-1 between the 400
points that the benchmark's text keeps."""
CROSS_PEAK_UNITS_PPM = (10.0, 1.0)
"""13C and 1H distances that count alike when cross peaks are paired: the ratio of the errors of the shifts."""


def carbon_errors(made: CarbonNMR, published: CarbonNMR) -> FloatArray:
    """Absolute differences (ppm) of the lines of two 13C lists, paired so that their sum is least; lines
    beyond the shorter list's number stay without a partner."""
    return _least_differences(np.array(made.shifts_ppm), np.array(published.shifts_ppm))


def hydrogen_errors(made: HydrogenNMR, published: HydrogenNMR) -> FloatArray:
    """Absolute differences (ppm) of the centres of two lists of multiplets, each multiplet standing for its
    hydrogens, paired so that their sum is least."""
    return _least_differences(_centres(made), _centres(published))


def paired_multiplets(made: HydrogenNMR, published: HydrogenNMR) -> list[tuple[Multiplet, Multiplet]]:
    """Multiplets of two lists, simulated and published, paired so that the sum of their distances is least."""
    ours, theirs = made.multiplets, published.multiplets
    centres = [np.array([multiplet.centroid_ppm for multiplet in one]) for one in (ours, theirs)]
    rows, columns = linear_sum_assignment(np.abs(centres[0][:, None] - centres[1][None, :]))
    return [(ours[row], theirs[column]) for row, column in zip(rows, columns)]


def hsqc_errors(made: HSQC, published: HSQC) -> tuple[FloatArray, FloatArray]:
    """Absolute 13C and 1H differences (ppm) of the cross peaks of two spectra, paired so that the sum of their
    distances is least; a distance counts 13C in units of 10 ppm and 1H in units of 1 ppm."""
    ours, theirs = (
        np.array([(peak.carbon_ppm, peak.hydrogen_ppm) for peak in one.peaks]) for one in (made, published)
    )
    apart = np.abs(ours[:, None] - theirs[None, :])
    rows, columns = linear_sum_assignment(np.linalg.norm(apart / CROSS_PEAK_UNITS_PPM, axis=2))
    carbon, hydrogen = apart[rows, columns].T
    return carbon, hydrogen


def smoothed_root(spectrum: Infrared) -> FloatArray:
    """Square root of an IR curve that was smoothed with SMOOTHING_CM1, as a vector of length 1; what is below
    zero counts as zero."""
    step = (spectrum.stop_cm1 - spectrum.start_cm1) / (len(spectrum.absorbance) - 1)
    reach = int(np.ceil(4 * SMOOTHING_CM1 / step))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * step / SMOOTHING_CM1) ** 2)
    padded = np.pad(spectrum.absorbance, reach, mode="edge")
    root = np.sqrt(np.clip(np.convolve(padded, kernel / kernel.sum(), mode="valid"), 0.0, None))
    return np.asarray(root / max(float(np.linalg.norm(root)), 1e-12))


def infrared_cosine(made: Infrared, published: Infrared) -> float:
    """Cosine between the smoothed square roots of two IR curves on one grid."""
    return float(smoothed_root(made) @ smoothed_root(published))


def peak_recall(made: TandemMS, published: TandemMS) -> float:
    """Share of the published intensity on peaks that the simulated list has within MZ_TOLERANCE, at whatever
    intensity."""
    return float(published.intensity[_is_near(published.mz, made.mz)].sum() / published.intensity.sum())


def peak_precision(made: TandemMS, published: TandemMS) -> float:
    """Share of the simulated intensity on peaks that the published list has within MZ_TOLERANCE."""
    return float(made.intensity[_is_near(made.mz, published.mz)].sum() / made.intensity.sum())


def sqrt_cosine(made: TandemMS, published: TandemMS) -> float:
    """Cosine between the square roots of the intensities of two peak lists, nearest peaks within MZ_TOLERANCE
    paired."""
    nearest = np.abs(made.mz[:, None] - published.mz).argmin(axis=0)
    near = np.abs(made.mz[nearest] - published.mz) < MZ_TOLERANCE
    common = np.sqrt(made.intensity[nearest[near]] * published.intensity[near]).sum()
    return float(common / np.sqrt(made.intensity.sum() * published.intensity.sum()))


def _is_near(mz: FloatArray, others: FloatArray) -> np.ndarray:
    near: np.ndarray = np.abs(mz[:, None] - others).min(axis=1) < MZ_TOLERANCE
    return near


def _centres(spectrum: HydrogenNMR) -> FloatArray:
    counts = [max(multiplet.hydrogens, 1) for multiplet in spectrum.multiplets]
    return np.repeat([multiplet.centroid_ppm for multiplet in spectrum.multiplets], counts)


def _least_differences(first: FloatArray, second: FloatArray) -> FloatArray:
    apart = np.abs(first[:, None] - second)
    rows, columns = linear_sum_assignment(apart)
    return np.asarray(apart[rows, columns])
