"""Batches of rows as flat arrays, which is what the compression operators work on.

The lists of an Arrow column are cut out of its flat buffers by their offsets, without a Python object for each
number. What is wrong with a cell is found for all rows at once and put into words for the rows that have it.

Axes: N rows, I items (multiplets, lines, peaks) of all rows end to end.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mmspec_ds.spectra.packed import IntArray, PackedTokens, offsets_of, places
from mmspec_ds.spectra.records import FloatArray

Array = npt.NDArray[Any]
BoolArray = npt.NDArray[np.bool_]
Explain = Callable[[int], str]


class Faults:
    """The rows of one column that cannot be used, and why.

    Attributes:
        column: its name.
        bad_N: true for such a row.
    """

    def __init__(self, column: str, rows: int) -> None:
        self.column = column
        self.bad_N: BoolArray = np.zeros(rows, dtype=np.bool_)
        self._checks: list[tuple[IntArray, IntArray, Explain]] = []

    def rows(self, bad_N: BoolArray, why: Explain) -> None:
        """Note rows; `why` explains one by its number."""
        self.items(bad_N, np.arange(len(bad_N)), why)

    def items(self, bad_I: BoolArray, row_I: IntArray, why: Explain) -> None:
        """Note items, each with its row; `why` explains one by its place among all."""
        if bad_I.any():
            bad = np.flatnonzero(bad_I)
            self.bad_N[row_I[bad]] = True
            self._checks.append((row_I[bad], bad, why))

    def why(self, row: int) -> str:
        """The first fault that was noted of a bad row.

        Raises:
            ValueError: the row has none.
        """
        for rows, items, why in self._checks:
            found = np.flatnonzero(rows == row)
            if len(found):
                return why(int(items[found[0]]))
        raise ValueError(f"row {row} has no fault")

    def shifts(self, name: str, ppm_I: FloatArray, row_I: IntArray, limits: tuple[float, float]) -> None:
        """Note shifts that are missing, not finite or outside of limits."""
        low, high = limits

        def why(at: int) -> str:
            if not math.isfinite(ppm_I[at]):
                return f"{name} is missing, NaN or infinite"
            return f"{name} {ppm_I[at]:g} ppm is outside {low:g} to {high:g} ppm"

        self.items(~((low <= ppm_I) & (ppm_I <= high)), row_I, why)


class ListCells:
    """The lists of a column.

    Attributes:
        present_N: rows whose cell is not null.
        counts_N: items of each row, 0 where the cell is null.
        values: Arrow's flat values; `pick` selects those that belong to rows.
    """

    def __init__(self, array: pa.Array) -> None:
        if pa.types.is_fixed_size_list(array.type):
            array = array.cast(pa.list_(array.type.value_type))
        self.present_N: BoolArray = ~array.is_null().to_numpy(zero_copy_only=False)
        offsets: IntArray = array.offsets.to_numpy().astype(np.int64)
        self.counts_N: IntArray = np.where(self.present_N, np.diff(offsets), 0)
        self.values: pa.Array = array.values
        first, last = int(offsets[0]), int(offsets[-1])
        self._at: slice | IntArray = slice(first, last)
        if last - first != self.counts_N.sum():  # null cells with something behind them
            self._at = np.repeat(offsets[:-1], self.counts_N) + places(self.counts_N)

    @cached_property
    def row_I(self) -> IntArray:
        """The number of the row of each item, int64 [I], rising."""
        return np.repeat(np.arange(len(self.counts_N)), self.counts_N)

    def pick(self, flat: Array) -> Array:
        """Those of some flat values, one for each of `values`, that are items of a row: [I]."""
        return flat[self._at]

    def place(self, at: int) -> int:
        """The place of an item within its row."""
        return int(at - np.searchsorted(self.row_I, self.row_I[at]))

    def faults(self, column: str) -> Faults:
        """The beginning of what is wrong: a list without items."""
        found = Faults(column, len(self.counts_N))
        empty = "the list is empty (an absent spectrum must be null)"
        found.rows(self.present_N & (self.counts_N == 0), lambda _: empty)
        return found


@dataclass(frozen=True)
class Items:
    """Items of N rows, end to end: `counts_N` of each row, and an array [I] for each field."""

    counts_N: IntArray
    fields: Mapping[str, Array]

    @classmethod
    def of(
        cls, rows: Sequence[Sequence[Any]], names: Sequence[str], values: Sequence[tuple[float | None, ...]]
    ) -> Self:
        """Items from rows of uneven length; `values` has the fields of each item, None becomes NaN."""
        fields = np.array(values, dtype=np.float64).reshape(-1, len(names)).T
        return cls(np.array([len(row) for row in rows], dtype=np.int64), dict(zip(names, fields)))

    def __getitem__(self, name: str) -> Array:
        return self.fields[name]

    @cached_property
    def row_I(self) -> IntArray:
        """The number of the row of each item, int64 [I]."""
        return np.repeat(np.arange(len(self.counts_N)), self.counts_N)

    def where(self, kept_N: BoolArray) -> Self:
        """The same with the items of other rows left out."""
        if kept_N.all():
            return self
        kept_I = np.repeat(kept_N, self.counts_N)
        fields = {name: values[kept_I] for name, values in self.fields.items()}
        return type(self)(np.where(kept_N, self.counts_N, 0), fields)

    def largest(self, values_I: FloatArray) -> FloatArray:
        """For each item the largest value of its row, or 1 where that is not positive: [I]."""
        largest_N = np.zeros(len(self.counts_N))
        np.maximum.at(largest_N, self.row_I, values_I)
        return np.where(largest_N > 0, largest_N, 1.0)[self.row_I]

    def first(self, limit: int, *keys_I: Array) -> tuple[IntArray, IntArray]:
        """At most `limit` items of each row by rising first key, then by the next ones: their places among all
        items, and offsets [N + 1]."""
        order = np.lexsort((*reversed(keys_I), self.row_I))
        if len(self.counts_N) and int(self.counts_N.max()) > limit:
            order = order[places(self.counts_N) < limit]
        return order, offsets_of(np.minimum(self.counts_N, limit))


@dataclass(frozen=True, slots=True)
class FileColumn:
    """A column of a parquet file that holds a modality.

    Attributes:
        accepts: whether it can be read from a column of this type.
        expected: that type in words.
        fields: those that are read of a list of structs; others are not loaded.
    """

    name: str
    accepts: Callable[[pa.DataType], bool]
    expected: str
    fields: tuple[str, ...] = ()


def discrete_tokens(values: npt.ArrayLike, offsets: IntArray) -> PackedTokens:
    """Tokens of discrete fields alone, [T, F]."""
    discrete = np.asarray(values, dtype=np.int16)
    return PackedTokens(discrete, np.empty((len(discrete), 0), dtype=np.float32), offsets)


def bins(values: FloatArray, width: float, lowest: int, highest: int) -> FloatArray:
    """The nearest multiple of `width`, halves upwards, within limits.

    Nearest, not floor: 7.3 ppm, a value on the grid of reports, is then far from an edge of its bin, so that
    its bin does not depend on the last bit.
    """
    return np.clip(np.floor(values / width + 0.5), lowest, highest)


def float_values(array: pa.Array) -> npt.NDArray[np.floating]:
    """The values as floats, nulls as NaN."""
    values: Array = array.to_numpy(zero_copy_only=False)
    return values if values.dtype.kind == "f" else values.astype(np.float64)


def is_number(kind: pa.DataType | None) -> bool:
    """Whether a column of this type gives numbers or nulls."""
    return kind is not None and (pa.types.is_floating(kind) or pa.types.is_integer(kind))


def is_text(kind: pa.DataType | None) -> bool:
    """Whether a column of this type gives strings or nulls."""
    if kind is None:
        return False
    if pa.types.is_dictionary(kind):  # pandas writes categories so
        kind = kind.value_type
    # A column of nothing but nulls has Arrow's null type: a file without any coupling constant.
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind))


def item_type(kind: pa.DataType | None) -> pa.DataType | None:
    """The type of the items of a list; None for what is not a list."""
    tests = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return kind.value_type if kind is not None and any(test(kind) for test in tests) else None


def struct_of(kind: pa.DataType, numbers: Collection[str], texts: Collection[str] = ()) -> bool:
    """Whether a type is a list of structs with at least these fields."""
    item = item_type(kind)
    if item is None or not pa.types.is_struct(item):
        return False
    found = {field.name: field.type for field in item}
    return all(is_number(found.get(name)) for name in numbers) and all(
        is_text(found.get(name)) for name in texts
    )


def optional_field(values: pa.Array, name: str) -> FloatArray:
    """A field of structs as floats, NaN where it is null or the structs do not have it."""
    if values.type.get_field_index(name) < 0:
        return np.full(len(values), np.nan)
    return float_values(values.field(name)).astype(np.float64)
