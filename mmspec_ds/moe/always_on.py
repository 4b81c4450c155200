"""The network that every token takes beside its chosen experts (DeepSeekMoE, Dai et al. 2024: shared expert
isolation). It holds what all tokens need, so that the routed experts need not hold it several times.

Its parameters are part of the dense model: every rank holds them, and no router weighs its output. The module's
name has no "expert" in it, which DeepSpeed would take for one of its own when it saves.

Axes: D model width, F width.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class AlwaysOn(nn.Module):
    """gelu(h w1 + b1) w2 + b2 for every place, padding included; initial weights as those of an expert."""

    def __init__(self, d_model: int, width: int) -> None:
        super().__init__()
        self.w1 = nn.Parameter(nn.init.xavier_uniform_(torch.empty(d_model, width)))
        self.b1 = nn.Parameter(torch.zeros(width))
        self.w2 = nn.Parameter(nn.init.xavier_uniform_(torch.empty(width, d_model)))
        self.b2 = nn.Parameter(torch.zeros(d_model))

    def forward(self, hidden: Tensor) -> Tensor:
        """The network's output of the same shape as `hidden`, [..., D]; padding places get one too."""
        inner_TF = F.gelu(torch.addmm(self.b1, hidden.flatten(0, -2), self.w1))
        return torch.addmm(self.b2, inner_TF, self.w2).view(hidden.shape)
