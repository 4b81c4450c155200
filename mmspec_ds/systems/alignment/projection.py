"""A projection: the vectors of an object become vectors that a language model reads like embedded tokens.

Axes: N objects, X vectors of an object, D width of a vector, H hidden width, T soft tokens, W width of the
language model, L words of a question, Q width of what is taken from it.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from mmspec_ds.nn.initialization import init_linear
from mmspec_ds.systems.alignment.projection_settings import ProjectionSettings
from mmspec_ds.systems.alignment.question_reading import WIDTH, EmbeddedQuestions, QuestionReading, no_change

SMALLEST = 1e-6
QUESTION_PARTS = ("reading.", "modulations.")
"""What the names of the weights begin with that read the question."""
SMALLEST_SPREAD = 1e-3
"""Of a component, as a fraction of what is typical."""


class Projection(nn.Module):
    """Linear layers with ReLU, LayerNorm and dropout between them (as in BIOVERSE), from all vectors of an
    object to T soft tokens.

    What comes in is brought to mean 0 and standard deviation 1 of each component, by the training set. What
    goes out lies around the mean of the embedding table, as far from it as a token typically does times a
    factor that is learnt, 1 at first.

    With `settings.question` the question scales and shifts each hidden layer after its LayerNorm (FiLM,
    arXiv:1709.07871). At first it changes nothing.

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
        self.reading = QuestionReading(to) if settings.question else None
        self.modulations = nn.ModuleList(
            no_change(nn.Linear(WIDTH, 2 * size)) for size in sizes[1:] if settings.question
        )
        self.input_limit = settings.input_limit
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

    def forward(self, vectors_NXD: Tensor, question: EmbeddedQuestions | None = None) -> Tensor:
        """The soft tokens, [N, T, W].

        Args:
            vectors_NXD: of N objects.
            question: that each stands in; read with `settings.question` alone, where it is needed.
        """
        return self.placed(self.directions(vectors_NXD, question))

    def placed(self, directions_NTW: Tensor) -> Tensor:
        """The soft tokens that lie in these directions from the mean of the embedding table, [N, T, W]."""
        return self.table_mean_W + self.table_spread * self.gain_T[:, None] * directions_NTW

    def directions(self, vectors_NXD: Tensor, question: EmbeddedQuestions | None = None) -> Tensor:
        """The soft tokens as directions from the mean of the embedding table, [N, T, W], with a mean square of
        1 over W."""
        x = ((vectors_NXD - self.center_XD) * self.factor_XD).clamp(-self.input_limit, self.input_limit)
        x = x.flatten(1).to(self.gain_T.dtype)
        changes = iter(self._changes(question))
        for block in self.mlp:
            x = block(x)
            if self.reading is not None and isinstance(block, nn.LayerNorm):
                factor_NH, shift_NH = next(changes)
                x = x * (1 + factor_NH) + shift_NH
        return of_unit_size(x.unflatten(1, (self.soft_tokens, self.to_width)))

    def _changes(self, question: EmbeddedQuestions | None) -> list[tuple[Tensor, ...]]:
        """How the question scales and shifts each hidden layer."""
        if self.reading is None:
            return []
        assert question is not None  # whoever has a projection that reads questions gives them
        words_NLW = (question.words_NLW - self.table_mean_W) / self.table_spread
        taken_NQ = self.reading(words_NLW.to(self.gain_T.dtype), question.mask_NL, question.place_N)
        return [one(taken_NQ).chunk(2, dim=-1) for one in self.modulations]


def of_unit_size(x: Tensor) -> Tensor:
    """Vectors with a mean square of 1 over the last axis."""
    normed: Tensor = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + SMALLEST)
    return normed
