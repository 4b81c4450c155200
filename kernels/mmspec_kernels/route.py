"""Modality-aware top-k routing (MM-Spectrum, equations 3 and 4).

Axes: T tokens, D model width, E experts, K chosen experts, M modalities.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from mmspec_kernels.backend import Backend, uses_triton
from mmspec_kernels.cpu_route import RoutePlainly
from mmspec_kernels.rule import RoutingRule


@dataclass(frozen=True)
class Routing:
    """Where tokens go. `index_TK` int64, NOT_ROUTED for padding and for experts that dynamic activation left
    out; `weight_TK` float32, 0 there; `probability_TE` float32, 0 for padding: with sigmoid gates the
    affinities divided by their sum over all experts; `log_sum_exp_T` float32 of the logits before the
    temperature, 0 for padding; `counts_E` int64, token-expert pairs of each expert."""

    index_TK: Tensor
    weight_TK: Tensor
    probability_TE: Tensor
    log_sum_exp_T: Tensor
    counts_E: Tensor


def route(
    hidden_TD: Tensor,
    modality_T: Tensor,
    weight_ED: Tensor,
    prior_MD: Tensor | None,
    rule: RoutingRule,
    *,
    selection_bias: Tensor | None = None,
    backend: Backend = "auto",
) -> Routing:
    """Choose k experts for each token: softmax(W (h + prior[modality]) / temperature), largest k.

    W (h + prior) is computed as W h + (W prior)[modality], equation 17 of the paper: the second term is a
    table of M x E numbers, so the modality costs one look-up per token. Everything is in float32.

    Args:
        hidden_TD: token representations, any floating type.
        modality_T: int64, NOT_ROUTED where there is no token.
        weight_ED: the router's rows w_e.
        prior_MD: sum of tag and bias embeddings of each modality, or None for routing by content alone.
        rule: how many experts, of which probabilities, with which weights.
        selection_bias: [E], or [M, E] with a row for each modality; added to the probabilities (affinities) for
            the choice only, not for the weights.
        backend: "auto" picks by device. With Triton one kernel reads the hidden states once.

    Returns:
        Routing; gradients flow through weight_TK, probability_TE and log_sum_exp_T.

    Raises:
        ValueError: k is more than the number of experts.
    """
    rule.refuse_fewer_experts(len(weight_ED))
    weight = weight_ED.float()
    prior_ME = None if prior_MD is None else F.linear(prior_MD.float(), weight)
    if uses_triton(backend, hidden_TD):
        from mmspec_kernels.triton_route import RouteTokens

        return Routing(*RouteTokens.apply(hidden_TD, modality_T, weight, prior_ME, selection_bias, rule))
    index_TK, weight_TK, probability_TE, log_sum_exp_T = RoutePlainly.apply(
        hidden_TD, modality_T, weight, prior_ME, selection_bias, rule
    )
    if index_TK.device.type == "cpu":  # elsewhere bincount waits for the device
        counts_E = torch.bincount(index_TK.flatten() + 1, minlength=len(weight_ED) + 1)[1:]
    else:
        experts_E = torch.arange(len(weight_ED), device=index_TK.device)
        counts_E = (index_TK.reshape(-1, 1) == experts_E).sum(0)
    return Routing(index_TK, weight_TK, probability_TE, log_sum_exp_T, counts_E)
