"""Experts of unequal width and their order.

Axes: D model width, F width of one expert, E experts.
"""

import math
from collections.abc import Sequence

import torch
from mmspec_kernels import ExpertWeights
from torch import nn

from mmspec_ds.moe.expert_settings import ExpertSettings


def physical_order(experts: Sequence[ExpertSettings]) -> tuple[ExpertSettings, ...]:
    """The experts with the widest next to the narrowest, then the next widest and the next narrowest, and so
    on.

    Every contiguous block of an even number of experts then has a balanced mix of widths, and so has every rank
    at any expert-parallel size. The order does not depend on that size.
    """
    widest_first = sorted(range(len(experts)), key=lambda i: (-experts[i].width, i))
    half = len(experts) // 2
    # Sorted anew, because reversing would also reverse experts of the same width.
    narrowest_first = sorted(widest_first[half:], key=lambda i: (experts[i].width, i))
    order = [i for pair in zip(widest_first[:half], narrowest_first) for i in pair]
    return tuple(experts[i] for i in order + narrowest_first[half:])


class Expert(nn.Module):
    """FFN_e(h) = gelu(h w1 + b1) w2 + b2 with w1 [D, F] and w2 [F, D] (equation 29)."""

    def __init__(self, d_model: int, width: int) -> None:
        super().__init__()
        self.w1 = nn.Parameter(_uniform(d_model, width))
        self.b1 = nn.Parameter(torch.zeros(width))
        self.w2 = nn.Parameter(_uniform(width, d_model))
        self.b2 = nn.Parameter(torch.zeros(d_model))

    @property
    def weights(self) -> ExpertWeights:
        """The weights as the kernels take them."""
        return ExpertWeights(self.w1, self.b1, self.w2, self.b2)


def _uniform(fan_in: int, fan_out: int) -> torch.Tensor:
    """Glorot: the variance of an expert's output is that of its input at any width."""
    bound = math.sqrt(6.0 / (fan_in + fan_out))
    return torch.empty(fan_in, fan_out).uniform_(-bound, bound)
