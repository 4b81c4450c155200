"""Sort token-expert pairs by expert.

Axes: T tokens, D model width, E experts, K chosen experts, N token-expert pairs.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from mmspec_kernels.backend import Backend, uses_triton


@dataclass(frozen=True)
class Dispatch:
    """`token_N` int64 is the token of each row and `pair_N` int64 the token-expert pair, token * K + choice,
    rows sorted by expert and within an expert by pair; `row_TK` int64 is the row of each token-expert pair,
    valid where `used_TK`; `counts_E` int64 rows of each expert."""

    token_N: Tensor
    pair_N: Tensor
    row_TK: Tensor
    used_TK: Tensor
    counts_E: Tensor


def dispatch(index_TK: Tensor, num_experts: int, *, trim: bool = True, backend: Backend = "auto") -> Dispatch:
    """Sort the token-expert pairs by expert in a stable way; pairs with a negative index are left out.

    Args:
        index_TK: expert of each pair, negative where there is none.
        num_experts: E.
        trim: cut `token_N` to the used pairs; the host then waits for a device. Without it N is T * K and
            unused pairs come last.
        backend: "auto" picks by device; all give the same integers.
    """
    tokens, k = index_TK.shape
    used_TK = index_TK >= 0
    if uses_triton(backend, index_TK):
        from mmspec_kernels.triton_launch import sort_pairs

        pairs = sort_pairs(index_TK, num_experts)
        order, row_N, counts = pairs.pair_N.long(), pairs.row_N.long(), pairs.counts_E.long()
    else:
        expert_of_pair = torch.where(used_TK, index_TK, num_experts).reshape(-1)
        order = torch.argsort(expert_of_pair, stable=True)
        places = torch.arange(tokens * k, device=order.device)
        if order.device.type == "cpu":
            counts = torch.bincount(expert_of_pair, minlength=num_experts + 1)[:num_experts]
        else:  # where bincount waits for the device; a scatter does not
            counts = torch.zeros(num_experts + 1, dtype=torch.int64, device=order.device)
            counts = counts.scatter_add_(0, expert_of_pair, torch.ones_like(order))[:num_experts]
        row_N = torch.empty_like(order).scatter_(0, order, places)
    if trim:
        order = order[: int(counts.sum())]
    return Dispatch(order // k, order, row_N.view(tokens, k), used_TK, counts)
