"""Traffic of a rank against bytes and collectives worked out by hand, and the time that follows from them."""

from dataclasses import replace

import pytest

from mmspec_ds.profiling.extrapolation import Cluster, step_time
from mmspec_ds.profiling.memory import Holding, rank_memory
from mmspec_ds.profiling.plan import PlanRow
from mmspec_ds.profiling.sizes import ModelSizes, Weight
from mmspec_ds.profiling.traffic import Exchanges, Traffic, all_gather_bytes, all_reduce_bytes, rank_traffic

SIZES = ModelSizes(
    (
        Weight("dense.matrix", 100, matrix=True, stage=0, expert=None),
        Weight("dense.vector", 12, matrix=False, stage=0, expert=None),
        *(Weight(f"{i}.matrix", 60, matrix=True, stage=1, expert=i) for i in range(4)),
        *(Weight(f"{i}.vector", 4, matrix=False, stage=1, expert=i) for i in range(4)),
    ),
    widths=(16, 16, 16, 16),
    k=2,
)
EXCHANGES = Exchanges(tokens=1000, k=2, experts=4, d_model=8, layers=3)


def holding(stage: int, world: int, ep_size: int, element: int = 4, **more: int) -> Holding:
    return Holding(stage, False, world, ep_size, element, **more)  # type: ignore[arg-type]


def test_rings() -> None:
    assert all_reduce_bytes(800, 4) == 1200
    assert all_gather_bytes(800, 4) == 600
    assert all_reduce_bytes(800, 1) == all_gather_bytes(800, 1) == 0


def test_rows_that_stay_do_not_count() -> None:
    traffic = rank_traffic(SIZES, EXCHANGES, holding(0, 4, 2))
    # Half of 2000 rows of 8 floats leave, to their expert and back, in three layers; and 4 counts, half of them
    # away.
    rows = 2 * 1000 * 8 * 4 * 3
    assert traffic.backward == rows
    assert traffic.forward == rows + 3 * 8 * 2
    assert rank_traffic(SIZES, EXCHANGES, holding(0, 4, 1)).all_to_all == 0
    assert rank_traffic(SIZES, EXCHANGES, holding(1, 4, 4, element=2)).backward == 1.5 * rows / 2


def test_checkpointing_sends_the_forward_pass_again() -> None:
    once = rank_traffic(SIZES, EXCHANGES, holding(0, 4, 2))
    twice = rank_traffic(SIZES, replace(EXCHANGES, checkpointing=True), holding(0, 4, 2))
    assert twice.forward == once.forward
    assert twice.backward == once.backward + once.forward


def test_a_decoders_experts_exchange_target_tokens_once() -> None:
    both = replace(EXCHANGES, decoder_tokens=200, decoder_layers=2)
    plain, more = (rank_traffic(SIZES, one, holding(0, 4, 2)) for one in (EXCHANGES, both))
    rows = 2 * 200 * 8 * 4 * 2  # half of 400 rows of 8 floats, there and back, in two layers
    assert more.backward - plain.backward == rows
    assert more.forward - plain.forward == rows + 2 * 8 * 2
    assert more.collectives["all-to-all"] - plain.collectives["all-to-all"] == 2 * 5
    again = rank_traffic(SIZES, replace(both, checkpointing=True), holding(0, 4, 2))
    assert again.backward == more.backward + plain.forward, "the decoder is not computed again"


def test_gradients_and_weights() -> None:
    plain = rank_traffic(SIZES, EXCHANGES, holding(0, 4, 2))
    # Dense: 112 floats over four ranks; experts: 128 of this rank over the two that have them.
    assert plain.reduce == 1.5 * 4 * 112 + 1.0 * 4 * 128
    assert (plain.gather, plain.reduce_experts) == (0, 4 * 128)
    zero = rank_traffic(SIZES, EXCHANGES, holding(1, 4, 2))
    assert zero.reduce == plain.reduce
    # Flat buffers padded to a multiple of twice the ranks: 100 to 104, 12 to 16; 120 and 8 need none.
    assert zero.gather == 0.75 * 4 * (104 + 16) + 0.5 * 4 * (120 + 8)


