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
    usable = np.where(candidates & ~np.isnan(scores), scores, -np.inf)
    best = np.where(right, usable, -np.inf).max(axis=1)
    before = ((usable >= best[:, None]) & candidates & ~right).sum(axis=1)
    return np.where((right & candidates).any(axis=1), before + 1, ABSENT).astype(np.int64)


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
    for at, (row, allowed) in enumerate(zip(scores, candidates, strict=True)):
        rows = np.flatnonzero(allowed)
        if not len(rows):
            continue
        values = np.nan_to_num(row[rows], nan=-np.inf)
        first = min(hits, len(rows))
        least = np.partition(values, len(rows) - first)[len(rows) - first]
        kept = rows[values >= least]
        similar = tanimoto[at, kept]
        order = np.lexsort((similar, -values[values >= least]))[:first]
        top = similar[order]
        result[at] = top[0], top.mean(), top.max()
    return result
