"""When gradients are blended: the weights of the losses of all modalities and of each alone, re-estimated as a
run goes on (`nn.modality_balance.blend_weights`).

The paper (Wang, Tran and Feiszli, CVPR 2020) trains a copy of the network for each modality; here all are of
one model, measured as it learns. The held-back samples are those of the validation.

Axes: N tasks, that with all modalities first.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch

from mmspec_ds.nn.modality_balance import blend_weights
from mmspec_ds.systems.fusion.batch import FusionBatch
from mmspec_ds.systems.fusion.objective import FusionObjectiveModule
from mmspec_ds.systems.fusion.run_settings import BalanceSettings

Losses = list[float]


class Blending:
    """The weights, and what they follow from.

    Args:
        objective: whose losses are blended.
        settings: how often, and from how much.
        modalities: how many there are.
    """

    def __init__(self, objective: FusionObjectiveModule, settings: BalanceSettings, modalities: int) -> None:
        self.objective, self.settings = objective, settings
        self.updates = 0
        self.measured: tuple[Losses, Losses] | None = None
        objective.blend = [1.0 / (1 + modalities)] * (1 + modalities)

    def is_due(self) -> bool:
        """Count an update, and tell whether the weights are to be estimated after it."""
        self.updates += 1
        return self.updates >= self.settings.every

    def estimate(self, seen: Iterable[FusionBatch], held_back: Iterable[FusionBatch]) -> None:
        """Measure the losses on batches of both sides, on the device, and weigh them by what has changed since
        the last time. Every rank calls this with as many batches."""
        now = self._mean_losses(seen), self._mean_losses(held_back)
        if self.measured is not None:
            found = blend_weights(self.measured, now, self.settings.least_overfitting)
            self.objective.blend = self.objective.blend if found is None else found
        self.measured, self.updates = now, 0

    @torch.no_grad()
    def _mean_losses(self, batches: Iterable[FusionBatch]) -> Losses:
        """The mean loss of each task over some batches, nats."""
        assert self.objective.blend is not None
        names = ["task", *(f"alone_{name}" for name in self.objective.model.schema.modalities)]
        self.objective.eval()
        sums_N, weight = torch.zeros(len(names), dtype=torch.float64), 0.0
        for batch in batches:
            loss = self.objective(batch, 1.0)
            sums_N += torch.tensor([float(loss.parts[name]) for name in names]).double() * float(loss.weight)
            weight += float(loss.weight)
        self.objective.train()
        found: Losses = (sums_N / max(weight, 1.0)).tolist()
        return found

    def state(self) -> dict[str, Any]:
        """What a resumed training goes on with, in JSON's types."""
        return {"weights": self.objective.blend, "measured": self.measured, "updates": self.updates}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on with what `state` gave; a checkpoint of a training without blending has nothing."""
        if not state:
            return
        self.objective.blend, self.updates = list(state["weights"]), int(state["updates"])
        measured = state["measured"]
        self.measured = None if measured is None else (list(measured[0]), list(measured[1]))
