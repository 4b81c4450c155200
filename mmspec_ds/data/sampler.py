"""Choose the samples of each batch: samples of similar length together, each sample once in an epoch.

A global batch holds the samples of all ranks in one step, one block per rank. Two ranks with batches of 32 are
given exactly the samples that one rank with a batch of 64 is given.

Axes: N samples, B samples of a batch on one rank, G global batches of an epoch.
"""

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
WeightArray = npt.NDArray[np.float32]


class Selection(NamedTuple):
    """The samples of one batch on one rank: `indices` int64 [B] into the dataset and `weights` float32 [B], 1
    for a sample and 0 for a repeat that only fills the batch."""

    indices: IntArray
    weights: WeightArray


class Sampler(Protocol):
    """Batches that depend on seed, epoch and rank alone: a resumed run continues at the exact sample."""

    def __len__(self) -> int:
        """Batches per epoch, the same in every epoch and on every rank."""

    def epoch(self, number: int) -> list[Selection]:
        """The batches of epoch `number` for this rank."""


class BucketSampler:
    """Batches of samples of similar length; runs with the same seed have the same batches.

    An epoch shuffles the samples and takes them in pools of `bucket_batches` global batches. Each pool is
    sorted by length and cut into global batches, and the batches are shuffled. Larger pools have less padding,
    but batches that are less random.

    Args:
        lengths: tokens of each sample, [N].
        batch_size: samples per rank and step.
        world_size: ranks that read different samples.
        rank: this process's place among them.
        seed: with the epoch's number, decides the order.
        shuffle: if false, samples and batches keep the order of the dataset (validation).
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
        if batch_size < 1 or world_size < 1 or bucket_batches < 1:
            raise ValueError("batch_size, world_size and bucket_batches must be at least 1")
        self.lengths = _checked(lengths, world_size, rank)
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


class TokenBudgetSampler:
    """Batches of at most `tokens` encoder tokens a rank, padding included; the same on every run with one seed.

    The samples are sorted by length and cut into batches from the longest to the shortest. Each batch takes as
    many samples as fit at the length of its first. The cuts follow from the lengths alone, so the number of
    batches and their shapes are the same in every epoch, and every rank has as many samples as the others. New
    in each epoch are the order of the batches and the order of samples of one length.

    Neighbours in a batch are alike in every epoch, more so than with `BucketSampler`: in a set of a million
    records thousands share each length, in one of a hundred hardly two.

    Args:
        lengths: tokens of each sample, [N].
        tokens: largest number of places of a batch, samples times the longest of them, for each rank.
        world_size: ranks that read different samples.
        rank: this process's place among them.
        seed: with the epoch's number, decides the order.

    Raises:
        ValueError: for no samples, or a sample longer than `tokens`.
    """

    def __init__(
        self, lengths: npt.ArrayLike, tokens: int, *, world_size: int = 1, rank: int = 0, seed: int = 0
    ) -> None:
        self.lengths = _checked(lengths, world_size, rank)
        if self.lengths.max() > tokens:
            raise ValueError(
                f"a batch of {tokens} tokens has no room for the longest sample, of {self.lengths.max()}"
            )
        self.tokens, self.world_size, self.rank, self.seed = tokens, world_size, rank, seed
        self._starts, self._sizes = self._cuts()

    def __len__(self) -> int:
        """Batches per epoch, the same in every epoch and on every rank."""
        return len(self._starts)

    def epoch(self, number: int) -> list[Selection]:
        """The batches of epoch `number` for this rank. Over all ranks every sample occurs once with weight 1;
        in the batch of the shortest, repeats of weight 0 fill up."""
        rng = np.random.default_rng((self.seed, number))
        mixed = rng.permutation(len(self.lengths))
        order = mixed[np.argsort(-self.lengths[mixed], kind="stable")]
        batches = []
        for at in rng.permutation(len(self)):
            start, size = self._starts[at], self._sizes[at]
            total = size * self.world_size
            indices, weights = filled(order[start : start + total], total, rng)
            own = slice(self.rank * size, (self.rank + 1) * size)
            batches.append(Selection(indices[own], weights[own]))
        return batches

    def _cuts(self) -> tuple[list[int], list[int]]:
        """Where each global batch starts in the order of falling length, and its samples per rank, both [G]."""
        falling = np.sort(self.lengths)[::-1]
        starts, sizes, at = [], [], 0
        while at < len(falling):
            fit = int(self.tokens // max(1, falling[at]))
            size = min(fit, -(-(len(falling) - at) // self.world_size))
            starts.append(at)
            sizes.append(size)
            at += size * self.world_size
        return starts, sizes


def _checked(lengths: npt.ArrayLike, world_size: int, rank: int) -> IntArray:
    found: IntArray = np.asarray(lengths, dtype=np.int64)
    if found.ndim != 1 or not len(found):
        raise ValueError(f"lengths must hold one number per sample, not an array of shape {found.shape}")
    if not 0 <= rank < world_size:
        raise ValueError(f"rank {rank} is not within 0 .. {world_size - 1}")
    return found


def filled(members: IntArray, size: int, rng: np.random.Generator | None) -> Selection:
    """A global batch of exactly `size` samples. With a generator they are shuffled first, because the last
    rank would otherwise always have the longest. If there are too few, they are spread evenly and repeats of
    weight 0 fill the gaps, so that no rank is left without a real sample while another has several."""
    if rng is not None:
        members = rng.permutation(members)
    real = np.arange(len(members)) * size // len(members)
    indices = np.resize(members, size)
    indices[real] = members
    weights = np.zeros(size, dtype=np.float32)
    weights[real] = 1
    return Selection(indices, weights)
