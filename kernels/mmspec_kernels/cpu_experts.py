"""The fast path of plain torch: two products per expert, for CPU caches.

An expert's rows are taken in blocks, so that hidden values are activated and differentiated while they are in
cache, in memory that the allocator reuses. A new buffer for all rows costs more in page faults than the
activation.

Axes: D model width, F expert width, T tokens, N rows in expert order.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mmspec_kernels.weights import Activation, Experts, ExpertWeights, StackedWeights, activate

BLOCK_ROWS = 1024


@dataclass(frozen=True)
class Rows:
    """The rows of all experts, `counts` of each: those of `hidden`, or its rows `token_N` where given."""

    hidden: Tensor
    counts: tuple[int, ...]
    token_N: Tensor | None = None

    def blocks(self) -> Iterator[tuple[int, int, int, bool]]:
        """(expert, first row, end row, whether it is the expert's first block) over all rows."""
        start = 0
        for expert, count in enumerate(self.counts):
            for first in range(start, start + count, BLOCK_ROWS):
                yield expert, first, min(first + BLOCK_ROWS, start + count), first == start
            start += count

    def part(self, first: int, end: int) -> Tensor:
        """Rows `first` to `end`, [n, D]."""
        if self.token_N is None:
            return self.hidden[first:end]
        return self.hidden.index_select(0, self.token_N[first:end])


@dataclass(frozen=True)
class Layout:
    """How the tensors of all experts follow one another: `widths` where they are stacked, None for a list of
    four tensors for each expert."""

    widths: tuple[int, ...] | None

    @classmethod
    def flatten(cls, experts: Experts) -> tuple["Layout", list[Tensor]]:
        """The tensors of experts, as an autograd function takes them."""
        if isinstance(experts, StackedWeights):
            return cls(experts.widths), list(experts.tensors)
        return cls(None), [t for e in experts for t in e]

    def apart(self, flat: Sequence[Tensor]) -> Sequence[ExpertWeights]:
        """The weights (or gradients) of each expert, as views."""
        if self.widths is not None:
            w1, b1, w2, b2 = flat
            return StackedWeights(w1, b1, w2, b2, self.widths).apart()
        return [ExpertWeights(*flat[i : i + 4]) for i in range(0, len(flat), 4)]


def forward_rows(
    rows: Rows, experts: Sequence[ExpertWeights], activation: Activation, *, keep: bool
) -> tuple[Tensor, list[Tensor]]:
    """The outputs [N, D] in the order of the rows, and the pre-activations of each block if `keep`."""
    out_ND = rows.hidden.new_empty(sum(rows.counts), rows.hidden.shape[1])
    kept = []
    for e, first, end, _ in rows.blocks():
        w = experts[e]
        pre = torch.addmm(w.b1, rows.part(first, end), w.w1)
        torch.addmm(w.b2, activate(pre, activation), w.w2, out=out_ND[first:end])
        if keep:
            kept.append(pre)
    return out_ND, kept


def backward_rows(
    rows: Rows,
    layout: Layout,
    flat: Sequence[Tensor],
    kept: Sequence[Tensor],
    activation: Activation,
    *,
    gradient_of: Callable[[int, int], Tensor],
    of_rows: bool,
) -> tuple[Tensor | None, list[Tensor]]:
    """Gradients of the rows [N, D], if wanted, and of the weights.

    Args:
        rows: as in the forward pass.
        layout: of the weights.
        flat: the weights.
        kept: pre-activations of each block; none are computed again.
        activation: of the experts.
        gradient_of: the gradient of the outputs of rows `first` to `end`; called once for each block, in order.
        of_rows: whether the gradient of the rows is wanted.
    """
    experts = layout.apart(flat)
    gradients = [torch.empty_like(t) for t in flat]
    apart = layout.apart(gradients)
    for expert, count in enumerate(rows.counts):
        if not count:
            for t in apart[expert]:
                t.zero_()
    drows_ND = rows.hidden.new_empty(sum(rows.counts), rows.hidden.shape[1]) if of_rows else None
    for place, (e, first, end, starts) in enumerate(rows.blocks()):
        w, into, part, grad = experts[e], apart[e], rows.part(first, end), gradient_of(first, end)
        pre = kept[place] if kept else torch.addmm(w.b1, part, w.w1)
        act, dpre = _activation_gradient(pre, torch.mm(grad, w.w2.T), activation)
        old = 0.0 if starts else 1.0
        torch.addmm(into.w2, act.T, grad, beta=old, out=into.w2)
        torch.addmm(into.w1, part.T, dpre, beta=old, out=into.w1)
        _add_columns(into.b1, dpre, starts)
        _add_columns(into.b2, grad, starts)
        if drows_ND is not None:
            torch.mm(dpre, w.w1.T, out=drows_ND[first:end])
    return drows_ND, gradients


class _Experts(torch.autograd.Function):
    """All experts on their rows; rows and pre-activations are kept for the backward pass."""

    @staticmethod
    def forward(
        ctx: Any,
        rows_ND: Tensor,
        counts: tuple[int, ...],
        layout: Layout,
        activation: Activation,
        recompute: bool,
        *flat: Tensor,
    ) -> Tensor:
        keep = any(ctx.needs_input_grad) and not recompute
        out_ND, kept = forward_rows(Rows(rows_ND, counts), layout.apart(flat), activation, keep=keep)
        ctx.save_for_backward(rows_ND, *flat, *kept)
        ctx.options = (counts, layout, activation, len(flat))
        return out_ND

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        counts, layout, activation, weights = ctx.options
        rows_ND, *rest = ctx.saved_tensors
        grad_ND = grad_outputs[0].contiguous()
        drows_ND, gradients = backward_rows(
            Rows(rows_ND, counts), layout, rest[:weights], rest[weights:], activation,
            gradient_of=lambda first, end: grad_ND[first:end], of_rows=ctx.needs_input_grad[0],
        )  # fmt: skip
        return drows_ND, None, None, None, None, *gradients


def _add_columns(total: Tensor, part: Tensor, starts: bool) -> None:
    if starts:
        torch.sum(part, 0, out=total)
    else:
        total.add_(part.sum(0))


def _activation_gradient(pre: Tensor, dact: Tensor, activation: Activation) -> tuple[Tensor, Tensor]:
    """The activation, and the gradient of the pre-activation, which overwrites `dact` for GELU."""
    if activation == "gelu":
        act = torch.nn.functional.gelu(pre)
        return act, torch.ops.aten.gelu_backward.grad_input(dact, pre, approximate="none", grad_input=dact)
    gate, value = pre.chunk(2, -1)
    silu = torch.nn.functional.silu(gate)
    dgate = torch.ops.aten.silu_backward(dact * value, gate)
    return silu * value, torch.cat([dgate, dact * silu], 1)


def experts_of_rows(
    rows_ND: Tensor,
    counts: Sequence[int],
    experts: Experts,
    *,
    activation: Activation,
    recompute: bool,
) -> Tensor:
    """FFN_e of each row [N, D], rows being in the order of the experts."""
    layout, flat = Layout.flatten(experts)
    recompute = recompute or not torch.is_grad_enabled()  # see `cpu_layer.mixed_experts`
    out: Tensor = _Experts.apply(rows_ND, tuple(counts), layout, activation, recompute, *flat)
    return out
