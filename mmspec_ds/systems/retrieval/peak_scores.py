"""Classical scores of mass spectra, each query against the whole library: cosines, spectral entropy, modified
cosine.

All are exact. The peaks of the library are sorted by m/z once; the equal peaks of a query are then found by
bisection, and every score that adds up pairs of equal peaks is one weighted count. Compared with
`library.similarity`, which scores one query at a time, in the tests.

Axes: q queries, N rows of the library, P peaks of all of them together, M pairs of equal peaks.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mmspec_ds.evaluation.search_ranks import FloatMatrix, IntArray
from mmspec_ds.library.entry import Entry
from mmspec_ds.library.peaks import Peaks, PeakSettings, peaks_of
from mmspec_ds.library.similarity import (
    COSINE,
    NIST,
    SQUARE_ROOT,
    STEIN_SCOTT,
    Weights,
    entropy_weighted,
    information,
    modified_cosine,
)
from mmspec_ds.spectra.records import ElectronIonisationMS, TandemMS
from mmspec_ds.systems.retrieval.search_question import SearchQuestion, precursors_of

ENTROPY = "spectral entropy"
MODIFIED = "modified cosine"

COSINES: Mapping[str, Weights] = {
    "cosine": COSINE,
    "square root cosine": SQUARE_ROOT,
    "m^3 I^0.6 cosine": STEIN_SCOTT,
    "m^1.3 I^0.53 cosine": NIST,
}
"""The cosines of an evaluation, by name; the last has the weights of NIST."""


@dataclass(frozen=True)
class SortedPeaks:
    """The peaks of a library in the order of their m/z.

    Attributes:
        mz: [P], rising.
        row: [P], the spectrum of each.
        weights: by method the weight of each peak, [P]; of cosines, spectra have length 1.
        size: N, the number of spectra.
    """

    mz: npt.NDArray[np.float64]
    row: IntArray
    weights: Mapping[str, npt.NDArray[np.float64]]
    size: int


class PeakScores:
    """Cosines and the spectral entropy similarity, from one search for equal peaks.

    Args:
        question: the queries and the library; the first mass spectrum of each record counts.
        settings: how spectra are cleaned, and which peaks are equal.
    """

    name = "cosines and entropy"

    def __init__(self, question: SearchQuestion, settings: PeakSettings) -> None:
        self._settings = settings
        self._queries = mass_peaks(question.queries).cleaned(settings)
        self._weights = _weights(self._queries)
        library = mass_peaks(question.library).cleaned(settings)
        order = np.argsort(library.mz, kind="stable")
        weights = {method: one[order] for method, one in _weights(library).items()}
        self._library = SortedPeaks(library.mz[order], library.rows[order], weights, len(library))

    def of(self, chosen: IntArray) -> Mapping[str, FloatMatrix]:
        """By method the scores, [q, N], between 0 and 1."""
        found = {
            method: np.zeros((len(chosen), self._library.size), dtype=np.float32) for method in self._weights
        }
        for at, query in enumerate(chosen.tolist()):
            mine, other = self._equal(query)
            rows = self._library.row[other]
            for method, matrix in found.items():
                a, b = self._weights[method][mine], self._library.weights[method][other]
                gain = _entropy_gain(a, b) if method == ENTROPY else a * b
                matrix[at] = np.bincount(rows, weights=gain, minlength=self._library.size)
        return found

    def _equal(self, query: int) -> tuple[IntArray, IntArray]:
        """The pairs of equal peaks: places among the peaks of all queries, and among those of the library."""
        first = int(self._queries.offsets[query])
        mz, _ = self._queries.spectrum(query)
        tolerance = self._settings.tolerance(mz) * (1 + 1e-12)
        low = np.searchsorted(self._library.mz, mz - tolerance, side="left")
        count = np.searchsorted(self._library.mz, mz + tolerance, side="right") - low
        starts = np.cumsum(count) - count
        other = np.repeat(low - starts, count) + np.arange(count.sum())
        return np.repeat(np.arange(first, first + len(mz)), count), other


class ModifiedCosineScores:
    """The modified cosine, which knows the precursors: peaks shifted by their difference are equal as well.

    Args:
        question: the queries and the library, with precursors.
        settings: how spectra are cleaned, and which peaks are equal.
    """

    name = MODIFIED

    def __init__(self, question: SearchQuestion, settings: PeakSettings) -> None:
        self._settings = settings
        self._queries = mass_peaks(question.queries).cleaned(settings)
        self._library = mass_peaks(question.library).cleaned(settings)
        self._precursors = precursors_of(question.queries), precursors_of(question.library)

    def of(self, chosen: IntArray) -> Mapping[str, FloatMatrix]:
        """By method the scores, [q, N], between 0 and 1."""
        own, other = self._precursors
        rows = [
            modified_cosine(self._queries.take(np.array([at])), own[at], self._library, other, self._settings)
            for at in chosen.tolist()
        ]
        return {self.name: np.array(rows, dtype=np.float32)}


def mass_peaks(entries: Iterable[Entry]) -> Peaks:
    """The peaks of the first mass spectrum of each entry; none where it has no mass spectrum."""
    nothing = np.zeros(0)
    return peaks_of(
        next(
            (
                (one.mz, one.intensity)
                for one in entry.record.spectra
                if isinstance(one, TandemMS | ElectronIonisationMS)
            ),
            (nothing, nothing),
        )
        for entry in entries
    )


def _weights(peaks: Peaks) -> dict[str, npt.NDArray[np.float64]]:
    """By method the weight of each cleaned peak; those of a cosine have length 1 in each spectrum."""
    rows, found = peaks.rows, {}
    for method, weights in COSINES.items():
        raw = weights.of(peaks.mz, peaks.intensity)
        squares = np.bincount(rows, weights=np.square(raw), minlength=len(peaks))
        found[method] = raw / np.sqrt(squares)[rows]
    return {**found, ENTROPY: entropy_weighted(peaks).intensity / 2}


def _entropy_gain(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """What each pair of equal peaks adds to the similarity (Li et al. 2021, equation 3)."""
    gain: npt.NDArray[np.float64] = information(a + b) - information(a) - information(b)
    return gain
