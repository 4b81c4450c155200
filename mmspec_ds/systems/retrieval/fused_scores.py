"""The fusion of several methods in an evaluation, fitted on other molecules than those that it is judged on.

The queries are parted into folds by their molecules. The fusion that scores the queries of a fold was fitted on
all others, so that the right rows of a query come first among its own: on the rows that are first by any part,
once among all rows, and once among those of other institutes, for queries that have an answer there. One fusion
is for searches without the precursor, and one for those within its window. As in the fusions of the package,
agreement of polarity and energy is no part of the first.

More queries than those that are judged may be there to learn from (`SearchQuestion.judged`); they are in folds
as well, so that no query is scored by a fusion that has seen its molecule.

Only rows that are first by some part are judged by all of them, as in a search; the others come after.

Axes: q queries, N rows of the library, C pairs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mmspec_ds.evaluation.search_ranks import BoolMatrix, FloatMatrix, IntArray
from mmspec_ds.library.evidence import evidence_of, evidence_parts
from mmspec_ds.library.fusion import Fusion, Kind, fit_fusion, mean_of
from mmspec_ds.library.peaks import PeakSettings
from mmspec_ds.library.prepared import (
    ADDUCT,
    ENTROPY,
    SQUARE_ROOT_COSINE,
    WEIGHTED_COSINE,
    Parts,
    Prepared,
    condition_parts,
    prepare,
)
from mmspec_ds.library.references import (
    Conditions,
    References,
    conditions_of,
    mass_spectra,
    references_of_entries,
)
from mmspec_ds.library.search import SearchSettings
from mmspec_ds.systems.retrieval import peak_scores
from mmspec_ds.systems.retrieval.search_question import ANALOGUE, SearchQuestion, Setting

NAME = "fusion"

PART_OF: Mapping[str, str] = {
    peak_scores.ENTROPY: ENTROPY,
    peak_scores.ROOT: SQUARE_ROOT_COSINE,
    peak_scores.WEIGHTED: WEIGHTED_COSINE,
}
"""The parts of `mmspec search` among the classical methods."""

OPEN: tuple[Setting, ...] = ("open", "cross-source", ANALOGUE)
WINDOW: tuple[Setting, ...] = ("precursor", "cross-source, precursor")
"""The settings of either fusion; it learns from those that are not analogues."""

FOLDS = 5
FIRST = 30
"""Rows that are first by a part, and of which a fusion learns."""
SCORED = 300
"""Rows that are first by a part, and which are scored; as many as `mmspec search` keeps."""


@dataclass(frozen=True, slots=True)
class _Judged:
    """The first rows of a query: their parts, and whether the molecule is the query's, [C]."""

    query: int
    parts: Parts
    same: npt.NDArray[np.bool_]


