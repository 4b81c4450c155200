"""Rows of tokens, and the weighted sum of each token's rows. Sums are gathers in a fixed order: no two threads
meet in one place, and two runs give the same bits.

Axes: T tokens, D model width, K chosen experts, N used token-expert pairs.
"""

from typing import Any

import torch
from torch import Tensor

from mmspec_kernels.backend import Backend, uses_triton
from mmspec_kernels.dispatch import Dispatch


class _Gather(torch.autograd.Function):
    """Rows of tokens. The gradient of a token is the sum over its K rows, a gather and not a scatter-add."""

    @staticmethod
    def forward(ctx: Any, hidden_TD: Tensor, plan: Dispatch, triton: bool) -> Tensor:
        ctx.save_for_backward(plan.row_TK, plan.used_TK)
        ctx.triton = triton
        return hidden_TD.index_select(0, plan.token_N)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:
        row_TK, used_TK = ctx.saved_tensors
        grad = grad_outputs[0]
        if ctx.triton:
            from mmspec_kernels.triton_combine import add_rows

            return add_rows(grad.contiguous(), row_TK, used_TK, None), None, None
        # Where every pair is used the weights are all one.
        weight_TK = None if bool(used_TK.all()) else used_TK.to(grad.dtype)
        return _weighted_rows(grad, row_TK, weight_TK), None, None


class _Combine(torch.autograd.Function):
    """Weighted sum of the rows of each token."""

    @staticmethod
    def forward(ctx: Any, rows_ND: Tensor, weight_TK: Tensor, plan: Dispatch) -> Tensor:
        ctx.save_for_backward(rows_ND, weight_TK, plan.token_N, plan.pair_N)
        return _weighted_rows(rows_ND, plan.row_TK, (weight_TK * plan.used_TK).to(rows_ND.dtype))

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, None]:
        rows_ND, weight_TK, token_N, pair_N = ctx.saved_tensors
        grad_ND = grad_outputs[0].index_select(0, token_N)
        wide = torch.promote_types(rows_ND.dtype, torch.float32)
        # Row by row products as batched dot products: no buffer of all products.
        dot_N = torch.bmm(grad_ND.to(wide)[:, None], rows_ND.to(wide)[:, :, None]).view(-1)
        grad_weight_P = weight_TK.new_zeros(weight_TK.numel())
        grad_weight_P.index_copy_(0, pair_N, dot_N.to(weight_TK.dtype))
        weight_N = weight_TK.flatten().index_select(0, pair_N)
        grad_ND.mul_(weight_N[:, None].to(grad_ND.dtype))
        return grad_ND, grad_weight_P.view_as(weight_TK), None


def _weighted_rows(rows_ND: Tensor, row_TK: Tensor, weight_TK: Tensor | None) -> Tensor:
    """sum_k weight[t, k] * rows[row[t, k]], choices in order; a pair of weight 0 may point anywhere."""
    if len(rows_ND) == 0:
        return rows_ND.new_zeros(len(row_TK), rows_ND.shape[1])
    row_TK = row_TK.clamp_max(len(rows_ND) - 1)
    total = rows_ND.index_select(0, row_TK[:, 0])
    if weight_TK is not None:
        total.mul_(weight_TK[:, :1])
    for choice in range(1, row_TK.shape[1]):
        part = rows_ND.index_select(0, row_TK[:, choice])
        if weight_TK is None:
            total.add_(part)
        else:
            total.addcmul_(part, weight_TK[:, choice : choice + 1])
    return total


def gather(hidden_TD: Tensor, plan: Dispatch, *, backend: Backend = "auto") -> Tensor:
    """The tokens' representations in row order [N, D]; differentiable."""
    rows: Tensor = _Gather.apply(hidden_TD, plan, uses_triton(backend, hidden_TD))
    return rows


def combine(rows_ND: Tensor, weight_TK: Tensor, plan: Dispatch, *, backend: Backend = "auto") -> Tensor:
    """The weighted sum of each token's rows [T, D], choices added in order; differentiable in both."""
    if uses_triton(backend, rows_ND):
        from mmspec_kernels.triton_combine import CombineRows

        on_device: Tensor = CombineRows.apply(rows_ND, weight_TK, plan.row_TK, plan.used_TK)
        return on_device
    combined: Tensor = _Combine.apply(rows_ND, weight_TK, plan)
    return combined
