"""The set of molecules seen so far, by 64-bit hashes."""

from hashlib import blake2b

import numpy as np
import numpy.typing as npt

HashArray = npt.NDArray[np.uint64]


def molecule_hash(canonical: str) -> int:
    """A 64-bit hash of a canonical SMILES. The probability that any two of a million molecules collide, and one
    is taken for a duplicate, is 3e-8; of a hundred million, 3e-4."""
    return int.from_bytes(blake2b(canonical.encode(), digest_size=8).digest(), "little")


class DistinctMolecules:
    """A set of hashes as sorted arrays of decreasing size: 8 bytes a molecule, where a Python set takes about
    70. A look-up is a binary search in each array."""

    def __init__(self) -> None:
        self._runs: list[HashArray] = []

    def __len__(self) -> int:
        return sum(map(len, self._runs))

    def add(self, hashes: HashArray) -> npt.NDArray[np.bool_]:
        """Add hashes [n]; return true [n] where a hash is new, for the first of equal ones only."""
        _, first = np.unique(hashes, return_index=True)
        new = np.zeros(len(hashes), dtype=np.bool_)
        new[first] = True
        for run in self._runs:
            new &= ~self._within(run, hashes)
        self._runs.append(np.sort(hashes[new]))
        while len(self._runs) > 1 and len(self._runs[-2]) < 2 * len(self._runs[-1]):
            merged = np.concatenate([self._runs.pop(), self._runs.pop()])
            self._runs.append(np.sort(merged, kind="stable"))
        return new

    @staticmethod
    def _within(run: HashArray, hashes: HashArray) -> npt.NDArray[np.bool_]:
        if not len(run):
            return np.zeros(len(hashes), dtype=np.bool_)
        at = np.minimum(np.searchsorted(run, hashes), len(run) - 1)
        return run[at] == hashes
