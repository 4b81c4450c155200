"""The sparse layer on one device: dispatch, experts, combine."""

from collections.abc import Sequence

from torch import Tensor

from mmspec_kernels.dispatch import combine, dispatch, gather
from mmspec_kernels.experts import ExpertWeights, expert_ffn


def sparse_ffn(
    hidden_TD: Tensor, index_TK: Tensor, weight_TK: Tensor, experts: Sequence[ExpertWeights]
) -> Tensor:
    """sum over a token's chosen experts of weight * FFN_e(hidden) [T, D] (equation 4); tokens with no expert
    give zeros."""
    plan = dispatch(index_TK, len(experts))
    rows_ND = expert_ffn(gather(hidden_TD, plan), plan.counts_E.tolist(), experts)
    return combine(rows_ND, weight_TK, plan)
