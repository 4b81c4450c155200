"""Log-likelihoods of measured NMR spectra if a molecule is the right one.

Suffixes: O observed signals, P predicted signals.
"""

from collections.abc import Sequence
from math import log, pi

import numpy as np

from mmspec_ds.spectra.records import HSQC, CarbonNMR, FloatArray, HydrogenNMR, Multiplet
from mmspec_ds.verification.error_models import ErrorModels, PeakErrors
from mmspec_ds.verification.matching import Matching, log_density, match_hydrogens, match_signals
from mmspec_ds.verification.predicted import IntArray, Prediction, Signals

UNKNOWN = -1
"""A number of hydrogens that is not known."""
HYDROGEN_COUNTS = 4
"""Numbers of hydrogens that a carbon may bear: 0 to 3."""
CATEGORY_CHANCE = 0.2
"""Probability that two multiplicities agree by chance."""
COUPLINGS_HZ = 15.0
"""Width of the range of coupling constants by chance."""


def match_carbon(spectrum: CarbonNMR, prediction: Prediction, models: ErrorModels) -> tuple[Matching, Signals]:
    """The assignment of the 13C lines, and the predicted signals that it numbers.

    Fluorine splits lines; some lists have every line, some the centres alone. What fits better counts.
    """
    predicted = [prediction.carbon]
    if len(prediction.carbon_lines.ppm) != len(prediction.carbon.ppm):
        predicted.append(prediction.carbon_lines)
    matched = [(_match_carbon(spectrum, signals, models), signals) for signals in predicted]
    return max(matched, key=lambda one: one[0].score)


def match_hydrogen(spectrum: HydrogenNMR, signals: Signals, models: ErrorModels) -> Matching:
    """The assignment of the 1H signals, with the number of hydrogens of each where the list has them."""
    errors, observed = models.h_nmr, spectrum.multiplets
    density_OP = log_density(
        np.array([one.centroid_ppm for one in observed]),
        signals.ppm,
        hydrogen_scale(signals, models),
        errors.freedom,
    )
    density_OP += _multiplicity_terms(observed, signals, models)
    missing_P = np.where(signals.mobile, models.mobile_missing, errors.missing)
    missing_P = np.where(signals.acid, models.acid_missing, missing_P)
    hydrogens_O = np.array([one.hydrogens for one in observed], dtype=np.int64)
    log_false = log(errors.false_per_ppm)
    if hydrogens_O.min(initial=1) > 0 and hydrogens_O.max(initial=1) > 1:
        return match_hydrogens(density_OP, missing_P, log_false, hydrogens_O, signals.hydrogens)
    return match_signals(density_OP, missing_P, log_false, errors.resolution_ppm, errors.doubled)


def match_cross_peaks(spectrum: HSQC, prediction: Prediction, models: ErrorModels) -> Matching:
    """The assignment of the HSQC peaks in both dimensions."""
    carbon, hydrogen, peaks = models.hsqc_carbon, models.hsqc_hydrogen, prediction.cross_peaks
    density_OP = log_density(
        np.array([one.carbon_ppm for one in spectrum.peaks]),
        peaks.carbon_ppm,
        scale(carbon, peaks.carbon_spread_ppm),
        carbon.freedom,
    ) + log_density(
        np.array([one.hydrogen_ppm for one in spectrum.peaks]),
        peaks.hydrogen_ppm,
        scale(hydrogen, peaks.hydrogen_spread_ppm),
        hydrogen.freedom,
    )
    attached_O = np.array(
        [UNKNOWN if p.hydrogens is None else p.hydrogens for p in spectrum.peaks], dtype=np.int64
    )
    density_OP += _hydrogen_terms(attached_O, peaks.hydrogens, models.same_hydrogens)
    missing_P = np.full(len(peaks.carbon_ppm), hydrogen.missing)
    log_false = log(carbon.false_per_ppm * hydrogen.false_per_ppm)
    resolution = carbon.resolution_ppm * hydrogen.resolution_ppm
    return match_signals(density_OP, missing_P, log_false, resolution, hydrogen.doubled)


def scale(errors: PeakErrors, spread_ppm: FloatArray) -> FloatArray:
    """Scale of the error of each predicted shift, ppm."""
    return np.hypot(errors.error_ppm, errors.spread_scale * spread_ppm)


def hydrogen_scale(signals: Signals, models: ErrorModels) -> FloatArray:
    """Scale of the error of each predicted 1H shift, ppm; hydrogens on O, N and S have a further one."""
    return np.hypot(scale(models.h_nmr, signals.spread_ppm), models.mobile_ppm * signals.mobile)


def _match_carbon(spectrum: CarbonNMR, signals: Signals, models: ErrorModels) -> Matching:
    errors = models.c_nmr
    density_OP = log_density(
        np.array(spectrum.shifts_ppm), signals.ppm, scale(errors, signals.spread_ppm), errors.freedom
    )
    if spectrum.attached_hydrogens:
        attached_O = np.array(
            [UNKNOWN if n is None else n for n in spectrum.attached_hydrogens], dtype=np.int64
        )
        density_OP += _hydrogen_terms(attached_O, signals.hydrogens, models.same_hydrogens)
    missing_P = np.full(len(signals.ppm), errors.missing)
    return match_signals(
        density_OP, missing_P, log(errors.false_per_ppm), errors.resolution_ppm, errors.doubled
    )


def _hydrogen_terms(observed_O: IntArray, predicted_P: IntArray, same: float) -> FloatArray:
    """Logarithm of how much more probable the observed number of hydrogens on a carbon is than by chance."""
    agree = log(same * HYDROGEN_COUNTS)
    differ = log((1 - same) * HYDROGEN_COUNTS / (HYDROGEN_COUNTS - 1))
    terms_OP = np.where(observed_O[:, None] == predicted_P, agree, differ)
    terms_OP[observed_O == UNKNOWN] = 0.0
    return terms_OP


def _multiplicity_terms(observed: Sequence[Multiplet], signals: Signals, models: ErrorModels) -> FloatArray:
    """The same for multiplicities and coupling constants; an m says nothing."""
    terms_OP = np.zeros((len(observed), len(signals.ppm)))
    agree = log(models.same_category / CATEGORY_CHANCE)
    differ = log((1 - models.same_category) / (1 - CATEGORY_CHANCE))
    firm = [p for p, category in enumerate(signals.categories) if "m" not in category and not signals.mobile[p]]
    for o, multiplet in enumerate(observed):
        if "m" in multiplet.category or not multiplet.category:
            continue
        for p in firm:
            if multiplet.category != signals.categories[p]:
                terms_OP[o, p] = differ
            else:
                terms_OP[o, p] = agree + _coupling_term(multiplet.j_hz, signals.j_hz[p], models.coupling_hz)
    return terms_OP


def _coupling_term(observed_hz: Sequence[float], predicted_hz: Sequence[float], error_hz: float) -> float:
    """The same for the coupling constants of one multiplet; each counts for at least -1."""
    if len(observed_hz) != len(predicted_hz):
        return 0.0
    best = log(COUPLINGS_HZ / (error_hz * (2 * pi) ** 0.5))
    return sum(max(best - ((o - p) / error_hz) ** 2 / 2, -1.0) for o, p in zip(observed_hz, predicted_hz))
