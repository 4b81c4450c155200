"""What a projection takes from the question that an object stands in: which of its words matter is learnt.

Axes: N objects, L words of a question, W width of the language model, H heads, Q width of what is taken.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mmspec_ds.nn.initialization import init_embedding, init_linear

HEADS = 4
WIDTH = 256
"""Q."""
MOST_PLACES = 8
"""Objects of a question that are told apart by their order; later ones count as the last of these."""


class QuestionReading(nn.Module):
    """A question as one vector: means of its embedded words, weighed by heads of attention whose queries are
    learnt, and which of its objects this one is.

    The language model's own embeddings of the words go in, so that a name means here what it means there.

    Args:
        width: of the language model, W.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score = init_linear(nn.Linear(width, HEADS))
        self.mix = init_linear(nn.Linear(HEADS * width, WIDTH))
        self.places = init_embedding(nn.Embedding(MOST_PLACES, WIDTH), std=0.5)
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, words_NLW: Tensor, mask_NL: Tensor, place_N: Tensor) -> Tensor:
        """The vectors of questions, [N, Q].

        Args:
            words_NLW: embedded words, each component with a mean of 0 and a standard deviation near 1.
            mask_NL: True where there is a word; a question has one at least.
            place_N: int64, which of the objects of its question each is, from 0.
        """
        scores_NLH = self.score(words_NLW).masked_fill(~mask_NL[..., None], -torch.inf)
        taken_NHW = scores_NLH.softmax(1).transpose(1, 2) @ words_NLW
        mixed_NQ = self.mix(taken_NHW.flatten(1)) + self.places(place_N.clamp_max(MOST_PLACES - 1))
        taken: Tensor = self.norm(torch.relu(mixed_NQ))
        return taken


class EmbeddedQuestions(NamedTuple):
    """The questions that N objects stand in: the embedded words [N, L, W], True where there is one [N, L], and
    which of the objects of its question each is, from 0, int64 [N]."""

    words_NLW: Tensor
    mask_NL: Tensor
    place_N: Tensor


def no_change(linear: nn.Linear) -> nn.Linear:
    """The layer with weights of zero, so that what reads a question begins without an effect."""
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear
