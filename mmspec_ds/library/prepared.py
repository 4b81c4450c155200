"""Mass spectra made ready to be compared, and the parts of the score of one query with many of them.

Axes: N spectra, P peaks of all of them together, C candidates.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mmspec_ds.library.peaks import Floats, Indices, Peaks, PeakSettings
from mmspec_ds.library.references import UNKNOWN, Conditions, References
from mmspec_ds.library.similarity import (
    NIST,
    SQUARE_ROOT,
    Weights,
    entropy_weighted,
    equal_peaks,
    information,
)

ENTROPY, SQUARE_ROOT_COSINE, WEIGHTED_COSINE = "entropy", "cosine", "weighted cosine"
PRECURSOR, POLARITY = "precursor agreement", "polarity agreement"
ADDUCT, ENERGY = "adduct agreement", "energy agreement"
SPECTRAL_PARTS = (ENTROPY, SQUARE_ROOT_COSINE, WEIGHTED_COSINE)
CONDITION_PARTS = (PRECURSOR, POLARITY, ADDUCT, ENERGY)

Parts = dict[str, npt.NDArray[np.float64]]
"""Of C candidates, by name, [C] each; NaN where a part is not known."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """N mass spectra that are cleaned, with the weights of their peaks in each similarity.

    Attributes:
        share: entropy weights, of sum 1 within a spectrum.
        root, weighted: weights of the square-root cosine and of the one by m/z, their squares of sum 1.
        intensity: of the cleaned peaks, of sum 1 within a spectrum.
    """

    share: Peaks
    root: npt.NDArray[np.float64]
    weighted: npt.NDArray[np.float64]
    intensity: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.share)

    @property
    def cleaned(self) -> Peaks:
        """The spectra with their intensities."""
        return Peaks(self.share.mz, self.intensity, self.share.offsets)

    def take(self, rows: Indices) -> "Prepared":
        """The spectra of these rows, in this order."""
        share, places = self.share.take(rows), self.share.places(rows)
        return Prepared(share, self.root[places], self.weighted[places], self.intensity[places])


def prepare(peaks: Peaks, settings: PeakSettings) -> Prepared:
    """Clean spectra and weigh their peaks."""
    cleaned = peaks.cleaned(settings)
    return Prepared(
        entropy_weighted(cleaned),
        _unit_weights(cleaned, SQUARE_ROOT),
        _unit_weights(cleaned, NIST),
        np.asarray(cleaned.intensity, np.float64),
    )


def _unit_weights(cleaned: Peaks, weights: Weights) -> npt.NDArray[np.float64]:
    weight = weights.of(cleaned.mz, cleaned.intensity)
    squares = np.bincount(cleaned.rows, weights=np.square(weight), minlength=len(cleaned))
    return np.asarray(weight / np.sqrt(squares)[cleaned.rows])


def spectral_parts(query: Prepared, others: Prepared, settings: PeakSettings) -> Parts:
    """The similarities of one query (N is 1) to C spectra: spectral entropy, square-root cosine, and the cosine
    with the weights of NIST; see `similarity`."""
    pairs = equal_peaks(query.share.mz, others.share, settings)
    rows, count = others.share.rows[pairs.other], len(others)
    a, b = query.share.intensity[pairs.query] / 2, others.share.intensity[pairs.other] / 2
    gain = information(a + b) - information(a) - information(b)
    root = query.root[pairs.query] * others.root[pairs.other]
    weighted = query.weighted[pairs.query] * others.weighted[pairs.other]
    terms = {ENTROPY: gain, SQUARE_ROOT_COSINE: root, WEIGHTED_COSINE: weighted}
    return {
        name: np.asarray(np.bincount(rows, weights=term, minlength=count), np.float64)
        for name, term in terms.items()
    }


def condition_parts(query: Conditions, references: References, rows: Indices, ppm: float | None) -> Parts:
    """How well the conditions of C entries agree with those of a query.

    Args:
        query: of its spectrum.
        references: of the library.
        rows: [C] of the entries.
        ppm: the window in which precursors were asked for; without one they are no part.

    Returns:
        Of the precursor 1 less the difference as a share of the window; of polarity and adduct 1 or 0; of the
        energy the logarithm of the ratio, not above 0. NaN where one side is not known.
    """
    polarity = references.polarity[rows].astype(np.float64)
    adduct = references.adduct[rows]
    names = list(references.adducts)
    mine = names.index(query.adduct) if query.adduct in names else len(names)
    parts = {
        POLARITY: np.where(polarity * query.polarity == 0, np.nan, polarity == query.polarity),
        ADDUCT: np.where((adduct == UNKNOWN) | (not query.adduct), np.nan, adduct == mine),
        ENERGY: -np.abs(np.log(references.energy_ev[rows] / query.energy_ev)),
    }
    if ppm is not None:
        parts[PRECURSOR] = precursor_agreement(query.precursor_mz, references.precursor_mz[rows], ppm)
    return parts


def precursor_agreement(mz: float, others: Floats, ppm: float) -> npt.NDArray[np.float64]:
    """How near each of the precursors `others` [C] is to `mz`, [C]: 1 where they are the same, 0 where they
    differ by `ppm` of `mz` or more, evenly between, NaN where one is not known."""
    return np.asarray(1 - np.minimum(np.abs(others - mz) / (mz * ppm * 1e-6), 1.0))
