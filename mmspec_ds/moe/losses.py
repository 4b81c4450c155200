"""The auxiliary losses of the objective, as functions of a layer's report (sections A.5 to A.8)."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mmspec_ds.moe.expert_settings import RouterObjective
from mmspec_ds.moe.schedule import Curriculum
from mmspec_ds.moe.statistics import RoutingReport


def squared_variation(values: Tensor) -> Tensor:
    """CV^2 = Var / mean^2 of all components, with the population variance; 0 when all is 0."""
    return values.var(correction=0) / values.mean().square().clamp_min(1e-20)


def balance_loss(report: RoutingReport) -> Tensor:
    """L_bal = CV^2(importance) + CV^2(load) over the experts (equation 19); the load has no gradient."""
    return squared_variation(report.importance_ME.sum(0)) + squared_variation(report.load_ME.sum(0))


def entropy_loss(report: RoutingReport) -> Tensor:
    """-H, the negative mean entropy of the router, in nats.

    Equation 20 of the paper adds +H, which would lower the entropy; its text asks for a high entropy early in
    training. We follow the text.
    """
    return -report.entropy_M.sum() / _tokens(report)


def cost_loss(report: RoutingReport, cost_E: Tensor) -> Tensor:
    """L_cost, the mean expected cost of a token (equation 7), with the costs [E] of `layer.relative_costs`, 1
    for the widest expert."""
    return (report.importance_ME.sum(0) * cost_E).sum() / _tokens(report)


def structure_loss(report: RoutingReport) -> Tensor:
    """L_struct = mean squared distance of shared experts + mean margin shortfall of modality experts (26)."""
    agreement = report.agreement / report.agreement_count.clamp_min(1)
    separation = report.separation / report.separation_count.clamp_min(1)
    return agreement + separation


def z_loss(report: RoutingReport) -> Tensor:
    """Mean squared log-partition of the router's logits, which keeps them small (Zoph et al. 2022)."""
    return report.z / _tokens(report)


def auxiliary_losses(
    reports: Sequence[RoutingReport],
    cost_E: Tensor,
    settings: RouterObjective,
    decoder_reports: Sequence[RoutingReport] = (),
) -> Mapping[str, Tensor]:
    """Each auxiliary loss, averaged over layers, by name; unweighted. Reports must be reduced already. A
    decoder's layers count in all losses but the structure, which is one of modalities."""
    every = [*reports, *decoder_reports]
    losses = {
        "balance": [balance_loss(r) for r in every],
        "entropy": [entropy_loss(r) for r in every],
        "cost": [cost_loss(r, cost_E) for r in every],
        "structure": [structure_loss(r) for r in reports],
    }
    if settings.z:
        losses["z"] = [z_loss(r) for r in every]
    return {name: torch.stack(values).mean() for name, values in losses.items()}


def weights_of(settings: RouterObjective, now: Curriculum) -> dict[str, float]:
    """The weight of each auxiliary loss: lambda_cost, lambda(t), lambda_pid, and those of the terms that the
    paper has not, z and interactions."""
    return {
        "balance": now.balance,
        "entropy": now.balance,
        "cost": settings.cost,
        "structure": settings.structure,
        "z": settings.z,
        "interactions": getattr(settings, "interactions", 0.0),
    }


def weighted_sum(losses: Mapping[str, Tensor], settings: RouterObjective, now: Curriculum) -> Tensor:
    """lambda_cost L_cost + lambda(t) (L_bal - H) + lambda_pid L_struct (equation 8, algorithm 1), and the terms
    that the paper has not. A loss without a weight is left out, and so is its backward pass."""
    weights = weights_of(settings, now)
    terms = [weights[name] * value for name, value in losses.items() if weights[name]]
    return torch.stack(terms).sum() if terms else next(iter(losses.values())).new_zeros(())


def _tokens(report: RoutingReport) -> Tensor:
    return report.tokens_M.sum().clamp_min(1)
