"""Peaks of the library and of the queries, prepared once for all that a batch of queries is compared with.

Axes: Q queries, C candidates.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mmspec_ds.library.evidence import evidence_of, evidence_parts
from mmspec_ds.library.peak_index import PeakIndex
from mmspec_ds.library.peaks import Indices, PeakSettings, peaks_of
from mmspec_ds.library.prepared import Parts, Prepared, prepare, spectral_parts
from mmspec_ds.library.references import (
    Conditions,
    References,
    conditions_of,
    conditions_of_row,
    mass_spectra,
)
from mmspec_ds.spectra.records import Record

PeakSettingsOf = Callable[[str], PeakSettings]
"""The settings for a kind of mass spectrum."""

_FAR = 0.2
"""Entries of less similarity than this share of the largest are mostly not needed, and need not be sorted."""
MANY = 0.25
"""If a batch needs more than this share of a kind of spectra, all of them are prepared, once."""


@dataclass(frozen=True, slots=True)
class PreparedQuery:
    """One mass spectrum of a query, and how it was measured."""

    conditions: Conditions
    prepared: Prepared


def prepare_queries(queries: Sequence[Record], settings: PeakSettingsOf) -> list[list[PreparedQuery]]:
    """The mass spectra of each record in its order, [Q] lists; a record of NMR or IR alone has none."""
    known = [(place, one) for place, record in enumerate(queries) for one in mass_spectra(record)]
    conditions = [conditions_of(spectrum) for _, spectrum in known]
    ready: dict[int, PreparedQuery] = {}
    for kind in dict.fromkeys(one.kind for one in conditions):
        chosen = [at for at, one in enumerate(conditions) if one.kind == kind]
        peaks = peaks_of((known[at][1].mz, known[at][1].intensity) for at in chosen)
        prepared = prepare(peaks, settings(kind))
        for row, at in enumerate(chosen):
            ready[at] = PreparedQuery(conditions[at], prepared.take(np.array([row])))
    found: list[list[PreparedQuery]] = [[] for _ in queries]
    for at, (place, _) in enumerate(known):
        found[place].append(ready[at])
    return found


def prepare_rows(
    references: References, sets: Sequence[Indices], settings: PeakSettingsOf
) -> list[list[PreparedQuery]]:
    """Spectra of a library as if they were queries: the mass spectra of each of D sets of rows."""
    rows = np.concatenate([np.zeros(0, np.int64), *sets])
    place = np.repeat(np.arange(len(sets)), [len(one) for one in sets])
    found: list[list[PreparedQuery]] = [[] for _ in sets]
    for kind in np.unique(references.kind[rows]).tolist():
        chosen = np.flatnonzero(references.kind[rows] == kind)
        prepared = prepare(references.peaks.take(rows[chosen]), settings(kind))
        for at, number in enumerate(chosen):
            conditions = conditions_of_row(references, int(rows[number]))
            found[place[number]].append(PreparedQuery(conditions, prepared.take(np.array([at]))))
    return found


@dataclass(frozen=True)
class _Group:
    """Entries of one kind that are prepared: the place of each row among them, -1 of others, and their spectra;
    `whole` if they are all of the kind."""

    place: Indices
    spectra: Prepared
    settings: PeakSettings
    whole: bool

    @cached_property
    def index(self) -> PeakIndex:
        return PeakIndex(self.spectra.share, self.settings)


class ReferencePeaks:
    """The mass spectra of a library, prepared when they are needed."""

    def __init__(self, references: References, settings: PeakSettingsOf) -> None:
        self.references, self.settings = references, settings
        self._groups: dict[str, _Group] = {}

    def prepare(self, needed: Sequence[tuple[PreparedQuery, Indices]]) -> None:
        """Prepare the rows with which these queries are compared. Those of an earlier batch are given up,
        unless all of a kind were prepared."""
        for kind in dict.fromkeys(query.conditions.kind for query, _ in needed):
            group = self._groups.get(kind)
            if group is not None and group.whole:
                continue
            wanted = np.zeros(len(self.references), dtype=bool)
            for query, rows in needed:
                if query.conditions.kind == kind:
                    wanted[rows] = True
            all_rows = np.flatnonzero(self.references.kind == kind)
            rows = np.flatnonzero(wanted)
            whole = len(rows) > MANY * len(all_rows)
            rows = all_rows if whole else rows
            place = np.full(len(self.references), -1)
            place[rows] = np.arange(len(rows))
            settings = self.settings(kind)
            spectra = prepare(self.references.peaks.take(rows), settings)
            self._groups[kind] = _Group(place, spectra, settings, whole)

    def parts(self, query: PreparedQuery, rows: Indices, evidence: Collection[str] = ()) -> Parts:
        """The spectral parts of the score of a query with these rows [C] of its kind, which were prepared, and
        those of `evidence` that are of this kind."""
        group = self._groups[query.conditions.kind]
        others = group.spectra.take(group.place[rows])
        parts = spectral_parts(query.prepared, others, group.settings)
        wanted = set(evidence) & set(evidence_of(query.conditions.kind))
        if wanted:
            precursors = self.references.precursor_mz[rows]
            parts |= evidence_parts(query.prepared, others, precursors, group.settings, wanted)
        return parts

    def nearest(self, query: PreparedQuery, rows: Indices, count: int) -> Indices:
        """Those `count` of the rows [C] that have the largest entropy similarity to the query, in any order; by
        an index of all that were prepared."""
        group = self._groups[query.conditions.kind]
        share = query.prepared.share
        similar = group.index.entropy_similarity(share.mz, share.intensity)[group.place[rows]]
        worth = np.flatnonzero(similar > _FAR * similar.max())
        if len(worth) < count:
            worth = np.arange(len(rows))
        return rows[worth[np.argpartition(-similar[worth], count - 1)[:count]]]
