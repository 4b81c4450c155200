"""Which examples come together."""

import numpy as np
import pytest

from mmspec_ds.systems.alignment.sampler import ExampleSampler, numbered, share, shared_order

LENGTHS = np.random.default_rng(0).integers(5, 90, 203)
KINDS = numbered(["molecule"] * 120 + ["cell"] * 83)


def test_every_example_once_in_batches_of_one_kind_and_like_length() -> None:
    sampler = ExampleSampler(LENGTHS, KINDS, 8, seed=3)
    batches = sampler.round(0)
    assert len(batches) == len(sampler) == 120 // 8 + 83 // 8
    rows = np.concatenate(batches)
    assert len(np.unique(rows)) == len(rows) == 200
    assert all(len(np.unique(KINDS[batch])) == 1 for batch in batches)
    padding = np.mean([LENGTHS[batch].max() * 8 / LENGTHS[batch].sum() for batch in batches])
    random = np.random.default_rng(1).permutation(200).reshape(-1, 8)
    assert padding < 1.15 < np.mean([LENGTHS[batch].max() * 8 / LENGTHS[batch].sum() for batch in random])


def test_rounds_differ_and_come_again() -> None:
    sampler = ExampleSampler(LENGTHS, KINDS, 8, seed=3)
    one, again, other = sampler.round(0), sampler.round(0), sampler.round(1)
    assert all(np.array_equal(a, b) for a, b in zip(one, again))
    assert not all(np.array_equal(a, b) for a, b in zip(one, other))


def test_ranks_share_a_batch() -> None:
    rows = np.arange(8) * 10
    assert share(rows, 1, 2).tolist() == [10, 30, 50, 70]
    assert shared_order(rows, 2).tolist() == [0, 20, 40, 60, 10, 30, 50, 70]
    assert share(rows[:7], 0, 2).tolist() == [0, 20, 40]


def test_a_batch_that_is_never_full_is_told() -> None:
    with pytest.raises(ValueError, match="a batch of 121 examples is more than there are of one kind"):
        ExampleSampler(LENGTHS, KINDS, 121, seed=0)
