"""OGM-GE: on-the-fly gradient modulation with generalisation enhancement (Peng et al., CVPR 2022,
arXiv:2203.15332).

A modality that is ahead leaves the others little to learn from. So the gradient that reaches its tokens is made
smaller, the more the modality is ahead (equations 8 to 10), and noise of the gradient's own size is added,
which keeps the noise that stochastic gradient descent generalises by (equation 13).

Two things differ from the paper, which has two encoders and a classifier whose logits are a sum over
modalities. How well a modality does alone is exp(-loss), the geometric mean of the probability of the right
next token when the model reads that modality alone, and it is compared with the mean of the others. The
gradient is that of the encoder's states at the modality's tokens: with late fusion this scales all gradients of
the modality's encoder, and with one encoder for all what its weights learn through these tokens.

Costs a forward pass of each modality alone, as long together as one of all, but for the decoder, which runs
once more for each.

Axes: B samples, S places, D model width, M instruments.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mmspec_ds.data.batch import Batch
from mmspec_ds.moe.schedule import curriculum_at
from mmspec_ds.nn.encoder import EncoderOutput
from mmspec_ds.nn.modality_balance import ModulatedGradient, coefficients
from mmspec_ds.spectra.records import Modality
from mmspec_ds.systems.elucidation.modality_gradients.alone import alone_losses, named, seed_of_step
from mmspec_ds.systems.elucidation.modality_gradients.balance_settings import OgmGeSettings
from mmspec_ds.systems.elucidation.objective import ElucidationLoss, Objective


class OgmGeObjective(Objective):
    """An objective whose gradient is modulated for each modality; the arguments are those of `Objective`, and
    `balance`, the settings."""

    def __init__(self, *arguments: Any, balance: OgmGeSettings) -> None:
        super().__init__(*arguments)
        self.balance = balance

    def forward(self, batch: Batch, progress: float) -> ElucidationLoss:
        """See `Objective`; adds the losses of each modality alone, and its coefficient, to the parts."""
        if not (self.training and torch.is_grad_enabled()):
            return super().forward(batch, progress)
        seed = seed_of_step(batch.weight_B.device, self.group)
        temperature = curriculum_at(progress, self.settings).temperature
        loss_M, count_M = alone_losses(self.model, batch, self.instruments, temperature, self.group)
        coefficient_M = coefficients(loss_M, count_M > 0, self.balance.alpha)
        ranks = range(1) if self.group is None else range(dist.get_world_size(self.group))
        first = (0 if len(ranks) == 1 else dist.get_rank(self.group)) * len(batch.weight_B)

        def modulate(module: nn.Module, inputs: Any, output: EncoderOutput) -> EncoderOutput:
            factor_BS = factors(output.modality_BS, self.instruments, coefficient_M)
            hidden_BSD = ModulatedGradient.apply(
                output.hidden_BSD, output.modality_BS, factor_BS, self.balance.noise, (seed, first)
            )
            return replace(output, hidden_BSD=hidden_BSD)

        hook = self.model.encoder.register_forward_hook(modulate)
        try:
            loss = super().forward(batch, progress)
        finally:
            hook.remove()
        alone = named("alone", self.instruments, lambda at: loss_M[at])
        scale = named("modulation", self.instruments, lambda at: coefficient_M[at])
        return replace(loss, parts={**loss.parts, **alone, **scale})


def factors(modality_BS: Tensor, modalities: Sequence[Modality], coefficient_M: Tensor) -> Tensor:
    """The factor of the gradient at each place [B, S]; 1 where there is no instrument's token."""
    factor_BS = torch.ones(modality_BS.shape, device=modality_BS.device, dtype=coefficient_M.dtype)
    for at, modality in enumerate(modalities):
        factor_BS = torch.where(modality_BS == modality, coefficient_M[at], factor_BS)
    return factor_BS
