"""The sparse feed-forward layer: route, dispatch, compute, combine.

The classes here are plain modules whose parts have the names of DeepSpeed's MoE, so that a trained model runs
without DeepSpeed; `deepspeed_layer` derives DeepSpeed's classes from them.

Axes: B samples, S positions, T = B * S tokens, D model width, E experts, K choices, M modalities, N rows.
"""

from collections.abc import Sequence
from typing import Any

import torch
from mmspec_kernels import (
    NOT_ROUTED,
    Dispatch,
    Pools,
    PoolSums,
    Routing,
    RoutingRule,
    combine,
    combine_and_pool,
    dispatch,
    gather,
    route,
    route_by_experts,
)
from torch import Tensor, nn

from mmspec_ds.moe.always_on import AlwaysOn
from mmspec_ds.moe.capacity import keep_within_capacity
from mmspec_ds.moe.expert_parallel import ALONE, Exchange, LocalExperts, Placement
from mmspec_ds.moe.expert_settings import MoESettings
from mmspec_ds.moe.experts import ExpertBank, physical_order
from mmspec_ds.moe.interactions import PooledReport
from mmspec_ds.moe.statistics import RoutingReport, routing_report
from mmspec_ds.moe.structure import StructuralSums


class Gate(nn.Module):
    """The router: expert probabilities from content, modality tag and modality bias (equations 3 and 4).

    Args:
        d_model: D.
        settings: experts and routing.
        modalities: M.
        serves_ME: True where an expert serves a modality, see `serving`; without, all serve all.
    """

    selection_bias: Tensor
    serves_ME: Tensor

    def __init__(
        self, d_model: int, settings: MoESettings, modalities: int, serves_ME: Tensor | None = None
    ) -> None:
        nn.Module.__init__(self)
        self.settings = settings
        self.wg = nn.Linear(d_model, len(settings.experts), bias=False)
        self.tag = nn.Parameter(torch.randn(modalities, d_model) * 0.02) if settings.tag_routing else None
        self.bias = nn.Parameter(torch.zeros(modalities, d_model)) if settings.router_aware else None
        experts = len(settings.experts)
        rows = (modalities,) if settings.selection_bias_by == "modality" else ()
        self.register_buffer("selection_bias", torch.zeros(*rows, experts))
        everything = torch.ones(modalities, experts, dtype=torch.bool)
        self.register_buffer("serves_ME", everything if serves_ME is None else serves_ME, persistent=False)

    def forward(self, hidden_TD: Tensor, modality_T: Tensor, temperature: float, samples: int = 1) -> Routing:
        """Route T tokens, which are `samples` blocks of equal length; blocks matter where experts choose.

        Args:
            hidden_TD: their representations.
            modality_T: int64, NOT_ROUTED where there is no token.
            temperature: tau of the softmax.
            samples: B.

        Returns:
            See `mmspec_kernels.route`, or `route_by_experts` where experts choose: K is then E.
        """
        settings, weight_ED, prior_MD = self.settings, self.wg.weight, self._prior()
        rule = RoutingRule(settings.k, temperature, settings.gate, settings.renormalise, settings.dynamic_share)
        if settings.choice == "expert":
            return route_by_experts(hidden_TD, modality_T, weight_ED, prior_MD, rule, samples=samples)
        bias = self.selection_bias if settings.selection_bias_rate else None
        return route(hidden_TD, modality_T, weight_ED, prior_MD, rule, selection_bias=bias)

    def _prior(self) -> Tensor | None:
        """Tag plus bias [M, D]. Stacked and summed instead of added, their gradients would share memory, and
        clipping in place would scale them twice."""
        if self.tag is None or self.bias is None:
            return self.bias if self.tag is None else self.tag
        return self.tag + self.bias

    @torch.no_grad()
    def update_selection_bias(self, load_ME: Tensor) -> None:
        """Raise the selection bias of experts below the mean load and lower that of the others, by one step
        (Wang et al. 2024). The load is that of all modalities, or of each over the experts that serve it."""
        by_modality = self.settings.selection_bias_by == "modality"
        load = load_ME if by_modality else load_ME.sum(0)
        served = self.serves_ME if by_modality else torch.ones_like(load, dtype=torch.bool)
        mean = (load * served).sum(-1, keepdim=True) / served.sum(-1, keepdim=True)
        step = self.settings.selection_bias_rate * torch.sign(mean - load) * served
        self.selection_bias += step.to(self.selection_bias.dtype)


def serving(settings: MoESettings, modalities: Sequence[str]) -> Tensor:
    """Whether an expert serves a modality, bool [M, E] in physical order: shared and interaction experts serve
    all, modality experts those that they name. A modality that no expert serves is served by all."""
    serves_ME = torch.tensor(
        [[not e.modalities or m in e.modalities for e in physical_order(settings.experts)] for m in modalities]
    )
    return serves_ME | ~serves_ME.any(1, keepdim=True)


def mix_experts(
    experts: LocalExperts, count: int, hidden_TD: Tensor, index_TK: Tensor, weight_TK: Tensor
) -> Tensor:
    """The weighted sum of each token's experts [T, D], for `count` experts that any function computes.

    Args:
        experts: of all of them.
        count: E.
        hidden_TD: the tokens.
        index_TK: the expert of each pair, negative where there is none.
        weight_TK: of each pair.
    """
    plan = dispatch(index_TK, count)
    rows_ND = experts(gather(hidden_TD, plan), plan.counts_E.tolist())
    return combine(rows_ND, weight_TK, plan)


