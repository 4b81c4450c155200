"""Which records come into a batch: several of each molecule, so that there are positives, and molecules that
are hard to tell apart side by side.

Axes: N records, M molecules, H neighbours of a molecule, G records of a global batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mmspec_ds.spectra.packed import IntArray, offsets_of, places


class Chosen(NamedTuple):
    """The records of a global batch: `rows_G` places in the data, `molecule_G` their molecules, int64 [G]."""

    rows_G: IntArray
    molecule_G: IntArray


@dataclass(frozen=True)
class MoleculeSampler:
    """Batches of exactly `size` records. In a round each molecule comes once, with at most `spectra` of its
    records, chosen anew in each; the records that do not fill a last batch are left out.

    Attributes:
        molecule_N: the molecule of each record, numbers from 0.
        size: records of a global batch, G.
        spectra: most records of a molecule in a round.
        seed: of the run.
        repeats: whether a molecule with fewer records comes with repeats of them.
        share: of the molecules that their neighbours follow.

    Raises:
        ValueError: a round does not fill one batch.
    """

    molecule_N: IntArray
    size: int
    spectra: int
    seed: int
    repeats: bool = False
    share: float = 1.0

    def __post_init__(self) -> None:
        if len(self) < 1:
            raise ValueError(
                f"a batch of {self.size} records is more than the {self._records_of_round()} of a round,"
                f" at most {self.spectra} of each molecule: expected a smaller training.batch_size"
            )

    def __len__(self) -> int:
        """Batches of a round."""
        return self._records_of_round() // self.size

    def round(self, number: Sequence[int], neighbours_MH: npt.ArrayLike | None = None) -> list[Chosen]:
        """The batches of a round.

        Args:
            number: of the round, one or more integers; with the seed it decides everything.
            neighbours_MH: molecules that are hard to tell from each; they follow it, those that have come
                already left out. Without, the molecules come in random order.
        """
        rng = np.random.default_rng((self.seed, *number))
        molecules = np.bincount(self.molecule_N)
        order = rng.permutation(len(molecules))
        if neighbours_MH is not None:
            followed = rng.random(len(molecules)) < self.share
            order = side_by_side(order, np.asarray(neighbours_MH), followed)
        # Records of each molecule in a random order, of which the first few are taken.
        shuffled = np.lexsort((rng.random(len(self.molecule_N)), self.molecule_N))
        counts = self._counts(molecules)[order]
        starts = offsets_of(molecules)[:-1][order]
        again = places(counts) % np.repeat(molecules[order], counts)
        row = shuffled[np.repeat(starts, counts) + again]
        batches = row[: len(self) * self.size].reshape(-1, self.size)
        return [Chosen(rows_G, self.molecule_N[rows_G]) for rows_G in batches]

    def _records_of_round(self) -> int:
        return int(self._counts(np.bincount(self.molecule_N)).sum())

    def _counts(self, molecules_M: IntArray) -> IntArray:
        """Records of each molecule in a round, of those that it has."""
        if self.repeats:
            return np.full(len(molecules_M), self.spectra, dtype=np.int64)
        return np.minimum(molecules_M, self.spectra)


@dataclass(frozen=True)
class PairSampler:
    """Batches of records that come twice each, so that each is the positive of itself: every record once in a
    round, `size` a multiple of two.

    Raises:
        ValueError: `size` is odd, or more than twice the number of records.
    """

    records: int
    size: int
    seed: int

    def __post_init__(self) -> None:
        if self.size % 2 or len(self) < 1:
            raise ValueError(
                f"a batch of {self.size} has no room for pairs of {self.records} records: expected an even"
                f" training.batch_size of at most {2 * self.records} over all ranks"
            )

    def __len__(self) -> int:
        """Batches of a round."""
        return 2 * self.records // self.size

    def round(self, number: Sequence[int], neighbours_MH: npt.ArrayLike | None = None) -> list[Chosen]:
        """The batches of a round, see `MoleculeSampler`; a record is its own molecule."""
        order = np.random.default_rng((self.seed, *number)).permutation(self.records)
        rows = np.repeat(order, 2)[: len(self) * self.size].reshape(-1, self.size)
        return [Chosen(rows_G, rows_G) for rows_G in rows]


def side_by_side(
    order_M: IntArray, neighbours_MH: IntArray, followed_M: npt.NDArray[np.bool_] | None = None
) -> IntArray:
    """All molecules, int64 [M], each (or each of `followed_M`) followed by those of its neighbours that have
    not come before."""
    done, found = np.zeros(len(order_M), dtype=np.bool_), list[int]()
    neighbours = neighbours_MH.tolist()
    for molecule in order_M.tolist():
        if done[molecule]:
            continue
        alone = followed_M is not None and not followed_M[molecule]
        for one in (molecule, *(() if alone else neighbours[molecule])):
            if not done[one]:
                done[one] = True
                found.append(one)
    return np.array(found, dtype=np.int64)
