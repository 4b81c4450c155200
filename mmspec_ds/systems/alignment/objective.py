"""The objective of a step over the global batch: answers told token by token, objects compared with
descriptions, or both.

Axes: B examples of this rank, G examples of all ranks, C
descriptions, K possible answers of a question, W width of the language model.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from mmspec_ds.nn.global_batch import gathered, mean_of_ranks, of_own_rows
from mmspec_ds.systems.alignment.batch import AskedObjects, PromptBatch
from mmspec_ds.systems.alignment.contrast import choice_loss, contrastive_loss
from mmspec_ds.systems.alignment.model import AlignmentModel
from mmspec_ds.systems.alignment.run_settings import AlignmentObjective
from mmspec_ds.trainer.task import StepLoss


@dataclass(frozen=True)
class ContrastBatch:
    """Objects and descriptions.

    Attributes:
        objects: those of this rank's examples, each of which names all its own in one turn.
        states_CW: what the language model makes of the descriptions.
        description_G: the description of each example of all ranks, rank by rank.
        choices_GK: the possible answers of each, -1 where there is none.
    """

    objects: AskedObjects
    states_CW: Tensor
    description_G: Tensor
    choices_GK: Tensor

    def mapped(self, change: Callable[[Tensor], Tensor]) -> "ContrastBatch":
        """The same with every tensor changed."""
        return replace(
            self,
            objects=self.objects.mapped(change),
            states_CW=change(self.states_CW),
            description_G=change(self.description_G),
            choices_GK=change(self.choices_GK),
        )


@dataclass(frozen=True)
class AlignmentBatch:
    """The examples of this rank.

    Attributes:
        rows: how many, B.
        rows_of_all: those of all ranks, G.
        tokens: of all ranks, without padding.
        prompts: with their answers; None where no answer is told.
        contrast: None without the contrastive loss.
    """

    rows: int
    rows_of_all: int
    tokens: int
    prompts: PromptBatch | None
    contrast: ContrastBatch | None

    @property
    def samples(self) -> float:
        """How many examples this rank has in the batch."""
        return float(self.rows)

    def to(self, device: torch.device) -> "AlignmentBatch":
        """The same batch on another device."""
        return self._with(lambda tensor: tensor.to(device, non_blocking=True))

    def pinned(self) -> "AlignmentBatch":
        """The same batch in page-locked memory."""
        return self._with(Tensor.pin_memory)

    def _with(self, change: Callable[[Tensor], Tensor]) -> "AlignmentBatch":
        prompts = None if self.prompts is None else self.prompts.mapped(change)
        contrast = None if self.contrast is None else self.contrast.mapped(change)
        return replace(self, prompts=prompts, contrast=contrast)


@dataclass(frozen=True)
class AlignmentLoss(StepLoss):
    """`parts` are the weighted sum ("task") and, where both are learnt, its parts without their weights;
    `weight` is the number of examples of the global batch. `exact_B`: whether a greedy answer would be the
    right one, of this rank's examples; none where no answer is told."""

    exact_B: Tensor | None = None


class AlignmentLosses(nn.Module):
    """A model with its objective: what the engine calls.

    Args:
        model: projections in front of a language model.
        settings: weights of the losses.
        group: the data-parallel group, None for one process.
    """

    def __init__(self, model: AlignmentModel, settings: AlignmentObjective, group: Any | None = None) -> None:
        super().__init__()
        self.model, self.settings, self.group = model, settings, group

    def forward(self, batch: AlignmentBatch, progress: float) -> AlignmentLoss:
        """The loss of the global batch, the same on every rank; `progress` changes nothing."""
        found: dict[str, Tensor] = {}
        exact_B = None
        world = 1 if self.group is None else torch.distributed.get_world_size(self.group)
        if batch.prompts is not None:
            tokens = self.model.answers(batch.prompts)
            share = batch.rows * world / batch.rows_of_all  # an answer counts the same on any rank
            found["autoregressive"] = mean_of_ranks(share * tokens.mean_loss(batch.rows), self.group)
            exact_B = tokens.exact(batch.rows)
        if batch.contrast is not None:
            found["contrastive"] = self._contrast(batch.contrast)
        weights = {"autoregressive": self.settings.autoregressive, "contrastive": self.settings.contrastive}
        task = torch.stack([weights[name] * loss for name, loss in found.items()]).sum()
        total = task + self._nothing() if self.training else task
        parts = {"task": task, **(found if len(found) > 1 else {})}
        return AlignmentLoss(
            total=total,
            parts={name: loss.detach() for name, loss in parts.items()},
            weight=torch.tensor(float(batch.rows_of_all), device=task.device),
            tokens=torch.tensor(float(batch.tokens), device=task.device),
            exact_B=exact_B,
        )

    def _contrast(self, batch: ContrastBatch) -> Tensor:
        own_BW = self.model.contrast_vectors(batch.objects)
        texts_CW = self.model.text_vectors(batch.states_CW)
        objects_GW = gathered(own_BW, self.group)
        scale = self.settings.scale
        loss = contrastive_loss(objects_GW, texts_CW, batch.description_G, scale)
        if self.settings.choices:
            among = choice_loss(objects_GW, texts_CW, batch.description_G, batch.choices_GK, scale)
            loss = loss + self.settings.choices * among
        return of_own_rows(loss, self.group)

    def _nothing(self) -> Tensor:
        """Zero, with a gradient of zero for every parameter: on every rank each has one, whatever kinds of
        objects a batch has there."""
        return torch.stack([parameter.sum() * 0.0 for parameter in self.model.parameters()]).sum()
