"""Which examples come into a batch: some of like length, so that little is padding, and where it is wanted of
one kind.

Axes: N examples, G examples of a global batch.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from mmspec_ds.spectra.packed import IntArray

BATCHES_AT_ONCE = 16
"""Batches whose examples are sorted by length together."""


@dataclass(frozen=True)
class ExampleSampler:
    """Batches of exactly `size` examples. In a round each example comes at most once; those that do not fill a
    last batch (of their kind) are left out, others in each round.

    Attributes:
        length_N: tokens of each example.
        kind_N: a number; a batch has examples of one kind.
        size: examples of a global batch, G.
        seed: of the run.

    Raises:
        ValueError: a round does not fill one batch.
    """

    length_N: IntArray
    kind_N: IntArray
    size: int
    seed: int

    def __post_init__(self) -> None:
        if len(self) < 1:
            raise ValueError(
                f"a batch of {self.size} examples is more than there are of one kind, of {len(self.kind_N)} in"
                " all: expected a smaller training.batch_size"
            )

    def __len__(self) -> int:
        """Batches of a round."""
        return int((np.bincount(self.kind_N) // self.size).sum()) if len(self.kind_N) else 0

    def round(self, number: int) -> list[IntArray]:
        """The batches of a round: places of examples, the shortest first, int64 [G]."""
        rng = np.random.default_rng((self.seed, number))
        batches: list[IntArray] = []
        for kind in np.unique(self.kind_N):
            order = rng.permutation(np.flatnonzero(self.kind_N == kind))
            order = order[: len(order) // self.size * self.size]
            for start in range(0, len(order), self.size * BATCHES_AT_ONCE):
                some = order[start : start + self.size * BATCHES_AT_ONCE]
                some = some[np.argsort(self.length_N[some], kind="stable")]
                batches += list(some.reshape(-1, self.size))
        return [batches[at] for at in rng.permutation(len(batches))]


def share(rows_G: IntArray, rank: int, world: int) -> IntArray:
    """The rows of a rank: as many on each, short and long ones on all."""
    return rows_G[rank::world][: len(rows_G) // world]


def shared_order(rows_G: IntArray, world: int) -> IntArray:
    """All rows, those of the first rank first, and so on."""
    return np.concatenate([share(rows_G, rank, world) for rank in range(world)])


def numbered(names: Sequence[Hashable]) -> IntArray:
    """Equal names as equal numbers from 0, in the order in which they come."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64)
