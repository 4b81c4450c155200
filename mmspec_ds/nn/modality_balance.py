"""What balances modalities that learn at unequal speed, for any model: OGM-GE's coefficients and modulated
gradients (Peng et al., CVPR 2022, arXiv:2203.15332), and the weights of gradient blending (Wang, Tran and
Feiszli, CVPR 2020, arXiv:1905.12681).

Axes: B samples, S places, D model width, M modalities, N tasks, that with all modalities first.
"""

from typing import Any

import torch
from torch import Tensor

from mmspec_ds.data.batch import PADDING
from mmspec_ds.spectra.records import Modality


def coefficients(loss_M: Tensor, present_M: Tensor, alpha: float) -> Tensor:
    """The factor of each modality's gradient [M]: 1 - tanh(alpha rho) where its probability of the right token
    is rho > 1 times the mean of the others', else 1. `loss_M` in nats; absent modalities count nowhere."""
    score_M = torch.exp(-loss_M) * present_M
    others_M = (score_M.sum() - score_M) / (present_M.sum() - present_M.long()).clamp_min(1)
    ratio_M = score_M / others_M.clamp_min(1e-30)
    ahead_M = present_M & (ratio_M > 1) & (others_M > 0)
    return torch.where(ahead_M, 1 - torch.tanh(alpha * ratio_M), torch.ones_like(ratio_M))


class ModulatedGradient(torch.autograd.Function):
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
        """The states as they are, [B, S, D].

        Args:
            hidden_BSD: the states.
            modality_BS: PADDING where there is no token.
            factor_BS: of the gradient.
            noise: the standard deviation of the noise as a multiple of that of the gradient; 0 for none.
            chance: the seed, and the number of the first sample in the global batch.
        """
        ctx.save_for_backward(modality_BS, factor_BS)
        ctx.noise, ctx.chance = noise, chance
        return hidden_BSD.view_as(hidden_BSD)

    @staticmethod
    def backward(ctx: Any, *pulls: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of the states, multiplied and with noise; none of the other arguments."""
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


def blend_weights(
    before: tuple[list[float], list[float]], now: tuple[list[float], list[float]], least: float
) -> list[float] | None:
    """The weight of each task, with the sum 1; None where none generalises better than before.

    Args:
        before, now: losses [N] on training and on held-back molecules, nats.
        least: what overfitting counts for at least, nats.
    """
    train, valid = (torch.tensor(pair, dtype=torch.float64) for pair in zip(before, now))
    gain_N = (valid[0] - valid[1]).clamp_min(0)
    overfitting_N = ((valid[1] - train[1]) - (valid[0] - train[0])).abs().clamp_min(least)
    raw_N: Tensor = gain_N / overfitting_N.square()
    if not raw_N.sum() > 0:
        return None
    weights: list[float] = (raw_N / raw_N.sum()).tolist()
    return weights
