"""Decoys of the queries of a search, as records that are searched in the same way.

Axes: Q queries, D decoys.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from mmspec_ds.library.decoys import Pool
from mmspec_ds.library.peaks import Indices, Peaks, PeakSettings, peaks_of
from mmspec_ds.library.references import MassSpectrum, conditions_of, mass_spectra
from mmspec_ds.spectra.records import Record


class DecoyMaker:
    """Makes decoys out of the peaks of a library.

    Args:
        peaks: of its entries.
        of_kind: the rows of a kind of spectrum.
        settings: for the peaks of a kind.
    """

    def __init__(
        self, peaks: Peaks, of_kind: Callable[[str], Indices], settings: Callable[[str], PeakSettings]
    ) -> None:
        self._peaks, self._of_kind, self._settings = peaks, of_kind, settings

    def make(
        self, queries: Sequence[Record], count: int, generator: np.random.Generator
    ) -> tuple[Indices, list[Record]]:
        """About `count` decoys: of some of the queries, or the same number of each.

        Returns:
            The query of each decoy [D], and the decoys as records of one mass spectrum. A query without a mass
            spectrum has none.
        """
        usable = [place for place, record in enumerate(queries) if mass_spectra(record)]
        if not usable:
            return np.zeros(0, dtype=np.int64), []
        if len(usable) > count:
            places = np.sort(generator.choice(usable, count, replace=False))
        else:
            places = np.repeat(usable, -(-count // len(usable)))
        models = [mass_spectra(queries[place])[0] for place in places]
        records: list[Record | None] = [None] * len(places)
        for kind in dict.fromkeys(conditions_of(one).kind for one in models):
            chosen = [at for at, one in enumerate(models) if conditions_of(one).kind == kind]
            decoys = self._decoys([models[at] for at in chosen], kind, generator)
            for row, at in enumerate(chosen):
                mz, intensity = decoys.spectrum(row)
                spectrum = replace(models[at], mz=mz, intensity=intensity)
                records[at] = Record(f"decoy of {queries[places[at]].id}", (spectrum,))
        return np.asarray(places), [one for one in records if one is not None]

    def _decoys(self, models: Sequence[MassSpectrum], kind: str, generator: np.random.Generator) -> Peaks:
        settings = self._settings(kind)
        peaks = peaks_of((one.mz, one.intensity) for one in models).cleaned(settings)
        heaviest = np.array([max(peaks.spectrum(row)[0], default=1.0) for row in range(len(peaks))])
        precursors = np.array([conditions_of(one).precursor_mz for one in models])
        starts = np.where(np.isnan(precursors), heaviest, precursors)
        remaining = np.array(
            [_share_at(*peaks.spectrum(row), starts[row], settings) for row in range(len(peaks))]
        )
        rows = self._of_kind(kind)
        if not len(rows):
            return peaks
        pool = Pool(self._peaks.take(rows[:: max(1, len(rows) // Pool.SIZE)]), settings)
        return pool.decoys(starts, remaining, peaks.counts, generator)


def _share_at(mz: np.ndarray, intensity: np.ndarray, place: float, settings: PeakSettings) -> float:
    """The intensity at an m/z as a share of the largest peak, 0 where there is no peak."""
    near = np.abs(mz - place) <= settings.tolerance(np.full(1, place))
    return float(intensity[near].max() / intensity.max()) if near.any() else 0.0
