"""Batches of like lengths whose padded tokens stay under a budget: short spectra in large batches, long ones in
small.

Axes: N samples, G global batches of an epoch.
"""

import numpy as np
import numpy.typing as npt

from mmspec_ds.data.sampler import IntArray, Selection, filled


class TokenBudgetSampler:
    """Batches of at most `tokens` encoder tokens a rank, padding included; the same on every run with one seed.

    The samples are sorted by length, those of one length in a random order that is new in each epoch, and cut
    from the longest to the shortest: as many go into each batch as fit at the length of its first. Where the
    cuts are follows from the lengths alone. So the number of batches, and the shape of each, are the same in
    every epoch, and every rank's batch has as many samples as the others'. The order of batches is random.

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
        self.lengths: IntArray = np.asarray(lengths, dtype=np.int64)
        if self.lengths.ndim != 1 or not len(self.lengths):
            raise ValueError(
                f"lengths must hold one number per sample, not an array of shape {self.lengths.shape}"
            )
        if not 0 <= rank < world_size:
            raise ValueError(f"rank {rank} is not within 0 .. {world_size - 1}")
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
