"""The objective of a step of fusion, over the global batch: the loss of what is told, those of each modality
alone and of the contribution head, and the auxiliary losses of the routers.

Axes: B samples, M modalities, C classes or groups, D width of a vector, K coalitions.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from mmspec_ds.moe.expert_settings import RouterObjective
from mmspec_ds.moe.losses import auxiliary_losses, weighted_sum, weights_of
from mmspec_ds.moe.schedule import curriculum_at
from mmspec_ds.moe.statistics import RoutingReport, sum_over_ranks, to_vector, with_values
from mmspec_ds.nn.module_flops import Cost, experts_cost
from mmspec_ds.systems.fusion.balance import batch_factors, contribution_factors, modulated
from mmspec_ds.systems.fusion.batch import FusionBatch
from mmspec_ds.systems.fusion.contribution import (
    contributions_cost,
    exact_contributions,
    log_likelihood,
    predicted,
)
from mmspec_ds.systems.fusion.encoder import Encoded
from mmspec_ds.systems.fusion.fusers import ContributionFuser, ContributionVectors, Fused
from mmspec_ds.systems.fusion.model import FusionModel
from mmspec_ds.systems.fusion.run_settings import BalanceSettings, FusionObjective
from mmspec_ds.trainer.task import StepLoss


@dataclass(frozen=True)
class FusionLoss(StepLoss):
    """`parts` are the task loss, that of each modality alone (`alone_ms`, ...), that of the contribution head,
    and each unweighted auxiliary loss; `weight` is the number of samples of the global batch that count;
    `reports` are those of the encoder's layers, summed over ranks; `of_teacher` those of a teacher's, of this
    rank's samples."""

    reports: tuple[RoutingReport, ...] = ()
    of_teacher: tuple[RoutingReport, ...] = ()


class Sums(NamedTuple):
    """Losses over this rank's samples: the sum and the weight of each, side by side; their names; and the
    reports of a teacher's routers."""

    values: Tensor
    names: list[str]
    of_teacher: tuple[RoutingReport, ...] = ()


