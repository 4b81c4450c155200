"""Autograd of the expert FFN on a device: only x, the pre-activation, indices and scores are kept.

Axes: T tokens, D model width, F expert width, E experts, K choices, N = T * K rows.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mmspec_kernels.combine import Pools, PoolSums
from mmspec_kernels.triton_combine import add_and_pool, add_rows, pair_gradients
from mmspec_kernels.triton_launch import LARGEST_OFFSET, Schedule, launch_of, pack, schedule_tiles, sort_pairs
from mmspec_kernels.triton_products import (
    Problem,
    forward_rows,
    hidden_gradients,
    input_gradient,
    run_first,
    weight_gradients,
)
from mmspec_kernels.weights import ExpertWeights

LARGEST_BOUND = 1 << 25
"""Elements up to which the ragged buffer is allocated at its bound; beyond, one number is read from the device
to allocate it exactly, the only synchronisation of the layer."""


def _check_problem(x: Tensor, widths: Sequence[int], gated: bool, most_rows: int, gradient_rows: int) -> None:
    """`most_rows` is what one expert may get; `gradient_rows` the rows of the output's gradient."""
    for what, size in (("the model's width", x.shape[1]), *(("an expert's width", w) for w in widths)):
        if size % 16:
            raise ValueError(f"{what} is {size}: the kernels expect multiples of 16")
    scale = 2 if gated else 1
    sizes = (gradient_rows * x.shape[1], x.shape[1] * sum(widths) * scale, most_rows * max(widths) * scale)
    if max(sizes) > LARGEST_OFFSET:
        raise ValueError(f"a tensor of {max(sizes)} elements: expected less than 2^31; split the batch")


class _SparseExperts(torch.autograd.Function):
    """Gather, both products, router weights and combination; the weights are packed anew for each pass, so that
    no copy of them waits for the backward pass.

    `place_TK` is negative where a pair is not used; with `pools` = (B, P), sample * P + pool elsewhere.
    """

    @staticmethod
    def forward(
        ctx: Any, x_TD: Tensor, weight_TK: Tensor, index_TK: Tensor, place_TK: Tensor,
        pools: tuple[int, int] | None, gated: bool, recompute: bool, *flat: Tensor,
    ) -> Tensor | tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        experts = _unflatten(flat)
        tokens, top_k = index_TK.shape
        widths = tuple(e.w2.shape[0] for e in experts)
        x, weight, rows = x_TD.contiguous(), weight_TK.contiguous(), tokens * top_k
        _check_problem(x, widths, gated, tokens, rows if pools else tokens)
        pairs = sort_pairs(index_TK, len(experts))
        launch = launch_of(x.device, gated, rows, x.shape[1], widths)
        schedule = schedule_tiles(pairs.counts_E, rows, widths, x.shape[1], launch)
        elements = rows * max(widths)
        if elements > LARGEST_BOUND:
            elements = int(schedule.geometry[-1, 1])
        problem = Problem(
            widths, x.shape[1], top_k, rows, gated, pairs.pair_N, weight, launch, schedule, elements
        )
        needs_pre = any(ctx.needs_input_grad) and not recompute
        slots, pre = forward_rows(problem, x, pack(experts), keep_pre=needs_pre)
        plan = (schedule.geometry, schedule.wide, schedule.narrow, schedule.total)
        ctx.save_for_backward(x, weight, pairs.pair_N, place_TK, pre, *plan, *flat)
        ctx.options = (widths, top_k, gated, launch, elements)
        return add_and_pool(slots, place_TK, weight, *pools) if pools else add_rows(slots, place_TK)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, pair, place, pre, *rest = ctx.saved_tensors
        widths, top_k, gated, launch, elements = ctx.options
        grad, *pooled = (g.contiguous() for g in grad_outputs)
        problem = Problem(
            widths, x.shape[1], top_k, len(pair), gated, pair, weight, launch, Schedule(*rest[:4]), elements,
            pair_gradients=bool(pooled),
        )  # fmt: skip
        if pooled:
            grad = pair_gradients(grad, pooled[0], place)
        packed = pack(_unflatten(rest[4:]))
        if pre is None:
            pre, _ = run_first(problem, x, packed, keep_pre=True, keep_act=False)
        dpre, act, score = hidden_gradients(problem, grad, pre, packed)
        dx = add_rows(input_gradient(problem, dpre, packed), place) if ctx.needs_input_grad[0] else None
        assert score is not None
        dweight = score.view_as(weight)
        if pooled:
            dweight += torch.where(place < 0, 0.0, pooled[1].flatten()[place.clamp_min(0)])
        gradients = _gradients(ctx, problem, x, grad, dpre, act, first=7)
        return dx, dweight.to(weight.dtype), None, None, None, None, None, *gradients


