"""The feed-forward sublayer, and the interface of those that an encoder takes.

Axes: B samples, S positions, D model width.
"""

from typing import Protocol

import torch.nn.functional as F
from torch import Tensor, nn

from mmspec_ds.nn.initialization import init_linear


class FeedForward(Protocol):
    """A feed-forward network of encoder or decoder. Its report, such as a router's, is passed on unread."""

    def __call__(
        self, hidden_BSD: Tensor, modality_BS: Tensor, temperature: float
    ) -> tuple[Tensor, object | None]:
        """Map normalised states [B, S, D] to [B, S, D], with a report.

        `modality_BS` is PADDING where there is no token; results there do not matter. `temperature` is a
        router's tau.
        """
        ...


class DenseFeedForward(nn.Module):
    """Linear, GELU, linear, for tokens of every modality alike."""

    def __init__(self, d_model: int, width: int) -> None:
        super().__init__()
        self.widen = init_linear(nn.Linear(d_model, width))
        self.narrow = init_linear(nn.Linear(width, d_model))

    def forward(
        self, hidden_BSD: Tensor, modality_BS: Tensor | None = None, temperature: float = 1.0
    ) -> tuple[Tensor, None]:
        """[B, S, D] to [B, S, D]; the report is None."""
        return self.narrow(F.gelu(self.widen(hidden_BSD))), None
