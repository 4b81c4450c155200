"""Which spectra of a library a query is compared with: those of its kind, by precursor and polarity.

Axes: R mass spectra of the library, C candidates.
"""

from functools import cached_property

import numpy as np

from mmspec_ds.library.peaks import Indices
from mmspec_ds.library.references import Conditions, References


class Candidates:
    """The mass spectra of a library that may answer a query."""

    def __init__(self, references: References) -> None:
        self.references = references

    def rows(self, query: Conditions, precursor_ppm: float | None, same_polarity: bool) -> Indices:
        """The rows [C] that are of the query's kind, rising.

        Args:
            query: of the spectrum.
            precursor_ppm: how far the precursors may be apart, in parts per million of the query's. None: any
                precursor, as for a query without one.
            same_polarity: whether entries of the other polarity are left out. Those of unknown polarity stay.
        """
        if precursor_ppm is None or np.isnan(query.precursor_mz):
            rows = self.of_kind(query.kind)
        else:
            rows = self._near(query.precursor_mz, precursor_ppm)
            rows = rows[self.references.kind[rows] == query.kind]
        if not same_polarity or not query.polarity:
            return rows
        return rows[self.references.polarity[rows] != -query.polarity]

    def of_kind(self, kind: str) -> Indices:
        """All rows of a kind of spectrum, "ms" or "ei", int64 [C], rising; none of a kind that is not there."""
        if kind not in self._by_kind:
            self._by_kind[kind] = np.flatnonzero(self.references.kind == kind)
        return self._by_kind[kind]

    @cached_property
    def _by_kind(self) -> dict[str, Indices]:
        return {}

    @cached_property
    def _order(self) -> Indices:
        known = np.flatnonzero(np.isfinite(self.references.precursor_mz))
        return known[np.argsort(self.references.precursor_mz[known], kind="stable")]

    @cached_property
    def _sorted_mz(self) -> Indices:
        return self.references.precursor_mz[self._order]

    def _near(self, mz: float, ppm: float) -> Indices:
        reach = mz * ppm * 1e-6 * (1 + 1e-9)
        first, last = np.searchsorted(self._sorted_mz, [mz - reach, np.nextafter(mz + reach, np.inf)])
        return np.sort(self._order[first:last])
