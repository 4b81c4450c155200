"""Dispatch, schedule and combination on a device, bit by bit."""

import pytest
import torch
from exact import assert_near, exact_pools
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mmspec_kernels import Pools, combine, combine_and_pool, dispatch, gather
from mmspec_kernels.launch_table import Launch, Step, Tile
from mmspec_kernels.triton_launch import heavy_first, schedule_tiles
from torch import Tensor

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
STEP = Step(64, 4, 1)
LAUNCH = Launch(64, 64, 32, 2, 1, 1, STEP, STEP, STEP, STEP, Tile(64, 64, STEP), Tile(64, 64, STEP))
FAST = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@st.composite
def choices(draw: st.DrawFn) -> tuple[Tensor, int]:
    """Any index table: unused pairs, unused experts, no token at all."""
    experts, k = draw(st.integers(1, 9)), draw(st.integers(1, 4))
    tokens = draw(st.integers(0, 150))
    seed = draw(st.integers(0, 2**31))
    low = draw(st.sampled_from([-1, 0]))
    high = draw(st.integers(max(low + 1, 1), experts))
    index = torch.randint(low, high, (tokens, k), generator=torch.Generator().manual_seed(seed))
    return index.to(DEVICE), experts


@FAST
@given(choices())
def test_dispatch_equals_the_reference_bit_by_bit(drawn: tuple[Tensor, int]) -> None:
    index, experts = drawn
    for trim in (False, True):
        found = dispatch(index, experts, trim=trim, backend="triton")
        expected = dispatch(index.cpu(), experts, trim=trim, backend="reference")
        for name in ("token_N", "row_TK", "used_TK", "counts_E"):
            assert torch.equal(getattr(found, name).cpu(), getattr(expected, name)), name


@FAST
@given(choices())
def test_dispatch_is_a_stable_sort(drawn: tuple[Tensor, int]) -> None:
    index, experts = drawn
    flat = index.flatten().tolist()
    order = sorted((p for p in range(len(flat)) if flat[p] >= 0), key=lambda p: flat[p])
    plan = dispatch(index, experts, backend="triton")
    assert plan.token_N.tolist() == [p // index.shape[1] for p in order]
    assert plan.counts_E.tolist() == [flat.count(e) for e in range(experts)]
    assert [int(plan.row_TK.flatten()[p]) for p in order] == list(range(len(order)))


@FAST
@given(st.lists(st.tuples(st.integers(0, 300), st.sampled_from([16, 48, 64, 80, 256])), min_size=1, max_size=6))
def test_schedule_covers_every_tile_once_widest_first(experts: list[tuple[int, int]]) -> None:
    counts, widths = [n for n, _ in experts], tuple(w for _, w in experts)
    d_model, rows = 80, sum(counts)
    counts_E = torch.tensor(counts, dtype=torch.int32, device=DEVICE)
    plan = schedule_tiles(counts_E, rows, widths, d_model, LAUNCH)
    first, hidden, packed = 0, 0, 0
    for e, (n, width) in enumerate(experts):
        assert plan.geometry[e].tolist() == [first, hidden, packed, width]
        first, hidden, packed = first + n, hidden + n * width, packed + width
    assert plan.geometry[-1, :2].tolist() == [rows, hidden]

    starts = [int(plan.geometry[e, 0]) for e in range(len(widths))]
    ranks = heavy_first(widths)
    for tiles, total, columns in (
        (plan.wide, plan.total[0], widths),
        (plan.narrow, plan.total[1], (d_model,) * len(widths)),
    ):
        step = 64 if columns is widths else 32
        written = [tuple(t) for t in tiles[: int(total), :3].tolist()]
        expected = {
            (e, starts[e] + row, column)
            for e in range(len(widths))
            for row in range(0, counts[e], 64)
            for column in range(0, columns[e], step)
        }
        assert len(written) == len(expected)
        assert set(written) == expected
        assert [ranks[t[0]] for t in written] == sorted(ranks[t[0]] for t in written)


def test_gather_and_combine_with_gradients(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    index = torch.rand(45, 5).topk(3, 1).indices
    index[4], index[7, 2] = -1, -1
    index = index.to(DEVICE)
    x = torch.randn(45, 80, device=DEVICE).to(dtype).requires_grad_()
    weight = torch.rand(45, 3, device=DEVICE).requires_grad_()
    grad = torch.randn(45, 80, device=DEVICE).to(dtype)
    plan = dispatch(index, 5, backend="triton")
    rows = gather(x, plan, backend="triton") * 2
    out = combine(rows, weight, plan, backend="triton")
    dx, dweight = torch.autograd.grad(out, [x, weight], grad)

    used = (index >= 0).double()
    assert_near(out, 2 * x.double() * (weight.double() * used).sum(1, keepdim=True), dtype, "output")
    expected = 2 * grad.double() * (weight.double() * used).sum(1, keepdim=True)
    assert_near(dx, expected, dtype, "gradient of x")
    expected = 2 * (grad.double() * x.double()).sum(1, keepdim=True) * used
    assert_near(dweight, expected, dtype, "gradient of the weights")


@pytest.mark.parametrize(("samples", "length", "pools"), [(1, 45, 19), (3, 15, 4), (5, 40, 33)], ids=str)
def test_combine_and_pool_with_gradients(samples: int, length: int, pools: int, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    tokens = samples * length
    index = torch.rand(tokens, 5).topk(3, 1).indices
    index[4], index[7, 2] = -1, -1
    index = index.to(DEVICE)
    given = Pools(torch.randint(0, pools, (tokens, 3), device=DEVICE), samples, pools)
    plan = dispatch(index, 5, backend="triton")
    rows = torch.randn(len(plan.token_N), 80, device=DEVICE).to(dtype).requires_grad_()
    weight = torch.rand(tokens, 3, device=DEVICE).requires_grad_()
    goals = [torch.randn(s, device=DEVICE) for s in ((tokens, 80), (samples, pools, 80), (samples, pools))]
    goals[0] = goals[0].to(dtype)
    out, sums = combine_and_pool(rows, weight, plan, given, backend="triton")
    found = torch.autograd.grad([out, *sums], [rows, weight], goals)
    assert torch.equal(out, combine(rows, weight, plan, backend="triton"))

    rows64, weight64 = (t.detach().double().requires_grad_() for t in (rows, weight))
    weighted = rows64[plan.row_TK.clamp_max(len(rows) - 1)] * (weight64 * (index >= 0))[..., None]
    sums64 = exact_pools(weighted, weight64 * (index >= 0), given)
    exact = torch.autograd.grad(
        [weighted.sum(1), *sums64], [rows64, weight64], [goal.double() for goal in goals]
    )
    assert_near(sums.output_BPD, sums64[0], dtype, "sums of outputs")
    assert_near(sums.weight_BP, sums64[1], torch.float32, "sums of weights")
    assert_near(found[0], exact[0], dtype, "gradient of rows")
    assert_near(found[1], exact[1], dtype, "gradient of the weights")
