"""Batches under a budget of padded tokens: every sample once, every rank alike, the same number each epoch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmspec_ds.data.sampler import TokenBudgetSampler


@settings(max_examples=80, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=150),
    tokens=st.integers(60, 400),
    world_size=st.sampled_from([1, 2, 3]),
    epoch=st.integers(0, 5),
)
def test_each_sample_counts_once_and_no_batch_is_over_the_budget(
    lengths: list[int], tokens: int, world_size: int, epoch: int
) -> None:
    ranks = [
        TokenBudgetSampler(lengths, tokens, world_size=world_size, rank=rank) for rank in range(world_size)
    ]
    epochs = [sampler.epoch(epoch) for sampler in ranks]
    assert {len(batches) for batches in epochs} == {len(sampler) for sampler in ranks} == {len(ranks[0])}
    for step in zip(*epochs):
        assert len({len(selection.indices) for selection in step}) == 1
        for selection in step:
            assert len(selection.indices) * np.asarray(lengths)[selection.indices].max() <= tokens
    everything = [selection for batches in epochs for selection in batches]
    indices = np.concatenate([s.indices for s in everything])
    weights = np.concatenate([s.weights for s in everything])
    assert sorted(indices[weights == 1]) == list(range(len(lengths)))


def test_batches_by_hand() -> None:
    # falling: 10 9 | 5 5 5 4 | 4 2 (only two are left for two ranks)
    lengths = [5, 10, 2, 5, 4, 9, 5, 4]
    batches = [TokenBudgetSampler(lengths, 11, world_size=2, rank=rank).epoch(0) for rank in (0, 1)]
    found = {
        tuple(sorted((lengths[at] for rank in step for at in rank.indices), reverse=True))
        for step in zip(*batches)
    }
    assert found == {(10, 9), (5, 5, 5, 4), (4, 2)}
    assert len(TokenBudgetSampler(lengths, 11, world_size=2)) == 3


def test_shapes_stay_and_company_changes_from_epoch_to_epoch() -> None:
    lengths = np.random.default_rng(0).integers(300, 320, 5000)
    sampler = TokenBudgetSampler(lengths, 320 * 16, seed=1)
    first, second, again = (
        sampler.epoch(0),
        sampler.epoch(1),
        TokenBudgetSampler(lengths, 320 * 16, seed=1).epoch(0),
    )
    for one, other in zip(first, again):
        np.testing.assert_array_equal(one.indices, other.indices)
    assert sorted(len(s.indices) for s in first) == sorted(len(s.indices) for s in second)
    together = {tuple(sorted(s.indices)) for s in first} & {tuple(sorted(s.indices)) for s in second}
    assert not together
    # Batches come in no order of length, and hardly anything is padding.
    longest = np.array([lengths[s.indices].max() for s in first])
    assert abs(np.corrcoef(longest, np.arange(len(longest)))[0, 1]) < 0.2
    places = sum(len(s.indices) * lengths[s.indices].max() for s in first)
    assert lengths.sum() / places > 0.99


def test_a_sample_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="a batch of 9 tokens has no room for the longest sample, of 10"):
        TokenBudgetSampler([3, 10], 9)
    with pytest.raises(ValueError, match="rank 2"):
        TokenBudgetSampler([3], 9, world_size=2, rank=2)
    with pytest.raises(ValueError, match="one number per sample"):
        TokenBudgetSampler([], 9)
