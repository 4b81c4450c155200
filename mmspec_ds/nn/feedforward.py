"""The feed-forward sublayer, and what an encoder asks of one that is injected.

Axes: B samples, S places, D model width.
"""

from typing import Protocol

import torch.nn.functional as F
from torch import Tensor, nn

from mmspec_ds.nn.initialization import init_linear


class FeedForward(Protocol):
    """What the encoder calls. The report (what a router did) is opaque here: it is handed on, never read."""

    def __call__(
        self, hidden_BSD: Tensor, modality_BS: Tensor, temperature: float
    ) -> tuple[Tensor, object | None]:
        """`hidden_BSD` is normalised; `modality_BS` is PADDING where there is no token and what is returned
        there does not matter; `temperature` is a router's tau."""
        ...


class DenseFeedForward(nn.Module):
    """linear, GELU, linear: the same for every token of every modality."""

    def __init__(self, d_model: int, width: int) -> None:
        super().__init__()
        self.widen = init_linear(nn.Linear(d_model, width))
        self.narrow = init_linear(nn.Linear(width, d_model))

    def forward(
        self, hidden_BSD: Tensor, modality_BS: Tensor | None = None, temperature: float = 1.0
    ) -> tuple[Tensor, None]:
        """[B, S, D] to [B, S, D]; it has nothing to report."""
        return self.narrow(F.gelu(self.widen(hidden_BSD))), None
