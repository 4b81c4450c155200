"""The fast path of plain torch: two products per expert, for CPU caches.

Rows are taken in groups of blocks, so that hidden values are activated and differentiated while they are in
cache, in memory that the allocator reuses. A new buffer for all rows costs more in page faults than the
activation. A block has rows of one expert. What is not a product is done once for all blocks of a group:
experts of few rows would else spend their time in calls.

Axes: D model width, F expert width, T tokens, N rows in expert order, H hidden values of a group.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from mmspec_kernels.weights import Activation, Experts, ExpertWeights, StackedWeights, activate

BLOCK_ROWS = 1024
GROUP_ROWS = 4096
"""Rows of a group at most: buffers of some MB at the widths of small models."""


class Block(NamedTuple):
    """Rows `first` to `end` of an expert; `starts` marks its first block."""

    expert: int
    first: int
    end: int
    starts: bool


@dataclass(frozen=True)
class Rows:
    """The rows of all experts, `counts` of each: those of `hidden`, or its rows `token_N` where given."""

    hidden: Tensor
    counts: tuple[int, ...]
    token_N: Tensor | None = None

    def groups(self) -> Iterator[list[Block]]:
        """All rows in blocks of one expert; a group is consecutive blocks of GROUP_ROWS rows at most."""
        group: list[Block] = []
        start = 0
        for expert, count in enumerate(self.counts):
            for first in range(start, start + count, BLOCK_ROWS):
                block = Block(expert, first, min(first + BLOCK_ROWS, start + count), first == start)
                if group and block.end - group[0].first > GROUP_ROWS:
                    yield group
                    group = []
                group.append(block)
            start += count
        if group:
            yield group

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
        """The layout and the tensors of experts, as an autograd function takes them: the four that are stacked,
        or four for each expert."""
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
    """The outputs [N, D] in the order of the rows, and the pre-activations [H] of each group if `keep`."""
    out_ND = rows.hidden.new_empty(sum(rows.counts), rows.hidden.shape[1])
    kept = []
    for group in rows.groups():
        pre_H = _widened(rows.part(group[0].first, group[-1].end), group, experts)
        if activation == "gelu":
            acts = _apart(F.gelu(pre_H), group, experts)
        else:
            acts = [activate(pre, activation) for pre in _apart(pre_H, group, experts)]
        for block, act in zip(group, acts):
            w = experts[block.expert]
            torch.addmm(w.b2, act, w.w2, out=out_ND[block.first : block.end])
        if keep:
            kept.append(pre_H)
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
        kept: pre-activations of each group; none are computed again.
        activation: of the experts.
        gradient_of: the gradient of the outputs of rows `first` to `end`; called once for each group, in order.
        of_rows: whether the gradient of the rows is wanted.
    """
    experts = layout.apart(flat)
    gradients = [torch.empty_like(t) for t in flat]
    into = layout.apart(gradients)
    for expert, count in enumerate(rows.counts):
        if not count:
            for t in into[expert]:
                t.zero_()
    drows_ND = rows.hidden.new_empty(sum(rows.counts), rows.hidden.shape[1]) if of_rows else None
    for place, group in enumerate(rows.groups()):
        first, end = group[0].first, group[-1].end
        part, grad = rows.part(first, end), gradient_of(first, end)
        pre_H = kept[place] if kept else _widened(part, group, experts)
        act, dpre = _differentiated(pre_H, grad, group, experts, activation)
        for number, block in enumerate(group):
            here = slice(block.first - first, block.end - first)
            _add_gradients(into[block.expert], part[here], grad[here], act[number], dpre[number], block.starts)
            if drows_ND is not None:
                torch.mm(dpre[number], experts[block.expert].w1.T, out=drows_ND[block.first : block.end])
    return drows_ND, gradients


def _widened(part: Tensor, group: Sequence[Block], experts: Sequence[ExpertWeights]) -> Tensor:
    """The pre-activations of a group's rows, one block after the other [H]."""
    sizes = [(block.end - block.first) * experts[block.expert].w1.shape[1] for block in group]
    pre_H = part.new_empty(sum(sizes))
    first = group[0].first
    for block, pre in zip(group, _apart(pre_H, group, experts)):
        w = experts[block.expert]
        torch.addmm(w.b1, part[block.first - first : block.end - first], w.w1, out=pre)
    return pre_H


def _apart(values_H: Tensor, group: Sequence[Block], experts: Sequence[ExpertWeights]) -> list[Tensor]:
    """The hidden values of each block [rows, F] ([rows, 2 F] for "swiglu"), as views."""
    rows = [block.end - block.first for block in group]
    sizes = [count * experts[block.expert].w1.shape[1] for count, block in zip(rows, group)]
    return [part.view(count, -1) for part, count in zip(values_H.split(sizes), rows)]


def _differentiated(
    pre_H: Tensor,
    grad: Tensor,
    group: Sequence[Block],
    experts: Sequence[ExpertWeights],
    activation: Activation,
) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    """The activations of each block [rows, F], and the gradients of its pre-activations."""
    first = group[0].first
    parts = [grad[block.first - first : block.end - first] for block in group]
    if activation != "gelu":
        pairs = [
            _swiglu_gradient(pre, torch.mm(part, experts[block.expert].w2.T))
            for block, part, pre in zip(group, parts, _apart(pre_H, group, experts))
        ]
        return [act for act, _ in pairs], [dpre for _, dpre in pairs]
    gradient_H = torch.empty_like(pre_H)
    dpre = _apart(gradient_H, group, experts)
    for block, part, dact in zip(group, parts, dpre):
        torch.mm(part, experts[block.expert].w2.T, out=dact)
    torch.ops.aten.gelu_backward.grad_input(gradient_H, pre_H, approximate="none", grad_input=gradient_H)
    return _apart(F.gelu(pre_H), group, experts), dpre


def _swiglu_gradient(pre: Tensor, dact: Tensor) -> tuple[Tensor, Tensor]:
    """silu(gates) * values, and the gradient of both."""
    gate, value = pre.chunk(2, -1)
    silu = F.silu(gate)
    dgate = torch.ops.aten.silu_backward(dact * value, gate)
    return silu * value, torch.cat([dgate, dact * silu], 1)


def _add_gradients(
    into: ExpertWeights, part: Tensor, grad: Tensor, act: Tensor, dpre: Tensor, starts: bool
) -> None:
    """Write the gradients of an expert's weights from the first of its blocks, and add those of others."""
    old = 0.0 if starts else 1.0
    torch.addmm(into.w2, act.T, grad, beta=old, out=into.w2)
    torch.addmm(into.w1, part.T, dpre, beta=old, out=into.w1)
    _add_columns(into.b1, dpre, starts)
    _add_columns(into.b2, grad, starts)


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