def test_accumulation_repeats_what_each_pass_sends() -> None:
    one, three = (rank_traffic(SIZES, EXCHANGES, holding(2, 4, 2, accumulation=n)) for n in (1, 3))
    assert three.all_to_all == 3 * one.all_to_all
    assert three.reduce == 3 * one.reduce  # ZeRO 2 reduces in every pass
    assert three.gather == one.gather
    assert rank_traffic(SIZES, EXCHANGES, holding(1, 4, 2, accumulation=3)).reduce == one.reduce


@pytest.mark.parametrize(
    ("stage", "world", "ep_size", "element", "counts"),
    [
        # Objective, dense, experts, norm for clipping; three layers of counts, rows and back, and two of
        # gradients.
        (0, 4, 2, 4, {"all-reduce": 4, "all-to-all": 15}),
        (0, 4, 1, 4, {"all-reduce": 4}),
        # ep = world: no other rank has these experts.
        (0, 4, 4, 4, {"all-reduce": 3, "all-to-all": 15}),
        # Objective, dense, experts; norms of four groups and means of two; a gather for each group.
        (1, 4, 2, 4, {"all-reduce": 9, "all-gather": 4, "all-to-all": 15}),
        # The same and whether gradients are finite; experts are nobody else's.
        (2, 4, 4, 2, {"all-reduce": 7, "all-gather": 2, "all-to-all": 15}),
        (1, 1, 1, 4, {}),
    ],
)
def test_collectives(stage: int, world: int, ep_size: int, element: int, counts: dict[str, int]) -> None:
    assert rank_traffic(SIZES, EXCHANGES, holding(stage, world, ep_size, element)).collectives == counts


def test_collectives_of_chunks_capacity_and_small_buckets() -> None:
    chunked = rank_traffic(SIZES, replace(EXCHANGES, chunks=3), holding(0, 4, 2))
    assert chunked.collectives["all-to-all"] == 3 * (1 + 6 + 6)
    bounded = rank_traffic(SIZES, replace(EXCHANGES, capacity=True), holding(0, 4, 2))
    assert bounded.collectives["all-gather"] == 3
    # Buckets of 100: {100}, {12, 60}, {60, 4, 4}: the second has gradients of both groups.
    small = rank_traffic(SIZES, EXCHANGES, holding(1, 4, 2, bucket=100))
    assert small.collectives["all-reduce"] == 9 + 2


def row(traffic: Traffic, held: Holding) -> PlanRow:
    return PlanRow(held, rank_memory(SIZES, [], replace(held, ep_size=1)), traffic, fits=True)


def test_time_within_a_node_and_across() -> None:
    cluster = Cluster(node=8, inside=400.0, between=50.0, peak=1000.0, utilisation=0.5)
    sent = Traffic(400.0, 400.0, 1000.0, 200.0, 600.0, 100.0, 0.0, {})
    inside = step_time(row(sent, holding(1, 8, 8, element=2)), 5000.0, cluster)
    assert (inside.compute, inside.exchange, inside.reduce) == (10.0, 2.0, 3.0)
    assert inside.efficiency == pytest.approx(10 / 15)
    # Two nodes: the dense part has 8 networks of 50, as fast as NVLink here; each expert has that of its one
    # GPU.
    across = step_time(row(sent, holding(1, 16, 8, element=2)), 5000.0, cluster)
    assert across.exchange == 2.0
    assert across.reduce == pytest.approx(500 / 400 + 700 / 50)
    # Arithmetic in fp32 has half of the rate.
    assert step_time(row(sent, holding(0, 8, 8, element=4)), 5000.0, cluster).compute == 20.0


def test_time_of_experts_shared_across_nodes() -> None:
    cluster = Cluster(node=8, inside=400.0, between=50.0, peak=1000.0, utilisation=0.5)
    sent = Traffic(750.0, 750.0, 0.0, 0.0, 0.0, 0.0, 0.0, {})
    # Of 15 other ranks 8 are in the other node.
    time = step_time(row(sent, holding(1, 16, 16, element=2)), 1.0, cluster)
    assert time.exchange == pytest.approx(1500 * (7 / 15 / 400 + 8 / 15 / 50))
