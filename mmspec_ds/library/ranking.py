"""The candidates of a query in order, and its hits.

Axes: C candidates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mmspec_ds.library.peaks import Indices
from mmspec_ds.library.prepared import Parts


@dataclass(frozen=True, slots=True)
class Hit:
    """An entry of the library that may be of the query's molecule.

    Attributes:
        row: of the entry, the best of its molecule.
        spectrum: its mass spectrum of the best pair, by row of the `References`.
        asked: that of the query, by its place among the query's mass spectra.
        score: from 0 to 1.
        parts: of the score, by name; NaN where one is not known.
        spectra: entries of that molecule among those that were judged.
        q_value: of the first hit of a query, the share of false hits among the first hits of all queries of its
            kind of spectrum that score as much; None of other hits, and where there are no decoys of the kind.
    """

    row: int
    spectrum: int
    asked: int
    score: float
    parts: dict[str, float]
    spectra: int
    q_value: float | None = None


@dataclass(frozen=True, slots=True)
class Ranking:
    """The candidates of one query [C], the best first, each entry once.

    Attributes:
        entries: their numbers.
        rows: the mass spectrum of each, of the pair that scores best.
        asked: the place of the query's among its mass spectra; 0 where it has none.
        scores: of the pairs.
        parts: of the scores, by name.
    """

    entries: Indices
    rows: Indices
    asked: Indices
    scores: npt.NDArray[np.float64]
    parts: Parts


def best_pairs(judged: Sequence[Ranking]) -> Ranking:
    """The candidates of several mass spectra of a query, the best first: of each entry the pair of the best
    score."""
    if len(judged) == 1 and (np.diff(judged[0].entries) > 0).all():  # each entry once, as mostly
        (one,) = judged
        order = np.argsort(-one.scores, kind="stable")
        parts = {name: part[order] for name, part in one.parts.items()}
        return Ranking(one.entries[order], one.rows[order], one.asked[order], one.scores[order], parts)
    names = dict.fromkeys(name for one in judged for name in one.parts)
    entries = np.concatenate([one.entries for one in judged])
    scores = np.concatenate([one.scores for one in judged])
    order = np.argsort(-scores, kind="stable")
    _, first = np.unique(entries[order], return_index=True)
    order = order[np.sort(first)]

    def chosen(values: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
        return np.concatenate(values)[order]

    parts = {
        name: chosen([one.parts.get(name, np.full(len(one.rows), np.nan)) for one in judged]) for name in names
    }
    return Ranking(
        entries[order],
        chosen([one.rows for one in judged]),
        chosen([one.asked for one in judged]),
        scores[order],
        parts,
    )
