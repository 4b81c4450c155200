"""Scores of several methods for the same queries against the same library: ranks, analogues, differences.

Axes: Q queries, q of them at once, N rows of the library.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from mmspec_ds.evaluation.search_ranks import (
    ABSENT,
    ANALOGUES,
    BoolMatrix,
    FloatMatrix,
    IntArray,
    analogue_similarity,
    recall_values,
    right_ranks,
)
from mmspec_ds.evaluation.search_report import SearchReport, SettingResult, summarise
from mmspec_ds.library.entry import Embedder
from mmspec_ds.systems.retrieval.fused_scores import NAME as FUSION
from mmspec_ds.systems.retrieval.fused_scores import OPEN, WINDOW, FusedScores
from mmspec_ds.systems.retrieval.search_question import ANALOGUE, SearchQuestion, Setting

DECIMALS = 6
"""Scores that agree to so many decimals are equal: what rounding tells apart is a tie, and counts as one."""

AT_ONCE = 32
"""Queries that are scored together: 5 MB for each method and 40,000 rows."""

Progress = Callable[[int], None]


class Scores(Protocol):
    """One or more methods that score every row of a library for a query.

    Attributes:
        name: for the time that it takes.
    """

    name: str

    def of(self, chosen: IntArray) -> Mapping[str, FloatMatrix]:
        """By method the scores [q, N] of the queries at the places `chosen` [q]; higher is better."""


class VectorScores:
    """The dot products of an embedder's vectors.

    Args:
        embedder: gives the vectors.
        question: whose queries and rows are embedded at once.
        progress: called with the number of records that are done.
    """

    def __init__(
        self, embedder: Embedder, question: SearchQuestion, name: str, progress: Progress | None = None
    ) -> None:
        self.name = name
        self._queries = embedder.embed([one.record for one in question.queries], progress)
        self._rows = embedder.embed([one.record for one in question.library], progress)

    def of(self, chosen: IntArray) -> Mapping[str, FloatMatrix]:
        """By method the scores [q, N] of the queries at the places `chosen` [q]: dot products, from -1 to 1."""
        found: FloatMatrix = self._queries[chosen] @ self._rows.T
        return {self.name: found}


@dataclass
class Chunk:
    """A few queries, and what is asked of every method for them."""

    question: SearchQuestion
    chosen: IntArray
    _searched: dict[Setting, BoolMatrix] = field(default_factory=dict)

    @cached_property
    def right(self) -> BoolMatrix:
        """The rows of the query's molecule, [q, N]."""
        return self.question.right(self.chosen)

    @cached_property
    def tanimoto(self) -> FloatMatrix:
        """Similarity of the molecules, [q, N]."""
        return self.question.tanimoto(self.chosen)

    def searched(self, setting: Setting) -> BoolMatrix:
        """The rows of the library that are searched for each of the queries in a setting, bool [q, N]."""
        if setting not in self._searched:
            self._searched[setting] = self.question.candidates(setting, self.chosen)
        return self._searched[setting]


class Tally:
    """The ranks of each method in each setting, and the similarity of its analogues."""

    def __init__(self, question: SearchQuestion) -> None:
        self._question = question
        self._ranks: dict[Setting, dict[str, IntArray]] = {one: {} for one in question.settings}
        self._similar: dict[str, npt.NDArray[np.float64]] = {}

    def add(self, method: str, chunk: Chunk, scores: FloatMatrix, settings: Sequence[Setting]) -> None:
        """Note the scores [q, N] of a method for a few queries in some settings."""
        scores = np.round(scores, DECIMALS)
        count = self._question.judged
        for setting in settings:
            if setting == ANALOGUE:
                table = self._similar.setdefault(method, np.full((count, len(ANALOGUES)), np.nan))
                table[chunk.chosen] = analogue_similarity(scores, chunk.searched(setting), chunk.tanimoto)
            else:
                ranks = self._ranks[setting].setdefault(method, np.full(count, ABSENT))
                ranks[chunk.chosen] = right_ranks(scores, chunk.right, chunk.searched(setting))

    def results(self, seed: int = 0) -> list[SettingResult]:
        """The figures of each setting that has a query with an answer, once scores were added; `seed` is that
        of their intervals."""
        groups = self._question.groups[: self._question.judged]
        found = []
        for setting, ranks in self._ranks.items():
            counted = next(iter(ranks.values())) != ABSENT  # the same rows are searched for every method
            values = {method: recall_values(one[counted]) for method, one in ranks.items()}
            if counted.any():
                found.append(summarise(setting, values, groups[counted], int((~counted).sum()), seed))
        counted = np.isfinite(next(iter(self._similar.values()))[:, 0])
        similar = {method: dict(zip(ANALOGUES, table[counted].T)) for method, table in self._similar.items()}
        if counted.any():
            found.append(summarise(ANALOGUE, similar, groups[counted], int((~counted).sum()), seed))
        return found


