"""More parts of a score, for fusions that were fitted with them: what else the peaks of two spectra tell.

They cost time, so that a search computes those alone that one of its fusions uses. None of them knows the
precursor of the query. Two compare the peaks of the query with the precursor of an entry, which the library
knows: a fragment is no heavier than what it came from, and where some of that is left, it is the heaviest peak.

Axes: C candidates, P peaks of all of them together.
"""

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt

from mmspec_ds.library.peaks import Floats, Indices, Peaks, PeakSettings
from mmspec_ds.library.prepared import Parts, Prepared
from mmspec_ds.library.references import ELECTRON_IONISATION
from mmspec_ds.library.similarity import COSINE, NIST, STEIN_SCOTT, Pairs, Weights, cosine, equal_peaks

BELOW, PRECURSOR_PEAK = "below precursor", "precursor peak"
EQUAL, MANY_EQUAL = "share of equal peaks", "number of equal peaks"
EXPLAINED, FOUND = "explained intensity", "found intensity"
RATIOS, COMPOSITE = "ratios of neighbours", "composite score"

MORE_COSINES: Mapping[str, Weights] = {
    "I cosine": COSINE,
    "m^3 I^0.6 cosine": STEIN_SCOTT,
    "m^2 I^0.5 cosine": Weights(2.0, 0.5),
    "m^1.3 I^0.4 cosine": Weights(1.3, 0.4),
    "m^0.6 I^0.4 cosine": Weights(0.6, 0.4),
}

OF_TANDEM = (BELOW, PRECURSOR_PEAK)
OF_PAIRS = (EQUAL, MANY_EQUAL, EXPLAINED, FOUND, RATIOS, COMPOSITE)
OF_ELECTRON_IONISATION = (*MORE_COSINES, *OF_PAIRS)
EVIDENCE_PARTS = (*OF_TANDEM, *OF_ELECTRON_IONISATION)


def evidence_of(kind: str) -> tuple[str, ...]:
    """The names of the parts for a kind of mass spectrum, "ms" or "ei"."""
    return OF_ELECTRON_IONISATION if kind == ELECTRON_IONISATION else OF_TANDEM


def evidence_parts(
    query: Prepared, others: Prepared, precursors: Floats, settings: PeakSettings, wanted: Collection[str]
) -> Parts:
    """How one query (N is 1) and C spectra agree, apart from the similarities of `prepared.spectral_parts`.

    Args:
        query, others: cleaned and weighed.
        precursors: [C] m/z of the entries, NaN where unknown.
        settings: which peaks are equal.
        wanted: names of parts; those that are not of this module are passed over.

    Returns:
        By name, [C] each. Cosines with more weights. Of the equal peaks: their share among all peaks of both,
        the logarithm of one more than their number, their share of the query's intensity, and of the entry's;
        how much the ratios of neighbours are the same; the composite score of Stein and Scott 1994 (J Am Soc
        Mass Spectrom 5, 859), a mean of these ratios and the weighted cosine. `BELOW` is the share of the
        square roots of the query's intensities that is not above the entry's precursor. `PRECURSOR_PEAK` is 1
        where the query's heaviest peak is that precursor, else 0. Both are NaN where it is not known.
    """
    mine, theirs = query.cleaned, others.cleaned
    parts: Parts = {
        name: cosine(mine, theirs, settings, weights)
        for name, weights in MORE_COSINES.items()
        if name in wanted
    }
    if not set(OF_PAIRS).isdisjoint(wanted):
        pairs = equal_peaks(mine.mz, theirs, settings)
        products = query.weighted[pairs.query] * others.weighted[pairs.other]
        parts |= _of_pairs(mine, theirs, pairs, products)
    if not set(OF_TANDEM).isdisjoint(wanted):
        parts |= _plausible(mine, precursors, settings)
    return {name: part for name, part in parts.items() if name in wanted}


def _of_pairs(mine: Peaks, theirs: Peaks, pairs: Pairs, products: Floats) -> Parts:
    """What the pairs of equal peaks are of both spectra, [C] each; `products` are those of their weights."""
    count = len(theirs)
    order = np.argsort(pairs.other, kind="stable")  # by spectrum and m/z
    query, other = pairs.query[order], pairs.other[order]
    rows = theirs.rows[other]

    def summed(values: Floats, places: Indices = rows) -> npt.NDArray[np.float64]:
        return np.asarray(np.bincount(places, weights=values, minlength=count), np.float64)

    equal = summed(np.ones(len(rows)))
    cosines = summed(products[order])
    logarithms = NIST.intensity * np.log(mine.intensity[query] / theirs.intensity[other])
    neighbours = rows[1:] == rows[:-1]
    alike = np.exp(-np.abs(np.diff(logarithms)))[neighbours]
    ratios = summed(alike, rows[1:][neighbours]) / np.maximum(equal - 1, 1)
    return {
        EQUAL: equal / np.maximum(len(mine.mz) + theirs.counts - equal, 1),
        MANY_EQUAL: np.log1p(equal),
        EXPLAINED: summed(mine.intensity[query]),
        FOUND: summed(theirs.intensity[other]),
        RATIOS: ratios,
        COMPOSITE: (len(mine.mz) * cosines + equal * ratios) / np.maximum(len(mine.mz) + equal, 1),
    }


def _plausible(mine: Peaks, precursors: Floats, settings: PeakSettings) -> Parts:
    """Whether the peaks of a query could come from the precursors of entries, [C] each."""
    known = np.isfinite(precursors)
    others = np.where(known, precursors, 0.0)
    tolerance = settings.tolerance(others)
    roots = np.sqrt(mine.intensity)
    shares = np.concatenate([[0.0], np.cumsum(roots) / max(roots.sum(), 1e-300)])
    below = shares[np.searchsorted(mine.mz, others + tolerance, side="right")]
    heaviest = mine.mz[-1] if len(mine.mz) else np.nan
    is_precursor = np.abs(others - heaviest) <= tolerance
    return {BELOW: np.where(known, below, np.nan), PRECURSOR_PEAK: np.where(known, is_precursor, np.nan)}
