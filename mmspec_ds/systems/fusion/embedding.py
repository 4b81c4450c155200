"""One embedding for tokens of every axis.

A token becomes waves * (1 + gain(numbers)) + numbers' own projection + rows for its axis and its form, where
the waves are a projection of the sinusoids of its position. The product lets a mean over tokens be a sum of the
features' vectors weighted by their values, which a plain sum cannot.

Axes: P pieces, S places, D model width, W intensities of a token, F real numbers of a token.
"""

import math

import torch
from torch import Tensor, nn

from mmspec_ds.nn.embeddings import Sinusoids
from mmspec_ds.nn.initialization import init_embedding, init_linear
from mmspec_ds.systems.fusion.batch import Pieces
from mmspec_ds.systems.fusion.tokens import STEP, Axis, Form

WAVELENGTHS = (2.0, 2.0**20)
"""Shortest and longest wavelength in steps of an axis: neighbours are told apart, and no m/z comes round
again."""


class TokenEmbedding(nn.Module):
    """Tokens of any axis to vectors.

    Args:
        d_model: D.
        patch: W.
        features: sinusoids of a position.
        std: standard deviation at the start of each component of what is summed.
    """

    step_A: Tensor

    def __init__(self, d_model: int, patch: int, features: int, std: float) -> None:
        super().__init__()
        self.register_buffer("step_A", torch.tensor([STEP[one] for one in Axis]).double(), persistent=False)
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

    def forward(self, pieces: Pieces) -> Tensor:
        """The embedded tokens [P, S, D]; what stands at padding means nothing. Tokens of `pieces.hidden_PS`
        have no intensity, and a mark that says so."""
        dtype = self.first_KD.dtype
        at_PS = pieces.position_PS / self.step_A[pieces.axis_PS]
        waves_PSD = self.sinusoids(at_PS, dtype) @ self.first_KD
        has_PS = ~pieces.second_PS.isnan()
        second_PS = torch.where(has_PS, pieces.second_PS, 0.0)
        waves_PSD = waves_PSD + (self.sinusoids(second_PS, dtype) @ self.second_KD) * has_PS[..., None]
        values_PSW = pieces.values_PSW
        if pieces.hidden_PS is not None:
            values_PSW = values_PSW.masked_fill(pieces.hidden_PS[..., None], 0.0)
        more = (torch.log1p(pieces.extent_PS), pieces.sign_PS)
        numbers_PSF = torch.cat([values_PSW, torch.stack(more, dim=-1)], dim=-1).to(dtype)
        embedded_PSD = waves_PSD * (1 + self.gain(numbers_PSF)) + numbers_PSF @ self.numbers_FD
        embedded_PSD = embedded_PSD + self.axis(pieces.axis_PS) + self.form(pieces.form_PS)
        if pieces.hidden_PS is None:
            return embedded_PSD + 0.0 * self.hidden_D  # every parameter has a gradient
        return embedded_PSD + pieces.hidden_PS[..., None] * self.hidden_D
