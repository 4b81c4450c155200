"""From the states of a record's tokens to one vector.

Axes: B samples, S places, T tokens, D model width, H heads, C width of a head, K features.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from mmspec_ds.nn.attention import split_heads
from mmspec_ds.nn.initialization import init_linear

Pooling = Literal["attention", "mean", "intensity"]


class AttentionPooling(nn.Module):
    """A weighted mean of the states, whose weights each head learns for its part of the width: a linear score
    of the state, and a softmax over the tokens (the pooling of set transformers, Lee et al. 2019, with one
    seed)."""

    def __init__(self, d_model: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.score = init_linear(nn.Linear(d_model, heads, bias=False))

    def forward(self, hidden_BSD: Tensor, mask_BS: Tensor) -> Tensor:
        """[B, D]; zeros for a sample without any token."""
        mask_BS1 = mask_BS[..., None]
        score_BSH = torch.where(mask_BS1, self.score(hidden_BSD), -1e9)
        weight_BSH = (score_BSH.softmax(1, dtype=torch.float32) * mask_BS1).to(hidden_BSD.dtype)
        # As a product: for one record most of an einsum's time is its call.
        return (weight_BSH.transpose(1, 2).unsqueeze(2) @ split_heads(hidden_BSD, self.heads)).flatten(1)


class MeanPooling(nn.Module):
    """The mean of the states of all tokens."""

    def forward(self, hidden_BSD: Tensor, mask_BS: Tensor) -> Tensor:
        """[B, D]; zeros for a sample without any token."""
        weight_BS = mask_BS / mask_BS.sum(1, keepdim=True).clamp_min(1)
        return torch.einsum("bs,bsd->bd", weight_BS.to(hidden_BSD.dtype), hidden_BSD)


class IntensityPooling(nn.Module):
    """The sum of the states, each by the square root of the intensity of its peak times a factor that is learnt
    of the state, divided by the norm of these weights: at the start what a cosine of square-root spectra
    weighs. A token without an intensity counts as the strongest."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.score = nn.Linear(d_model, 1)
        nn.init.zeros_(self.score.weight)
        nn.init.zeros_(self.score.bias)

    def forward(self, hidden_BSD: Tensor, intensity_BS: Tensor) -> tuple[Tensor, Tensor]:
        """The sums [B, D], and the weights [B, S]; `intensity_BS` is 0 where there is no token."""
        factor_BS = self.score(hidden_BSD).squeeze(-1).float().clamp(-_MOST, _MOST).exp()
        # The root has no finite slope at 0, and intensities no gradient.
        weight_BS = intensity_BS.clamp_min(0).sqrt() * factor_BS
        weight_BS = weight_BS / weight_BS.norm(dim=1, keepdim=True).clamp_min(1e-6)
        weight_BS = weight_BS.to(hidden_BSD.dtype)
        return torch.einsum("bs,bsd->bd", weight_BS, hidden_BSD), weight_BS


_MOST = 4.0
"""Largest logarithm of a learnt factor of a peak."""
