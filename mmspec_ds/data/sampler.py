"""Which samples go into which batch: like lengths together, every sample once, every rank alike.

The unit is the global batch, what all ranks see in one step. It is laid out as one block per rank, so that
two ranks with batches of 32 are given exactly the samples that one rank with a batch of 64 is given.
"""

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
WeightArray = npt.NDArray[np.float32]


class Selection(NamedTuple):
    """The samples of one batch on one rank: `indices` int64 [B] into the dataset, `weights` float32 [B], 0
    for a repeat that only fills the batch, else 1."""

    indices: IntArray
    weights: WeightArray


class Sampler(Protocol):
    """What a run asks of a sampler: batches that follow from seed, epoch and place alone, so that a resumed run
    goes on at the exact sample."""

    def __len__(self) -> int:
        """Batches per epoch, the same in every epoch and on every rank."""

    def epoch(self, number: int) -> list[Selection]:
        """The batches of epoch `number` for this rank."""


class BucketSampler:
    """Batches of samples of like length, the same on every run with one seed.

    An epoch orders the samples at random, takes them in pools of `bucket_batches` global batches, sorts
    each pool by length and cuts it into global batches, whose order is then random again. A pool bounds
    what sorting costs in randomness: the wider the pool, the less padding and the more alike the neighbours
    of a batch.

    Args:
        lengths: tokens of each sample, [N].
        batch_size: samples per rank and step.
        world_size: ranks that read different samples.
        rank: this process's place among them.
        seed: with the epoch's number, decides the order.
        shuffle: without, samples are pooled in their own order and batches keep it (validation).
        bucket_batches: global batches per pool.

    Raises:
        ValueError: for no samples or sizes that are not positive.
    """

    def __init__(
        self,
        lengths: npt.ArrayLike,
        batch_size: int,
        *,
        world_size: int = 1,
        rank: int = 0,
        seed: int = 0,
        shuffle: bool = True,
        bucket_batches: int = 32,
    ) -> None:
        self.lengths: IntArray = np.asarray(lengths, dtype=np.int64)
        if self.lengths.ndim != 1 or not len(self.lengths):
            raise ValueError(
                f"lengths must hold one number per sample, not an array of shape {self.lengths.shape}"
            )
        if batch_size < 1 or world_size < 1 or bucket_batches < 1:
            raise ValueError("batch_size, world_size and bucket_batches must be at least 1")
        if not 0 <= rank < world_size:
            raise ValueError(f"rank {rank} is not within 0 .. {world_size - 1}")
        self.batch_size, self.world_size, self.rank = batch_size, world_size, rank
        self.seed, self.shuffle, self.bucket_batches = seed, shuffle, bucket_batches

    def __len__(self) -> int:
        """Batches per epoch, the same on every rank."""
        return -(-len(self.lengths) // (self.batch_size * self.world_size))

    def epoch(self, number: int) -> list[Selection]:
        """The batches of epoch `number` for this rank: `len(self)` of exactly `batch_size` samples each.
        Over all ranks every sample occurs once with weight 1."""
        rng = np.random.default_rng((self.seed, number))
        own = slice(self.rank * self.batch_size, (self.rank + 1) * self.batch_size)
        size = self.batch_size * self.world_size
        batches = [
            filled(members, size, rng if self.shuffle else None) for members in self._global_batches(rng)
        ]
        return [Selection(indices[own], weights[own]) for indices, weights in batches]

    def _global_batches(self, rng: np.random.Generator) -> list[IntArray]:
        """Samples cut into global batches, at most one of them short."""
        total = len(self.lengths)
        order = rng.permutation(total) if self.shuffle else np.arange(total)
        batch = self.batch_size * self.world_size
        pool = batch * self.bucket_batches
        batches = []
        for start in range(0, total, pool):
            members = order[start : start + pool]
            members = members[np.argsort(self.lengths[members], kind="stable")]
            batches += [members[at : at + batch] for at in range(0, len(members), batch)]
        if self.shuffle:
            batches = [batches[place] for place in rng.permutation(len(batches))]
        return batches


def filled(members: IntArray, size: int, rng: np.random.Generator | None) -> Selection:
    """A full global batch of `size`. Members are mixed where there is a generator, or the last rank would
    always be given the longest; where they are too few they stand evenly spread and repeats fill the gaps, so
    that no rank is left without a real sample while another has two to spare."""
    if rng is not None:
        members = rng.permutation(members)
    real = np.arange(len(members)) * size // len(members)
    indices = np.resize(members, size)
    indices[real] = members
    weights = np.zeros(size, dtype=np.float32)
    weights[real] = 1
    return Selection(indices, weights)
