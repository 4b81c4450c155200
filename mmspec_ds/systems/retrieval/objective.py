"""The objective of a step of retrieval over the global batch: the contrastive loss of all vectors, and the
auxiliary losses of the routers.

Axes: B records of this rank, G records of all ranks, W width of a vector.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmspec_ds.moe.expert_settings import RouterObjective
from mmspec_ds.moe.losses import auxiliary_losses, weighted_sum, weights_of
from mmspec_ds.moe.schedule import curriculum_at
from mmspec_ds.moe.statistics import RoutingReport, sum_over_ranks, to_vector, with_values
from mmspec_ds.nn.global_batch import gathered, of_own_rows
from mmspec_ds.systems.retrieval.batch import Inputs, RetrievalBatch
from mmspec_ds.systems.retrieval.contrastive import contrastive_loss, contrastive_targets
from mmspec_ds.systems.retrieval.model import RetrievalModel
from mmspec_ds.systems.retrieval.run_settings import RetrievalObjective
from mmspec_ds.trainer.task import StepLoss


@dataclass(frozen=True)
class RetrievalLoss(StepLoss):
    """`parts` are the contrastive loss ("task") and each unweighted auxiliary loss; `weight` is the number of
    records of the global batch; `reports` are those of the encoder's layers, summed over ranks."""

    reports: tuple[RoutingReport, ...] = ()


class ContrastiveObjective(nn.Module):
    """A model with its objective: what the engine calls.

    Args:
        model: gives the vectors.
        settings: of the contrastive loss.
        routing: weights of the auxiliary losses.
        cost_E: relative cost of each expert; None for a dense model.
        group: the data-parallel group, None for one process.
        cached: embed the pieces of a batch without a graph, and each again in the backward pass.
    """

    cost_E: Tensor

    def __init__(
        self,
        model: RetrievalModel[Any],
        settings: RetrievalObjective,
        routing: RouterObjective,
        cost_E: Tensor | None = None,
        group: Any | None = None,
        *,
        cached: bool = False,
    ) -> None:
        super().__init__()
        self.model, self.settings, self.routing, self.group = model, settings, routing, group
        self.cached = cached
        self.register_buffer("cost_E", torch.zeros(0) if cost_E is None else cost_E, persistent=False)

    def forward(self, batch: RetrievalBatch, progress: float) -> RetrievalLoss:
        """The loss when `progress`, 0 to 1, of the budget is spent. In training the router's temperature is
        that of the schedule, and the model keeps it."""
        schedule = curriculum_at(progress, self.routing)
        if self.training:
            self.model.keep_temperature(schedule.temperature)
        temperature = schedule.temperature if self.training else None
        pieces = [_Piece(self.model, part, temperature) for part in batch.parts]
        found = [piece.embed(again=self.cached and self.training) for piece in pieces]
        vectors_BW, sums = torch.cat([one for one, _ in found]), torch.stack([one for _, one in found]).sum(0)
        if not any(weights_of(self.routing, schedule).values()):
            sums = sums.detach()  # no loss needs a gradient of the routers' sums
        everywhere = sum_over_ranks(sums, self.group)
        local = pieces[0].reports
        reports = with_values(local, everywhere) if local else ()

        task = of_own_rows(self._contrast(gathered(vectors_BW, self.group), batch), self.group)
        auxiliary = dict(auxiliary_losses(reports, self.cost_E, self.routing)) if reports else {}
        total = task + weighted_sum(auxiliary, self.routing, schedule) if auxiliary else task
        records = torch.tensor(float(len(batch.molecule_G)), device=task.device)
        return RetrievalLoss(
            total=total,
            parts={name: value.detach() for name, value in {"task": task, **auxiliary}.items()},
            weight=records,
            tokens=torch.tensor(float(batch.tokens), device=task.device),
            reports=with_values(local, everywhere.detach()) if local else (),
        )

    def _contrast(self, vectors_GW: Tensor, batch: RetrievalBatch) -> Tensor:
        settings = self.settings
        targets = contrastive_targets(
            batch.molecule_G, batch.fingerprint_GX, settings.soft_weight, settings.sharpness
        )
        return contrastive_loss(vectors_GW.float(), *targets, settings.scale)


class _Piece:
    """Some rows of a batch, on their way through the model."""

    def __init__(self, model: RetrievalModel[Any], inputs: Inputs, temperature: float | None) -> None:
        self._model, self._inputs, self._temperature = model, inputs, temperature
        self.reports: tuple[RoutingReport, ...] = ()

    def embed(self, *, again: bool) -> tuple[Tensor, Tensor]:
        """The vectors, and the sums of all reports as one vector. With `again` nothing between is kept: the
        piece is embedded once more, with the same dropout, when the gradient of its vectors arrives."""
        if not again:
            return self._through()
        # The state of the generator is kept of the devices of the arguments: hence one. Without early_stop,
        # which could leave out a collective that another rank makes.
        on_device = next(self._model.parameters()).new_zeros(())
        found: tuple[Tensor, Tensor] = checkpoint(
            self._through, on_device, use_reentrant=False, early_stop=False
        )
        return found

    def _through(self, on_device: Tensor | None = None) -> tuple[Tensor, Tensor]:
        vectors_BW, self.reports = self._model.with_reports(self._inputs, self._temperature)
        vectors = [to_vector(report) for report in self.reports]
        return vectors_BW, torch.cat(vectors) if vectors else vectors_BW.new_zeros(0)
