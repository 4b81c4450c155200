"""Memory of a rank against bytes worked out by hand, for two ranks and a model of six small parameters."""

import pytest

from mmspec_ds.moe.expert_parallel import Placement
from mmspec_ds.profiling.activations import StageBytes
from mmspec_ds.profiling.memory import Holding, Share, rank_memory, shares
from mmspec_ds.profiling.sizes import ModelSizes, Weight

# Stage 0: 100 + 10 of the dense part; stage 1: two experts of 60 + 4.
SIZES = ModelSizes(
    (
        Weight("dense.matrix", 100, matrix=True, stage=0, expert=None),
        Weight("dense.vector", 10, matrix=False, stage=0, expert=None),
        Weight("first.matrix", 60, matrix=True, stage=1, expert=0),
        Weight("first.vector", 4, matrix=False, stage=1, expert=0),
        Weight("second.matrix", 60, matrix=True, stage=1, expert=1),
        Weight("second.vector", 4, matrix=False, stage=1, expert=1),
    ),
    widths=(16, 16),
    k=1,
)
# The first stage keeps 1000 bytes and works with 3000, the second keeps 5000 and works with 9000.
STAGES = [StageBytes("first", 1000.0, 3000.0), StageBytes("second", 5000.0, 9000.0)]
NOTHING = [StageBytes("first", 0.0, 0.0), StageBytes("second", 0.0, 0.0)]


def holding(stage: int, ep_size: int, element: int = 4, **more: object) -> Holding:
    return Holding(
        stage, offload=bool(more.pop("offload", False)), world=2, ep_size=ep_size, element=element, **more
    )  # type: ignore[arg-type]


def test_without_zero_everything_is_whole() -> None:
    memory = rank_memory(SIZES, STAGES, holding(0, 1))
    assert memory.weights == 4 * 238
    assert memory.optimizer == 8 * 238
    first, second, reduce = memory.phases
    # The backward pass begins at the end: at the second stage only its own gradients exist.
    assert (second.gradients, second.activations, second.working) == (4 * 128, 1000, 9000)
    assert (first.gradients, first.activations, first.working) == (4 * 238, 0, 3000)
    # Then gradients are reduced, the experts' 128 in one flat copy.
    assert (reduce.gradients, reduce.buffers) == (4 * 238, 4 * 128)
    assert memory.total == 952 + 1904 + 512 + 1000 + 9000
    assert memory.peak.name == "second"


def test_expert_parallelism_divides_the_experts_alone() -> None:
    memory = rank_memory(SIZES, NOTHING, holding(0, 2))
    assert memory.weights == 4 * (110 + 64)
    # Of the experts' group of one rank a copy is made all the same; the dense part's 110 is the larger one.
    assert memory.phases[-1].buffers == 4 * 110


def test_sgd_keeps_no_state() -> None:
    assert rank_memory(SIZES, NOTHING, holding(0, 1, optimizer="sgd")).optimizer == 0
    assert rank_memory(SIZES, NOTHING, holding(1, 1, optimizer="sgd")).optimizer == 4 * 120


def test_shares_are_padded_and_hold_whole_parameters() -> None:
    vector, matrices = [SIZES.weights[1]], [SIZES.weights[2], SIZES.weights[4]]
    # 10 elements for two ranks are padded to 12; the one parameter reaches into both halves.
    assert shares(vector, 2) == [Share(6, 10), Share(6, 10)]
    assert shares(matrices, 2) == [Share(60, 60), Share(60, 60)]
    # Three ranks, 120 elements: partitions of 40, the middle one has a part of both.
    assert shares(matrices, 3) == [Share(40, 60), Share(40, 120), Share(40, 60)]
    assert shares(vector, 8)[-1] == Share(2, 0)


def test_zero_1_in_fp32() -> None:
    memory = rank_memory(SIZES, NOTHING, holding(1, 1, bucket=50))
    # Shares: 50 of 100, 6 of 12, 60 of 120, 4 of 8; an fp32 copy and two moments of each.
    assert memory.optimizer == 12 * (50 + 6 + 60 + 4)
    *passing, reduce, update = memory.phases
    assert [phase.gradients for phase in passing] == [4 * 238, 4 * 128]
    assert {phase.buffers for phase in passing} == {4 * 50}
    # 50 are in the bucket and in its flat copy; 188 wait; the share's own parameters, 174, are kept.
    assert (reduce.gradients, reduce.buffers) == (4 * (188 + 174), 4 * (50 + 50))
    assert (update.gradients, update.buffers) == (4 * 174, 4 * 60)
    assert memory.total == 952 + 1440 + 4 * (188 + 174 + 100)


def test_zero_2_in_bf16_with_experts_apart() -> None:
    memory = rank_memory(SIZES, STAGES, holding(2, 2, element=2, bucket=50))
    assert memory.weights == 2 * 174
    # Dense shares 50 + 6; experts, of which no other rank has a copy, 60 + 4 in full.
    assert memory.optimizer == 12 * 120
    first, second, reduce, update = memory.phases
    # The largest gradient on its way into the bucket; bucket, its flat copy, and 174 kept.
    assert (first.gradients, second.gradients) == (2 * 100, 2 * 60)
    assert first.buffers == second.buffers == 2 * (50 + 50 + 174)
    assert (reduce.gradients, reduce.buffers) == (2 * 174, 2 * 100)
    # A flat copy of the largest share in bf16, and one in fp32.
    assert update.buffers == (2 + 4) * 60
    assert memory.total == 348 + 1440 + 120 + 548 + 1000 + 9000


def test_offload_moves_the_optimizer_to_the_host() -> None:
    memory = rank_memory(SIZES, NOTHING, holding(2, 1, element=2, bucket=50, offload=True))
    assert memory.optimizer == 0
    # fp32 weights, fp32 gradients, two moments and a bf16 copy of the share of 120, and room for one gradient.
    assert memory.host == (4 + 4 + 8 + 2) * 120 + 2 * 100
    assert {phase.name for phase in memory.phases} == {"first", "second", "reduce"}
    # Bucket and its copy, and a gradient of 100 in bf16 and in fp32 on the way.
    assert memory.phases[-1].buffers == 2 * (50 + 50) + 6 * 100
    assert memory.phases[-1].gradients == 0


def test_accumulated_gradients_stay_for_the_next_pass() -> None:
    once, twice = (rank_memory(SIZES, NOTHING, holding(0, 1, accumulation=n)) for n in (1, 2))
    assert once.phases[1].gradients == 4 * 128
    assert twice.phases[1].gradients == 4 * (238 + 60)


def test_overlap_takes_a_second_bucket() -> None:
    one, two = (rank_memory(SIZES, NOTHING, holding(1, 1, bucket=50, overlap=on)) for on in (False, True))
    assert two.phases[0].buffers - one.phases[0].buffers == 4 * 50


def test_the_fullest_rank_counts() -> None:
    uneven = ModelSizes(SIZES.weights, widths=(16, 64), k=1)
    assert uneven.fullest(2) == Placement(2, 1)
    assert uneven.mean_width(uneven.fullest(2)) == 64
    assert uneven.mean_width(uneven.fullest(1)) == 40


@pytest.mark.parametrize("stage", [0, 1, 2])
def test_more_ranks_never_take_more(stage: int) -> None:
    few, many = (
        rank_memory(SIZES, STAGES, Holding(stage, False, world, 1, 4, bucket=50)).total for world in (2, 4)
    )
    assert many <= few
