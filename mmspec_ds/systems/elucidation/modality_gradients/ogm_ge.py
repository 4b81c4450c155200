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

from mmspec_ds.data.batch import PADDING, Batch
from mmspec_ds.moe.schedule import curriculum_at
from mmspec_ds.nn.encoder import EncoderOutput
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
            hidden_BSD = _Modulated.apply(
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


def coefficients(loss_M: Tensor, present_M: Tensor, alpha: float) -> Tensor:
    """The factor of each modality's gradient [M]: 1 - tanh(alpha rho) where its probability of the right token
    is rho > 1 times the mean of the others', else 1. `loss_M` in nats; absent modalities count nowhere."""
    score_M = torch.exp(-loss_M) * present_M
    others_M = (score_M.sum() - score_M) / (present_M.sum() - present_M.long()).clamp_min(1)
    ratio_M = score_M / others_M.clamp_min(1e-30)
    ahead_M = present_M & (ratio_M > 1) & (others_M > 0)
    return torch.where(ahead_M, 1 - torch.tanh(alpha * ratio_M), torch.ones_like(ratio_M))


def factors(modality_BS: Tensor, modalities: Sequence[Modality], coefficient_M: Tensor) -> Tensor:
    """The factor of the gradient at each place [B, S]; 1 where there is no instrument's token."""
    factor_BS = torch.ones(modality_BS.shape, device=modality_BS.device, dtype=coefficient_M.dtype)
    for at, modality in enumerate(modalities):
        factor_BS = torch.where(modality_BS == modality, coefficient_M[at], factor_BS)
    return factor_BS


class _Modulated(torch.autograd.Function):
    """The same states, whose gradient is multiplied and gets noise. The noise of a sample has the standard
    deviation of the gradient at its tokens of a modality, and depends on the seed and the number of the sample
    in the global batch alone, so that it is the same however a batch is shared by ranks."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_BSD: Tensor,
        modality_BS: Tensor,
        factor_BS: Tensor,
        noise: float,
        chance: tuple[int, int],
    ) -> Tensor:
        ctx.save_for_backward(modality_BS, factor_BS)
        ctx.noise, ctx.chance = noise, chance
        return hidden_BSD.view_as(hidden_BSD)

    @staticmethod
    def backward(ctx: Any, *pulls: Tensor) -> tuple[Tensor | None, ...]:
        modality_BS, factor_BS = ctx.saved_tensors
        (pull_BSD,) = pulls
        found_BSD = pull_BSD * factor_BS.to(pull_BSD.dtype)[..., None]
        if ctx.noise:
            spread_BS = spread_by_modality(pull_BSD.float(), modality_BS)
            drawn_BSD = _draws(pull_BSD.float(), modality_BS, *ctx.chance)
            found_BSD = found_BSD + (ctx.noise * spread_BS[..., None] * drawn_BSD).to(pull_BSD.dtype)
        return found_BSD, None, None, None, None


def spread_by_modality(pull_BSD: Tensor, modality_BS: Tensor) -> Tensor:
    """The standard deviation of a sample's gradient over all tokens of a modality, at each of these tokens
    [B, S]; 0 at padding."""
    spread_BS = torch.zeros(modality_BS.shape, device=pull_BSD.device, dtype=pull_BSD.dtype)
    for modality in Modality:
        of_it_BS = modality_BS == modality
        entries_B = of_it_BS.sum(1).clamp_min(1) * pull_BSD.shape[2]
        kept_BSD = pull_BSD * of_it_BS[..., None]
        mean_B = kept_BSD.sum((1, 2)) / entries_B
        squares_B = kept_BSD.square().sum((1, 2)) / entries_B
        spread_B = (squares_B - mean_B.square()).clamp_min(0).sqrt()
        spread_BS = torch.where(of_it_BS, spread_B[:, None], spread_BS)
    return spread_BS


def _draws(like_BSD: Tensor, modality_BS: Tensor, seed: int, first: int) -> Tensor:
    """Standard normal draws at the tokens of each sample, sample by sample."""
    drawn_BSD = torch.zeros_like(like_BSD)
    source = torch.Generator(like_BSD.device)
    for row, of_sample in enumerate((modality_BS != PADDING).unbind()):
        source.manual_seed((seed << 20) + first + row)
        size = (int(of_sample.sum()), like_BSD.shape[2])
        drawn_BSD[row, of_sample] = torch.randn(size, generator=source, device=like_BSD.device)
    return drawn_BSD
