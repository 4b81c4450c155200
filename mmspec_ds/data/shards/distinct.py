"""Which molecules of a set have been seen, in eight bytes each."""

from hashlib import blake2b

import numpy as np
import numpy.typing as npt

HashArray = npt.NDArray[np.uint64]


def molecule_hash(canonical: str) -> int:
    """64 bits of a canonical SMILES. In a million molecules two different ones collide with a probability of
    3e-8, in a hundred million of 3e-4; the second would be taken for a duplicate."""
    return int.from_bytes(blake2b(canonical.encode(), digest_size=8).digest(), "little")


class DistinctMolecules:
    """The set of hashes so far, as sorted arrays of falling size: 8 bytes a molecule, where a Python set takes
    some 70, and a few binary searches for a look-up."""

    def __init__(self) -> None:
        self._runs: list[HashArray] = []

    def __len__(self) -> int:
        return sum(map(len, self._runs))

    def add(self, hashes: HashArray) -> npt.NDArray[np.bool_]:
        """Put in some more; true where a hash is new, which of several equal ones only the first is."""
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
