"""Rows of uneven length laid end to end, so that a million spectra are a handful of arrays.

Axes: N rows (samples), T items of all rows together, F fields of an item.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.tokens import Tokens, TokenSchema

IntArray = npt.NDArray[np.int64]


def ranges(starts: IntArray, counts: IntArray) -> IntArray:
    """The numbers start .. start + count - 1 of each pair, end to end: starts [4, 0], counts [2, 3] give
    [4, 5, 0, 1, 2]."""
    before = np.cumsum(counts) - counts
    return np.arange(counts.sum(), dtype=np.int64) + np.repeat(starts - before, counts)


def offsets_of(counts: npt.ArrayLike) -> IntArray:
    """Where each row starts and the last one ends, [N + 1]."""
    return np.concatenate([[0], np.cumsum(np.asarray(counts, dtype=np.int64))])


def counts_at(offsets: IntArray, indices: IntArray) -> IntArray:
    """Items of the rows `indices`, without a look at the others."""
    return offsets[indices + 1] - offsets[indices]


@dataclass(frozen=True, slots=True)
class PackedIds:
    """A list of ids per row: `values` int16 [T], `offsets` int64 [N + 1]."""

    values: npt.NDArray[np.int16]
    offsets: IntArray

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]]) -> "PackedIds":
        """Pack lists of ids, each below 32,768."""
        flat = [value for row in rows for value in row]
        return cls(np.array(flat, dtype=np.int16), offsets_of([len(row) for row in rows]))

    @property
    def counts(self) -> IntArray:
        """Ids per row, [N]."""
        return np.diff(self.offsets)

    def subset(self, indices: IntArray) -> "PackedIds":
        """The rows `indices`, in that order."""
        counts = counts_at(self.offsets, indices)
        return PackedIds(self.values[ranges(self.offsets[indices], counts)], offsets_of(counts))


@dataclass(frozen=True, slots=True)
class PackedTokens:
    """The tokens of one modality of every sample: `discrete` int16 [T, F], `continuous` float32 [T, F'],
    `offsets` int64 [N + 1]."""

    discrete: npt.NDArray[np.int16]
    continuous: npt.NDArray[np.float32]
    offsets: IntArray

    @property
    def counts(self) -> IntArray:
        """Tokens per sample, [N]."""
        return np.diff(self.offsets)

    def subset(self, indices: IntArray) -> "PackedTokens":
        """The samples `indices`, in that order."""
        counts = counts_at(self.offsets, indices)
        items = ranges(self.offsets[indices], counts)
        return PackedTokens(self.discrete[items], self.continuous[items], offsets_of(counts))


class TokenPacker:
    """Collects the tokens of one modality, sample by sample.

    Args:
        modality: whose tokens these are.
        schema: their fields, which every sample must have.
    """

    CHUNK = 1024
    """Samples after which small arrays are joined: an array of its own costs a sample some 100 bytes,
    twice."""

    def __init__(self, modality: Modality, schema: TokenSchema) -> None:
        self._widths = (len(schema.discrete), len(schema.continuous))
        self._modality = modality
        self._counts: list[int] = []
        self._pending: list[Tokens] = []
        self._discrete = [np.empty((0, self._widths[0]), dtype=np.int16)]
        self._continuous = [np.empty((0, self._widths[1]), dtype=np.float32)]

    def add(self, tokens: Tokens | None) -> None:
        """Append the next sample's tokens, None where it has no such spectrum.

        Raises:
            ValueError: the tokens do not have the fields of the schema.
        """
        if tokens is None:
            self._counts.append(0)
            return
        widths = (tokens.discrete.shape[1], tokens.continuous.shape[1])
        if widths != self._widths:
            raise ValueError(
                f"{self._modality.name}: tokens of {widths} fields where the schema has {self._widths}"
            )
        self._counts.append(len(tokens))
        self._pending.append(tokens)
        if len(self._pending) == self.CHUNK:
            self._join()

    def pack(self) -> PackedTokens:
        """Everything that was added."""
        self._join()
        return PackedTokens(
            np.concatenate(self._discrete), np.concatenate(self._continuous), offsets_of(self._counts)
        )

    def _join(self) -> None:
        if self._pending:
            self._discrete.append(np.concatenate([tokens.discrete for tokens in self._pending]))
            self._continuous.append(np.concatenate([tokens.continuous for tokens in self._pending]))
            self._pending.clear()
