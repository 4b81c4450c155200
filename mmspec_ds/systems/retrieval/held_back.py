"""How well the held-back spectra of a molecule find each other.

Axes: N records, W width of a vector.
"""

import numpy as np
import numpy.typing as npt

from mmspec_ds.library.entry import FloatMatrix
from mmspec_ds.spectra.packed import IntArray

_BLOCK = 1024


def first_hits(vectors_NW: FloatMatrix, molecule_N: IntArray) -> npt.NDArray[np.bool_]:
    """Whether the nearest of all other records, by dot product, is of the same molecule: bool, in their order,
    for those of the N records alone whose molecule has another one. Of equally near ones, a record of another
    molecule counts as the first."""
    counts = np.bincount(molecule_N)
    asked = np.flatnonzero(counts[molecule_N] > 1)
    hits = np.zeros(len(asked), dtype=np.bool_)
    for start in range(0, len(asked), _BLOCK):
        some = asked[start : start + _BLOCK]
        score = vectors_NW[some] @ vectors_NW.T
        score[np.arange(len(some)), some] = -np.inf
        same = molecule_N[some][:, None] == molecule_N
        best_same = np.where(same, score, -np.inf).max(1)
        best_other = np.where(same, -np.inf, score).max(1)
        hits[start : start + _BLOCK] = best_same > best_other
    return hits
