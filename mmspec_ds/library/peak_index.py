"""All peaks of a library in the order of their m/z: the entropy similarity of a query to every spectrum at
once.

The idea is that of Li and Fiehn 2023 (Nature Methods 20, 1475): the similarity is a sum over equal peaks, so
that only the peaks of the library near a peak of the query are touched. The flash search of `ms_entropy` 1.5.3
does the same, but takes 7 to 10 s to index 38,812 spectra where this takes 0.3 s, and 1.5 to 2.2 ms a query
where this takes 0.7 to 1.4 (one busy core, the same spectra); it knows no tolerance in ppm, and keeps m/z in
float32, by which peaks at the very edge of the tolerance are taken for equal.

Axes: N spectra of the library, P peaks of all of them together.
"""

import numpy as np
import numpy.typing as npt

from mmspec_ds.library.peaks import Floats, Peaks, PeakSettings
from mmspec_ds.library.similarity import information


class PeakIndex:
    """An index of the peaks of N spectra that were weighted by `similarity.entropy_weighted`."""

    def __init__(self, weighted: Peaks, settings: PeakSettings) -> None:
        order = np.argsort(weighted.mz, kind="stable")
        self.settings = settings
        self._spectra = len(weighted)
        self._mz: Floats = weighted.mz[order]
        self._row = weighted.rows[order].astype(np.int32)
        share = weighted.intensity[order] / 2
        self._share = share.astype(np.float32)
        self._information = information(share).astype(np.float32)

    def entropy_similarity(self, query_mz: Floats, query_share: Floats) -> npt.NDArray[np.float64]:
        """The entropy similarity of one spectrum to all of the library.

        Args:
            query_mz, query_share: [Q] of the query, weighted as the library is.

        Returns:
            [N] from 0 to 1, to about 1e-6.
        """
        tolerance = self.settings.tolerance(query_mz) * (1 + 1e-12)
        first = np.searchsorted(self._mz, query_mz - tolerance, side="left")
        last = np.searchsorted(self._mz, query_mz + tolerance, side="right")
        parts = [slice(a, b) for a, b in zip(first.tolist(), last.tolist()) if b > a]
        if not parts:
            return np.zeros(self._spectra)
        mine = np.repeat((query_share / 2).astype(np.float32), last - first)
        both = mine + np.concatenate([self._share[part] for part in parts])
        gain = both * np.log2(both)
        gain -= np.concatenate([self._information[part] for part in parts])
        gain -= np.repeat(information(query_share / 2).astype(np.float32), last - first)
        rows = np.concatenate([self._row[part] for part in parts])
        return np.asarray(np.bincount(rows, weights=gain, minlength=self._spectra), np.float64)