def add_rows(
    rows_ND: Tensor, weight_TK: Tensor, plan: Dispatch, pools: Pools | None
) -> tuple[Tensor, PoolSums | None]:
    """The weighted sum of each token's expert outputs [T, D], and the sums over pools if they are given.
    `rows_ND` are in the order of `plan`."""
    if pools is None:
        return combine(rows_ND, weight_TK, plan), None
    return combine_and_pool(rows_ND, weight_TK, plan, pools)


class SparseDispatch(nn.Module):
    """One pass of tokens through the gate and their experts.

    With `gives_pools`, which needs a structure's margin, a pass in training gives a `PooledReport`.
    """

    def __init__(
        self,
        gate: Gate,
        experts: ExpertBank,
        settings: MoESettings,
        modalities: tuple[str, ...],
        structure_margin: float | None,
    ) -> None:
        nn.Module.__init__(self)
        self.gate, self.experts, self.settings = gate, experts, settings
        self.ep_group: Any | None = None
        self.data_group: Any | None = None
        self.modalities = len(modalities)
        self.gives_pools = False
        order = physical_order(settings.experts)
        serves_EM = torch.tensor([[m in e.modalities for m in modalities] for e in order])
        shared_E = torch.tensor([e.family == "shared" for e in order])
        self.structure = None
        if structure_margin is not None:
            self.structure = StructuralSums(serves_EM, shared_E, structure_margin)

    def forward(
        self, hidden_BSD: Tensor, modality_BS: Tensor, temperature: float
    ) -> tuple[Tensor, RoutingReport | PooledReport]:
        """The weighted sum of each token's experts [B, S, D], zero at padding, and the layer's report, of this
        rank's tokens."""
        hidden_TD, modality_T = hidden_BSD.flatten(0, 1), modality_BS.flatten()

        routing = self.gate(hidden_TD, modality_T, temperature, len(modality_BS))
        kept_TK, weight_TK = self._within_capacity(routing)
        structure = self.structure if self.training else None
        pools = structure.pools(modality_T, kept_TK, len(modality_BS)) if structure is not None else None
        if self.ep_group is None:
            report = routing_report(routing, kept_TK, modality_T, self.modalities)
            out_TD, sums = self.experts.mix(hidden_TD, kept_TK, weight_TK, pools)
        else:
            plan = dispatch(kept_TK, len(self.settings.experts))
            exchange = Exchange(plan, self.settings.exchange_chunks, self.ep_group)
            exchange.send(gather(hidden_TD, exchange.plan))
            report = routing_report(routing, kept_TK, modality_T, self.modalities)  # while rows are sent
            rows_ND = exchange.compute(self.experts)
            out_TD, sums = add_rows(rows_ND, weight_TK, exchange.plan, pools)
        if structure is not None:
            assert sums is not None
            report = report.with_structure(structure(sums))
            if self.gives_pools:
                return out_TD.view_as(hidden_BSD), PooledReport(report, structure.by_expert(sums))
        return out_TD.view_as(hidden_BSD), report

    def _within_capacity(self, routing: Routing) -> tuple[Tensor, Tensor]:
        if self.settings.mode == "dropless":
            return routing.index_TK, routing.weight_TK
        kept_TK = keep_within_capacity(
            routing.index_TK, len(self.settings.experts), self.settings.capacity_factor, self.data_group
        )
        return kept_TK, routing.weight_TK * (kept_TK != NOT_ROUTED)


class SparseFeedForward(nn.Module):
    """The encoder's feed-forward layer: experts of unequal width behind a modality-aware router.

    Args:
        d_model: D.
        settings: experts and routing.
        modalities: names of the modalities in the order of their indices.
        structure_margin: gamma of equation 28; None leaves the structural sums out.
        placement: which block of the experts lives in this process.
    """

    gate_class: type[Gate] = Gate
    bank_class: type[ExpertBank] = ExpertBank
    dispatch_class: type[SparseDispatch] = SparseDispatch

    def __init__(
        self,
        d_model: int,
        settings: MoESettings,
        modalities: tuple[str, ...],
        structure_margin: float | None = None,
        placement: Placement = ALONE,
    ) -> None:
        nn.Module.__init__(self)
        self.settings, self.placement = settings, placement
        gate = self.gate_class(d_model, settings, len(modalities), serving(settings, modalities))
        bank = self.bank_class(d_model, settings, placement)
        self.deepspeed_moe = self.dispatch_class(gate, bank, settings, modalities, structure_margin)
        self.always_on = AlwaysOn(d_model, settings.always_on) if settings.always_on else None

    def forward(
        self, hidden_BSD: Tensor, modality_BS: Tensor, temperature: float
    ) -> tuple[Tensor, RoutingReport | PooledReport]:
        """The layer's output [B, S, D], and its report. At padding the experts give zero; what is always on
        gives some number there, as a dense network does."""
        out_BSD, report = self.deepspeed_moe(hidden_BSD, modality_BS, temperature)
        if self.always_on is not None:
            out_BSD = out_BSD + self.always_on(hidden_BSD)
        return out_BSD, report

    def rebalance(self, report: RoutingReport) -> None:
        """Move the selection bias towards an even load, if `selection_bias_rate` is set."""
        if self.settings.selection_bias_rate:
            self.deepspeed_moe.gate.update_selection_bias(report.load_ME)


def relative_costs(settings: MoESettings) -> Tensor:
    """Costs c_e [E] in physical order: widths divided by the largest, so that lambda_cost is free of scale."""
    widths = torch.tensor([float(e.width) for e in physical_order(settings.experts)])
    return widths / widths.max()
