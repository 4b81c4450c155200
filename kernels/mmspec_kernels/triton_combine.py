"""Launches of the combination, with and without pools, and its autograd.

Axes: T tokens, D model width, K choices, N rows, B samples, P pools of a sample.

`place_TK` holds integers, negative for a token-expert pair that is not used; with pools, sample * P + pool.
"""

from typing import Any

import torch
import triton
from torch import Tensor

from mmspec_kernels import kernels_combine
from mmspec_kernels.launch_table import (
    COMBINE_FEATURES,
    COMBINE_POOLS,
    COMBINE_TOKENS,
    PAIR_BLOCK,
    PAIR_FEATURES,
)

_BLOCKS = {"BLOCK": COMBINE_TOKENS, "BLOCK_D": COMBINE_FEATURES}


def add_rows(
    rows: Tensor, place_TK: Tensor, row_TK: Tensor | None = None, weight_TK: Tensor | None = None
) -> Tensor:
    """Sum over k of weight[t, k] * rows[row[t, k]], choices in order [T, D].

    Without `row_TK` row t * K + k belongs to pair (t, k); without `weight_TK` all weights are 1.
    """
    (tokens, top_k), d_model = place_TK.shape, rows.shape[-1]
    out = torch.empty(tokens, d_model, dtype=rows.dtype, device=rows.device)
    kernels_combine.combine_rows[_grid(tokens, d_model)](
        rows, place_TK if row_TK is None else row_TK, rows if weight_TK is None else weight_TK, place_TK, out,
        tokens, D=d_model, TOPK=top_k, INDEXED=row_TK is not None, WEIGHTED=weight_TK is not None, **_BLOCKS,
    )  # fmt: skip
    return out


def add_and_pool(
    rows: Tensor, place_TK: Tensor, weight_TK: Tensor, samples: int, pools: int, row_TK: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """`add_rows`, and the sums of weighted rows [B, P, D] and of weights [B, P] over each pool, float32.

    Without `row_TK` row t * K + k belongs to pair (t, k) and is multiplied by its weight already.
    """
    (tokens, top_k), d_model, device = place_TK.shape, rows.shape[-1], rows.device
    out = torch.empty(tokens, d_model, dtype=rows.dtype, device=device)
    sums = torch.empty(samples, pools, d_model, dtype=torch.float32, device=device)
    mass = torch.empty(samples, pools, dtype=torch.float32, device=device)
    grid = (samples, triton.cdiv(d_model, COMBINE_FEATURES), triton.cdiv(pools, COMBINE_POOLS))
    kernels_combine.combine_and_pool[grid](
        rows, place_TK if row_TK is None else row_TK, weight_TK, place_TK, out, sums, mass,
        tokens // max(1, samples), D=d_model, TOPK=top_k, INDEXED=row_TK is not None, POOLS=pools,
        BLOCK_P=COMBINE_POOLS, **_BLOCKS,
    )  # fmt: skip
    return out, sums, mass


def pair_gradients(grad_TD: Tensor, dsum_BPD: Tensor, place_TK: Tensor) -> Tensor:
    """The gradient of each pair's weighted output [T * K, D]: that of its token plus that of its pool."""
    (tokens, top_k), d_model = place_TK.shape, grad_TD.shape[1]
    out = torch.empty(tokens * top_k, d_model, dtype=grad_TD.dtype, device=grad_TD.device)
    kernels_combine.pair_gradient[_grid(tokens, d_model)](
        grad_TD, dsum_BPD, place_TK, out, tokens, D=d_model, TOPK=top_k, **_BLOCKS
    )
    return out


def _grid(tokens: int, d_model: int) -> tuple[int, int]:
    return max(1, triton.cdiv(tokens, COMBINE_TOKENS)), triton.cdiv(d_model, COMBINE_FEATURES)


class CombineRows(torch.autograd.Function):
    """The weighted sum of each token's rows; with `pools` = (B, P) also the sums over each pool."""

    @staticmethod
    def forward(
        ctx: Any, rows_ND: Tensor, weight_TK: Tensor, row_TK: Tensor, place_TK: Tensor,
        pools: tuple[int, int] | None,
    ) -> Tensor | tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        """What `add_rows` gives, [T, D], or with `pools` what `add_and_pool` gives."""
        rows, weight = rows_ND.contiguous(), weight_TK.contiguous()
        ctx.save_for_backward(rows, weight, row_TK, place_TK)
        if pools is None:
            return add_rows(rows, place_TK, row_TK, weight)
        return add_and_pool(rows, place_TK, weight, *pools, row_TK=row_TK)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of `rows_ND` and `weight_TK`; zero for rows of no pair."""
        rows, weight, row_TK, place_TK = ctx.saved_tensors
        grads, (tokens, top_k) = [g.contiguous() for g in grad_outputs], row_TK.shape
        pooled = len(grads) == 3
        drows = torch.zeros_like(rows)
        dweight = torch.empty(tokens, top_k, dtype=torch.float32, device=rows.device)
        kernels_combine.combine_rows_gradient[(max(1, triton.cdiv(tokens * top_k, PAIR_BLOCK)),)](
            *(grads if pooled else [grads[0], weight, weight]), rows, row_TK, weight, place_TK, drows, dweight,
            tokens, D=rows.shape[1], TOPK=top_k, POOLED=pooled, BLOCK=PAIR_BLOCK, BLOCK_D=PAIR_FEATURES,
        )  # fmt: skip
        return drows, dweight.to(weight.dtype), None, None, None
