"""From the states of a record's tokens to one vector.

Axes: B samples, S places, D model width, H heads, C width of a head.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from mmspec_ds.nn.initialization import init_linear

Pooling = Literal["attention", "mean"]


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
        score_BSH = self.score(hidden_BSD).float().masked_fill(~mask_BS[..., None], -1e9)
        weight_BSH = (score_BSH.softmax(1) * mask_BS[..., None]).to(hidden_BSD.dtype)
        parts_BSHC = hidden_BSD.unflatten(-1, (self.heads, -1))
        return torch.einsum("bsh,bshc->bhc", weight_BSH, parts_BSHC).flatten(1)


class MeanPooling(nn.Module):
    """The mean of the states of all tokens."""

    def forward(self, hidden_BSD: Tensor, mask_BS: Tensor) -> Tensor:
        """[B, D]; zeros for a sample without any token."""
        weight_BS = mask_BS / mask_BS.sum(1, keepdim=True).clamp_min(1)
        return torch.einsum("bs,bsd->bd", weight_BS.to(hidden_BSD.dtype), hidden_BSD)


def make_pooling(kind: Pooling, d_model: int, heads: int) -> AttentionPooling | MeanPooling:
    """The pooling that settings name."""
    return AttentionPooling(d_model, heads) if kind == "attention" else MeanPooling()
