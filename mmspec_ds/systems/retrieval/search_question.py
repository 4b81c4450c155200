"""The queries and the library of an evaluation: which rows are right, and which are searched.

Axes: Q queries, q of them at once, N rows of the library.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from mmspec_ds.errors import DataError
from mmspec_ds.evaluation.search_ranks import BoolMatrix, FloatMatrix, IntArray
from mmspec_ds.library.entry import Entry
from mmspec_ds.molecules.fingerprints import ByteArray, morgan_fingerprints, tanimoto_similarities
from mmspec_ds.spectra.records import TandemMS

Setting = Literal["open", "precursor", "cross-source", "cross-source, precursor", "analogues"]

EXACT: tuple[Setting, ...] = ("open", "precursor", "cross-source", "cross-source, precursor")
"""The settings in which the query's own molecule is sought. open: among all rows. precursor: among the rows of
its polarity whose precursor is within `precursor_ppm`. cross-source: the rows of the query's institute, and
those of no stated institute, are taken away."""

ANALOGUE: Setting = "analogues"
"""Among all rows but those of the query's own molecule."""

_UNKNOWN = ""


@dataclass(frozen=True)
class SearchQuestion:
    """The queries of an evaluation, and the library that they are sought in.

    Attributes:
        queries: Q entries of known molecules.
        library: N entries of known molecules.
        precursor_ppm: half the width of the window around a query's precursor m/z.
        learned: so many of the queries, the last ones, are there for a fusion to learn from and not judged.

    Raises:
        DataError: no query that is judged, or no row of the library.
    """

    queries: tuple[Entry, ...]
    library: tuple[Entry, ...]
    precursor_ppm: float = 10.0
    learned: int = 0

    def __post_init__(self) -> None:
        judged = self.queries[: self.judged]
        for what, entries in (("queries", judged), ("rows of the library", self.library)):
            if not entries:
                raise DataError(f"no {what}: no record with a structure has what was asked for")

    def candidates(self, setting: Setting, chosen: IntArray) -> BoolMatrix:
        """Which rows are searched for the queries at the places `chosen` [q]: [q, N].

        A row that is the query itself, the same entry, is never searched.
        """
        searched = self._ids[0][chosen, None] != self._ids[1]
        if setting == ANALOGUE:
            return searched & ~self.right(chosen)
        if "cross-source" in setting:
            own, other = self._institutes[0][chosen, None], self._institutes[1]
            searched &= (own != other) & (own >= 0) & (other >= 0)
        if "precursor" in setting:
            mz, others = self._precursors[0][chosen, None], self._precursors[1]
            same = self._polarities[0][chosen, None] == self._polarities[1]
            searched &= same & (np.abs(others - mz) <= self.precursor_ppm * 1e-6 * mz)
        return searched

    def right(self, chosen: IntArray) -> BoolMatrix:
        """Which rows have the query's molecule, by the first block of the InChIKey: [q, N]."""
        found: BoolMatrix = self._molecules[0][chosen, None] == self._molecules[1]
        return found

    def tanimoto(self, chosen: IntArray) -> FloatMatrix:
        """The Tanimoto similarity, 0 to 1, of each query to each row, by fingerprints: [q, N]."""
        queries, rows = self._molecules
        similar = tanimoto_similarities(self._fingerprints[queries[chosen]], self._fingerprints)
        return similar[:, rows]

    @property
    def judged(self) -> int:
        """How many of the queries are judged, the first ones."""
        return len(self.queries) - self.learned

    @property
    def groups(self) -> IntArray:
        """The molecule of each query as a number, [Q]."""
        return self._molecules[0]

    @property
    def has_precursors(self) -> bool:
        """Whether any query has the m/z of a precursor, so that the settings with one can be asked."""
        return bool(np.isfinite(self._precursors[0]).any())

    @property
    def has_institutes(self) -> bool:
        """Whether any query tells its institute."""
        return bool((self._institutes[0] >= 0).any())

    @property
    def settings(self) -> tuple[Setting, ...]:
        """The settings of `EXACT` that these entries can answer."""
        return tuple(
            one
            for one in EXACT
            if ("precursor" not in one or self.has_precursors)
            and ("cross-source" not in one or self.has_institutes)
        )

    @cached_property
    def _molecules(self) -> tuple[IntArray, IntArray]:
        return _numbered(self.queries, self.library, lambda one: one.block)

    @cached_property
    def _institutes(self) -> tuple[IntArray, IntArray]:
        return _numbered(self.queries, self.library, lambda one: str(one.metadata.get("institute", "")))

    @cached_property
    def _ids(self) -> tuple[IntArray, IntArray]:
        return _numbered(self.queries, self.library, id)

    @cached_property
    def _polarities(self) -> tuple[IntArray, IntArray]:
        return _numbered(self.queries, self.library, _polarity)

    @cached_property
    def _precursors(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        return precursors_of(self.queries), precursors_of(self.library)

    @cached_property
    def _fingerprints(self) -> ByteArray:
        """The packed fingerprint of each molecule, by its number."""
        smiles: dict[int, str] = {}
        for entries, numbers in zip((self.queries, self.library), self._molecules):
            for one, number in zip(entries, numbers.tolist()):
                smiles.setdefault(number, one.record.smiles or "")
        return morgan_fingerprints([smiles[number] for number in range(len(smiles))])


def _polarity(entry: Entry) -> str:
    spectrum = _tandem(entry)
    return _UNKNOWN if spectrum is None else spectrum.polarity


def precursors_of(entries: Sequence[Entry]) -> npt.NDArray[np.float64]:
    """The m/z of the precursor of each entry's first MS/MS spectrum, float64 [N], NaN where none is stated."""
    spectra = (_tandem(one) for one in entries)
    stated = (None if spectrum is None else spectrum.precursor_mz for spectrum in spectra)
    return np.array([np.nan if mz is None else mz for mz in stated], dtype=np.float64)


def _tandem(entry: Entry) -> TandemMS | None:
    return next((one for one in entry.record.spectra if isinstance(one, TandemMS)), None)


def _numbered(
    first: Iterable[Entry], second: Iterable[Entry], key: Callable[[Entry], Hashable]
) -> tuple[IntArray, IntArray]:
    """Equal keys as equal numbers from 0, in both; -1 where there is none."""
    numbers: dict[Hashable, int] = {}
    found = []
    for entries in (first, second):
        keys = [key(one) for one in entries]
        found.append(
            np.array([-1 if one == _UNKNOWN else numbers.setdefault(one, len(numbers)) for one in keys])
        )
    return found[0], found[1]
