"""Classical scores of mass spectra, each query against the whole library: cosines, spectral entropy, modified
cosine.

All are exact. The peaks of the library are sorted by m/z once; the equal peaks of a query are then found by
bisection, and every score that adds up pairs of equal peaks is one weighted count. Compared with
`library.similarity`, which scores one query at a time, in the tests.

Axes: q queries, N rows of the library, P peaks of all of them together, M pairs of equal peaks.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from mmspec_ds.evaluation.search_ranks import FloatMatrix, IntArray
from mmspec_ds.library.entry import Entry
from mmspec_ds.library.peaks import Peaks, PeakSettings, peaks_of
from mmspec_ds.library.references import ELECTRON_IONISATION, TANDEM, mass_spectra
from mmspec_ds.library.search import SearchSettings
from mmspec_ds.library.similarity import (
    COSINE,
    NIST,
    SQUARE_ROOT,
    STEIN_SCOTT,
    Weights,
    entropy_weighted,
    information,
    largest_first,
)
from mmspec_ds.spectra.records import Modality
from mmspec_ds.systems.retrieval.search_question import SearchQuestion, precursors_of

FloatArray = npt.NDArray[np.float64]

ENTROPY = "spectral entropy"
MODIFIED = "modified cosine"
ROOT = "square root cosine"
WEIGHTED = "m^1.3 I^0.53 cosine"

COSINES: Mapping[str, Weights] = {
    "cosine": COSINE,
    ROOT: SQUARE_ROOT,
    "m^3 I^0.6 cosine": STEIN_SCOTT,
    WEIGHTED: NIST,
}
"""The cosines of an evaluation, by name; the last has the weights of NIST."""


def peak_settings(kind: Modality) -> PeakSettings:
    """How the spectra of a kind are cleaned and compared, MS/MS or EI: as `mmspec search` does it."""
    return SearchSettings().peaks(ELECTRON_IONISATION if kind is Modality.EI else TANDEM)


class SortedValues:
    """Numbers of the peaks of a library, such as their m/z, in rising order; [P].

    Numbers that are not known (NaN) are never near anything.
    """

    def __init__(self, values: FloatArray) -> None:
        order = np.argsort(values, kind="stable")
        self._order = order[: len(values) - int(np.isnan(values).sum())]
        self._values = values[self._order]

    def near(self, wanted: FloatArray, tolerance: FloatArray) -> tuple[IntArray, IntArray]:
        """All pairs of a wanted number and one of the library within its tolerance, both [Q]: the places of the
        wanted numbers, and those of the peaks, [M] each."""
        reach = tolerance * (1 + 1e-12)
        low = np.searchsorted(self._values, wanted - reach, side="left")
        count = np.searchsorted(self._values, wanted + reach, side="right") - low
        starts = np.cumsum(count) - count
        found = self._order[np.repeat(low - starts, count) + np.arange(count.sum())]
        return np.repeat(np.arange(len(wanted)), count), found


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
        library = mass_peaks(question.library).cleaned(settings)
        self._mine, self._others = _weights(self._queries), _weights(library)
        self._mz, self._rows, self._size = SortedValues(library.mz), library.rows, len(library)

    def of(self, chosen: IntArray) -> Mapping[str, FloatMatrix]:
        """By method the scores, [q, N], between 0 and 1."""
        found = {method: np.zeros((len(chosen), self._size), dtype=np.float32) for method in self._mine}
        for at, query in enumerate(chosen.tolist()):
            mz, _ = self._queries.spectrum(query)
            mine, other = self._mz.near(mz, self._settings.tolerance(mz))
            mine += self._queries.offsets[query]
            rows = self._rows[other]
            for method, matrix in found.items():
                a, b = self._mine[method][mine], self._others[method][other]
                gain = _entropy_gain(a, b) if method == ENTROPY else a * b
                matrix[at] = np.bincount(rows, weights=gain, minlength=self._size)
        return found


class ModifiedCosineScores:
    """The modified cosine, which knows the precursors: peaks shifted by their difference are equal as well.

    Args:
        question: the queries and the library; a row without a precursor has no shifted peaks.
        settings: how spectra are cleaned, and which peaks are equal.
    """

    name = MODIFIED

    def __init__(self, question: SearchQuestion, settings: PeakSettings) -> None:
        self._settings = settings
        self._queries = mass_peaks(question.queries).cleaned(settings)
        library = mass_peaks(question.library).cleaned(settings)
        self._mine, self._other = (_cosine_weights(one, COSINE) for one in (self._queries, library))
        self._own, self._precursors = precursors_of(question.queries), precursors_of(question.library)
        self._rows, self._size = library.rows, len(library)
        self._mz, self._loss = SortedValues(library.mz), SortedValues(library.mz - self._precursors[self._rows])

    def of(self, chosen: IntArray) -> Mapping[str, FloatMatrix]:
        """By method the scores, [q, N], between 0 and 1."""
        return {self.name: np.array([self._row(query) for query in chosen.tolist()], dtype=np.float32)}

    def _row(self, query: int) -> FloatArray:
        """The scores of one query, [N]."""
        mz, _ = self._queries.spectrum(query)
        tolerance = self._settings.tolerance(mz)
        mine, other = self._mz.near(mz, tolerance)
        shifted, others = self._loss.near(mz - self._own[query], tolerance)
        shift = np.abs(self._own[query] - self._precursors[self._rows[others]])
        moved = shift > self._settings.tolerance(np.full(1, self._own[query]))[0]
        mine, other = np.concatenate([mine, shifted[moved]]), np.concatenate([other, others[moved]])
        products = self._mine[self._queries.offsets[query] + mine] * self._other[other]
        rows = self._rows[other]
        kept = largest_first(products, rows * len(mz) + mine, other)
        return np.asarray(np.bincount(rows[kept], weights=products[kept], minlength=self._size), np.float64)


def mass_peaks(entries: Iterable[Entry]) -> Peaks:
    """The peaks of the first mass spectrum of each entry; none where it has no mass spectrum."""
    nothing = np.zeros(0)
    first = (next(iter(mass_spectra(entry.record)), None) for entry in entries)
    return peaks_of((nothing, nothing) if one is None else (one.mz, one.intensity) for one in first)


def _cosine_weights(peaks: Peaks, weights: Weights) -> FloatArray:
    """The weight of each cleaned peak, [P], their squares of sum 1 in each spectrum."""
    raw = weights.of(peaks.mz, peaks.intensity)
    rows = peaks.rows
    squares = np.bincount(rows, weights=np.square(raw), minlength=len(peaks))
    return np.asarray(raw / np.sqrt(squares)[rows])


def _weights(peaks: Peaks) -> dict[str, FloatArray]:
    """By method the weight of each cleaned peak; in the entropy, half of it."""
    cosines = {method: _cosine_weights(peaks, weights) for method, weights in COSINES.items()}
    return {**cosines, ENTROPY: entropy_weighted(peaks).intensity / 2}


def _entropy_gain(a: FloatArray, b: FloatArray) -> FloatArray:
    """What each pair of equal peaks adds to the similarity (Li et al. 2021, equation 3)."""
    return information(a + b) - information(a) - information(b)
