"""Token-expert pairs in expert order, the rows they carry, and the way back.

Axes: T tokens, D model width, E experts, K chosen experts, N used token-expert pairs.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Dispatch:
    """`token_N` int64 is the token of each row, rows sorted by expert and within an expert by token and
    choice; `row_TK` int64 is the row of each token-expert pair, valid where `used_TK`; `counts_E` int64 rows
    of each expert."""

    token_N: Tensor
    row_TK: Tensor
    used_TK: Tensor
    counts_E: Tensor


def dispatch(index_TK: Tensor, num_experts: int) -> Dispatch:
    """Sort the token-expert pairs by expert, stably; pairs with a negative index are left out."""
    tokens, k = index_TK.shape
    used_TK = index_TK >= 0
    expert_of_pair = torch.where(used_TK, index_TK, num_experts).reshape(-1)
    order = torch.argsort(expert_of_pair, stable=True)
    counts = torch.bincount(expert_of_pair, minlength=num_experts + 1)[:num_experts]
    row_TK = torch.empty_like(order)
    row_TK[order] = torch.arange(tokens * k, device=order.device)
    used_pairs = order[: int(counts.sum())]
    return Dispatch(used_pairs // k, row_TK.view(tokens, k), used_TK, counts)


class _Gather(torch.autograd.Function):
    """Rows of tokens. The gradient of a token is the sum over its K rows, a gather and not a scatter-add: the
    order of the sum is fixed and no two threads meet in one place."""

    @staticmethod
    def forward(ctx: Any, hidden_TD: Tensor, token_N: Tensor, row_TK: Tensor, used_TK: Tensor) -> Tensor:
        ctx.save_for_backward(row_TK, used_TK)
        return hidden_TD.index_select(0, token_N)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None, None]:
        row_TK, used_TK = ctx.saved_tensors
        return _weighted_rows(grad_outputs[0], row_TK, used_TK.to(grad_outputs[0].dtype)), None, None, None


class _Combine(torch.autograd.Function):
    """Weighted sum of the rows of each token."""

    @staticmethod
    def forward(
        ctx: Any, rows_ND: Tensor, weight_TK: Tensor, token_N: Tensor, row_TK: Tensor, used_TK: Tensor
    ) -> Tensor:
        ctx.save_for_backward(rows_ND, weight_TK, token_N, row_TK, used_TK)
        return _weighted_rows(rows_ND, row_TK, (weight_TK * used_TK).to(rows_ND.dtype))

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        rows_ND, weight_TK, token_N, row_TK, used_TK = ctx.saved_tensors
        grad_ND = grad_outputs[0].index_select(0, token_N)
        wide = torch.promote_types(rows_ND.dtype, torch.float32)
        dot_N = (grad_ND.to(wide) * rows_ND.to(wide)).sum(-1)
        grad_weight_TK = torch.zeros_like(weight_TK)
        grad_weight_TK[used_TK] = dot_N[row_TK[used_TK]].to(weight_TK.dtype)
        weight_N = torch.empty_like(dot_N)
        weight_N[row_TK[used_TK]] = weight_TK[used_TK].to(dot_N.dtype)
        return grad_ND * weight_N[:, None].to(grad_ND.dtype), grad_weight_TK, None, None, None


def _weighted_rows(rows_ND: Tensor, row_TK: Tensor, weight_TK: Tensor) -> Tensor:
    """sum_k weight[t, k] * rows[row[t, k]], choices in order; a pair of weight 0 may point anywhere."""
    if len(rows_ND) == 0:
        return rows_ND.new_zeros(len(row_TK), rows_ND.shape[1])
    row_TK = row_TK.clamp_max(len(rows_ND) - 1)
    total = rows_ND.index_select(0, row_TK[:, 0]).mul_(weight_TK[:, :1])
    for choice in range(1, row_TK.shape[1]):
        total.addcmul_(rows_ND.index_select(0, row_TK[:, choice]), weight_TK[:, choice : choice + 1])
    return total


def gather(hidden_TD: Tensor, plan: Dispatch) -> Tensor:
    """The tokens' representations in row order [N, D]; differentiable."""
    rows: Tensor = _Gather.apply(hidden_TD, plan.token_N, plan.row_TK, plan.used_TK)
    return rows


def combine(rows_ND: Tensor, weight_TK: Tensor, plan: Dispatch) -> Tensor:
    """The weighted sum of each token's rows [T, D], choices added in order; differentiable in both."""
    out: Tensor = _Combine.apply(rows_ND, weight_TK, plan.token_N, plan.row_TK, plan.used_TK)
    return out
