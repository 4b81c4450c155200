"""Which experts live where."""

import pytest
import torch
from mmspec_kernels import ExpertWeights

from mmspec_ds.moe.expert_parallel import ALONE, Placement
from mmspec_ds.moe.expert_settings import MoESettings, paper_experts
from mmspec_ds.moe.experts import ExpertBank


@pytest.mark.parametrize(
    ("size", "rank", "experts", "expected"),
    [(1, 0, 3, [0, 1, 2]), (2, 0, 8, [0, 1, 2, 3]), (2, 1, 8, [4, 5, 6, 7]), (4, 2, 8, [4, 5]), (8, 7, 8, [7])],
)
def test_each_rank_has_a_contiguous_block(size: int, rank: int, experts: int, expected: list[int]) -> None:
    assert list(Placement(size, rank).local(experts)) == expected


@pytest.mark.parametrize(("size", "rank"), [(2, 2), (2, -1), (0, 0), (1, 1)])
def test_rank_outside_its_group(size: int, rank: int) -> None:
    with pytest.raises(ValueError, match=f"rank {rank} of an expert-parallel group of {size}"):
        Placement(size, rank)


@pytest.mark.parametrize(("size", "experts"), [(3, 8), (8, 4)])
def test_experts_that_cannot_be_shared(size: int, experts: int) -> None:
    with pytest.raises(ValueError, match=f"{experts} experts cannot be shared by {size} ranks"):
        Placement(size, 0).local(experts)


@pytest.mark.parametrize("size", [2, 4])
def test_initial_weights_do_not_depend_on_the_expert_parallel_size(size: int) -> None:
    settings = MoESettings(experts=paper_experts(64, 16))

    def bank(placement: Placement) -> list[ExpertWeights]:
        torch.manual_seed(5)
        return ExpertBank(16, settings, placement).weights()

    everyone = bank(ALONE)
    spread = [expert for rank in range(size) for expert in bank(Placement(size, rank))]
    assert len(spread) == 8
    for one, other in zip(everyone, spread):
        assert torch.equal(one.w1, other.w1)
        assert torch.equal(one.w2, other.w2)
