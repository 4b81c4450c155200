"""The report of a sparse layer on a batch: sums that give every auxiliary loss and routing figure, and their
reduction over the data-parallel group.

Axes: T tokens, K choices, E experts, M modalities, X sums of a token.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
import torch.distributed as dist
from mmspec_kernels import NOT_ROUTED, Routing
from torch import Tensor


@dataclass(frozen=True)
class RoutingReport:
    """Sums over the tokens of a batch, float32.

    Attributes:
        importance_ME: summed probabilities of each modality's tokens for each expert (equation 18).
        load_ME: how many of the token-expert pairs were chosen, before capacity; no gradient.
        dropped_M: pairs dropped by capacity; no gradient.
        tokens_M: tokens of each modality; no gradient.
        entropy_M: summed -sum_e p log p of each modality's tokens.
        z: summed squared log-partition.
        agreement, agreement_count: summed squared distances of shared experts' pooled outputs between the
            modalities of a molecule, and how many (equation 27).
        separation, separation_count: summed margin shortfalls of modality experts, and how many (equation
            28).
    """

    importance_ME: Tensor
    load_ME: Tensor
    dropped_M: Tensor
    tokens_M: Tensor
    entropy_M: Tensor
    z: Tensor
    agreement: Tensor
    agreement_count: Tensor
    separation: Tensor
    separation_count: Tensor

    def with_structure(self, sums: Tensor) -> "RoutingReport":
        """The same report with the four numbers of `StructuralSums`, [4] in the order of its attributes."""
        return replace(
            self,
            agreement=sums[0],
            agreement_count=sums[1].detach(),
            separation=sums[2],
            separation_count=sums[3].detach(),
        )


class _Sums(torch.autograd.Function):
    """Sums over the tokens of each modality, [M, E + 1 + X], of their E probabilities, their entropy and X
    numbers without a gradient; and the sum of the squared log-partitions. One node of autograd's graph: with
    one for each operation the backward pass had 20 more calls a layer."""

    @staticmethod
    def forward(
        ctx: Any, probability_TE: Tensor, log_sum_exp_T: Tensor, of_modality_TM: Tensor, counted_TX: Tensor
    ) -> tuple[Tensor, Tensor]:
        log_TE = probability_TE.clamp_min(1e-20).log_()
        entropy_T = torch.linalg.vecdot(probability_TE, log_TE).neg_()
        # One product gives all sums; padding matches no modality.
        sums_MX = of_modality_TM.T @ torch.cat([probability_TE, entropy_T[:, None], counted_TX], 1)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(log_TE, log_sum_exp_T, of_modality_TM)
        return sums_MX, log_sum_exp_T.dot(log_sum_exp_T)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor | None) -> tuple[Tensor | None, ...]:
        log_TE, log_sum_exp_T, of_modality_TM = ctx.saved_tensors
        grad_MX, grad_z = grad_outputs
        dprobability_TE = None
        if grad_MX is not None:
            experts = log_TE.shape[1]
            grad_TX = of_modality_TM @ grad_MX[:, : experts + 1]
            # -d(p log p) = -(log p + 1) dp
            dprobability_TE = grad_TX[:, :experts].addcmul(grad_TX[:, experts:], log_TE + 1, value=-1)
        return dprobability_TE, None if grad_z is None else 2 * grad_z * log_sum_exp_T, None, None


def routing_report(routing: Routing, kept_TK: Tensor, modality_T: Tensor, modalities: int) -> RoutingReport:
    """The report of a layer without its structural sums, which are zero.

    Args:
        routing: where the tokens go.
        kept_TK: `routing.index_TK`, with NOT_ROUTED for pairs that capacity dropped.
        modality_T: int64, NOT_ROUTED where there is no token.
        modalities: M.
    """
    probability_TE, index_TK = routing.probability_TE, routing.index_TK
    experts = probability_TE.shape[1]
    # Chosen experts are marked, and in one more column whether a pair is not used.
    counted_TX = probability_TE.new_zeros(len(index_TK), experts + 1, dtype=torch.float32)
    counted_TX.scatter_(1, index_TK.remainder(experts + 1), 1.0)
    if kept_TK is index_TK:
        counted_TX[:, experts] = 0.0
    else:
        counted_TX[:, experts] = ((index_TK != NOT_ROUTED) & (kept_TK == NOT_ROUTED)).sum(1)
    ids_M = torch.arange(modalities, device=modality_T.device)
    of_modality_TM = (modality_T[:, None] == ids_M).to(probability_TE.dtype)
    tokens_M = of_modality_TM.sum(0)
    sums_MX, z = _Sums.apply(probability_TE, routing.log_sum_exp_T, of_modality_TM, counted_TX)
    importance_ME, entropy_M1, load_ME, dropped_M1 = sums_MX.split([experts, 1, experts, 1], 1)
    nothing = probability_TE.new_zeros((), dtype=torch.float32)
    return RoutingReport(
        importance_ME=importance_ME,
        load_ME=load_ME.detach(),
        dropped_M=dropped_M1.detach().squeeze(1),
        tokens_M=tokens_M,
        entropy_M=entropy_M1.squeeze(1),
        z=z,
        agreement=nothing,
        agreement_count=nothing,
        separation=nothing,
        separation_count=nothing,
    )


def sum_over_ranks(local: Tensor, group: Any | None = None) -> Tensor:
    """`local` summed over the data-parallel group, in one all-reduce.

    The gradient with respect to `local` is multiplied by the number of ranks, because data parallelism averages
    gradients over ranks, while a loss of global sums is one loss.
    """
    if group is None or dist.get_world_size(group) == 1:
        return local
    everywhere = local.detach().clone()
    dist.all_reduce(everywhere, group=group)
    return everywhere + dist.get_world_size(group) * (local - local.detach())


def to_vector(report: RoutingReport) -> Tensor:
    """All sums of a report as one vector, [3 M + 2 M E + 5], the attributes one after the other."""
    return torch.cat([getattr(report, field.name).reshape(-1) for field in fields(report)])


def with_values(reports: Sequence[RoutingReport], values: Tensor) -> tuple[RoutingReport, ...]:
    """Reports of the same shapes with the sums of `values`, the vectors of `to_vector` one after the other."""
    parts = [getattr(report, field.name) for report in reports for field in fields(report)]
    pieces = iter(values.split([part.numel() for part in parts]))
    return tuple(
        RoutingReport(*(next(pieces).view_as(getattr(report, field.name)) for field in fields(report)))
        for report in reports
    )
