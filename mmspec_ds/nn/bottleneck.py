"""Bottleneck adapters of an encoder's sublayers (Houlsby et al. 2019, arXiv:1902.00751).

Axes: B samples, S positions, D model width.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from mmspec_ds.nn.initialization import init_linear


class Bottleneck(nn.Module):
    """The input plus what a hidden layer of few units makes of it; at the start that is 0.

    Args:
        d_model: D.
        width: of the hidden layer.
        dropout: of what is added.
    """

    def __init__(self, d_model: int, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.down = init_linear(nn.Linear(d_model, width))
        self.up = nn.Linear(width, d_model)
        for one in (self.up.weight, self.up.bias):
            nn.init.zeros_(one)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden_BSD: Tensor) -> Tensor:
        """[B, S, D] to [B, S, D]."""
        return hidden_BSD + self.dropout(self.up(F.gelu(self.down(hidden_BSD))))


class Bottlenecks(nn.ModuleDict):
    """Bottlenecks by name, of which one at most is in use.

    Attributes:
        active: the name of that one; None leaves the input as it is.
    """

    active: str | None = None

    def forward(self, hidden_BSD: Tensor) -> Tensor:
        """[B, S, D] to [B, S, D]."""
        if self.active is None or self.active not in self:
            return hidden_BSD
        found: Tensor = self[self.active](hidden_BSD)
        return found
