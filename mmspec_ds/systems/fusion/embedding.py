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
        """The embedded tokens [P, S, D], zeros at padding. Tokens of `pieces.hidden_PS` have no intensity, and
        a mark that says so."""
        dtype, mask_PS = self.first_KD.dtype, pieces.mask_PS
        at_T = mask_PS.flatten().nonzero().squeeze(1)  # once: each indexing by the mask would look for them

        def of_tokens(values: Tensor) -> Tensor:
            return values.flatten(0, 1).index_select(0, at_T)

        axis_T, second_T = of_tokens(pieces.axis_PS), of_tokens(pieces.second_PS)
        steps_T = of_tokens(pieces.position_PS) / self.step_A.index_select(0, axis_T)
        waves_TD = self.sinusoids(steps_T, dtype) @ self.first_KD
        two_X = (~second_T.isnan()).nonzero().squeeze(1)
        learning = torch.is_grad_enabled()  # then every parameter needs a gradient, zero where it is not used
        if len(two_X) or learning:
            waves_TD = waves_TD.index_add(0, two_X, self.sinusoids(second_T[two_X], dtype) @ self.second_KD)
        values_TW = of_tokens(pieces.values_PSW)
        hidden_T = None if pieces.hidden_PS is None else of_tokens(pieces.hidden_PS)
        if hidden_T is not None:
            values_TW = values_TW.masked_fill(hidden_T[:, None], 0.0)
        more = (torch.log1p(of_tokens(pieces.extent_PS)), of_tokens(pieces.sign_PS))
        numbers_TF = torch.cat([values_TW, torch.stack(more, dim=-1)], dim=-1).to(dtype)
        embedded_TD = waves_TD * (1 + self.gain(numbers_TF)) + numbers_TF @ self.numbers_FD
        embedded_TD = embedded_TD + self.axis(axis_T) + self.form(of_tokens(pieces.form_PS))
        if hidden_T is not None or learning:
            embedded_TD = embedded_TD + (0.0 if hidden_T is None else hidden_T[:, None]) * self.hidden_D
        padded_ND = embedded_TD.new_zeros(mask_PS.numel(), embedded_TD.shape[1])
        padded_ND = padded_ND.index_copy(0, at_T, embedded_TD)
        return padded_ND.view(*mask_PS.shape, -1)

    def cost(self, pieces: Pieces) -> Cost:
        """FLOPs of these tokens, scalars on their device: no step waits for the number of tokens."""
        (features, width), numbers = self.first_KD.shape, len(self.numbers_FD)
        of_token = product(width * (features + 2 * numbers), learns(self))
        tokens, seconds = pieces.mask_PS.sum().double(), (~pieces.second_PS.isnan()).sum().double()
        return of_token * tokens + product(width * features, learns(self)) * seconds
