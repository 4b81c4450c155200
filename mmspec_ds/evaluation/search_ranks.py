"""Scores of a search among known spectra: the rank of the right molecule, and how similar the first hits are.

Axes: Q queries, N rows of the library.

Ties are counted against the method. The rank of a query is one more than the number of rows of other molecules
whose score is at least that of the best row of the right molecule; of equally good analogues the least similar
one stands first. A score that is not a number is the worst.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from rdkit import Chem, rdBase
from rdkit.Chem import rdFingerprintGenerator

FloatMatrix = npt.NDArray[np.float32]
BoolMatrix = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

RECALL_AT = (1, 5, 10)
"""The k of R@k."""

BITS = 2048
"""Of a fingerprint."""

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
        [Q, 3]: the similarity of the first hit, the mean and the best of the first `hits`; where there are fewer
        candidates, of those; not a number where there is none.
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


def fingerprint_bits(smiles: Iterable[str | None]) -> npt.NDArray[np.uint8]:
    """Morgan fingerprints of radius 2, [molecules, 2048] of zeros and ones; zeros for no or an invalid SMILES."""
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=BITS)
    rows = []
    with rdBase.BlockLogs():
        for text in smiles:
            molecule = Chem.MolFromSmiles(text) if text else None
            empty = np.zeros(BITS, dtype=np.uint8)
            rows.append(empty if molecule is None else generator.GetFingerprintAsNumPy(molecule))
    return np.array(rows, dtype=np.uint8).reshape(-1, BITS)


def tanimoto_matrix(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]) -> FloatMatrix:
    """Tanimoto similarities [A, B] of two sets of fingerprints, [A, bits] and [B, bits] of zeros and ones; 0 where
    both are empty."""
    left, right = first.astype(np.float32), second.astype(np.float32)
    common = left @ right.T
    either = left.sum(axis=1)[:, None] + right.sum(axis=1)[None, :] - common
    return np.divide(common, either, out=np.zeros_like(common), where=either > 0)