class _RowExperts(torch.autograd.Function):
    """The same on rows that are gathered already, unweighted: what expert parallelism needs."""

    @staticmethod
    def forward(
        ctx: Any, rows_ND: Tensor, counts: tuple[int, ...], gated: bool, recompute: bool, *flat: Tensor
    ) -> Tensor:
        experts = _unflatten(flat)
        widths = tuple(e.w2.shape[0] for e in experts)
        x = rows_ND.contiguous()
        _check_problem(x, widths, gated, max(counts), len(x))
        counts_E = torch.tensor(counts, dtype=torch.int32, device=x.device)
        launch = launch_of(x.device, gated, len(x), x.shape[1], widths)
        schedule = schedule_tiles(counts_E, len(x), widths, x.shape[1], launch)
        elements = sum(n * width for n, width in zip(counts, widths))
        problem = Problem(widths, x.shape[1], 1, len(x), gated, None, None, launch, schedule, elements)
        needs_pre = any(ctx.needs_input_grad) and not recompute
        out, pre = forward_rows(problem, x, pack(experts), keep_pre=needs_pre)
        plan = (schedule.geometry, schedule.wide, schedule.narrow, schedule.total)
        ctx.save_for_backward(x, pre, *plan, *flat)
        ctx.options = (widths, gated, launch, elements)
        return out

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        x, pre, *rest = ctx.saved_tensors
        widths, gated, launch, elements = ctx.options
        problem = Problem(
            widths, x.shape[1], 1, len(x), gated, None, None, launch, Schedule(*rest[:4]), elements
        )
        packed = pack(_unflatten(rest[4:]))
        grad = grad_outputs[0].contiguous()
        if pre is None:
            pre, _ = run_first(problem, x, packed, keep_pre=True, keep_act=False)
        dpre, act, _ = hidden_gradients(problem, grad, pre, packed)
        dx = input_gradient(problem, dpre, packed) if ctx.needs_input_grad[0] else None
        return dx, None, None, None, *_gradients(ctx, problem, x, grad, dpre, act, first=4)


def _gradients(
    ctx: Any, problem: Problem, x: Tensor, grad: Tensor, dpre: Tensor, act: Tensor, *, first: int
) -> list[Tensor | None]:
    """Each expert's share of the packed gradients; nothing when no weight wants one."""
    if not any(ctx.needs_input_grad[first:]):
        return [None] * (4 * len(problem.widths))
    packed = weight_gradients(problem, x, grad, dpre, act)
    first_widths = [w * problem.scale for w in problem.widths]
    parts = zip(
        packed.w1.split(first_widths, 1), packed.b1.split(first_widths), packed.w2.split(list(problem.widths)),
        packed.b2,
    )  # fmt: skip
    return [part for expert in parts for part in expert]


def _unflatten(flat: Sequence[Tensor]) -> list[ExpertWeights]:
    return [ExpertWeights(*flat[i : i + 4]) for i in range(0, len(flat), 4)]


def sparse_experts(
    x_TD: Tensor, index_TK: Tensor, weight_TK: Tensor, experts: Sequence[ExpertWeights], *, gated: bool,
    recompute: bool, pools: Pools | None = None,
) -> tuple[Tensor, PoolSums | None]:  # fmt: skip
    """sum_k weight * FFN_e(x) [T, D], and the sums over pools if they are given."""
    flat = [t for e in experts for t in e]
    if pools is None:
        place_TK = index_TK.clamp(-1, 0).to(torch.int16)
        return _SparseExperts.apply(x_TD, weight_TK, index_TK, place_TK, None, gated, recompute, *flat), None
    place_TK, size = pools.places(index_TK >= 0).int(), (pools.samples, pools.pools)
    out, *sums = _SparseExperts.apply(x_TD, weight_TK, index_TK, place_TK, size, gated, recompute, *flat)
    return out, PoolSums(*sums)


def row_experts(
    rows_ND: Tensor, counts: Sequence[int], experts: Sequence[ExpertWeights], *, gated: bool, recompute: bool
) -> Tensor:
    """FFN_e of each row [N, D]."""
    flat = [t for e in experts for t in e]
    out: Tensor = _RowExperts.apply(rows_ND, tuple(counts), gated, recompute, *flat)
    return out
