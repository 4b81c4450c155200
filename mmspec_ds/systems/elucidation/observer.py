"""Pictures and figures after a validation: maps of the routing, the conflict between modalities, proposed
structures.

Every rank computes them, for the same few held-back molecules: the model's experts live on all ranks. Rank 0
writes. The router's temperature is the model's, as in `evaluate` and `predict`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from PIL import Image

from mmspec_ds.data.batch import Batch
from mmspec_ds.data.collate import collate
from mmspec_ds.data.dataset import Samples
from mmspec_ds.figures.heat_maps import Map, draw_maps
from mmspec_ds.moe.routing_tables import FAMILIES, Array, RoutingTable, expert_names
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.spectra.registry import REGISTRY
from mmspec_ds.systems.elucidation.conflict import modality_conflict
from mmspec_ds.systems.elucidation.model import Elucidator
from mmspec_ds.systems.elucidation.proposals import picture, propose, table
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun
from mmspec_ds.trainer.monitor.monitor import Monitor


@dataclass(frozen=True)
class Observer:
    """Draws a model's behaviour while it learns; see `training.pictures` and `training.conflict_samples`.

    Attributes:
        run: the settings.
        model: with the experts of this rank.
        validation: the held-back molecules, all of them on every rank.
        vocabulary: of the model's output.
        device: of the model.
        group: of all ranks, None for one process.
    """

    run: ElucidationRun
    model: Elucidator
    validation: Samples
    vocabulary: Vocabulary
    device: torch.device
    group: Any | None = None

    def observe(self, step: int, routing: RoutingTable | None, monitor: Monitor) -> None:
        """Draw after the validation of a step; `routing` is what its routers did."""
        settings = self.run.training
        if routing is not None and settings.pictures:
            self._show_routing(step, routing, monitor)
        if self.run.compares_gradients:
            self._show_conflict(step, monitor)
        if settings.pictures:
            self._show_proposals(step, monitor)
        if monitor.active:
            monitor.board.flush()

    @cached_property
    def _compared(self) -> Batch:
        return self._batch(evenly(len(self.validation), self.run.training.conflict_samples))

    @cached_property
    def _drawn(self) -> tuple[Batch, list[tuple[str, str]]]:
        indices = evenly(len(self.validation), self.run.training.pictures)
        samples, places = self.validation.fetch(indices)
        names = [(samples.ids[at], samples.smiles[at] or "") for at in places]
        return self._batch(indices), names

    def _batch(self, indices: Sequence[int]) -> Batch:
        weights = np.ones(len(indices), dtype=np.float32)
        return collate(self.validation, np.array(indices), weights).to(self.device)

    def _show_routing(self, step: int, routing: RoutingTable, monitor: Monitor) -> None:
        if not monitor.active or self.run.moe is None:
            return
        board = monitor.board
        board.picture(step, "validation/load_by_layer", load_maps(routing, self.run))
        board.picture(step, "validation/load_by_family", family_map(routing, self.run))

    def _show_conflict(self, step: int, monitor: Monitor) -> None:
        self.model.eval()
        cosine_MM = modality_conflict(self.model, self._compared, self.group).cpu().numpy()
        if not monitor.active:
            return
        chosen = self.run.data.chosen_modalities()
        pairs = [(one, other) for at, one in enumerate(chosen) for other in chosen[at + 1 :]]
        known = {
            f"conflict/{one.name.lower()}_{other.name.lower()}": float(cosine_MM[one, other])
            for one, other in pairs
            if not np.isnan(cosine_MM[one, other])
        }
        monitor.board.scalars(step, known)
        monitor.metrics.write("conflict", step, known)
        if self.run.training.pictures:
            image = conflict_map(cosine_MM[np.ix_(chosen, chosen)], self.run)
            monitor.board.picture(step, "validation/gradient_conflict", image)

    def _show_proposals(self, step: int, monitor: Monitor) -> None:
        batch, molecules = self._drawn
        examples = propose(self.model, batch.spectra, molecules, self.vocabulary)
        if monitor.active:
            monitor.board.picture(step, "validation/proposals", picture(examples))
            monitor.board.text(step, "validation/proposals", table(examples))
            monitor.metrics.write("proposals", step, {"examples": [one.to_json() for one in examples]})


def evenly(count: int, wanted: int) -> list[int]:
    """At most so many places, evenly spread over `count`."""
    return [int(at) for at in np.unique(np.linspace(0, count - 1, min(count, wanted)).round())]


def load_maps(routing: RoutingTable, run: ElucidationRun) -> Image.Image:
    """A map of layers by experts for each modality: the share of its pairs that an expert was chosen for."""
    assert run.moe is not None
    share_YME = routing.share_YME
    rows = [f"layer {layer}" for layer in range(len(share_YME))]
    names, most = expert_names(run.moe.experts), 1 / run.moe.k
    return draw_maps(
        [
            Map(f"load of {REGISTRY[modality].label} tokens", share_YME[:, modality], rows, names, high=most)
            for modality in run.data.chosen_modalities()
        ]
    )


def family_map(routing: RoutingTable, run: ElucidationRun) -> Image.Image:
    """A map of families by modalities, over all layers."""
    assert run.moe is not None
    chosen = run.data.chosen_modalities()
    labels = [REGISTRY[modality].label for modality in chosen]
    share_FM = routing.families_FM(run.moe.experts)[:, chosen]
    return draw_maps([Map("load by family of experts", share_FM, FAMILIES, labels)])


def conflict_map(cosine_MM: Array, run: ElucidationRun) -> Image.Image:
    """A map of modalities by modalities."""
    labels = [REGISTRY[modality].label for modality in run.data.chosen_modalities()]
    title = "cosine between the modalities' gradients"
    return draw_maps([Map(title, cosine_MM, labels, labels, low=-1.0, high=1.0, diverging=True)])
