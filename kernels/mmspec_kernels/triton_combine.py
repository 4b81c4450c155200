"""Launches of the combination and its autograd.

Axes: T tokens, D model width, K choices, N rows.
"""

from typing import Any

import torch
import triton
from torch import Tensor

from mmspec_kernels import kernels_dispatch
from mmspec_kernels.launch_table import COMBINE_FEATURES, COMBINE_TOKENS, PAIR_BLOCK, PAIR_FEATURES


def add_rows(rows_ND: Tensor, row_TK: Tensor, used_TK: Tensor, weight_TK: Tensor | None) -> Tensor:
    """sum_k weight[t, k] * rows[row[t, k]] over used pairs, choices in order; no weights means ones."""
    (tokens, top_k), d_model = row_TK.shape, rows_ND.shape[1]
    out = torch.empty(tokens, d_model, dtype=rows_ND.dtype, device=rows_ND.device)
    weight = rows_ND if weight_TK is None else weight_TK.contiguous()
    grid = (max(1, triton.cdiv(tokens, COMBINE_TOKENS)), triton.cdiv(d_model, COMBINE_FEATURES))
    kernels_dispatch.combine_rows[grid](
        rows_ND, row_TK, weight, used_TK.to(torch.int8) - 1, out, tokens,
        D=d_model, TOPK=top_k, WEIGHTED=weight_TK is not None, BLOCK=COMBINE_TOKENS, BLOCK_D=COMBINE_FEATURES,
    )  # fmt: skip
    return out


class CombineRows(torch.autograd.Function):
    """The weighted sum of each token's rows."""

    @staticmethod
    def forward(ctx: Any, rows_ND: Tensor, weight_TK: Tensor, row_TK: Tensor, used_TK: Tensor) -> Tensor:
        rows, weight = rows_ND.contiguous(), weight_TK.contiguous()
        ctx.save_for_backward(rows, weight, row_TK, used_TK)
        return add_rows(rows, row_TK, used_TK, weight)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, None, None]:
        rows, weight, row_TK, used_TK = ctx.saved_tensors
        grad, (tokens, top_k) = grad_outputs[0].contiguous(), row_TK.shape
        drows = torch.zeros_like(rows)
        dweight = torch.empty(tokens, top_k, dtype=torch.float32, device=rows.device)
        kernels_dispatch.combine_rows_gradient[(max(1, triton.cdiv(tokens * top_k, PAIR_BLOCK)),)](
            grad, rows, row_TK, weight, used_TK.to(torch.int8) - 1, drows, dweight, tokens,
            D=rows.shape[1], TOPK=top_k, BLOCK=PAIR_BLOCK, BLOCK_D=PAIR_FEATURES,
        )  # fmt: skip
        return drows, dweight.to(weight.dtype), None, None
