"""The fast path of plain torch: two products per expert, for CPU caches.

An expert's rows are taken in blocks, so that hidden values are activated and differentiated while they are in
cache, in memory that the allocator reuses. A new buffer for all rows costs more in page faults than the
activation.

Axes: D model width, F expert width, N rows in expert order.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from mmspec_kernels.weights import Activation, ExpertWeights, activate

BLOCK_ROWS = 1024


def _blocks(counts: Sequence[int]) -> Iterator[tuple[int, int, int, bool]]:
    """(expert, first row, end row, whether it is the expert's first block) over all rows."""
    start = 0
    for expert, count in enumerate(counts):
        for first in range(start, start + count, BLOCK_ROWS):
            yield expert, first, min(first + BLOCK_ROWS, start + count), first == start
        start += count


class _Experts(torch.autograd.Function):
    """All experts on their rows; rows and pre-activations are kept for the backward pass."""

    @staticmethod
    def forward(
        ctx: Any,
        rows_ND: Tensor,
        counts: tuple[int, ...],
        activation: Activation,
        recompute: bool,
        *flat: Tensor,
    ) -> Tensor:
        experts = unflatten(flat)
        out_ND = rows_ND.new_empty(rows_ND.shape)
        keep = any(ctx.needs_input_grad) and not recompute
        kept = []
        for e, first, end, _ in _blocks(counts):
            w = experts[e]
            pre = torch.addmm(w.b1, rows_ND[first:end], w.w1)
            torch.addmm(w.b2, activate(pre, activation), w.w2, out=out_ND[first:end])
            if keep:
                kept.append(pre)
        ctx.save_for_backward(rows_ND, *flat, *kept)
        ctx.options = (counts, activation)
        return out_ND

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        counts, activation = ctx.options
        rows_ND, *rest = ctx.saved_tensors
        flat, kept = rest[: 4 * len(counts)], rest[4 * len(counts) :]
        experts, grad_ND = unflatten(flat), grad_outputs[0].contiguous()
        drows_ND = rows_ND.new_empty(rows_ND.shape) if ctx.needs_input_grad[0] else None
        gradients = [torch.empty_like(t) if counts[i // 4] else torch.zeros_like(t) for i, t in enumerate(flat)]
        for place, (e, first, end, starts) in enumerate(_blocks(counts)):
            w, rows, grad = experts[e], rows_ND[first:end], grad_ND[first:end]
            pre = kept[place] if kept else torch.addmm(w.b1, rows, w.w1)
            dact = torch.mm(grad, w.w2.T)
            act, dpre = _activation_gradient(pre, dact, activation)
            dw1, db1, dw2, db2 = gradients[4 * e : 4 * e + 4]
            old = 0.0 if starts else 1.0
            torch.addmm(dw2, act.T, grad, beta=old, out=dw2)
            torch.addmm(dw1, rows.T, dpre, beta=old, out=dw1)
            _add_columns(db1, dpre, starts)
            _add_columns(db2, grad, starts)
            if drows_ND is not None:
                torch.mm(dpre, w.w1.T, out=drows_ND[first:end])
        return drows_ND, None, None, None, *gradients


def _add_columns(total: Tensor, part: Tensor, starts: bool) -> None:
    summed = part.sum(0)
    total.copy_(summed) if starts else total.add_(summed)


def _activation_gradient(pre: Tensor, dact: Tensor, activation: Activation) -> tuple[Tensor, Tensor]:
    """The activation, and the gradient of the pre-activation, which overwrites `dact` for GELU."""
    if activation == "gelu":
        act = torch.nn.functional.gelu(pre)
        return act, torch.ops.aten.gelu_backward.grad_input(dact, pre, approximate="none", grad_input=dact)
    gate, value = pre.chunk(2, -1)
    silu = torch.nn.functional.silu(gate)
    dgate = torch.ops.aten.silu_backward(dact * value, gate)
    return silu * value, torch.cat([dgate, dact * silu], 1)


def unflatten(flat: Sequence[Tensor]) -> list[ExpertWeights]:
    """The weights of each expert from a flat list of tensors."""
    return [ExpertWeights(*flat[i : i + 4]) for i in range(0, len(flat), 4)]


def experts_of_rows(
    rows_ND: Tensor,
    counts: Sequence[int],
    experts: Sequence[ExpertWeights],
    *,
    activation: Activation,
    recompute: bool,
) -> Tensor:
    """FFN_e of each row [N, D], rows being in the order of the experts."""
    flat = [t for e in experts for t in e]
    out: Tensor = _Experts.apply(rows_ND, tuple(counts), activation, recompute, *flat)
    return out
