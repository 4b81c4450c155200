"""Rows of tokens, the weighted sum of each token's rows, and sums over pools of rows.

On a device every sum is a gather or a matrix product in a fixed order: two runs give the same bits.

Axes: T tokens, D model width, K chosen experts, N used token-expert pairs, B samples, P pools of a sample.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from mmspec_kernels.backend import Backend, uses_triton
from mmspec_kernels.dispatch import Dispatch


class Pools(NamedTuple):
    """Which expert outputs are summed together.

    The T tokens are `samples` blocks of equal length. `pool_TK` int64 is the pool of each token-expert pair
    within its sample, 0 to `pools` - 1; its value does not matter where a pair is not used.
    """

    pool_TK: Tensor
    samples: int
    pools: int

    def places(self, used_TK: Tensor) -> Tensor:
        """sample * P + pool of each pair [T, K] int64, -1 where `used_TK` is false.

        Raises:
            ValueError: the tokens are not `samples` blocks of equal length.
        """
        tokens = len(self.pool_TK)
        length = tokens // max(1, self.samples)
        if length * self.samples != tokens:
            raise ValueError(f"{tokens} tokens are not {self.samples} samples of equal length")
        token_T1 = torch.arange(tokens, device=self.pool_TK.device)[:, None]
        place_TK = token_T1 // max(1, length) * self.pools + self.pool_TK
        return place_TK.masked_fill(~used_TK, -1)


class PoolSums(NamedTuple):
    """Sums over the pairs of each pool, float32: `output_BPD` of weight * FFN_e, `weight_BP` of the weights."""

    output_BPD: Tensor
    weight_BP: Tensor


class _Gather(torch.autograd.Function):
    """Copy tokens to rows. The gradient of a token is the sum over its K rows, by a gather."""

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

            return add_rows(grad.contiguous(), _signs(used_TK), row_TK), None, None
        # Where every pair is used the weights are all one.
        weight_TK = None if bool(used_TK.all()) else used_TK.to(grad.dtype)
        return weighted_rows(grad, row_TK, weight_TK), None, None


class _Combine(torch.autograd.Function):
    """The weighted sum of each token's rows."""

    @staticmethod
    def forward(ctx: Any, rows_ND: Tensor, weight_TK: Tensor, plan: Dispatch) -> Tensor:
        ctx.save_for_backward(rows_ND, weight_TK, plan.token_N, plan.pair_N)
        return weighted_rows(rows_ND, plan.row_TK, (weight_TK * plan.used_TK).to(rows_ND.dtype))

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


def _signs(used_TK: Tensor) -> Tensor:
    """0 where a pair is used, -1 elsewhere, int8."""
    return used_TK.to(torch.int8) - 1


def weighted_rows(rows_ND: Tensor, row_TK: Tensor, weight_TK: Tensor | None) -> Tensor:
    """sum_k weight[t, k] * rows[row[t, k]] [T, D]; a pair of weight 0 may point anywhere.

    On a CPU one `embedding_bag` reads the rows once: 63 us instead of 162 us for two rows each of 3,000 tokens
    (D 128, one thread), with the same bits.
    """
    if len(rows_ND) == 0:
        return rows_ND.new_zeros(len(row_TK), rows_ND.shape[1])
    tokens, k = row_TK.shape
    row_TK = row_TK.clamp_max(len(rows_ND) - 1)
    if rows_ND.device.type == "cpu":
        first_T = torch.arange(0, tokens * k, k)
        weight = None if weight_TK is None else weight_TK.flatten()
        with torch.no_grad():
            return torch.embedding_bag(rows_ND, row_TK.flatten(), first_T, False, 0, False, weight)[0]
    total = rows_ND.index_select(0, row_TK[:, 0])
    if weight_TK is not None:
        total.mul_(weight_TK[:, :1])
    for choice in range(1, k):
        part = rows_ND.index_select(0, row_TK[:, choice])
        if weight_TK is None:
            total.add_(part)
        else:
            total.addcmul_(part, weight_TK[:, choice : choice + 1])
    return total


def pool_sums(out_ND: Tensor, weight_N: Tensor, place_N: Tensor, size: tuple[int, int]) -> PoolSums:
    """The sums of weighted rows over the pools they are in, and those of the weights, float32 at least.

    Args:
        out_ND: expert outputs of the pairs that are used.
        weight_N: of each.
        place_N: sample * P + pool of each, int64.
        size: B and P.
    """
    weighted_ND = out_ND.to(torch.promote_types(out_ND.dtype, torch.float32)) * weight_N[:, None]
    output_CD = weighted_ND.new_zeros(size[0] * size[1], out_ND.shape[1]).index_add(0, place_N, weighted_ND)
    weight_C = weight_N.new_zeros(size[0] * size[1]).index_add(0, place_N, weight_N)
    return PoolSums(output_CD.unflatten(0, size), weight_C.unflatten(0, size))


def gather(hidden_TD: Tensor, plan: Dispatch, *, backend: Backend = "auto") -> Tensor:
    """The tokens' representations in row order [N, D]; differentiable."""
    rows: Tensor = _Gather.apply(hidden_TD, plan, uses_triton(backend, hidden_TD))
    return rows


def combine(rows_ND: Tensor, weight_TK: Tensor, plan: Dispatch, *, backend: Backend = "auto") -> Tensor:
    """The weighted sum of each token's rows [T, D], choices added in order; differentiable in both."""
    if uses_triton(backend, rows_ND):
        from mmspec_kernels.triton_combine import CombineRows

        on_device: Tensor = CombineRows.apply(rows_ND, weight_TK, plan.row_TK, _signs(plan.used_TK), None)
        return on_device
    combined: Tensor = _Combine.apply(rows_ND, weight_TK, plan)
    return combined


def combine_and_pool(
    rows_ND: Tensor, weight_TK: Tensor, plan: Dispatch, pools: Pools, *, backend: Backend = "auto"
) -> tuple[Tensor, PoolSums]:
    """`combine`, and the sums over each pool. With Triton one kernel reads the rows once for both.

    Args:
        rows_ND: expert outputs in the order of `plan`, which must be trimmed to the used pairs.
        weight_TK: the router's weights.
        plan: of `dispatch`.
        pools: where each pair is pooled.
        backend: "auto" picks by device.

    Returns:
        The tokens' sums [T, D] and the pools' sums; differentiable in rows and weights.
    """
    place_TK = pools.places(plan.used_TK)
    if uses_triton(backend, rows_ND):
        from mmspec_kernels.triton_combine import CombineRows

        size = (pools.samples, pools.pools)
        out_TD, *sums = CombineRows.apply(rows_ND, weight_TK, plan.row_TK, place_TK.int(), size)
        return out_TD, PoolSums(*sums)
    combined: Tensor = _Combine.apply(rows_ND, weight_TK, plan)
    weight_N = weight_TK.flatten().index_select(0, plan.pair_N)
    place_N = place_TK.flatten().index_select(0, plan.pair_N)
    return combined, pool_sums(rows_ND, weight_N, place_N, (pools.samples, pools.pools))