class FusionObjectiveModule(nn.Module):
    """A model with its objective: what the engine calls.

    Every mean is over the global batch, whatever share of it a rank holds.

    Args:
        model: encoder and fuser.
        settings: weights of the losses.
        balance: how the gradients of modalities are balanced.
        routing: weights of the auxiliary losses.
        cost_E: relative cost of each expert; None for a dense model.
        group: the data-parallel group, None for one process.
        keep_routers: leave the routers' temperature as the model has it, for a base that must not change.

    Attributes:
        blend: weights of the losses of all modalities and of each alone, where gradients are blended.
    """

    cost_E: Tensor

    def __init__(
        self,
        model: FusionModel,
        settings: FusionObjective,
        balance: BalanceSettings,
        routing: RouterObjective,
        cost_E: Tensor | None = None,
        group: Any | None = None,
        *,
        keep_routers: bool = False,
    ) -> None:
        super().__init__()
        self.keep_routers = keep_routers
        self.model, self.settings, self.balance = model, settings, balance
        self.routing, self.group = routing, group
        self.blend: list[float] | None = None
        self.register_buffer("cost_E", torch.zeros(0) if cost_E is None else cost_E, persistent=False)

    def forward(self, batch: FusionBatch, progress: float) -> FusionLoss:
        """The loss when `progress`, 0 to 1, of the budget is spent. In training the router's temperature is
        that of the schedule, and the model keeps it."""
        schedule = curriculum_at(progress, self.routing)
        moves = self.training and not self.keep_routers
        if moves:
            self.model.encoder.keep_temperature(schedule.temperature)
        temperature = schedule.temperature if moves else None
        encoded = self.model.encode(batch.pieces, temperature)
        sums, names, of_teacher = self._sums(batch, encoded)
        vectors = [to_vector(one) for one in encoded.reports]
        if not any(weights_of(self.routing, schedule).values()):
            vectors = [one.detach() for one in vectors]  # no loss needs a gradient of the routers' sums
        tokens = sums.new_full((1,), len(batch.pieces.at_T))
        everywhere = sum_over_ranks(torch.cat([sums, tokens, *vectors]), self.group)
        heads, rest = everywhere[: len(sums)].view(-1, 2), everywhere[len(sums) + 1 :]
        means = heads[:, 0] / heads[:, 1].detach().clamp_min(1)
        parts = dict(zip(names, means))
        reports = with_values(encoded.reports, rest) if encoded.reports else ()
        auxiliary = dict(auxiliary_losses(reports, self.cost_E, self.routing)) if reports else {}
        total = self._total(parts)
        if auxiliary:
            total = total + weighted_sum(auxiliary, self.routing, schedule)
        return FusionLoss(
            total=total,
            parts={name: value.detach() for name, value in {**parts, **auxiliary}.items()},
            weight=heads[0, 1].detach(),
            tokens=everywhere[len(sums)].detach(),
            reports=with_values(encoded.reports, rest.detach()) if encoded.reports else (),
            of_teacher=of_teacher,
        )

    def flops(self, batch: FusionBatch, loss: FusionLoss) -> float | Tensor:
        """FLOPs of a training step, forward and backward: this rank's share, see `Task.flops`. Of the experts'
        rows, which are those of all ranks, this one counts an even share."""
        flops = self.cost(batch).total
        if loss.reports:
            ranks = 1 if self.group is None else dist.get_world_size(self.group)
            flops = flops + experts_cost(self.model.encoder.encoder, loss.reports).total / ranks
        return flops

    def cost(self, batch: FusionBatch) -> Cost:
        """FLOPs of the passes that a training step makes of a batch, without those of experts."""
        model, samples, modalities = self.model, len(batch.weight_B), batch.kept_BM.shape[1]
        fusion, balance = model.fuse_cost(samples), self.balance.kind
        cost = model.encoder.cost(batch.pieces) + fusion
        if self.settings.alone or balance == "blending":
            cost += fusion * modalities
        if balance == "ogm_ge":
            cost += Cost(fusion.forward * modalities)
        if model.has_head or balance == "contribution":
            cost += Cost(fusion.forward * 2**modalities) + contributions_cost(samples, modalities)
        if isinstance(model.fuser, ContributionFuser | ContributionVectors):
            of_head = model.fuser.head.cost(samples)
            cost += Cost(fusion.forward, of_head.backward) + contributions_cost(samples, modalities)
        return cost

    def _total(self, parts: dict[str, Tensor]) -> Tensor:
        """The weighted sum of the losses of what is told."""
        alone = [parts[name] for name in parts if name.startswith("alone_")]
        blend = self.blend if self.training else None
        total = parts["task"] * (blend[0] if blend is not None else 1.0)
        if blend is not None:
            total = total + sum(weight * one for weight, one in zip(blend[1:], alone))
        elif alone and self.settings.alone:
            total = total + self.settings.alone * torch.stack(alone).mean()
        if "head" in parts:
            total = total + self.settings.head * parts["head"]
        return total

    def _sums(self, batch: FusionBatch, encoded: Encoded) -> Sums:
        present_BM = encoded.present_BM
        kept_BM = present_BM & batch.kept_BM if self.training else present_BM
        vectors_BMD = encoded.vectors_BMD
        learning = self.training and torch.is_grad_enabled()
        exact_BM = None
        if self.model.has_head or (learning and self.balance.kind == "contribution"):
            logits_KBC = self.model.coalition_logits(vectors_BMD.detach(), present_BM)
            exact_BM = exact_contributions(logits_KBC, batch.target_BC, self.model.schema.kind)
        if learning:
            vectors_BMD = self._modulated(batch, vectors_BMD, kept_BM, exact_BM)
        fused = self.model.fuse(vectors_BMD, kept_BM)
        pairs = {"task": (self._loss(fused.logits_BC, batch.target_BC), batch.weight_B)}
        if self.settings.alone or self.balance.kind == "blending":
            logits_BMC = self.model.alone(vectors_BMD, kept_BM)
            for at, name in enumerate(self.model.schema.modalities):
                loss_B = self._loss(logits_BMC[:, at], batch.target_BC)
                pairs[f"alone_{name}"] = (loss_B, batch.weight_B * kept_BM[:, at])
        if self.model.has_head:
            assert exact_BM is not None
            pairs["head"] = self._of_head(batch, encoded, logits_KBC, exact_BM)
        flat = [
            torch.stack([(loss * weight).sum().float(), weight.sum().float()])
            for loss, weight in pairs.values()
        ]
        return Sums(torch.cat(flat), list(pairs))

    def _loss(self, logits_BC: Tensor, target_BC: Tensor) -> Tensor:
        """The loss of each sample in nats, [B]; of groups that of one group in the mean."""
        kind = self.model.schema.kind
        if kind == "groups":
            return -log_likelihood(logits_BC, target_BC, kind) / target_BC.shape[1]
        share = self.settings.label_smoothing if self.training else 0.0
        smooth_BC = target_BC * (1 - share) + share / target_BC.shape[1]
        return -log_likelihood(logits_BC, smooth_BC, kind)

    def _of_head(
        self, batch: FusionBatch, encoded: Encoded, logits_KBC: Tensor, exact_BM: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The loss of the contribution head for each modality and the weight of it, [B, M]: Huber's of its
        differences from the exact contributions to the true class and to the predicted one; of groups that for
        one group in the mean."""
        answer_BC = predicted(logits_KBC[-1], self.model.schema.kind)
        of_answer_BM = exact_contributions(logits_KBC, answer_BC, self.model.schema.kind)
        fused: Fused = self.model.fuse(encoded.vectors_BMD.detach(), encoded.present_BM)
        assert fused.predicted is not None
        told = fused.predicted
        loss_BM = F.smooth_l1_loss(told.of_truth_BM, exact_BM, reduction="none")
        loss_BM = loss_BM + F.smooth_l1_loss(told.of_answer_BM, of_answer_BM, reduction="none")
        return loss_BM / self._told, batch.weight_B[:, None] * encoded.present_BM

    @property
    def _told(self) -> int:
        """How many things a sample's log-likelihood is a sum over: one class, or all groups. A contribution to
        many groups is as large as many to one, which would silence the modality that is ahead, and outweigh the
        task in the norm of the gradient that is clipped."""
        return len(self.model.schema.names) if self.model.schema.kind == "groups" else 1

    def _modulated(
        self, batch: FusionBatch, vectors_BMD: Tensor, kept_BM: Tensor, exact_BM: Tensor | None
    ) -> Tensor:
        """The vectors, with the gradient that `balance` wants."""
        if self.balance.kind == "contribution":
            assert exact_BM is not None
            factor_BM = contribution_factors(exact_BM / self._told, kept_BM, self.balance.alpha)
            return modulated(vectors_BMD, kept_BM, factor_BM, 0.0, (0, 0))
        if self.balance.kind != "ogm_ge":
            return vectors_BMD
        loss_M, count_M = self._alone_means(batch, vectors_BMD, kept_BM)
        factor_BM = batch_factors(loss_M, count_M > 0, vectors_BMD[..., 0], self.balance.alpha)
        ranks = 1 if self.group is None else dist.get_world_size(self.group)
        first = 0 if ranks == 1 else dist.get_rank(self.group) * len(batch.weight_B)
        seed = torch.randint(2**31, (1,), device=vectors_BMD.device)
        if ranks > 1:
            dist.broadcast(seed, src=0, group=self.group)
        return modulated(vectors_BMD, kept_BM, factor_BM, self.balance.noise, (int(seed), first))

    @torch.no_grad()
    def _alone_means(self, batch: FusionBatch, vectors_BMD: Tensor, kept_BM: Tensor) -> tuple[Tensor, Tensor]:
        """The mean loss of each modality alone over the global batch, [M], and the number of samples."""
        logits_BMC = self.model.alone(vectors_BMD, kept_BM)
        weight_BM = kept_BM * batch.weight_B[:, None]
        loss_MB = torch.stack([self._loss(one, batch.target_BC) for one in logits_BMC.unbind(1)])
        sums = torch.stack([(loss_MB.T * weight_BM).sum(0), weight_BM.sum(0)])
        everywhere = sum_over_ranks(sums, self.group)
        return everywhere[0] / everywhere[1].clamp_min(1), everywhere[1]
