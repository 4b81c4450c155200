"""What a sparse layer reports of one batch: sums, from which every auxiliary loss and every routing figure
follows, and their reduction over the data-parallel group.

Axes: T tokens, K choices, E experts, M modalities, B samples, D model width, Y layers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
import torch.distributed as dist
from mmspec_kernels import NOT_ROUTED, Routing
from torch import Tensor
from torch.nn import functional as F


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
        """The same with what `structure_sums` gives [4]."""
        return replace(
            self,
            agreement=sums[0],
            agreement_count=sums[1].detach(),
            separation=sums[2],
            separation_count=sums[3].detach(),
        )


def routing_report(routing: Routing, kept_TK: Tensor, modality_T: Tensor, modalities: int) -> RoutingReport:
    """The report of one layer before its experts have run: its structural sums are zero."""
    probability_TE = routing.probability_TE
    one_hot_TM = F.one_hot(modality_T.clamp_min(0), modalities).float() * (modality_T >= 0)[:, None]
    chosen_TE = F.one_hot(routing.index_TK.clamp_min(0), probability_TE.shape[1])
    chosen_TE = (chosen_TE * (routing.index_TK != NOT_ROUTED)[..., None]).sum(1)
    dropped_T = ((routing.index_TK != NOT_ROUTED) & (kept_TK == NOT_ROUTED)).sum(1)
    entropy_T = -torch.special.xlogy(probability_TE, probability_TE.clamp_min(1e-20)).sum(1)
    nothing = probability_TE.new_zeros((), dtype=torch.float32)
    return RoutingReport(
        importance_ME=one_hot_TM.T @ probability_TE,
        load_ME=one_hot_TM.T @ chosen_TE.float(),
        dropped_M=one_hot_TM.T @ dropped_T.float(),
        tokens_M=one_hot_TM.sum(0),
        entropy_M=one_hot_TM.T @ entropy_T,
        z=routing.log_sum_exp_T.square().sum(),
        agreement=nothing,
        agreement_count=nothing,
        separation=nothing,
        separation_count=nothing,
    )


def structure_sums(
    rows_ND: Tensor,
    weight_N: Tensor,
    bin_N: Tensor,
    samples: int,
    serves_EM: Tensor,
    shared_E: Tensor,
    margin: float,
) -> Tensor:
    """Agreement and separation of pooled outputs, summed and counted (equations 27 and 28).

    The pooled output of expert e for the tokens of modality m of a molecule is the mean of FFN_e(h) weighted
    by the router's probabilities.
    Shared experts: squared distance between every two modalities of a molecule.
    Modality experts: max(0, margin - distance) between the modalities that they serve and the others.

    Args:
        rows_ND: outputs of experts, one row for each token-expert pair.
        weight_N: router weights of the rows.
        bin_N: (sample * M + modality) * E + expert of each row, int64.
        samples: B.
        serves_EM: True where a modality expert serves a modality.
        shared_E: True for shared experts.
        margin: gamma.

    Returns:
        [agreement, its count, separation, its count], float32.
    """
    experts, modalities = serves_EM.shape
    bins = samples * modalities * experts
    weighted = rows_ND.float() * weight_N[:, None]
    sum_BMED = weighted.new_zeros(bins, rows_ND.shape[1]).index_add(0, bin_N, weighted)
    sum_BMED = sum_BMED.view(samples, modalities, experts, rows_ND.shape[1])
    mass_BME = weight_N.new_zeros(bins).index_add(0, bin_N, weight_N).view(samples, modalities, experts)

    shared = shared_E.nonzero().squeeze(1)
    mean_BMED, present_BME = _mean(sum_BMED[:, :, shared], mass_BME[:, :, shared])
    first, second = torch.triu_indices(modalities, modalities, 1, device=rows_ND.device)
    both = present_BME[:, first] & present_BME[:, second]
    squared = (mean_BMED[:, first] - mean_BMED[:, second]).square().sum(-1)
    agreement = (squared * both).sum()

    own = serves_EM.any(1).nonzero().squeeze(1)
    serves_ME = serves_EM[own].T.float()
    inside, has_inside = _pool(sum_BMED[:, :, own], mass_BME[:, :, own], serves_ME)
    outside, has_outside = _pool(sum_BMED[:, :, own], mass_BME[:, :, own], 1 - serves_ME)
    comparable = has_inside & has_outside
    distance = ((inside - outside).square().sum(-1) + 1e-12).sqrt()
    separation = (F.relu(margin - distance) * comparable).sum()
    return torch.stack([agreement, both.sum().float(), separation, comparable.sum().float()])


def _mean(total: Tensor, mass: Tensor) -> tuple[Tensor, Tensor]:
    return total / mass.clamp_min(1e-12)[..., None], mass > 0


def _pool(sum_BMED: Tensor, mass_BME: Tensor, member_ME: Tensor) -> tuple[Tensor, Tensor]:
    return _mean((sum_BMED * member_ME[None, :, :, None]).sum(1), (mass_BME * member_ME[None]).sum(1))


def sum_over_ranks(local: Tensor, group: Any | None = None) -> Tensor:
    """`local` summed over the data-parallel group, in one all-reduce.

    The gradient with respect to `local` is multiplied by the number of ranks, because data parallelism averages
    the gradients of ranks, while a loss of global sums is one loss and not an average.
    """
    if group is None or dist.get_world_size(group) == 1:
        return local
    everywhere = local.detach().clone()
    dist.all_reduce(everywhere, group=group)
    return everywhere + dist.get_world_size(group) * (local - local.detach())


def to_vector(report: RoutingReport) -> Tensor:
    """All sums of a report in a row."""
    return torch.cat([getattr(report, field.name).reshape(-1) for field in fields(report)])


def with_values(reports: Sequence[RoutingReport], values: Tensor) -> tuple[RoutingReport, ...]:
    """Reports of the same shapes whose sums are read from `values`, the vectors of all of them in a row."""
    parts = [getattr(report, field.name) for report in reports for field in fields(report)]
    pieces = iter(values.split([part.numel() for part in parts]))
    return tuple(
        RoutingReport(*(next(pieces).view_as(getattr(report, field.name)) for field in fields(report)))
        for report in reports
    )