class FusedScores:
    """A score that is fused of several methods' scores.

    Args:
        question: the queries and the library.
        models: by the methods that are models, the names of their parts: those that the models have in a
            library.
        kind: of the mass spectra.
        seed: of the folds.
    """

    def __init__(self, question: SearchQuestion, models: Mapping[str, str], kind: Kind, seed: int = 0) -> None:
        self._question, self._kind = question, kind
        self._part_of = {**PART_OF, **models}
        molecules = np.unique(question.groups)
        order = np.random.default_rng(seed).permutation(len(molecules))
        self._fold = (order % FOLDS)[np.searchsorted(molecules, question.groups)]
        self._judged: dict[Setting, list[_Judged]] = {setting: [] for setting in question.settings}
        self._fusions: dict[tuple[bool, int], Fusion] = {}

    def uses(self, methods: Mapping[str, FloatMatrix]) -> bool:
        """Whether some of these methods are parts."""
        return any(name in self._part_of for name in methods)

    def learn(self, chosen: IntArray, found: Mapping[str, FloatMatrix]) -> None:
        """Note the first rows of a few queries, by all of their scores."""
        right = self._question.right(chosen)
        for setting in self._question.settings:
            searched = self._question.candidates(setting, chosen)
            for at, query in enumerate(chosen.tolist()):
                rows = self._first_rows(at, found, searched, FIRST)
                if right[at, rows].any():
                    parts = self._parts(query, at, found, setting in OPEN, rows)
                    self._judged[setting].append(_Judged(query, parts, right[at, rows]))

    def of(
        self, chosen: IntArray, found: Mapping[str, FloatMatrix], settings: Sequence[Setting]
    ) -> FloatMatrix:
        """The fused scores [q, N] of a few queries, as log odds, in settings that are all of OPEN or of
        WINDOW."""
        without_precursor = settings[0] in OPEN
        searched = [self._question.candidates(setting, chosen) for setting in settings]
        fused = np.empty((len(chosen), len(self._question.library)), dtype=np.float32)
        for at, query in enumerate(chosen.tolist()):
            rows = np.unique(np.concatenate([self._first_rows(at, found, one, SCORED) for one in searched]))
            fusion = self._fusion(without_precursor, int(self._fold[query]))
            scores = fusion.log_odds(self._parts(query, at, found, without_precursor, rows))
            fused[at] = scores.min(initial=0.0) - 1.0
            fused[at, rows] = scores
        return fused

    def fitted(self, source: str) -> list[Fusion]:
        """The fusions that were fitted on all queries, for searches of other spectra by `mmspec search`: one
        without the precursor and one within its window, as far as there is something to learn from. `source`
        says what they were fitted on."""
        found = (self._fit(one, self._learned(one), source) for one in (True, False))
        return [one for one in found if one is not None]

    def _fusion(self, without_precursor: bool, fold: int) -> Fusion:
        """The fusion that was fitted without a fold; where nothing else is there, similarities count
        equally."""
        key = without_precursor, fold
        if key not in self._fusions:
            learned = self._learned(without_precursor, fold)
            names = list(learned[0].parts) if learned else list(self._part_of.values())
            self._fusions[key] = self._fit(without_precursor, learned) or mean_of(names)
        return self._fusions[key]

    def _fit(self, without_precursor: bool, learned: Sequence[_Judged], source: str = "") -> Fusion | None:
        same = np.concatenate([np.zeros(0, dtype=bool), *(one.same for one in learned)])
        if not same.any() or same.all():
            return None
        return fit_fusion(
            {name: np.concatenate([one.parts[name] for one in learned]) for name in learned[0].parts},
            same,
            kind=self._kind,
            open_search=without_precursor,
            source=source,
            query=np.repeat(np.arange(len(learned)), [len(one.same) for one in learned]),
        )

    def _learned(self, without_precursor: bool, fold: int | None = None) -> list[_Judged]:
        """What there is to learn from, without a fold."""
        return [
            one
            for setting in (OPEN if without_precursor else WINDOW)
            for one in self._judged.get(setting, ())
            if self._fold[one.query] != fold
        ]

    def _first_rows(
        self, at: int, found: Mapping[str, FloatMatrix], searched: BoolMatrix, count: int
    ) -> IntArray:
        """The rows that are among the first `count` of those that are searched by any part."""
        rows = np.flatnonzero(searched[at])
        first = min(count, len(rows))
        chosen = [
            rows[np.argpartition(-matrix[at, rows], first - 1)[:first]]
            for method, matrix in found.items()
            if method in self._part_of and first
        ]
        return np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *chosen]))

    def _parts(
        self, query: int, at: int, found: Mapping[str, FloatMatrix], without_precursor: bool, rows: IntArray
    ) -> Parts:
        """The parts of some rows, by name, [C] each; `at` is the place of the query in the matrices."""
        parts = {
            self._part_of[method]: matrix[at, rows].astype(np.float64)
            for method, matrix in found.items()
            if method in self._part_of
        }
        ppm = None if without_precursor else self._question.precursor_ppm
        agreement = condition_parts(self._conditions[query], self._references, rows, ppm)
        if not without_precursor:
            return parts | agreement
        return parts | self._evidence(query, rows) | {ADDUCT: agreement[ADDUCT]}

    def _evidence(self, query: int, rows: IntArray) -> Parts:
        """More parts of mass spectra; within the window of a precursor they tell nothing new."""
        if self._kind == "any":
            return {}
        mine, theirs, settings = self._prepared
        precursors = self._references.precursor_mz[rows]
        others = theirs.take(rows)
        return evidence_parts(
            mine.take(np.array([query])), others, precursors, settings, evidence_of(self._kind)
        )

    @cached_property
    def _prepared(self) -> tuple[Prepared, Prepared, PeakSettings]:
        """The queries and the rows, ready to be compared by peaks, and how."""
        settings = SearchSettings().peaks(self._kind)
        mine, theirs = (
            prepare(peak_scores.mass_peaks(one), settings)
            for one in (self._question.queries, self._question.library)
        )
        return mine, theirs, settings

    @cached_property
    def _references(self) -> References:
        return references_of_entries(self._question.library, first_alone=True)

    @cached_property
    def _conditions(self) -> list[Conditions]:
        spectra = (next(iter(mass_spectra(one.record)), None) for one in self._question.queries)
        return [Conditions("") if one is None else conditions_of(one) for one in spectra]
