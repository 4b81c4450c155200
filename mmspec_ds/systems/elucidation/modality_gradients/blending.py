"""Gradient blending: weights of the losses with each modality alone and with all of them, from how much each
generalises and overfits (Wang, Tran and Feiszli, CVPR 2020, arXiv:1905.12681).

Between two estimates the loss of a task on held-back molecules falls by G, and its gap to the loss on training
molecules widens by O. The best weight of the task's gradient is proportional to G / O^2 (proposition 1,
equation 5). The online version re-estimates it every so many updates (algorithm 2).

The paper trains a copy of the network for each modality from each estimate to the next. Here all tasks are of
one model that reads fewer tokens, measured as it learns, which costs no copies but lets the tasks learn from
each other. Where G is not positive a task gets no weight, and where no task has any the weights stay.
Overfitting below `least_overfitting` counts as that. The held-back molecules are those of the validation: what
chooses the best weights of the model also weighs its losses, so that only a third set is a test.

Costs a forward and a backward pass of each modality alone beside those of all, and at each estimate twice
`batches` forward passes of every task.

Axes: N tasks, that with all modalities first.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch

from mmspec_ds.data.batch import Batch
from mmspec_ds.moe.schedule import curriculum_at
from mmspec_ds.nn.modality_balance import blend_weights
from mmspec_ds.systems.elucidation.modality_gradients.alone import (
    alone_loss,
    alone_losses,
    evaluating,
    named,
)
from mmspec_ds.systems.elucidation.modality_gradients.balance_settings import BlendingSettings
from mmspec_ds.systems.elucidation.objective import ElucidationLoss, Objective


class BlendingObjective(Objective):
    """An objective that is a weighted sum of the task's losses; the arguments are those of `Objective`, and
    `balance`, the settings.

    Attributes:
        weights: of each task, their sum is 1.
        measured: losses of each task on training and on held-back molecules at the last estimate.
        updates: since the last estimate.
    """

    def __init__(self, *arguments: Any, balance: BlendingSettings) -> None:
        super().__init__(*arguments)
        self.balance = balance
        tasks = 1 + len(self.instruments)
        self.weights = [1.0 / tasks] * tasks
        self.measured: tuple[list[float], list[float]] | None = None
        self.updates = 0

    def forward(self, batch: Batch, progress: float) -> ElucidationLoss:
        """See `Objective`; adds the losses of each modality alone, and the weight of each task, to the
        parts."""
        whole = super().forward(batch, progress)
        if not (self.training and torch.is_grad_enabled()):
            return whole
        temperature = curriculum_at(progress, self.settings).temperature
        total, losses = whole.total - (1 - self.weights[0]) * whole.task, []
        for weight, modality in zip(self.weights[1:], self.instruments):
            loss, _ = alone_loss(self.model, batch, modality, temperature, self.group)
            total = total + weight * loss
            losses.append(loss.detach())
        alone = named("alone", self.instruments, lambda at: losses[at])
        weights = total.new_tensor(self.weights)
        shares = {"share_all": weights[0], **named("share", self.instruments, lambda at: weights[at + 1])}
        return replace(whole, total=total, parts={**whole.parts, **alone, **shares})

    def is_due(self) -> bool:
        """Count an update, and tell whether the weights are to be estimated after it."""
        self.updates += 1
        return self.updates >= self.balance.every

    def estimate(self, seen: Iterable[Batch], held_back: Iterable[Batch]) -> None:
        """Measure all tasks on batches of the training set and of held-back molecules, on the device, and weigh
        them by what has changed since the last time. Every rank calls this with as many batches."""
        now = self.mean_losses(seen), self.mean_losses(held_back)
        if self.measured is not None:
            found = blend_weights(self.measured, now, self.balance.least_overfitting)
            self.weights = self.weights if found is None else found
        self.measured, self.updates = now, 0

    @torch.no_grad()
    def mean_losses(self, batches: Iterable[Batch]) -> list[float]:
        """The mean loss of each task over some batches, nats of a target token."""
        sums_2N = torch.zeros(2, len(self.weights), dtype=torch.float64)
        with evaluating(self):
            for batch in batches:
                whole = super().forward(batch, 1.0)
                loss_M, count_M = alone_losses(self.model, batch, self.instruments, None, self.group)
                loss_N = torch.cat([whole.parts["task"].view(1), loss_M]).double().cpu()
                count_N = torch.cat([whole.weight.view(1), count_M]).double().cpu()
                sums_2N += torch.stack([loss_N * count_N, count_N])
        found: list[float] = (sums_2N[0] / sums_2N[1].clamp_min(1)).tolist()
        return found

    def state(self) -> dict[str, Any]:
        """What a resumed training goes on with, in JSON's types."""
        return {"weights": self.weights, "measured": self.measured, "updates": self.updates}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on with what `state` gave; a checkpoint of a training without blending has nothing."""
        if not state:
            return
        self.weights, self.updates = list(state["weights"]), int(state["updates"])
        measured = state["measured"]
        self.measured = None if measured is None else (list(measured[0]), list(measured[1]))
