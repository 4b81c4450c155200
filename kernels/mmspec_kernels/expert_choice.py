"""Routing in which every expert chooses its tokens (Zhou et al. 2022, "Mixture-of-Experts with Expert Choice
Routing"), within each sample.

The paper lets an expert choose among all tokens of a batch. What a token gets then depends on what else is in
the batch, in evaluation too, and on how a batch is shared by ranks. Here an expert chooses among the tokens of
one sample: ceil(k n / E) of n. So every sample gets the same share of every expert, the load is even by
construction, and the answer for a sample depends on that sample alone.

Axes: T tokens, D model width, E experts, M modalities, B samples, S places of a sample.
"""

from dataclasses import replace

import torch
from torch import Tensor

from mmspec_kernels.backend import Backend
from mmspec_kernels.route import Routing, route
from mmspec_kernels.rule import NOT_ROUTED, RoutingRule


def route_by_experts(
    hidden_TD: Tensor,
    modality_T: Tensor,
    weight_ED: Tensor,
    prior_MD: Tensor | None,
    rule: RoutingRule,
    *,
    samples: int,
    backend: Backend = "auto",
) -> Routing:
    """Let each expert choose the tokens of largest affinity in each sample.

    Args:
        hidden_TD, modality_T, weight_ED, prior_MD, backend: see `route`.
        rule: its k is how many experts a token has on average: a sample of n tokens has ceil(k n / E) for each
            expert. Weights are renormalised over the experts that chose a token.
        samples: B; the T tokens are blocks of S places each, padding included.

    Returns:
        Routing with `index_TK` and `weight_TK` of [T, E]: column e is expert e, or NOT_ROUTED where it did not
        choose the token. Of equal affinities the first in the sample is chosen. Gradients are those of `route`.

    Raises:
        ValueError: k is more than E, T is not a multiple of `samples`, or the rule has a dynamic share, which
            is for tokens that choose.
    """
    experts, tokens = len(weight_ED), len(hidden_TD)
    rule.refuse_fewer_experts(experts)
    if rule.dynamic_share:
        raise ValueError(f"dynamic_share is {rule.dynamic_share}: expected 0 where experts choose")
    if tokens % max(1, samples):
        raise ValueError(f"{tokens} tokens are not {samples} samples of equal length")
    of_all = replace(rule, k=experts, renormalise=False)
    every = route(hidden_TD, modality_T, weight_ED, prior_MD, of_all, backend=backend)
    # `route` has sorted a token's experts by affinity; back to the order of the experts.
    place_TE = every.index_TK.clamp_min(0)
    routed_T = modality_T != NOT_ROUTED
    affinity_TE = torch.zeros_like(every.weight_TK).scatter(1, place_TE, every.weight_TK)
    blocks = (samples, tokens // max(1, samples))
    affinity_BSE, routed_BS = affinity_TE.detach().unflatten(0, blocks), routed_T.unflatten(0, blocks)
    chosen_TE = chosen_by_experts(affinity_BSE, routed_BS, rule.k).flatten(0, 1)

    weight_TE = affinity_TE * chosen_TE
    if rule.renormalise:
        tiny = torch.finfo(torch.float32).tiny
        weight_TE = weight_TE / weight_TE.sum(1, keepdim=True).clamp_min(tiny)
    index_TE = torch.arange(experts, device=chosen_TE.device).masked_fill(~chosen_TE, NOT_ROUTED)
    return replace(every, index_TK=index_TE, weight_TK=weight_TE, counts_E=chosen_TE.sum(0))


def chosen_by_experts(affinity_BSE: Tensor, routed_BS: Tensor, k: int) -> Tensor:
    """Whether an expert chose a token, bool [B, S, E]: the ceil(k n / E) largest affinities of a sample's n
    tokens. Places that are not routed are never chosen."""
    places, experts = affinity_BSE.shape[1:]
    count_B = routed_BS.sum(1)
    capacity_B = (k * count_B + experts - 1) // experts
    order_BSE = affinity_BSE.masked_fill(~routed_BS[..., None], -1.0).argsort(
        dim=1, descending=True, stable=True
    )
    rank_S = torch.arange(places, device=order_BSE.device)
    rank_BSE = torch.empty_like(order_BSE).scatter_(1, order_BSE, rank_S[:, None].expand_as(order_BSE))
    return (rank_BSE < capacity_B[:, None, None]) & routed_BS[..., None]
