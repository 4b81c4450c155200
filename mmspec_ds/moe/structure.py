"""The structural sums: whether shared experts agree across modalities, and modality experts tell them apart
(equations 26 to 28).

Axes: T tokens, K choices, D model width, B samples, M modalities, E experts, P pools of a sample.
"""

import torch
from mmspec_kernels import Pools, PoolSums
from torch import Tensor, nn
from torch.nn import functional as F


class StructuralSums(nn.Module):
    """Agreement and separation of pooled expert outputs, summed and counted.

    The pooled output of an expert over some tokens of a molecule is the mean of FFN_e(h), weighted by the
    router's probabilities. A shared expert has one for each modality; its agreement is the squared distance of
    every two of them. A modality expert has two, over the modalities that it serves and over the others; its
    separation is max(0, margin - distance). An interaction expert has one, which these sums do not read.

    Args:
        serves_EM: True where a modality expert serves a modality.
        shared_E: True for shared experts.
        margin: gamma.
    """

    pool_ME: Tensor
    expert_P: Tensor

    def __init__(self, serves_EM: Tensor, shared_E: Tensor, margin: float) -> None:
        super().__init__()
        self.margin, self.modalities = margin, serves_EM.shape[1]
        shared, own = shared_E.nonzero().squeeze(1), serves_EM.any(1).nonzero().squeeze(1)
        rest = (~shared_E & ~serves_EM.any(1)).nonzero().squeeze(1)
        self.shared, self.own, self.experts = len(shared), len(own), len(shared_E)
        self.count = self.modalities * self.shared + 2 * self.own + len(rest)
        pool_ME = torch.empty(self.modalities, self.experts, dtype=torch.int64)
        modality_M1 = torch.arange(self.modalities)[:, None]
        pool_ME[:, shared] = modality_M1 * self.shared + torch.arange(self.shared)
        outside_ME = (~serves_EM[own]).long().T
        pool_ME[:, own] = self.modalities * self.shared + outside_ME * self.own + torch.arange(self.own)
        pool_ME[:, rest] = self.count - len(rest) + torch.arange(len(rest))
        self.register_buffer("pool_ME", pool_ME, persistent=False)
        expert_P = torch.cat([shared.repeat(self.modalities), own.repeat(2), rest])
        self.register_buffer("expert_P", expert_P, persistent=False)

    def pools(self, modality_T: Tensor, index_TK: Tensor, samples: int) -> Pools:
        """The pool of each token-expert pair, for tokens that are `samples` blocks of equal length. What it is
        where `modality_T` or `index_TK` is negative does not matter."""
        pool_TK = self.pool_ME[modality_T.clamp_min(0)[:, None], index_TK.clamp_min(0)]
        return Pools(pool_TK, samples, self.count)

    def forward(self, sums: PoolSums) -> Tensor:
        """[agreement, its count, separation, its count], float32, from the sums over the pools."""
        mean_BPD = sums.output_BPD / sums.weight_BP.clamp_min(1e-12)[..., None]
        present_BP = sums.weight_BP > 0
        until = self.modalities * self.shared
        of_shared, of_own = slice(until), slice(until, until + 2 * self.own)
        agreement = _agreement(
            mean_BPD[:, of_shared].unflatten(1, (self.modalities, self.shared)),
            present_BP[:, of_shared].unflatten(1, (self.modalities, self.shared)),
        )
        separation = _separation(
            mean_BPD[:, of_own].unflatten(1, (2, self.own)),
            present_BP[:, of_own].unflatten(1, (2, self.own)),
            self.margin,
        )
        return torch.stack([*agreement, *separation])

    def by_expert(self, sums: PoolSums) -> PoolSums:
        """The sums over all tokens of a molecule for each expert, [B, E, D] and [B, E]."""
        output_BPD, weight_BP = sums
        samples, _, width = output_BPD.shape
        output_BED = output_BPD.new_zeros(samples, self.experts, width).index_add(1, self.expert_P, output_BPD)
        weight_BE = weight_BP.new_zeros(samples, self.experts).index_add(1, self.expert_P, weight_BP)
        return PoolSums(output_BED, weight_BE)


def _agreement(mean_BMED: Tensor, present_BME: Tensor) -> tuple[Tensor, Tensor]:
    """Squared distances of every two modalities' means. Those of n points sum up to n times the squared
    distances from their centre, which needs no pairs. An absent mean is zero."""
    count_BE = present_BME.sum(1)
    centre_B1ED = (mean_BMED.sum(1) / count_BE.clamp_min(1)[..., None])[:, None]
    spread_BME = (mean_BMED - centre_B1ED).square().sum(-1) * present_BME
    return (spread_BME.sum(1) * count_BE).sum(), (count_BE * (count_BE - 1)).sum() / 2


def _separation(mean_B2ED: Tensor, present_B2E: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    """Shortfalls of the distance between the tokens that an expert serves and the others."""
    comparable_BE = present_B2E.all(1)
    distance_BE = ((mean_B2ED[:, 0] - mean_B2ED[:, 1]).square().sum(-1) + 1e-12).sqrt()
    return (F.relu(margin - distance_BE) * comparable_BE).sum(), comparable_BE.sum().float()
