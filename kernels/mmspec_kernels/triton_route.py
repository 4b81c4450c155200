"""Launches of the router and its autograd.

Axes: T tokens, D model width, E experts, K choices, M modalities.
"""

from typing import Any

import torch
import triton
from torch import Tensor

from mmspec_kernels import kernels_route
from mmspec_kernels.launch_table import ROUTE_FEATURES, ROUTE_TOKENS
from mmspec_kernels.rule import RoutingRule


def _blocks(d_model: int, experts: int) -> dict[str, int]:
    return {
        "D": d_model,
        "E": experts,
        "EP": max(16, triton.next_power_of_2(experts)),
        "BLOCK": ROUTE_TOKENS,
        "BLOCK_D": ROUTE_FEATURES,
    }


class RouteTokens(torch.autograd.Function):
    """Index, chosen weight, probability, log-sum-exp and counts per expert; gradients to hidden, the router's
    weight and the prior logits."""

    @staticmethod
    def forward(
        ctx: Any, hidden_TD: Tensor, modality_T: Tensor, weight_ED: Tensor, prior_ME: Tensor | None,
        selection: Tensor | None, rule: RoutingRule,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
        """The attributes of `Routing` in their order; the arguments are those of `cpu_route.RoutePlainly`."""
        hidden, modality = hidden_TD.contiguous(), modality_T.contiguous()
        weight = weight_ED.contiguous()
        (tokens, d_model), experts, device = hidden.shape, weight.shape[0], hidden.device
        index = torch.empty(tokens, rule.k, dtype=torch.int64, device=device)
        chosen = torch.empty(tokens, rule.k, dtype=torch.float32, device=device)
        probability = torch.empty(tokens, experts, dtype=torch.float32, device=device)
        logits = torch.empty(tokens, experts, dtype=torch.float32, device=device)
        lse = torch.empty(tokens, dtype=torch.float32, device=device)
        counts = torch.zeros(experts, dtype=torch.int32, device=device)
        kernels_route.route_tokens[(max(1, triton.cdiv(tokens, ROUTE_TOKENS)),)](
            hidden, modality, weight, weight if prior_ME is None else prior_ME.contiguous(),
            weight if selection is None else selection.float().contiguous(),
            index, chosen, probability, lse, logits, counts, tokens, 1.0 / rule.temperature,
            rule.dynamic_share, TOPK=rule.k, PRIOR=prior_ME is not None,
            SELECTION=0 if selection is None else selection.ndim, SIGMOID=rule.sigmoid,
            RENORMALISE=rule.renormalise, **_blocks(d_model, experts),
        )  # fmt: skip
        ctx.save_for_backward(hidden, modality, weight, logits, index, chosen, lse)
        ctx.rule, ctx.modalities = rule, 0 if prior_ME is None else len(prior_ME)
        counts = counts.long()
        ctx.mark_non_differentiable(index, counts)
        return index, chosen, probability, lse, counts

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of `hidden_TD`, `weight_ED` and `prior_ME`."""
        hidden, modality, weight, logits, index, chosen, lse = ctx.saved_tensors
        rule: RoutingRule = ctx.rule
        (tokens, d_model), experts = hidden.shape, weight.shape[0]
        dchosen, dprobability, dlse = (grad_outputs[i].contiguous() for i in (1, 2, 3))
        dlogits = torch.empty(tokens, experts, dtype=torch.float32, device=hidden.device)
        dhidden = torch.empty(tokens, d_model, dtype=hidden.dtype, device=hidden.device)
        blocks = _blocks(d_model, experts)
        kernels_route.route_gradient[(max(1, triton.cdiv(tokens, ROUTE_TOKENS)),)](
            logits, modality, weight, index, chosen, lse, dchosen, dprobability, dlse, dlogits, dhidden,
            tokens, 1.0 / rule.temperature, TOPK=rule.k, SIGMOID=rule.sigmoid,
            RENORMALISE=rule.renormalise, **blocks,
        )  # fmt: skip
        splits = max(1, min(64, tokens // 512)) if hidden.is_cuda else 2
        partial = torch.empty(splits, experts, d_model, dtype=torch.float32, device=hidden.device)
        kernels_route.route_weight_gradient[(triton.cdiv(d_model, ROUTE_FEATURES), splits)](
            dlogits, hidden, partial, tokens, SPLITS=splits, **blocks
        )
        dprior = None
        if ctx.modalities:
            # A product, not an index_add: the latter adds in any order on a device.
            one_hot_TM = modality[:, None] == torch.arange(ctx.modalities, device=modality.device)
            dprior = one_hot_TM.float().T @ dlogits
        return dhidden, None, partial.sum(0).to(weight.dtype), dprior, None, None
