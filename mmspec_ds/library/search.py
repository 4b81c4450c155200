"""Search a library: candidates, first stage, the parts of the score, one fused score, false discovery rate.

    Searcher.search -> _rank (each query) -> Candidates.rows      which spectra may answer
                                          -> _first_stage         the best few hundred by peaks and by vectors
                                          -> _judged              the parts of each of those, and one score
                    -> decoys, ranked in the same way -> q_values

Each mass spectrum of a query is compared with each of an entry, and the pair of the best score counts. A model
gives a record one vector, of all its spectra together, as it read the records that it learned from.

Axes: Q queries, C candidates.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import numpy.typing as npt
from pydantic import Field

from mmspec_ds.library.candidates import Candidates
from mmspec_ds.library.decoys import draw_decoys, q_values, with_companions
from mmspec_ds.library.entry import Embedder, FloatMatrix
from mmspec_ds.library.evidence import EVIDENCE_PARTS, evidence_of
from mmspec_ds.library.fusion import NOT_FITTED, Fusion, choose_fusion, shipped_fusions
from mmspec_ds.library.peaks import Indices, PeakSettings
from mmspec_ds.library.prepared import (
    ADDUCT,
    ENERGY,
    POLARITY,
    PRECURSOR,
    SPECTRAL_PARTS,
    Parts,
    condition_parts,
)
from mmspec_ds.library.ranking import Hit, Ranking, best_pairs
from mmspec_ds.library.reference_peaks import PreparedQuery, ReferencePeaks, prepare_queries, prepare_rows
from mmspec_ds.library.references import Conditions, References, conditions_of, mass_spectra
from mmspec_ds.settings import Settings
from mmspec_ds.spectra.records import Record

NO_MOLECULE = -1
AT_ONCE = 500
"""Queries that are compared together: the candidates of all of them are kept in memory."""


class SearchSettings(Settings):
    """What a search compares, and how.

    Attributes:
        precursor_ppm: entries whose precursor is further from the query's are left out; None compares with all,
            and then the precursor is no part of the score.
        polarity: entries of the other polarity are left out.
        keep: entries that are judged by all parts of the score, of those that the first stage prefers.
        decoys: entries of each kind of spectrum that are searched as decoys, for the false discovery rate; 0
            for none.
        seed: of their choice.
        ms, ei: how the two kinds of mass spectra are cleaned and compared. Weak peaks of EI count: without
            those below 1 %, the cosine with the weights of NIST found 73 instead of 76 of 100 molecules.
    """

    precursor_ppm: float | None = Field(default=10.0, gt=0, le=1e5)
    polarity: bool = False
    keep: int = Field(default=300, ge=1)
    decoys: int = Field(default=500, ge=0)
    seed: int = 0
    ms: PeakSettings = PeakSettings(tolerance_da=0.01, noise=0.0)
    ei: PeakSettings = PeakSettings(whole_numbers=True, noise=0.0)

    def peaks(self, kind: str) -> PeakSettings:
        """The settings for the peaks of a kind of mass spectrum."""
        return self.ei if kind == "ei" else self.ms


class Vectors(Protocol):
    """The vectors of a library, as `store.Library` has them."""

    def vectors(self, name: str) -> FloatMatrix:
        """The vectors of a model, float32 [N, width]; zeros for an entry that it cannot read."""

    def search_vectors(self, name: str, queries: FloatMatrix, k: int) -> tuple[FloatMatrix, Indices]:
        """Scores float32 and entries int64, [Q, k] each, of the nearest, best first; -1 where there is none."""


class Searcher:
    """A search of one library: candidates by vectors and peaks, ranked by a fused score.

    Args:
        references: its entries.
        settings: what is compared.
        vectors: of the library, where there are any.
        embedders: the models of these vectors, which embed the queries.
        fusions: to choose from, see `choose_fusion`; those that come with the package if None.
    """

    def __init__(
        self,
        references: References,
        settings: SearchSettings,
        vectors: Vectors | None = None,
        embedders: Sequence[Embedder] = (),
        fusions: Sequence[Fusion] | None = None,
    ) -> None:
        self.references, self.settings = references, settings
        self.vectors, self.embedders = vectors, list(embedders) if vectors is not None else []
        self.fusions = shipped_fusions() if fusions is None else fusions
        used = {name for one in self.fusions for name in one.parts}
        self._evidence = [name for name in EVIDENCE_PARTS if name in used]
        self._candidates = Candidates(references)
        self._peaks = ReferencePeaks(references, settings.peaks)

    @property
    def part_names(self) -> list[str]:
        """Names of the parts that a score may have."""
        window = [] if self.settings.precursor_ppm is None else [PRECURSOR]
        models = [one.name for one in self.embedders]
        return [*SPECTRAL_PARTS, *self._evidence, POLARITY, ADDUCT, ENERGY, *window, *models]

    def is_fitted(self, kind: str) -> bool:
        """Whether a fusion was fitted for queries of a kind of spectrum: then scores are probabilities."""
        is_open = self.settings.precursor_ppm is None or kind == "ei"
        absent = {*EVIDENCE_PARTS} - {*evidence_of(kind)} | ({PRECURSOR} if is_open else set())
        parts = [name for name in self.part_names if name not in absent]
        return choose_fusion(self.fusions, kind, open_search=is_open, available=parts).source != NOT_FITTED

    def search(
        self, queries: Sequence[Record], top: int = 10, progress: Callable[[int], None] | None = None
    ) -> list[list[Hit]]:
        """The best molecules for each query, one hit each, the best first.

        Args:
            queries: [Q] records. Mass spectra are compared with those of their kind; the models see all.
            top: hits for each query at most.
            progress: called now and then with the number of queries that are done.
        """
        hits: list[list[Hit]] = []
        for start in range(0, len(queries), AT_ONCE):
            hits += [self._hits(one, top) for one in self.rank(queries[start : start + AT_ONCE])]
            if progress is not None:
                progress(len(hits))
        return self._with_q_values(queries, hits) if self.settings.decoys and any(hits) else hits

    def rank(self, queries: Sequence[Record]) -> list[Ranking]:
        """All candidates of each query that were judged, with their scores and parts, the best first."""
        prepared = prepare_queries(queries, self.settings.peaks)
        embedded = {one.name: one.embed(queries) for one in self.embedders}
        return self._rank(prepared, embedded, np.full(len(queries), NO_MOLECULE))

    def _rank(
        self,
        prepared: Sequence[Sequence[PreparedQuery]],
        embedded: dict[str, FloatMatrix],
        left_out: Indices,
    ) -> list[Ranking]:
        """The ranking of each query [Q], given its mass spectra, its vector of each model, and the number of a
        molecule whose entries are left out."""
        near: list[dict[str, Indices]] = [{} for _ in prepared]
        for name, vectors in embedded.items():
            assert self.vectors is not None
            _, found = self.vectors.search_vectors(name, vectors, self.settings.keep)
            for place, entries in enumerate(found):
                near[place][name] = self.references.rows_of(entries[(entries >= 0) & vectors[place].any()])
        windows = [[self._window(one) for one in spectra] for spectra in prepared]
        self._peaks.prepare([(one, rows) for a, b in zip(prepared, windows) for one, rows in zip(a, b)])
        return [
            self._ranked(
                spectra,
                [self._without(rows, left_out[place]) for rows in windows[place]],
                {name: self._without(rows, left_out[place]) for name, rows in near[place].items()},
                {name: one[place] for name, one in embedded.items()},
            )
            for place, spectra in enumerate(prepared)
        ]

    def _without(self, rows: Indices, molecule: int) -> Indices:
        return rows if molecule == NO_MOLECULE else rows[self.references.molecule[rows] != molecule]

    def is_open(self, query: PreparedQuery) -> bool:
        """Whether a spectrum is compared with entries of any precursor."""
        return self.settings.precursor_ppm is None or np.isnan(query.conditions.precursor_mz)

    def _window(self, query: PreparedQuery) -> Indices:
        return self._candidates.rows(
            query.conditions, self.settings.precursor_ppm, same_polarity=self.settings.polarity
        )

    def _ranked(
        self,
        spectra: Sequence[PreparedQuery],
        windows: Sequence[Indices],
        near: dict[str, Indices],
        vectors: dict[str, npt.NDArray[np.float32]],
    ) -> Ranking:
        """The candidates of one record: each of its mass spectra with the rows that any of them prefers; from
        the models alone if it has none."""
        chosen = [self._first_stage(*one, near) for one in zip(spectra, windows)] if spectra else near.values()
        rows = np.unique(np.concatenate([np.zeros(0, np.int64), *chosen]))
        asked = [rows[_in_sorted(rows, window)] for window in windows] if spectra else [rows]
        queries: Sequence[PreparedQuery | None] = spectra or [None]
        return best_pairs(
            [self._judged(one, inside, at, vectors) for at, (one, inside) in enumerate(zip(queries, asked))]
        )

    def _judged(
        self,
        query: PreparedQuery | None,
        rows: Indices,
        asked: int,
        vectors: dict[str, npt.NDArray[np.float32]],
    ) -> Ranking:
        """A mass spectrum of a query (None: it has none) with these rows, in their order."""
        kind, is_open, parts = "any", True, Parts()
        entries = self.references.entry[rows]
        if not len(rows):
            return Ranking(entries, rows, rows, np.zeros(0), parts)
        if query is not None:
            kind, is_open = query.conditions.kind, self.is_open(query)
            ppm = None if is_open else self.settings.precursor_ppm
            parts = self._peaks.parts(query, rows, self._evidence)
            parts |= condition_parts(query.conditions, self.references, rows, ppm)
        for name, vector in vectors.items():
            assert self.vectors is not None
            parts[name] = np.asarray(self.vectors.vectors(name)[entries] @ vector, np.float64)
        fusion = choose_fusion(self.fusions, kind, open_search=is_open, available=list(parts))
        return Ranking(entries, rows, np.full(len(rows), asked), fusion.score(parts), parts)

    def _first_stage(self, query: PreparedQuery, window: Indices, near: dict[str, Indices]) -> Indices:
        """The rows worth a closer look: all of a small window; else the best by peaks and by vectors."""
        if len(window) <= self.settings.keep:
            return window
        best = self._peaks.nearest(query, window, self.settings.keep)
        return np.concatenate([best, *(rows[_in_sorted(rows, window)] for rows in near.values())])

    def _hits(self, ranking: Ranking, top: int) -> list[Hit]:
        molecules = self.references.molecule[ranking.rows]
        _, first, counts = np.unique(molecules, return_index=True, return_counts=True)
        order = np.argsort(first)[:top]
        return [
            Hit(
                row=int(ranking.entries[place]),
                spectrum=int(ranking.rows[place]),
                asked=int(ranking.asked[place]),
                score=float(ranking.scores[place]),
                parts={name: float(part[place]) for name, part in ranking.parts.items()},
                spectra=int(count),
            )
            for place, count in zip(first[order], counts[order])
        ]

    def _with_q_values(self, queries: Sequence[Record], hits: Sequence[list[Hit]]) -> list[list[Hit]]:
        """The hits with q-values. MS/MS and EI queries are judged apart, because their scores come from
        different fusions and are not on one scale; a query of NMR or IR alone has no decoys."""
        spectra = [mass_spectra(one) for one in queries]
        conditions = [next(map(conditions_of, some), None) for some in spectra]
        found = list(hits)
        for kind in dict.fromkeys(one.kind for one in conditions if one is not None):
            places = [place for place, one in enumerate(conditions) if one is not None and one.kind == kind]
            scores = np.array([hits[place][0].score if hits[place] else 0.0 for place in places])
            counts = np.array([len(spectra[place]) for place in places])
            competitors, decoys = self._decoy_scores([conditions[place] for place in places], counts, scores)
            if not len(decoys):
                continue
            for place, share in zip(places, q_values(scores, competitors, decoys)):
                found[place] = [
                    replace(hit, q_value=float(share)) if at == 0 else hit for at, hit in enumerate(hits[place])
                ]
        return found

    def _decoy_scores(
        self, queries: Sequence[Conditions | None], counts: Indices, scores: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Best scores of queries, of which each has so many mass spectra, and of their decoys, [D] each; see
        `decoys`."""
        generator = np.random.default_rng(self.settings.seed)
        places, rows = draw_decoys(self.references, queries, self.settings.decoys, generator)
        sets = [with_companions(self.references, *one) for one in zip(rows.tolist(), counts[places].tolist())]
        prepared = prepare_rows(self.references, sets, self.settings.peaks)
        embedded = {}
        for embedder in self.embedders:
            assert self.vectors is not None
            vectors = self.vectors.vectors(embedder.name)
            embedded[embedder.name] = np.asarray(vectors[self.references.entry[rows]])
        rankings = self._rank(prepared, embedded, self.references.molecule[rows])
        return scores[places], np.array([one.scores[0] if len(one.scores) else 0.0 for one in rankings])


def _in_sorted(rows: Indices, window: Indices) -> npt.NDArray[np.bool_]:
    """Which of the rows are in a window of rising rows, [C]."""
    place = np.searchsorted(window, rows)
    place[place == len(window)] = 0
    return np.asarray(window[place] == rows) if len(window) else np.zeros(len(rows), dtype=bool)
