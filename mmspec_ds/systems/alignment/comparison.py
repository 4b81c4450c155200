"""What the soft tokens of an object take from the other objects of its question: which of two is heavier stands
in neither by itself.

Axes: N objects, of one kind or several, Q width of what is taken from a question, T soft tokens, W width of the
language model, V width of the view of an object, L words of a question.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmspec_ds.nn.initialization import init_linear
from mmspec_ds.systems.alignment.projection_settings import ProjectionSettings
from mmspec_ds.systems.alignment.question_reading import WIDTH, EmbeddedQuestions, QuestionReading, no_change

VIEW = 256
"""V."""
HIDDEN = 512


class Comparison(nn.Module):
    """One network for all kinds of objects. It sees each by what its projection makes of it in this question,
    so that objects of two kinds can be compared that training never showed together.

    The view u of an object and the mean v of the views of the others of its question enter as u, v and u * v
    (after InferSent, arXiv:1705.02364), with the mean of what a later object has more than an earlier one and
    with what is taken from the question. What comes out is added to the soft tokens. At first that is nothing,
    and it is always nothing for an object that stands alone.

    Args:
        width: of the language model, W.
        settings: of the projections.
    """

    table_mean_W: Tensor
    table_spread: Tensor

    def __init__(self, width: int, settings: ProjectionSettings) -> None:
        super().__init__()
        size = settings.soft_tokens * width
        self.view = nn.Sequential(init_linear(nn.Linear(size, VIEW)), nn.LayerNorm(VIEW))
        self.reading = QuestionReading(width)
        self.change = nn.Sequential(
            init_linear(nn.Linear(4 * VIEW + WIDTH, HIDDEN)),
            nn.ReLU(),
            nn.LayerNorm(HIDDEN),
            nn.Dropout(settings.dropout),
            no_change(nn.Linear(HIDDEN, size)),
        )
        self.register_buffer("table_mean_W", torch.zeros(width))
        self.register_buffer("table_spread", torch.ones(()))

    def fit(self, table_mean_W: Tensor, table_spread: float) -> None:
        """Take place and size of tokens from an embedding table."""
        self.table_mean_W.copy_(table_mean_W)
        self.table_spread.fill_(table_spread)

    def forward(self, directions_NTW: Tensor, questions: Sequence[EmbeddedQuestions], turn_N: Tensor) -> Tensor:
        """What is added to the directions of objects, [N, T, W].

        Args:
            directions_NTW: by `Projection.directions`.
            questions: that they stand in, one after another N.
            turn_N: int64, the same for objects of the same question.
        """
        taken_NQ = torch.cat([self._taken(one) for one in questions])
        own_NV = self.view(directions_NTW.flatten(1))
        place_N = torch.cat([one.place_N for one in questions])
        same_NN = (turn_N[:, None] == turn_N).fill_diagonal_(False).to(own_NV.dtype)
        count_N1 = same_NN.sum(1, keepdim=True)
        weight_NN = same_NN / count_N1.clamp_min(1)
        others_NV = weight_NN @ own_NV
        later_NN = weight_NN * (place_N - place_N[:, None]).sign()
        more_NV = later_NN @ own_NV - later_NN.sum(1, keepdim=True) * own_NV
        found = torch.cat((own_NV, others_NV, own_NV * others_NV, more_NV, taken_NQ), dim=1)
        changes: Tensor = self.change(found) * (count_N1 > 0)
        return changes.view_as(directions_NTW)

    def _taken(self, question: EmbeddedQuestions) -> Tensor:
        words_NLW = ((question.words_NLW - self.table_mean_W) / self.table_spread).to(
            self.reading.mix.weight.dtype
        )
        found: Tensor = self.reading(words_NLW, question.mask_NL, question.place_N)
        return found
