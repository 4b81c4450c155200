"""Which observed signal is which predicted one: the most probable assignment, and its log-likelihood.

Suffixes: O observed signals, P predicted signals.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import lgamma, log, pi

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from mmspec_ds.spectra.records import FloatArray

IntArray = npt.NDArray[np.int64]
LEAST = -60.0
"""Log-densities below are this (nats): so far from each other, no two signals are one."""


@dataclass(frozen=True)
class Matching:
    """The log-likelihood of the observed signals in nats, and pairs of (observed, predicted) signals."""

    score: float
    pairs: tuple[tuple[int, int], ...]


def log_density(observed_O: FloatArray, ppm_P: FloatArray, scale_P: FloatArray, freedom: float) -> FloatArray:
    """Logarithm of Student's t density (per ppm) of each observed shift around each predicted one, [O, P]."""
    z_OP = (observed_O[:, None] - ppm_P) / scale_P
    density: FloatArray = (
        _constant(freedom) - np.log(scale_P) - (freedom + 1) / 2 * np.log1p(z_OP * z_OP / freedom)
    )
    return np.maximum(density, LEAST)


def match_signals(
    density_OP: FloatArray, missing_P: FloatArray, log_false: float, resolution: float, doubled: float
) -> Matching:
    """Assign signals one to one.

    An observed signal is a predicted one, or a second signal of its hydrogens, or false. A predicted signal is
    observed, or not listed, or hidden under an observed one.

    Args:
        density_OP: log-density of each observed signal if it is each predicted one.
        missing_P: probability that each predicted signal is not listed.
        log_false: log-density of false signals.
        resolution: signals this near to each other may be listed as one, in the density's inverse unit.
        doubled: probability that a predicted signal gives a second one.
    """
    as_density_OP = np.exp(density_OP)
    hidden_P = np.minimum(resolution * as_density_OP.sum(axis=0), 1.0)
    absent_P = np.log(missing_P + (1 - missing_P) * hidden_P)
    false_O = np.log(np.exp(log_false) + doubled * as_density_OP.sum(axis=1))
    gain_OP = density_OP + np.log1p(-missing_P) - absent_P - false_O[:, None]
    rows, columns = linear_sum_assignment(np.minimum(-gain_OP, 0.0))
    gains = gain_OP[rows, columns]
    chosen = gains > 0
    score = false_O.sum() + absent_P.sum() + gains[chosen].sum()
    return Matching(float(score), tuple(zip(rows[chosen].tolist(), columns[chosen].tolist())))


def match_hydrogens(
    density_OP: FloatArray,
    missing_P: FloatArray,
    log_false: float,
    hydrogens_O: IntArray,
    hydrogens_P: IntArray,
) -> Matching:
    """Assign hydrogens one to one, so that signals may share an observed multiplet, as integrals allow.

    A predicted signal's terms are shared equally by its hydrogens, those of an observed false one likewise. The
    arguments are those of `match_signals` and the number of hydrogens of each signal. A pair of signals counts
    once however many hydrogens it shares.
    """
    absent_P = np.log(missing_P)
    gain_OP = (density_OP + np.log1p(-missing_P) - absent_P) / hydrogens_P - log_false / hydrogens_O[:, None]
    of_row, of_column = (np.repeat(np.arange(len(one)), one) for one in (hydrogens_O, hydrogens_P))
    rows, columns = linear_sum_assignment(np.minimum(-gain_OP, 0.0)[of_row[:, None], of_column])
    pairs_O, pairs_P = of_row[rows], of_column[columns]
    gains = gain_OP[pairs_O, pairs_P]
    chosen = gains > 0
    score = log_false * len(hydrogens_O) + absent_P.sum() + gains[chosen].sum()
    pairs = sorted(set(zip(pairs_O[chosen].tolist(), pairs_P[chosen].tolist())))
    return Matching(float(score), tuple(pairs))


@lru_cache(maxsize=64)
def _constant(freedom: float) -> float:
    """Logarithm of the density of Student's t at its centre."""
    return lgamma((freedom + 1) / 2) - lgamma(freedom / 2) - log(pi * freedom) / 2
