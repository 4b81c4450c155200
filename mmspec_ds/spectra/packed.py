"""Rows of uneven length laid end to end, so that a million spectra are a handful of arrays.

Axes: N rows (samples), T items of all rows together, F fields of an item.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from mmspec_ds.spectra.tokens import TokenSchema

IntArray = npt.NDArray[np.int64]


def ranges(starts: IntArray, counts: IntArray) -> IntArray:
    """The numbers start .. start + count - 1 of each pair, end to end: starts [4, 0], counts [2, 3] give
    [4, 5, 0, 1, 2]."""
    before = np.cumsum(counts) - counts
    return np.arange(counts.sum(), dtype=np.int64) + np.repeat(starts - before, counts)


def places(counts: IntArray) -> IntArray:
    """The place of each item within its row: counts [2, 3] give [0, 1, 0, 1, 2]."""
    return ranges(np.zeros_like(counts), counts)


def offsets_of(counts: npt.ArrayLike) -> IntArray:
    """Where each row starts and the last one ends, [N + 1]."""
    return np.concatenate([[0], np.cumsum(np.asarray(counts, dtype=np.int64))])


def bounds_of(counts: IntArray) -> list[tuple[int, int]]:
    """Start and end of each row: counts [2, 3] give [(0, 2), (2, 5)]."""
    return list(pairwise(offsets_of(counts).tolist()))


def counts_at(offsets: IntArray, indices: IntArray) -> IntArray:
    """Items of the rows `indices`, without a look at the others."""
    return offsets[indices + 1] - offsets[indices]


class _Packed:
    """Arrays of the items of all rows, then `offsets` int64 [N + 1]."""

    __slots__ = ()
    offsets: IntArray

    @property
    def counts(self) -> IntArray:
        """How many items each row has, int [N]."""
        return np.diff(self.offsets)

    def _arrays(self) -> list[npt.NDArray[Any]]:
        return [getattr(self, one.name) for one in fields(self)[:-1]]  # type: ignore[arg-type]

    def subset(self, indices: IntArray) -> Self:
        """The rows `indices`, in that order."""
        counts = counts_at(self.offsets, indices)
        items = ranges(self.offsets[indices], counts)
        arrays = [array[items] for array in self._arrays()]
        return type(self)(*arrays, offsets_of(counts))  # type: ignore[call-arg]

    def where(self, kept_N: npt.NDArray[np.bool_]) -> Self:
        """The same rows, those outside of a mask without any item."""
        counts = self.counts
        arrays = [array[np.repeat(kept_N, counts)] for array in self._arrays()]
        return type(self)(*arrays, offsets_of(counts * kept_N))  # type: ignore[call-arg]

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The rows of several, one after the other; `parts` must not be empty.

        Raises:
            ValueError: the parts have other fields than the first one.
        """
        if len(parts) == 1:
            return parts[0]
        arrays = map(np.concatenate, zip(*(part._arrays() for part in parts)))
        offsets = offsets_of(np.concatenate([part.counts for part in parts]))
        return cls(*arrays, offsets)  # type: ignore[call-arg]


@dataclass(frozen=True, slots=True)
class PackedIds(_Packed):
    """A list of ids per row: `values` int16 [T], `offsets` int64 [N + 1]."""

    values: npt.NDArray[Any]
    offsets: IntArray

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]]) -> Self:
        """Pack lists of ids, each below 32,768."""
        flat = [value for row in rows for value in row]
        return cls(np.array(flat, dtype=np.int16), offsets_of([len(row) for row in rows]))


@dataclass(frozen=True, slots=True)
class PackedTokens(_Packed):
    """The tokens of one modality of every sample: `discrete` int16 [T, F], `continuous` float32 [T, F'],
    `offsets` int64 [N + 1]. Its length is the number of tokens, T."""

    discrete: npt.NDArray[np.int16]
    continuous: npt.NDArray[np.float32]
    offsets: IntArray

    @classmethod
    def empty(cls, schema: TokenSchema, rows: int = 0) -> Self:
        """Samples without any token."""
        discrete = np.empty((0, len(schema.discrete)), dtype=np.int16)
        continuous = np.empty((0, len(schema.continuous)), dtype=np.float32)
        return cls(discrete, continuous, np.zeros(rows + 1, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.discrete)
