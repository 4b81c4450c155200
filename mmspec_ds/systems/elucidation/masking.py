"""A second pass of the encoder with a masked modality, and what its experts change (see `moe.interactions`).

Axes: B samples, S places, E experts, M modalities.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from mmspec_ds.data.batch import PADDING, Batch
from mmspec_ds.moe.interactions import Families, PooledReport, interaction_sums, masked_modality
from mmspec_ds.moe.layer import SparseFeedForward
from mmspec_ds.nn.encoder import EncoderOutput
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.registry import REGISTRY
from mmspec_ds.systems.elucidation.model import Elucidator
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun


@dataclass(frozen=True)
class MaskedPass:
    """`sums` of `interaction_sums`, added over layers, and the layers' `reports` of the masked pass."""

    sums: Tensor
    reports: tuple[object | None, ...]


@dataclass(frozen=True)
class Masking:
    """Which modalities are masked, and what the experts are for.

    Attributes:
        seed: of the run.
        choices: the modalities of which one is masked in a step.
        families: of the experts of a layer.
    """

    seed: int
    choices: Sequence[int]
    families: Families

    def prepare(self, model: Elucidator) -> None:
        """Have the layers of the encoder give the pools of their experts in training."""
        for layer in model.encoder.layers:
            cast(SparseFeedForward, layer.feedforward).deepspeed_moe.gives_pools = True

    def compare(
        self, model: Elucidator, whole: EncoderOutput, batch: Batch, progress: float, temperature: float
    ) -> MaskedPass:
        """Run the encoder again without one modality, at the router's temperature, and compare. Every rank
        masks the same modality and makes the same collectives, whatever its samples have."""
        modality = masked_modality(self.seed, progress, self.choices)
        modality_BS = batch.spectra.modality_BS
        here_BS = modality_BS == modality
        others_B = ((modality_BS != PADDING) & ~here_BS).any(1)
        without = replace(batch.spectra, modality_BS=modality_BS.masked_fill(here_BS, PADDING))
        masked = model.encode(without, temperature)
        counts_B = here_BS.any(1) & others_B & (batch.weight_B > 0)
        families = Families(*(table.to(modality_BS.device) for table in self.families))
        sums = [
            interaction_sums(
                cast(PooledReport, one).pools, cast(PooledReport, two).pools, counts_B, families, modality
            )
            for one, two in zip(whole.reports, masked.reports, strict=True)
        ]
        return MaskedPass(torch.stack(sums).sum(0), masked.reports)


def make_masking(run: ElucidationRun) -> Masking | None:
    """How modalities are masked to supervise the experts; None where that has no weight."""
    if run.moe is None or not run.objective.interactions:
        return None
    instruments = [m for m in run.data.chosen_modalities() if REGISTRY[m].is_instrument]
    names = tuple(modality.name.lower() for modality in Modality)
    return Masking(run.seed, instruments, Families.of(run.moe, names))
