"""Ragged rows, by hand."""

import numpy as np
import pytest

from mmspec_ds.spectra.packed import PackedIds, PackedTokens, offsets_of, places, ranges
from mmspec_ds.spectra.tokens import ContinuousField, DiscreteField, TokenSchema

SCHEMA = TokenSchema(
    discrete=(DiscreteField("bin", 9),), continuous=(ContinuousField("a"), ContinuousField("b"))
)


def tokens(*rows):
    """Samples of these bins."""
    discrete = np.array([value for row in rows for value in row], dtype=np.int16)[:, None]
    continuous = np.stack([discrete[:, 0] / 2, discrete[:, 0] + 100], 1).astype(np.float32)
    return PackedTokens(discrete, continuous, offsets_of([len(row) for row in rows]))


def test_ranges():
    assert ranges(np.array([4, 9, 0]), np.array([2, 0, 3])).tolist() == [4, 5, 0, 1, 2]
    assert ranges(np.array([], dtype=np.int64), np.array([], dtype=np.int64)).tolist() == []


def test_ids():
    packed = PackedIds.of([[5, 6], [], [7, 8, 9]])
    assert packed.values.tolist() == [5, 6, 7, 8, 9]
    assert packed.values.dtype == np.int16
    assert packed.offsets.tolist() == [0, 2, 2, 5]
    chosen = packed.subset(np.array([2, 0, 2]))
    assert chosen.values.tolist() == [7, 8, 9, 5, 6, 7, 8, 9]
    assert chosen.offsets.tolist() == [0, 3, 5, 8]


def test_ids_that_do_not_fit_are_refused():
    with pytest.raises(OverflowError):
        PackedIds.of([[40_000]])


def test_places():
    assert places(np.array([2, 0, 3])).tolist() == [0, 1, 0, 1, 2]


def test_tokens_of_several_parts():
    packed = PackedTokens.joined([tokens([1, 2], []), tokens(), tokens([3]), tokens([4, 5])])
    assert len(packed) == 5
    assert packed.discrete.tolist() == [[1], [2], [3], [4], [5]]
    assert packed.continuous[:, 1].tolist() == [101, 102, 103, 104, 105]
    assert packed.counts.tolist() == [2, 0, 1, 2]
    chosen = packed.subset(np.array([3, 1, 0]))
    assert chosen.discrete.tolist() == [[4], [5], [1], [2]]
    assert chosen.continuous[:, 0].tolist() == [2.0, 2.5, 0.5, 1.0]
    assert chosen.offsets.tolist() == [0, 2, 2, 4]


def test_empty_rows_have_arrays_of_the_right_width():
    packed = PackedTokens.empty(SCHEMA, rows=2)
    assert packed.discrete.shape == (0, 1)
    assert packed.continuous.shape == (0, 2)
    assert packed.offsets.tolist() == [0, 0, 0]


def test_tokens_of_other_fields_are_refused():
    other = PackedTokens.empty(TokenSchema(discrete=(DiscreteField("bin", 9),)))
    with pytest.raises(ValueError, match="dimension"):
        PackedTokens.joined([other, tokens([1])])
