"""The sparse layer in plain torch as one autograd function: no gathered copy of the tokens is kept.

Axes: T tokens, D model width, K choices, N used token-expert pairs in the order of experts, B samples, P pools
of a sample, C = B * P.
"""

from typing import Any

import torch
from torch import Tensor

from mmspec_kernels.combine import Pools, PoolSums, pool_sums, weighted_rows
from mmspec_kernels.cpu_experts import Layout, Rows, backward_rows, forward_rows
from mmspec_kernels.dispatch import dispatch
from mmspec_kernels.weights import Activation, Experts


class _Layer(torch.autograd.Function):
    """Dispatch, experts and combination; with `size` = (B, P) and places 0 to C - 1 of the pairs also the sums
    over pools. Kept are the tokens, the pre-activations and the experts' outputs."""

    @staticmethod
    def forward(
        ctx: Any, hidden_TD: Tensor, weight_TK: Tensor, index_TK: Tensor, place_TK: Tensor | None,
        size: tuple[int, int] | None, layout: Layout, activation: Activation, recompute: bool, *flat: Tensor,
    ) -> Tensor | tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        experts = layout.apart(flat)
        plan = dispatch(index_TK, len(experts), backend="reference")
        rows = Rows(hidden_TD, tuple(plan.counts_E.tolist()), plan.token_N)
        out_ND, kept = forward_rows(rows, experts, activation, keep=any(ctx.needs_input_grad) and not recompute)
        # Where every pair is used there is no mask to multiply with.
        used_TK = None if len(plan.token_N) == index_TK.numel() else plan.used_TK
        used = weight_TK if used_TK is None else weight_TK * used_TK
        out_TD = weighted_rows(out_ND, plan.row_TK, used.to(out_ND.dtype))
        place_N = None if place_TK is None else place_TK.flatten().index_select(0, plan.pair_N)
        weight_N = weight_TK.flatten().index_select(0, plan.pair_N)
        ctx.save_for_backward(
            hidden_TD, out_ND, weight_N, plan.token_N, plan.pair_N, plan.row_TK, used_TK, place_N, *flat, *kept
        )
        ctx.options = (rows.counts, layout, activation, len(flat))
        if size is None or place_N is None:
            return out_TD
        return out_TD, *pool_sums(out_ND, weight_N, place_N, size)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        counts, layout, activation, weights = ctx.options
        hidden_TD, out_ND, weight_N, token_N, pair_N, row_TK, used_TK, place_N, *rest = ctx.saved_tensors
        grad_TD, *pooled = grad_outputs
        pooled_CD = pooled[0].flatten(0, 1) if pooled else None
        wide = torch.promote_types(out_ND.dtype, torch.float32)
        dot_N = out_ND.new_empty(len(out_ND), dtype=wide)

        def gradient_of(first: int, end: int) -> Tensor:
            """The gradient of the unweighted outputs of some rows; that of their weights is noted."""
            grad = grad_TD.index_select(0, token_N[first:end])
            if pooled_CD is not None:
                grad = grad + pooled_CD.index_select(0, place_N[first:end])
            torch.linalg.vecdot(grad.to(wide), out_ND[first:end].to(wide), out=dot_N[first:end])
            return grad.mul_(weight_N[first:end, None]).to(out_ND.dtype)

        drows_ND, gradients = backward_rows(
            Rows(hidden_TD, counts, token_N), layout, rest[:weights], rest[weights:], activation,
            gradient_of=gradient_of, of_rows=ctx.needs_input_grad[0],
        )  # fmt: skip
        if pooled:
            dot_N += pooled[1].flatten().index_select(0, place_N)
        dweight = torch.zeros(row_TK.numel(), dtype=weight_N.dtype, device=dot_N.device)
        dweight.index_copy_(0, pair_N, dot_N.to(weight_N.dtype))
        dhidden_TD = None
        if drows_ND is not None:
            dhidden_TD = weighted_rows(
                drows_ND, row_TK, None if used_TK is None else used_TK.to(drows_ND.dtype)
            )
        return dhidden_TD, dweight.view_as(row_TK), None, None, None, None, None, None, *gradients


def mixed_experts(
    hidden_TD: Tensor, index_TK: Tensor, weight_TK: Tensor, experts: Experts, *, activation: Activation,
    recompute: bool, pools: Pools | None = None,
) -> tuple[Tensor, PoolSums | None]:  # fmt: skip
    """sum_k weight * FFN_e(hidden) [T, D], and the sums over pools if they are given; differentiable in hidden,
    weights and experts.

    Args:
        hidden_TD: the tokens.
        index_TK: the expert of each pair, negative where there is none.
        weight_TK: of each pair.
        experts: their weights.
        activation: "gelu" or "swiglu".
        recompute: compute pre-activations again in the backward pass.
        pools: where each pair is pooled.
    """
    layout, flat = Layout.flatten(experts)
    # Inputs count as in need of a gradient also where gradients are off; nothing is to be kept then.
    recompute = recompute or not torch.is_grad_enabled()
    if pools is None:
        return _Layer.apply(
            hidden_TD, weight_TK, index_TK, None, None, layout, activation, recompute, *flat
        ), None  # fmt: skip
    place_TK, size = pools.places(index_TK >= 0), (pools.samples, pools.pools)
    out_TD, *sums = _Layer.apply(
        hidden_TD, weight_TK, index_TK, place_TK, size, layout, activation, recompute, *flat
    )
    return out_TD, PoolSums(*sums)
