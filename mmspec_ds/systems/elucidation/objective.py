"""The whole objective of a step, over the global batch (equation 8 and algorithm 1).

Axes: B samples, L target tokens, Y layers, E experts, M modalities.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from mmspec_ds.data.batch import Batch
from mmspec_ds.moe.expert_settings import ObjectiveSettings
from mmspec_ds.moe.layer import SparseFeedForward
from mmspec_ds.moe.losses import auxiliary_losses, weighted_sum
from mmspec_ds.moe.schedule import Curriculum, curriculum_at
from mmspec_ds.moe.statistics import RoutingReport, sum_over_ranks, to_vector, with_values
from mmspec_ds.spectra.registry import REGISTRY
from mmspec_ds.systems.elucidation.alignment import alignment_loss
from mmspec_ds.systems.elucidation.model import Elucidator, sequence_loss
from mmspec_ds.trainer.task import StepLoss


@dataclass(frozen=True)
class ElucidationLoss(StepLoss):
    """`parts` are the task loss and each unweighted auxiliary loss; `weight` is the number of target tokens;
    `spectrum_tokens` those of the global batch; `reports` of the layers, summed over ranks; `task` is the task
    loss with its gradient."""

    spectrum_tokens: Tensor
    reports: tuple[RoutingReport, ...]
    task: Tensor


class Objective(nn.Module):
    """A model with its objective: what the engine calls.

    Every mean is over the global batch, whatever share of it a rank holds: one all-reduce of sums and counts.
    Gradients averaged over the ranks are then those of the loss of the whole batch.

    Args:
        model: the elucidator.
        settings: weights of the auxiliary losses.
        cost_E: relative cost of each expert; None for a dense model.
        group: the data-parallel group, None for one process.
    """

    cost_E: Tensor

    def __init__(
        self, model: Elucidator, settings: ObjectiveSettings, cost_E: Tensor | None, group: Any | None = None
    ) -> None:
        super().__init__()
        self.model, self.settings, self.group = model, settings, group
        self.register_buffer("cost_E", torch.zeros(0) if cost_E is None else cost_E, persistent=False)
        self.instruments = tuple(m for m in model.embedding.schemas if REGISTRY[m].is_instrument)

    def forward(self, batch: Batch, progress: float) -> ElucidationLoss:
        """The loss when `progress`, 0 to 1, of the budget is spent. In training, the router's temperature is
        that of the schedule, and the model keeps it; in evaluation it is the model's."""
        schedule = curriculum_at(progress, self.settings)
        smoothing = self.settings.label_smoothing if self.training else 0.0
        if self.training:
            self.model.temperature = schedule.temperature
        output = self.model(batch, schedule.temperature if self.training else None)
        loss_sum, target_tokens = sequence_loss(
            output.logits_BLV, batch.target_BL, batch.weight_B, label_smoothing=smoothing
        )
        spectrum_tokens = batch.spectra.mask_BS.sum()
        sums = torch.stack([loss_sum.float(), target_tokens.float(), spectrum_tokens.float()])
        reports = cast(tuple[RoutingReport, ...], output.reports) if len(self.cost_E) else ()

        everywhere = sum_over_ranks(torch.cat([sums, *(to_vector(r) for r in reports)]), self.group)
        parts = self._parts(everywhere, with_values(reports, everywhere[len(sums) :]))
        known = everywhere.detach()
        total = parts["task"] + self._weighted(parts, schedule)
        if self.training and self.settings.alignment:
            parts["alignment"] = alignment_loss(
                output.encoded,
                batch.weight_B,
                self.instruments,
                self.settings.alignment_temperature,
                self.group,
            )
            total = total + self.settings.alignment * parts["alignment"]
        return ElucidationLoss(
            total=total,
            parts={name: value.detach() for name, value in parts.items()},
            weight=known[1],
            tokens=known[1] + known[2],
            spectrum_tokens=known[2],
            reports=with_values(reports, known[len(sums) :]),
            task=parts["task"],
        )

    def rebalance(self, reports: tuple[RoutingReport, ...]) -> None:
        """Move the routers' selection biases, where they are in use, after a step."""
        for layer, report in zip(self.model.encoder.layers, reports):
            cast(SparseFeedForward, layer.feedforward).rebalance(report)

    def _parts(self, everywhere: Tensor, reports: tuple[RoutingReport, ...]) -> dict[str, Tensor]:
        task = everywhere[0] / everywhere[1].detach().clamp_min(1)
        auxiliary = auxiliary_losses(reports, self.cost_E, self.settings) if reports else {}
        return {"task": task, **auxiliary}

    def _weighted(self, parts: Mapping[str, Tensor], schedule: Curriculum) -> Tensor:
        auxiliary = {name: value for name, value in parts.items() if name != "task"}
        if not auxiliary:
            return parts["task"].new_zeros(())
        return weighted_sum(auxiliary, self.settings, schedule)
