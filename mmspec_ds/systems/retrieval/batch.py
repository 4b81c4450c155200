"""What a retrieval model is given: spectra as tokens, or as text; and who is whose positive.

Axes: B rows (records) of this rank, G rows of all ranks, L positions of a text, P tokens
of a position, X bytes of a fingerprint.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol, Self

import numpy as np
import torch
from torch import Tensor

from mmspec_ds.spectra.packed import IntArray, places


class Inputs(Protocol):
    """The interface of what an encoder reads of some records: tensors that are changed together. It is a
    `SpectraBatch` for our own encoder, a `TextBatch` for a language model."""

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Self:
        """The same with every tensor changed, such as moved to a device."""


@dataclass(frozen=True)
class TextBatch:
    """Texts as ids of tokens.

    Attributes:
        ids_BLP: int64; the P tokens of a position, whose embeddings are added up; -1 for none.
        mask_BL: bool, True where there is a token.
        hidden_BL: bool, True where the masked objective hides the tokens; None without it.
    """

    ids_BLP: Tensor
    mask_BL: Tensor
    hidden_BL: Tensor | None = None

    def mapped(self, change: Callable[[Tensor], Tensor]) -> "TextBatch":
        """The same with every tensor changed, such as moved to a device."""
        hidden_BL = None if self.hidden_BL is None else change(self.hidden_BL)
        return TextBatch(change(self.ids_BLP), change(self.mask_BL), hidden_BL)

    def groups(self, size: int) -> Iterator["TextBatch"]:
        """The records in groups of at most `size`, each padded to the longest of its texts."""
        for at in range(0, len(self.mask_BL), size):
            yield self._cut(slice(at, at + size))

    def _cut(self, rows: slice) -> "TextBatch":
        length = max(1, int(self.mask_BL[rows].sum(1).max()))
        return self.mapped(lambda tensor: tensor[rows, :length])


@dataclass(frozen=True)
class RetrievalBatch:
    """The records of this rank, and the molecules of those of all ranks.

    Attributes:
        parts: the rows of this rank in pieces, which are embedded one after the other.
        molecule_G: a number for each molecule, int64; rows with the same number are each other's positives. The
            rows of all ranks follow one another.
        fingerprint_GX: their packed Morgan fingerprints, uint8.
        first: this rank's first row among those of all ranks.
        rows: of this rank, B.
        tokens: of the rows of all ranks, without padding.
    """

    parts: tuple[Inputs, ...]
    molecule_G: Tensor
    fingerprint_GX: Tensor
    first: int
    rows: int
    tokens: int

    @property
    def samples(self) -> float:
        """Records of this rank."""
        return float(self.rows)

    def to(self, device: torch.device) -> "RetrievalBatch":
        """The same batch on another device."""
        return self._with(lambda tensor: tensor.to(device, non_blocking=True))

    def pinned(self) -> "RetrievalBatch":
        """The same batch in page-locked memory."""
        return self._with(Tensor.pin_memory)

    def _with(self, change: Callable[[Tensor], Tensor]) -> "RetrievalBatch":
        return replace(
            self,
            parts=tuple(part.mapped(change) for part in self.parts),
            molecule_G=change(self.molecule_G),
            fingerprint_GX=change(self.fingerprint_GX),
        )


@dataclass(frozen=True)
class Arrangement:
    """The rows of a global batch in the order in which the ranks hold them.

    Attributes:
        rows_G: places in the training data, rank by rank, of each rank the shortest first.
        keys_G: a number for each, which differs where a row occurs twice.
        molecule_G: a number for each molecule.
        first, count: where this rank's rows begin, and how many it has.
    """

    rows_G: IntArray
    keys_G: IntArray
    molecule_G: IntArray
    first: int
    count: int

    @classmethod
    def of(
        cls, rows_G: IntArray, molecule_G: IntArray, lengths_N: IntArray, rank: int, world: int
    ) -> "Arrangement":
        """Share rows evenly among the ranks, so that each has long and short ones.

        Args:
            rows_G: places in the data; their number is a multiple of that of the ranks.
            molecule_G: of each.
            lengths_N: tokens of each row of the data.
            rank, world: of this process.
        """
        again_G = np.zeros(len(rows_G), dtype=np.int64)
        order = np.argsort(rows_G, kind="stable")
        starts = np.flatnonzero(np.diff(rows_G[order], prepend=-1))
        again_G[order] = places(np.diff(starts, append=len(rows_G)))
        keys_G = rows_G + len(lengths_N) * again_G
        rising = np.argsort(lengths_N[rows_G], kind="stable")
        shared = np.concatenate([rising[one::world] for one in range(world)])
        count = len(rows_G) // world
        return cls(rows_G[shared], keys_G[shared], molecule_G[shared], rank * count, count)

    def pieces(self, size: int | None) -> list[slice]:
        """The rows of this rank in pieces of at most `size`; in one without."""
        step = size or self.count
        end = self.first + self.count
        return [slice(at, min(at + step, end)) for at in range(self.first, end, step)]