def chunks_of(question: SearchQuestion, *, judged: bool = True) -> Iterator[Chunk]:
    """The queries of a question that are judged, or those to learn from, AT_ONCE of them at a time."""
    first, last = (0, question.judged) if judged else (question.judged, len(question.queries))
    for start in range(first, last, AT_ONCE):
        yield Chunk(question, np.arange(start, min(start + AT_ONCE, last)))


def evaluate_search(
    question: SearchQuestion,
    scores: Sequence[Scores],
    progress: Progress | None = None,
    remarks: Sequence[str] = (),
    fused: FusedScores | None = None,
) -> SearchReport:
    """The figures of every method in every setting that the entries can answer.

    Args:
        question: the queries and the library.
        scores: the methods.
        progress: called with the number of queries that are done.
        remarks: about the question, for the report.
        fused: combines some of the methods; they are scored once more for it. It also learns from the queries
            that are not judged.
    """
    tally = Tally(question)
    seconds = {one.name: 0.0 for one in scores}
    single: list[str] = []
    joined: list[Scores] = []
    for chunk in chunks_of(question):
        together: dict[str, FloatMatrix] = {}
        for source in scores:
            started = time.perf_counter()
            found = source.of(chunk.chosen)
            seconds[source.name] += time.perf_counter() - started
            for method, matrix in found.items():
                tally.add(method, chunk, matrix, (*question.settings, ANALOGUE))
            single += [method for method in found if method not in single]
            if fused is not None and fused.uses(found):
                together |= found
                joined += [source] if source not in joined else []
        if fused is not None:
            fused.learn(chunk.chosen, together)
        if progress is not None:
            progress(int(chunk.chosen[-1]) + 1)
    if fused is not None:
        for chunk in chunks_of(question, judged=False):
            fused.learn(chunk.chosen, _scores_of(joined, chunk))
            if progress is not None:
                progress(int(chunk.chosen[-1]) + 1)
        seconds[FUSION] = _add_fusion(tally, question, joined, fused)
    molecules = len({one.block for one in question.library})
    return SearchReport(
        queries=question.judged,
        rows=len(question.library),
        row_molecules=molecules,
        settings=tally.results(),
        seconds=seconds,
        single=single,
        remarks=remarks,
    )


def _scores_of(scores: Sequence[Scores], chunk: Chunk) -> dict[str, FloatMatrix]:
    """By method the scores of several sources for a few queries."""
    return {name: matrix for one in scores for name, matrix in one.of(chunk.chosen).items()}


def _add_fusion(tally: Tally, question: SearchQuestion, scores: Sequence[Scores], fused: FusedScores) -> float:
    """Note the fused scores in every setting; the seconds that it took, without those of the parts."""
    spent = 0.0
    for chunk in chunks_of(question):
        found = _scores_of(scores, chunk)
        for group in (OPEN, WINDOW):
            settings = [one for one in (*question.settings, ANALOGUE) if one in group]
            if settings:
                started = time.perf_counter()
                matrix = fused.of(chunk.chosen, found, settings)
                spent += time.perf_counter() - started
                tally.add(FUSION, chunk, matrix, settings)
    return spent
