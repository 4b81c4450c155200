"""Every sample once, every rank alike, like lengths together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmspec_ds.data.sampler import BucketSampler


def samplers(lengths, batch_size, world_size, **options):
    return [
        BucketSampler(lengths, batch_size, world_size=world_size, rank=rank, **options)
        for rank in range(world_size)
    ]


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 300), min_size=1, max_size=120),
    batch_size=st.integers(1, 9),
    world_size=st.sampled_from([1, 2, 4]),
    epoch=st.integers(0, 5),
    shuffle=st.booleans(),
    bucket_batches=st.integers(1, 4),
)
def test_each_sample_counts_once_per_epoch(lengths, batch_size, world_size, epoch, shuffle, bucket_batches):
    ranks = samplers(lengths, batch_size, world_size, shuffle=shuffle, bucket_batches=bucket_batches)
    epochs = [sampler.epoch(epoch) for sampler in ranks]

    assert {len(batches) for batches in epochs} == {len(ranks[0])}
    everything = [selection for batches in epochs for selection in batches]
    assert all(len(s.indices) == len(s.weights) == batch_size for s in everything)
    indices = np.concatenate([s.indices for s in everything])
    weights = np.concatenate([s.weights for s in everything])
    assert sorted(indices[weights == 1]) == list(range(len(lengths)))
    assert set(np.unique(weights)) <= {0.0, 1.0}


@pytest.mark.parametrize("world_size", [1, 2, 4])
@pytest.mark.parametrize("total", [3, 64, 101])
def test_ranks_together_are_given_the_batch_of_one_rank(world_size, total):
    lengths = np.random.default_rng(1).integers(5, 200, total)
    whole = BucketSampler(lengths, 8, seed=7, bucket_batches=3).epoch(2)
    parts = [s.epoch(2) for s in samplers(lengths, 8 // world_size, world_size, seed=7, bucket_batches=3)]

    assert len(whole) == -(-total // 8)
    for step, (indices, weights) in enumerate(whole):
        np.testing.assert_array_equal(np.concatenate([p[step].indices for p in parts]), indices)
        np.testing.assert_array_equal(np.concatenate([p[step].weights for p in parts]), weights)


def test_a_short_batch_gives_every_rank_a_real_sample():
    ranks = [s.epoch(0) for s in samplers([5] * 5, 4, 4)]
    assert [int(batches[0].weights.sum()) for batches in ranks] == [2, 1, 1, 1]


def test_same_seed_and_epoch_give_the_same_order_and_others_do_not():
    lengths = np.arange(200) % 17
    first = [s.indices for s in BucketSampler(lengths, 10, seed=3).epoch(4)]
    again = [s.indices for s in BucketSampler(lengths, 10, seed=3).epoch(4)]
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, [s.indices for s in BucketSampler(lengths, 10, seed=3).epoch(5)])
    assert not np.array_equal(first, [s.indices for s in BucketSampler(lengths, 10, seed=4).epoch(4)])


def test_without_shuffling_a_pool_is_sorted_by_length():
    batches = BucketSampler([9, 1, 7, 3, 5, 2], 2, shuffle=False).epoch(0)
    assert [s.indices.tolist() for s in batches] == [[1, 5], [3, 4], [2, 0]]


def test_lengths_of_a_batch_are_alike():
    """256 different lengths over pools of 32 batches of 8: sorted, a batch spans some 8 of them; at random it
    would span 200."""
    lengths = np.random.default_rng(0).permutation(np.tile(np.arange(256), 8))
    batches = BucketSampler(lengths, 8, seed=1).epoch(0)
    spread = [np.ptp(lengths[s.indices]) for s in batches]
    assert len(batches) == 256
    assert np.mean(spread) < 12


@pytest.mark.parametrize(
    ("lengths", "options"),
    [([], {}), ([1], {"batch_size": 0}), ([1], {"world_size": 2, "rank": 2}), ([1], {"bucket_batches": 0})],
    ids=["no samples", "no batch", "rank beyond the world", "no bucket"],
)
def test_misuse_is_refused(lengths, options):
    with pytest.raises(ValueError):
        BucketSampler(lengths, **{"batch_size": 1, **options})
