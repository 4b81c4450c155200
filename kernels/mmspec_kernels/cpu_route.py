"""The router in plain torch as one autograd function: a graph of its forty small operations costs more on a CPU
than they do.

Axes: T tokens, D model width, E experts, K chosen experts, M modalities.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from mmspec_kernels.rule import NOT_ROUTED, RoutingRule

TINY = torch.finfo(torch.float32).tiny


class RoutePlainly(torch.autograd.Function):
    """Index, chosen weight, probability and log-sum-exp; gradients to hidden, the router's weight and the prior
    logits. All are float32, and so are the inputs but `hidden_TD`."""

    @staticmethod
    def forward(
        ctx: Any, hidden_TD: Tensor, modality_T: Tensor, weight_ED: Tensor, prior_ME: Tensor | None,
        selection: Tensor | None, rule: RoutingRule,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
        """`Routing.index_TK`, `weight_TK`, `probability_TE` and `log_sum_exp_T`; see `route.route`.

        Args:
            hidden_TD: of any floating type.
            modality_T: int64, NOT_ROUTED where there is no token.
            weight_ED: the router's rows.
            prior_ME: W prior of each modality, or None.
            selection: [E] or [M, E], added for the choice alone, or None.
            rule: how many experts, of which probabilities, with which weights.
        """
        temperature, sigmoid, share = rule.temperature, rule.sigmoid, rule.dynamic_share
        routed_T = modality_T != NOT_ROUTED
        known_T = modality_T.clamp_min(0)
        hidden_TD = hidden_TD.float()
        logits_TE = F.linear(hidden_TD, weight_ED).float()
        if prior_ME is not None:
            logits_TE += prior_ME.index_select(0, known_T)
        scaled_TE = logits_TE if temperature == 1 else logits_TE / temperature
        if sigmoid:
            affinity_TE = torch.sigmoid(scaled_TE)
            # The softmax of log sigmoid is the sigmoid over its sum, also where all affinities are nearly 0.
            shares_TE = torch.softmax(F.logsigmoid(scaled_TE), 1)
        else:
            affinity_TE = shares_TE = torch.softmax(scaled_TE, 1)
        if sigmoid or temperature != 1:
            log_sum_exp_T = torch.logsumexp(logits_TE, 1)
        else:
            log_sum_exp_T = logits_TE.amax(1) - shares_TE.amax(1).log_()
        index_TK, chosen_TK = _largest(affinity_TE, selection, known_T, rule.k)
        used_TK = routed_T[:, None]
        if share > 0:
            used_TK = used_TK & (chosen_TK >= share * chosen_TK[:, :1])
        index_TK = index_TK.masked_fill(~used_TK, NOT_ROUTED)
        weight_TK, total_T1 = chosen_TK * used_TK, None
        if rule.renormalise:
            total_T1 = weight_TK.sum(1, keepdim=True).clamp_min(TINY)
            weight_TK = weight_TK / total_T1
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(index_TK)
        ctx.rule, ctx.modalities = rule, None if prior_ME is None else len(prior_ME)
        ctx.save_for_backward(
            hidden_TD, known_T, routed_T, weight_ED, logits_TE, affinity_TE, shares_TE, index_TK, weight_TK,
            total_T1,
        )  # fmt: skip
        return index_TK, weight_TK, shares_TE * routed_T[:, None], log_sum_exp_T * routed_T

    @staticmethod
    @once_differentiable  # what is saved stands for constants: a second derivative would be silently wrong
    def backward(ctx: Any, *grad_outputs: Tensor | None) -> tuple[Tensor | None, ...]:
        """The gradients of `hidden_TD`, `weight_ED` and `prior_ME`, None where none is asked for."""
        (
            hidden_TD, known_T, routed_T, weight_ED, logits_TE, affinity_TE, shares_TE, index_TK, weight_TK,
            total_T1,
        ) = ctx.saved_tensors  # fmt: skip
        _, dweight_TK, dprobability_TE, dlog_T = grad_outputs
        rule: RoutingRule = ctx.rule
        daffinity_TE = dshares_TE = None
        if dweight_TK is not None:
            if total_T1 is not None:
                mean_T1 = (dweight_TK * weight_TK).sum(1, keepdim=True)
                dweight_TK = (dweight_TK - mean_T1) / total_T1
            dchosen_TK = dweight_TK.masked_fill(index_TK < 0, 0.0)
            # Added, because pairs that are not used all point to the first expert.
            daffinity_TE = torch.zeros_like(affinity_TE).scatter_add_(1, index_TK.clamp_min(0), dchosen_TK)
        if dprobability_TE is not None:
            dshares_TE = dprobability_TE * routed_T[:, None]
        if rule.sigmoid:
            dscaled_TE = _of_sigmoid(affinity_TE, shares_TE, daffinity_TE, dshares_TE)
        else:
            dscaled_TE = _of_softmax(shares_TE, _sum(daffinity_TE, dshares_TE))
        dlogits_TE = dscaled_TE
        if dscaled_TE is not None and rule.temperature != 1:
            dlogits_TE = dscaled_TE / rule.temperature
        if dlog_T is not None:
            plain_TE = torch.softmax(logits_TE, 1)
            dlogits_TE = _sum(dlogits_TE, plain_TE.mul_((dlog_T * routed_T)[:, None]))
        if dlogits_TE is None:
            return None, None, None, None, None, None
        dprior_ME = None
        if ctx.modalities is not None:
            dprior_ME = dlogits_TE.new_zeros(ctx.modalities, dlogits_TE.shape[1])
            dprior_ME.index_add_(0, known_T, dlogits_TE)
        dhidden_TD = dlogits_TE @ weight_ED if ctx.needs_input_grad[0] else None
        return dhidden_TD, None, dlogits_TE.T @ hidden_TD, dprior_ME, None, None


def _largest(affinity_TE: Tensor, selection: Tensor | None, known_T: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The experts of the largest scores [T, K] and their affinities."""
    if selection is None:
        largest = affinity_TE.topk(k, 1)
        return largest.indices, largest.values
    of_token = selection if selection.ndim == 1 else selection.index_select(0, known_T)
    index_TK = (affinity_TE + of_token).topk(k, 1).indices
    return index_TK, affinity_TE.gather(1, index_TK)


def _of_softmax(shares_TE: Tensor, dshares_TE: Tensor | None) -> Tensor | None:
    if dshares_TE is None:
        return None
    found: Tensor = torch.ops.aten._softmax_backward_data(dshares_TE, shares_TE, 1, shares_TE.dtype)
    return found


def _of_sigmoid(
    affinity_TE: Tensor, shares_TE: Tensor, daffinity_TE: Tensor | None, dshares_TE: Tensor | None
) -> Tensor | None:
    """The gradient of logits from those of their sigmoids and of the softmax of log sigmoid."""
    direct_TE = None
    if daffinity_TE is not None:
        direct_TE = torch.ops.aten.sigmoid_backward(daffinity_TE, affinity_TE)
    dlog_TE = _of_softmax(shares_TE, dshares_TE)
    return _sum(direct_TE, None if dlog_TE is None else dlog_TE * (1 - affinity_TE))


def _sum(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    if one is None or other is None:
        return other if one is None else one
    return one + other
