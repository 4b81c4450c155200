"""A projection: the vectors of an object become vectors that a language model reads like embedded tokens.

Axes: N objects, X vectors of an object, D width of a vector, H hidden width, T soft tokens, W width of the
language model.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from mmspec_ds.nn.initialization import init_linear
from mmspec_ds.systems.alignment.projection_settings import ProjectionSettings

SMALLEST = 1e-6
SMALLEST_SPREAD = 1e-3
"""Of a component, as a fraction of what is typical."""


class Projection(nn.Module):
    """Linear layers with ReLU, LayerNorm and dropout between them (as in BIOVERSE), from all vectors of an
    object to T soft tokens.

    What comes in is brought to mean 0 and standard deviation 1 of each component, by the training set. What
    goes out lies around the mean of the embedding table, as far from it as a token typically does times a
    factor that is learnt, 1 at first.

    Args:
        vectors, width: X and D.
        to: W.
        settings: sizes.
    """

    center_XD: Tensor
    factor_XD: Tensor
    table_mean_W: Tensor
    table_spread: Tensor

    def __init__(self, vectors: int, width: int, to: int, settings: ProjectionSettings) -> None:
        super().__init__()
        self.vectors, self.width, self.to_width, self.soft_tokens = vectors, width, to, settings.soft_tokens
        sizes = [vectors * width, *[settings.hidden] * (settings.layers - 1)]
        blocks: list[nn.Module] = [nn.Dropout(settings.input_dropout)]
        for first, second in pairwise(sizes):
            blocks += [
                init_linear(nn.Linear(first, second)),
                nn.ReLU(),
                nn.LayerNorm(second),
                nn.Dropout(settings.dropout),
            ]
        blocks.append(init_linear(nn.Linear(sizes[-1], settings.soft_tokens * to)))
        self.mlp = nn.Sequential(*blocks)
        self.gain_T = nn.Parameter(torch.ones(settings.soft_tokens))
        self.register_buffer("center_XD", torch.zeros(vectors, width))
        self.register_buffer("factor_XD", torch.ones(vectors, width))
        self.register_buffer("table_mean_W", torch.zeros(to))
        self.register_buffer("table_spread", torch.ones(()))

    def fit(self, vectors_NXD: Tensor, table_mean_W: Tensor, table_spread: float) -> None:
        """Take mean and standard deviation of the components from the vectors of a training set, and place and
        size of tokens from an embedding table. A component that hardly changes becomes 0."""
        spread = vectors_NXD.std(0, correction=0)
        least = SMALLEST_SPREAD * float(spread.pow(2).mean().sqrt()) + SMALLEST
        self.center_XD.copy_(vectors_NXD.mean(0))
        self.factor_XD.copy_(torch.where(spread > least, 1 / spread.clamp_min(least), 0.0))
        self.table_mean_W.copy_(table_mean_W)
        self.table_spread.fill_(table_spread)

    def forward(self, vectors_NXD: Tensor) -> Tensor:
        """The soft tokens, [N, T, W]."""
        directions = self.directions(vectors_NXD)
        return self.table_mean_W + self.table_spread * self.gain_T[:, None] * directions

    def directions(self, vectors_NXD: Tensor) -> Tensor:
        """The soft tokens as directions from the mean of the embedding table, [N, T, W], with a mean square of
        1 over W."""
        x = ((vectors_NXD - self.center_XD) * self.factor_XD).clamp(-10.0, 10.0)
        out = self.mlp(x.flatten(1).to(self.gain_T.dtype)).unflatten(1, (self.soft_tokens, self.to_width))
        normed: Tensor = out * torch.rsqrt(out.pow(2).mean(-1, keepdim=True) + SMALLEST)
        return normed
