"""One embedding for tokens of every axis.

A token becomes waves * (1 + gain(numbers)) + numbers' own projection + rows for its axis and its form, where
the waves are a projection of the sinusoids of its position. The product lets a mean over tokens be a sum of the
features' vectors weighted by their values, which a plain sum cannot.

Axes: T tokens, D model width, K sinusoids, W intensities of a token, F real numbers of a token, X tokens with
two coordinates.
"""

import math
from collections.abc import Callable
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from mmspec_ds.nn.embeddings import Sinusoids
from mmspec_ds.nn.initialization import init_embedding, init_linear
from mmspec_ds.spectra.axes import STEP, Axis, Form

WAVELENGTHS = (2.0, 2.0**20)
"""Shortest and longest wavelength in steps of an axis: neighbours are told apart, and no m/z comes round
again."""

AXIS_STD = 0.5
"""Standard deviation at the start of each component of what is summed, where no setting says another."""


class AxisTokens(NamedTuple):
    """Tokens of any axis, without padding.

    Attributes:
        position_T: in the unit of the axis, float64.
        values_TW: intensities; of a token with fewer than W the others are 0.
        extent_T: how far a token reaches along its axis, in steps; 0 for a line.
        sign_T: 1 or -1 for a mass spectrum of positive or negative ions, else 0.
        axis_T, form_T: see `spectra.axes`, int64.
        two_X: the numbers of the tokens that have a second coordinate, int64.
        second_X: these coordinates in steps, float64.
        hidden_T: True for tokens whose intensities are to be predicted; None outside of such a training.
    """

    position_T: Tensor
    values_TW: Tensor
    extent_T: Tensor
    sign_T: Tensor
    axis_T: Tensor
    form_T: Tensor
    two_X: Tensor
    second_X: Tensor
    hidden_T: Tensor | None = None


class TokenEmbedding(nn.Module):
    """Tokens of any axis to vectors.

    Args:
        d_model: D.
        patch: W.
        features: sinusoids of a position.
        std: standard deviation at the start of each component of what is summed.
    """

    step_A: Tensor

    def __init__(self, d_model: int, patch: int, features: int, std: float = AXIS_STD) -> None:
        super().__init__()
        self.register_buffer("step_A", _steps(), persistent=False)
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
        dtype, axis_T, hidden_T = self.first_KD.dtype, tokens.axis_T, tokens.hidden_T
        steps_T = tokens.position_T / self.step_A.index_select(0, axis_T)
        waves_TD = self.sinusoids(steps_T, dtype) @ self.first_KD
        learning = torch.is_grad_enabled()  # then every parameter needs a gradient, zero where it is not used
        if len(tokens.two_X) or learning:
            second_XD = self.sinusoids(tokens.second_X, dtype) @ self.second_KD
            waves_TD = waves_TD.index_add(0, tokens.two_X, second_XD)
        values_TW = tokens.values_TW
        if hidden_T is not None:
            values_TW = values_TW.masked_fill(hidden_T[:, None], 0.0)
        more_T2 = torch.stack([torch.log1p(tokens.extent_T), tokens.sign_T], dim=-1)
        numbers_TF = torch.cat([values_TW, more_T2], dim=-1).to(dtype)
        embedded_TD = waves_TD * (1 + self.gain(numbers_TF)) + numbers_TF @ self.numbers_FD
        embedded_TD = embedded_TD + self.axis(axis_T) + self.form(tokens.form_T)
        if hidden_T is not None or learning:
            embedded_TD = embedded_TD + (0.0 if hidden_T is None else hidden_T[:, None]) * self.hidden_D
        return embedded_TD

    def inputs(self, coordinates: int = 1) -> int:
        """Inputs of the matrix products of a token with one or two coordinates."""
        features, numbers = len(self.first_KD), len(self.numbers_FD)
        return coordinates * features + 2 * numbers

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Follow the model to its device; steps keep their type, as bfloat16 has no 0.005."""
        super()._apply(fn, recurse)
        self.step_A = _steps().to(self.step_A.device)
        return self


def _steps() -> Tensor:
    return torch.tensor([STEP[one] for one in Axis], dtype=torch.float64)
