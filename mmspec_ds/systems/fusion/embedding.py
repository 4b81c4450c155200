"""One embedding for tokens of every axis.

A token becomes waves * (1 + gain(numbers)) + numbers' own projection + rows for its axis and its form, where
the waves are a projection of the sinusoids of its position. The product lets a mean over tokens be a sum of the
features' vectors weighted by their values, which a plain sum cannot.

Axes: P pieces, S places, T tokens, D model width, K sinusoids, W intensities of a token, F real numbers of a
token, X tokens with two coordinates, N = P * S places.
"""

import math

import torch
from torch import Tensor, nn

from mmspec_ds.nn.embeddings import Sinusoids
from mmspec_ds.nn.initialization import init_embedding, init_linear
from mmspec_ds.nn.module_flops import Cost, learns, product
from mmspec_ds.systems.fusion.batch import Pieces
from mmspec_ds.systems.fusion.tokens import Axis, Form

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

    def __init__(self, d_model: int, patch: int, features: int, std: float) -> None:
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

    def forward(self, pieces: Pieces) -> Tensor:
        """The embedded tokens [P, S, D], zeros at padding. Tokens of `pieces.hidden_T` have no intensity, and a
        mark that says so."""
        dtype, hidden_T, numbers_TF = self.first_KD.dtype, pieces.hidden_T, pieces.numbers_TF
        waves_TD = self.sinusoids(pieces.steps_T, dtype) @ self.first_KD
        learning = torch.is_grad_enabled()  # then every parameter needs a gradient, zero where it is not used
        if pieces.two_axes or learning:
            two_X = (~pieces.second_T.isnan()).nonzero().squeeze(1)
            second_XK = self.sinusoids(pieces.second_T[two_X], dtype)
            waves_TD = waves_TD.index_add(0, two_X, second_XK @ self.second_KD)
        rows_TD = self.axis(pieces.axis_T) + self.form(pieces.form_T)
        if hidden_T is not None:
            numbers_TF = torch.cat([pieces.values_TW.masked_fill(hidden_T[:, None], 0), numbers_TF[:, -2:]], 1)
        if hidden_T is not None or learning:
            rows_TD = rows_TD + (0.0 if hidden_T is None else hidden_T[:, None]) * self.hidden_D
        numbers_TF = numbers_TF.to(dtype)
        rows_TD = torch.addmm(rows_TD, numbers_TF, self.numbers_FD)
        embedded_TD = torch.addcmul(rows_TD, waves_TD, 1 + self.gain(numbers_TF))
        padded_ND = embedded_TD.new_zeros(pieces.modality_PS.numel(), embedded_TD.shape[1])
        padded_ND = padded_ND.index_copy(0, pieces.at_T, embedded_TD)
        return padded_ND.view(*pieces.modality_PS.shape, -1)

    def cost(self, pieces: Pieces) -> Cost:
        """FLOPs of these tokens, scalars on their device: no step waits for how many have two coordinates."""
        (features, width), numbers = self.first_KD.shape, len(self.numbers_FD)
        of_token = product(width * (features + 2 * numbers), learns(self))
        seconds = (~pieces.second_T.isnan()).sum().double()
        return of_token * len(pieces.at_T) + product(width * features, learns(self)) * seconds
