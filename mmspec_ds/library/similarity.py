"""Similarities of one mass spectrum to many: spectral entropy, cosines with any weights, modified cosine.

All of them add up the pairs of equal peaks, one peak with no more than one other, and are between 0 and 1. For
cleaned spectra (`Peaks.cleaned`) the pairs are unique without any choice; for others the pair of the largest
product counts first, as in `matchms`. Compared with `ms_entropy` and `matchms` in the tests.

Axes: N spectra, P peaks of all of them together, Q peaks of the query, M pairs of equal peaks.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mmspec_ds.library.peaks import Floats, Indices, Peaks, PeakSettings

ENTROPY_LIMIT = 3.0
"""Spectra of less entropy than this (in nats) have their weak peaks raised."""


@dataclass(frozen=True, slots=True)
class Weights:
    """The weight of a peak in a cosine: m/z to the power `mz` times intensity to the power `intensity`."""

    mz: float
    intensity: float

    def of(self, mz: Floats, intensity: Floats) -> npt.NDArray[np.float64]:
        """The weights of peaks of these m/z and intensities, float64 in their order and shape."""
        weights = np.asarray(intensity, np.float64) ** self.intensity
        if self.mz:
            weights *= np.asarray(mz, np.float64) ** self.mz
        return weights


COSINE = Weights(0.0, 1.0)
SQUARE_ROOT = Weights(0.0, 0.5)
STEIN_SCOTT = Weights(3.0, 0.6)
"""Stein and Scott 1994, J Am Soc Mass Spectrom 5, 859."""
NIST = Weights(1.3, 0.53)
"""Kim et al. 2012, Bioinformatics 28, 1158: the best for the electron ionisation spectra of NIST."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Equal peaks of a query and of a library, each in no more than one pair of a spectrum.

    Attributes:
        query: [M] places in the query.
        other: [M] places in the flat arrays of the library.
    """

    query: Indices
    other: Indices


def equal_peaks(query_mz: Floats, peaks: Peaks, settings: PeakSettings) -> Pairs:
    """The pairs of equal peaks of cleaned spectra. `query_mz` [Q] rises.

    The tolerance is that of the query's peak, as `ms_entropy` has it in Da.
    """
    tolerance = settings.tolerance(query_mz)
    place = np.searchsorted(query_mz, peaks.mz)
    found, other = [], []
    for near in (place - 1, place):  # the neighbours below and above
        inside = np.flatnonzero((near >= 0) & (near < len(query_mz)))
        near = near[inside]
        equal = np.abs(query_mz[near] - peaks.mz[inside]) <= tolerance[near] * (1 + 1e-12)
        found.append(near[equal])
        other.append(inside[equal])
    return Pairs(np.concatenate(found), np.concatenate(other))


def have_equals(mz: Floats, others: Floats, settings: PeakSettings) -> npt.NDArray[np.bool_]:
    """Which of the p peaks `mz` of one spectrum equal some peak of another, bool [p]; both of rising m/z, with
    the tolerance at the peak of the other."""
    found = np.zeros(len(mz), dtype=bool)
    found[_all_equal(mz, others, settings).query] = True
    return found


def entropy_weighted(peaks: Peaks) -> Peaks:
    """Cleaned spectra with the intensities that the entropy similarity compares: to the power of 0.25 + 0.25 S
    where the entropy S of the spectrum is below 3 nats, and of sum 1 again (Li et al. 2021, equation 4)."""
    rows, share = peaks.rows, peaks.intensity
    entropy = -np.bincount(rows, weights=share * np.log(share), minlength=len(peaks))
    power = np.where(entropy < ENTROPY_LIMIT, 0.25 + 0.25 * entropy, 1.0)
    weighted = share ** power[rows]
    sums = np.bincount(rows, weights=weighted, minlength=len(peaks))
    return Peaks(peaks.mz, weighted / sums[rows], peaks.offsets)


def entropy_similarity(query: Peaks, peaks: Peaks, settings: PeakSettings) -> npt.NDArray[np.float64]:
    """The spectral entropy similarity of one query to N spectra, both from `entropy_weighted`: 1 less the
    Jensen-Shannon divergence in bits (Li et al. 2021, equation 3).

    Returns:
        [N] from 0 to 1.
    """
    pairs = equal_peaks(query.mz, peaks, settings)
    a, b = query.intensity[pairs.query] / 2, peaks.intensity[pairs.other] / 2
    gain = information(a + b) - information(a) - information(b)
    return np.asarray(np.bincount(peaks.rows[pairs.other], weights=gain, minlength=len(peaks)), np.float64)


def information(share: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """x log2 x of each number x above 0, in bits; NaN of 0, which no share of a peak is."""
    return np.asarray(share * np.log2(share))


def cosine(
    query: Peaks, peaks: Peaks, settings: PeakSettings, weights: Weights = COSINE
) -> npt.NDArray[np.float64]:
    """The cosine of one cleaned query to N cleaned spectra, over equal peaks with these weights.

    Returns:
        [N] from 0 to 1; 0 for a spectrum without peaks.
    """
    pairs = equal_peaks(query.mz, peaks, settings)
    mine = weights.of(query.mz, query.intensity)
    others = weights.of(peaks.mz, peaks.intensity)
    products = mine[pairs.query] * others[pairs.other]
    return _scaled(products, pairs.other, mine, others, peaks)


def modified_cosine(
    query: Peaks, precursor_mz: float, peaks: Peaks, precursors: Floats, settings: PeakSettings
) -> npt.NDArray[np.float64]:
    """The modified cosine of one query to N spectra (Watrous et al. 2012, PNAS 109, E1743): peaks are equal as
    they are, or after a shift by the difference of the precursors. The largest product is paired first.

    Args:
        query: of one spectrum, with rising m/z, need not be cleaned.
        precursor_mz: of the query.
        peaks: of N spectra, with rising m/z, need not be cleaned.
        precursors: [N] m/z; without one (NaN), peaks count as they are.
        settings: for the tolerance.

    Returns:
        [N] from 0 to 1.
    """
    shift = np.nan_to_num(precursor_mz - np.asarray(precursors, np.float64))
    shift[np.abs(shift) <= settings.tolerance(np.full(1, precursor_mz))[0]] = 0.0
    direct = _all_equal(query.mz, peaks.mz, settings)
    moved = np.flatnonzero(shift[peaks.rows])
    shifted = _all_equal(query.mz, peaks.mz[moved] + shift[peaks.rows[moved]], settings)
    mine = np.concatenate([direct.query, shifted.query])
    other = np.concatenate([direct.other, moved[shifted.other]])
    products = query.intensity[mine] * peaks.intensity[other]
    chosen = largest_first(products, peaks.rows[other] * len(query.mz) + mine, other)
    return _scaled(products[chosen], other[chosen], query.intensity, peaks.intensity, peaks)


def _all_equal(query_mz: Floats, mz: Floats, settings: PeakSettings) -> Pairs:
    """All pairs of equal peaks, where a peak may be in several."""
    tolerance = settings.tolerance(mz)
    first = np.searchsorted(query_mz, mz - tolerance, side="left")
    count = np.searchsorted(query_mz, mz + tolerance, side="right") - first
    other = np.repeat(np.arange(len(mz)), count)
    starts = np.cumsum(count) - count
    return Pairs(np.repeat(first - starts, count) + np.arange(len(other)), other)


def largest_first(products: Floats, mine: Indices, other: Indices) -> Indices:
    """The pairs that remain when the largest product is paired first and no peak twice.

    A pair whose peaks are in no other pair remains. Of the rest, a pair that is the largest of both of its
    peaks is taken, and the pairs beside it fall; again, until none is left. That gives what one pass over the
    sorted products gives. `mine` and `other` [M] number the peaks.
    """
    contested = _repeated(mine) | _repeated(other)
    alone, chosen = np.flatnonzero(~contested), []
    order = np.flatnonzero(contested)
    order = order[np.argsort(products[order], kind="stable")[::-1]]
    _, mine = np.unique(mine[order], return_inverse=True)
    _, other = np.unique(other[order], return_inverse=True)
    left = np.arange(len(order))
    while len(left):
        _, first_of_mine = np.unique(mine[left], return_index=True)
        _, first_of_other = np.unique(other[left], return_index=True)
        taken = left[np.intersect1d(first_of_mine, first_of_other)]
        chosen.append(taken)
        left = left[~np.isin(mine[left], mine[taken]) & ~np.isin(other[left], other[taken])]
    return np.concatenate([alone, *(order[taken] for taken in chosen)])


def _repeated(numbers: Indices) -> npt.NDArray[np.bool_]:
    """Which of the numbers [M] occur more than once."""
    order = np.argsort(numbers, kind="stable")
    same = numbers[order[1:]] == numbers[order[:-1]]
    found = np.zeros(len(numbers), dtype=bool)
    found[order[1:][same]] = True
    found[order[:-1][same]] = True
    return found


def _scaled(
    products: Floats, places: Indices, mine: Floats, others: Floats, peaks: Peaks
) -> npt.NDArray[np.float64]:
    """The sums of products of each spectrum, divided by the lengths of both."""
    rows = peaks.rows
    sums = np.bincount(rows[places], weights=products, minlength=len(peaks))
    squares = np.bincount(rows, weights=np.square(others), minlength=len(peaks))
    length = np.sqrt(squares * np.square(mine).sum())
    return np.divide(sums, length, out=np.zeros(len(peaks)), where=length > 0)
