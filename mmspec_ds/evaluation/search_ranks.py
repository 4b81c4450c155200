"""Scores of a search among known spectra: the rank of the right molecule, and how similar the first hits are.

Axes: Q queries, N rows of the library.

Ties are counted against the method. The rank of a query is one more than the number of rows of other molecules
whose score is at least that of the best row of the right molecule; of equally good analogues the least similar
one stands first. A score that is not a number is the worst.
"""

import numpy as np
import numpy.typing as npt

FloatMatrix = npt.NDArray[np.float32]
BoolMatrix = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

RECALL_AT = (1, 5, 10)
"""The k of R@k."""

ABSENT = 0
"""The rank where no row of the right molecule was among the candidates."""

_BLOCK = 64

ANALOGUES = ("Tanimoto of 1", "mean of 10", "best of 10")
"""What `analogue_similarity` measures, in the order of its columns."""


def right_ranks(scores: FloatMatrix, right: BoolMatrix, candidates: BoolMatrix) -> IntArray:
    """The rank of the right molecule of each query, from 1, by the rule of ties above; ABSENT where none is.

    Args:
        scores: [Q, N], higher is better.
        right: [Q, N], the rows of the query's molecule.
        candidates: [Q, N], the rows that are searched.

    Returns:
        [Q].
    """
    scores = _numbers(scores)
    query, row = np.nonzero(right & candidates)
    best = np.full(len(scores), -np.inf, dtype=scores.dtype)
    np.maximum.at(best, query, scores[query, row])
    before = np.count_nonzero((scores >= best[:, None]) & candidates & ~right, axis=1)
    ranks = np.full(len(scores), ABSENT)
    ranks[query] = before[query] + 1
    return ranks


def recall_values(ranks: IntArray) -> dict[str, npt.NDArray[np.float64]]:
    """For each measure its value of every query [Q], whose mean is the score: "R@1", "R@5", "R@10", "MRR"."""
    found = ranks != ABSENT
    values = {f"R@{k}": (found & (ranks <= k)).astype(np.float64) for k in RECALL_AT}
    return {**values, "MRR": np.where(found, 1 / np.maximum(ranks, 1), 0.0)}


def analogue_similarity(
    scores: FloatMatrix, candidates: BoolMatrix, tanimoto: FloatMatrix, hits: int = 10
) -> npt.NDArray[np.float64]:
    """How similar the molecules of the first hits are to the query's.

    Args:
        scores: [Q, N], higher is better.
        candidates: [Q, N], the rows that are searched: without those of the query's molecule.
        tanimoto: [Q, N], similarity of the row's molecule to the query's.
        hits: how many first rows are looked at.

    Returns:
        [Q, 3]: the similarity of the first hit, the mean and the best of the first `hits`; of all where there
        are fewer candidates; not a number where there is none.
    """
    result = np.full((len(scores), len(ANALOGUES)), np.nan)
    usable = np.where(candidates, _numbers(scores), -np.inf)
    least = _low_bound(usable, hits)
    for at, row in enumerate(usable):
        kept = np.flatnonzero((row >= least[at]) & candidates[at])
        similar = tanimoto[at, kept]
        top = similar[np.lexsort((similar, -row[kept]))[:hits]]
        if len(top):
            result[at] = top[0], top.mean(), top.max()
    return result


def _low_bound(scores: FloatMatrix, hits: int) -> FloatMatrix:
    """Scores [Q] which at least `hits` of a query's scores [Q, N] reach, and few others.

    The columns are cut into blocks; as many scores reach the n-th largest of the maxima of the blocks. Ten
    times as fast as a partition of all scores, of which many are equal.
    """
    maxima = np.maximum.reduceat(scores, np.arange(0, scores.shape[1], _BLOCK), axis=1)
    if maxima.shape[1] < hits:
        return np.full(len(scores), -np.inf, dtype=scores.dtype)
    found: FloatMatrix = np.sort(maxima, axis=1)[:, -hits]
    return found


def _numbers(scores: FloatMatrix) -> FloatMatrix:
    """The scores, the worst possible one where it is not a number."""
    missing = np.isnan(scores)
    return np.where(missing, np.float32(-np.inf), scores) if missing.any() else scores
