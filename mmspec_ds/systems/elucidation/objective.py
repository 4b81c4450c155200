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
from mmspec_ds.moe.interactions import interaction_loss
from mmspec_ds.moe.layer import SparseFeedForward
from mmspec_ds.moe.losses import auxiliary_losses, weighted_sum, weights_of
from mmspec_ds.moe.schedule import Curriculum, curriculum_at
from mmspec_ds.moe.statistics import RoutingReport, sum_over_ranks, to_vector
from mmspec_ds.spectra.registry import REGISTRY
from mmspec_ds.systems.elucidation.alignment import alignment_loss
from mmspec_ds.systems.elucidation.layer_reports import Reports
from mmspec_ds.systems.elucidation.masking import Masking
from mmspec_ds.systems.elucidation.model import Elucidator, sequence_loss
from mmspec_ds.trainer.task import StepLoss


@dataclass(frozen=True)
class ElucidationLoss(StepLoss):
    """`parts` are the task loss and each unweighted auxiliary loss; `weight` is the number of target tokens;
    `spectrum_tokens` those of the global batch; `reports` of the encoder's layers, `decoder_reports` of the
    decoder's, and `masked_reports` of the encoder's with a masked modality, summed over ranks; `task` is the
    task loss with its gradient."""

    spectrum_tokens: Tensor
    reports: tuple[RoutingReport, ...]
    decoder_reports: tuple[RoutingReport, ...]
    masked_reports: tuple[RoutingReport, ...]
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
        masking: how modalities are masked, if `interactions` has a weight.
    """

    cost_E: Tensor

    def __init__(
        self,
        model: Elucidator,
        settings: ObjectiveSettings,
        cost_E: Tensor | None,
        group: Any | None = None,
        masking: Masking | None = None,
    ) -> None:
        super().__init__()
        self.model, self.settings, self.group, self.masking = model, settings, group, masking
        self.register_buffer("cost_E", torch.zeros(0) if cost_E is None else cost_E, persistent=False)
        self.instruments = tuple(m for m in model.embedding.schemas if REGISTRY[m].is_instrument)
        if masking is not None:
            masking.prepare(model)

    def forward(self, batch: Batch, progress: float) -> ElucidationLoss:
        """The loss when `progress`, 0 to 1, of the budget is spent. In training, the router's temperature is
        that of the schedule, and the model keeps it; in evaluation it is the model's."""
        schedule = curriculum_at(progress, self.settings)
        smoothing = self.settings.label_smoothing if self.training else 0.0
        if self.training:
            self.model.keep_temperature(schedule.temperature)
        output = self.model(batch, schedule.temperature if self.training else None)
        loss_sum, target_tokens = sequence_loss(
            output.logits_BLV, batch.target_BL, batch.weight_B, label_smoothing=smoothing
        )
        spectrum_tokens = batch.spectra.mask_BS.sum()
        sums = torch.stack([loss_sum.float(), target_tokens.float(), spectrum_tokens.float()])
        masked = None
        if self.masking is not None and self.training:
            masked = self.masking.compare(self.model, output.encoded, batch, progress, schedule.temperature)
            sums = torch.cat([sums, masked.sums])
        local = Reports.of(output, masked)

        vectors = [to_vector(r) for r in local.every]
        if not any(weights_of(self.settings, schedule).values()):
            vectors = [one.detach() for one in vectors]  # no loss needs a gradient of the routers' sums
        everywhere = sum_over_ranks(torch.cat([sums, *vectors]), self.group)
        parts = self._parts(everywhere, local.with_values(everywhere[len(sums) :]))
        if masked is not None:
            parts["interactions"] = interaction_loss(everywhere[3 : len(sums)])
        known = everywhere.detach()
        reports = local.with_values(known[len(sums) :])
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
            reports=reports.encoder,
            decoder_reports=reports.decoder,
            masked_reports=reports.masked,
            task=parts["task"],
        )

    def rebalance(self, loss: ElucidationLoss) -> None:
        """Move the routers' selection biases, where they are in use, after a step."""
        layers = (
            *zip(self.model.encoder.layers, loss.reports),
            *zip(self.model.decoder.layers, loss.decoder_reports),
        )
        for layer, report in layers:
            cast(SparseFeedForward, layer.feedforward).rebalance(report)

    def _parts(self, everywhere: Tensor, reports: Reports) -> dict[str, Tensor]:
        parts = {"task": everywhere[0] / everywhere[1].detach().clamp_min(1)}
        if reports.encoder:
            parts |= auxiliary_losses(reports.encoder, self.cost_E, self.settings, reports.decoder)
        return parts

    def _weighted(self, parts: Mapping[str, Tensor], schedule: Curriculum) -> Tensor:
        auxiliary = {name: value for name, value in parts.items() if name != "task"}
        if not auxiliary:
            return parts["task"].new_zeros(())
        return weighted_sum(auxiliary, self.settings, schedule)
