"""One embedding for tokens of every axis.

A token becomes waves * (1 + gain(numbers)) + numbers' own projection + rows for its axis and its form, where
the waves are a projection of the sinusoids of its position. The product lets a mean over tokens be a sum of the
features' vectors weighted by their values, which a plain sum cannot.

Axes: T tokens, D model width, K sinusoids, W intensities of a token, F real numbers of a token, X tokens with
two coordinates.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mmspec_ds.nn.embeddings import Sinusoids
from mmspec_ds.nn.initialization import init_embedding, init_linear
from mmspec_ds.spectra.axes import Axis, Form

WAVELENGTHS = (2.0, 2.0**20)
"""Shortest and longest wavelength in steps of an axis: neighbours are told apart, and no m/z comes round
again."""

AXIS_STD = 0.5
"""Standard deviation at the start of each component of what is summed, where no setting says another."""


class AxisTokens(NamedTuple):
    """Tokens of any axis, without padding.

    Attributes:
        steps_T: positions in steps of their axes (`spectra.axes.POSITION_STEP`), float64.
        numbers_TF: their W intensities (of a token with fewer the others are 0), log(1 + extent in steps), and
            1 or -1 for a mass spectrum of positive or negative ions, else 0.
        axis_T, form_T: see `spectra.axes`, int64.
        two_X: the numbers of the tokens that have a second coordinate, int64; None where no token has one.
        second_X: these coordinates in steps, float64.
        hidden_T: True for tokens whose intensities are to be predicted; None outside of such a training.
    """

    steps_T: Tensor
    numbers_TF: Tensor
    axis_T: Tensor
    form_T: Tensor
    two_X: Tensor | None = None
    second_X: Tensor | None = None
    hidden_T: Tensor | None = None


class TokenEmbedding(nn.Module):
    """Tokens of any axis to vectors.

    Args:
        d_model: D.
        patch: W.
        features: sinusoids of a position.
        std: standard deviation at the start of each component of what is summed.
    """

    def __init__(self, d_model: int, patch: int, features: int, std: float = AXIS_STD) -> None:
        super().__init__()
        self.sinusoids = Sinusoids(WAVELENGTHS, features)
        scale = std / math.sqrt(features / 2)
        self.first_KD = nn.Parameter(torch.randn(features, d_model) * scale)
        self.second_KD = nn.Parameter(torch.randn(features, d_model) * scale)
        numbers = patch + 2
        self.gain = init_linear(nn.Linear(numbers, d_model))
        self.numbers_FD = nn.Parameter(torch.randn(numbers, d_model) * std)
        self.axis = init_embedding(nn.Embedding(len(Axis), d_model), std)
        self.form = init_embedding(nn.Embedding(len(Form), d_model), std)
        self.hidden_D = nn.Parameter(torch.randn(d_model) * std)

    def forward(self, tokens: AxisTokens) -> Tensor:
        """The embedded tokens [T, D]. Hidden ones have no intensity, and a mark that says so."""
        dtype, hidden_T, numbers_TF = self.first_KD.dtype, tokens.hidden_T, tokens.numbers_TF
        waves_TD = self.sinusoids(tokens.steps_T, dtype) @ self.first_KD
        learning = torch.is_grad_enabled()  # then every parameter needs a gradient, zero where it is not used
        if tokens.two_X is not None and tokens.second_X is not None:
            second_XD = self.sinusoids(tokens.second_X, dtype) @ self.second_KD
            waves_TD = waves_TD.index_add(0, tokens.two_X, second_XD)
        elif learning:
            waves_TD = waves_TD + 0.0 * self.second_KD[0]
        rows_TD = self.axis(tokens.axis_T) + self.form(tokens.form_T)
        if hidden_T is not None:
            intensities_TW = numbers_TF[:, :-2].masked_fill(hidden_T[:, None], 0.0)
            numbers_TF = torch.cat([intensities_TW, numbers_TF[:, -2:]], dim=1)
        if hidden_T is not None or learning:
            rows_TD = rows_TD + (0.0 if hidden_T is None else hidden_T[:, None]) * self.hidden_D
        numbers_TF = numbers_TF.to(dtype)
        rows_TD = torch.addmm(rows_TD, numbers_TF, self.numbers_FD)
        return torch.addcmul(rows_TD, waves_TD, 1 + self.gain(numbers_TF))

    def inputs(self, coordinates: int = 1) -> int:
        """Inputs of the matrix products of a token with one or two coordinates."""
        features, numbers = len(self.first_KD), len(self.numbers_FD)
        return coordinates * features + 2 * numbers
