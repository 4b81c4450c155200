"""The embedding of the tokens of pieces, and what it costs.

Axes: P pieces, S places, T tokens, D model width, W intensities of a token, X tokens with two coordinates.
"""

import torch
from torch import Tensor

from mmspec_ds.nn.module_flops import Cost, learns, product
from mmspec_ds.nn.token_embedding import AxisTokens, TokenEmbedding
from mmspec_ds.spectra.axes import POSITION_STEP, Axis
from mmspec_ds.systems.fusion.batch import Pieces


def embed_pieces(embedding: TokenEmbedding, pieces: Pieces) -> Tensor:
    """The embedded tokens [P, S, D], zeros at padding."""
    mask_PS = pieces.mask_PS
    at_T = mask_PS.flatten().nonzero().squeeze(1)  # once: each indexing by the mask would look for them

    def of_tokens(values: Tensor) -> Tensor:
        return values.flatten(0, 1).index_select(0, at_T)

    axis_T, second_T = of_tokens(pieces.axis_PS), of_tokens(pieces.second_PS)
    step_A = torch.tensor([POSITION_STEP[one] for one in Axis], dtype=torch.float64, device=axis_T.device)
    two_X = (~second_T.isnan()).nonzero().squeeze(1)
    more_T2 = torch.stack([torch.log1p(of_tokens(pieces.extent_PS)), of_tokens(pieces.sign_PS)], dim=1)
    embedded_TD = embedding(
        AxisTokens(
            steps_T=of_tokens(pieces.position_PS) / step_A.index_select(0, axis_T),
            numbers_TF=torch.cat([of_tokens(pieces.values_PSW), more_T2], dim=1),
            axis_T=axis_T,
            form_T=of_tokens(pieces.form_PS),
            two_X=two_X if len(two_X) else None,
            second_X=second_T[two_X] if len(two_X) else None,
            hidden_T=None if pieces.hidden_PS is None else of_tokens(pieces.hidden_PS),
        )
    )
    padded_ND = embedded_TD.new_zeros(mask_PS.numel(), embedded_TD.shape[1])
    padded_ND = padded_ND.index_copy(0, at_T, embedded_TD)
    return padded_ND.view(*mask_PS.shape, -1)


def embedding_cost(embedding: TokenEmbedding, pieces: Pieces) -> Cost:
    """FLOPs of these tokens, scalars on their device: no step waits for the number of tokens."""
    width, one, two = embedding.first_KD.shape[1], embedding.inputs(1), embedding.inputs(2)
    tokens, seconds = pieces.mask_PS.sum().double(), (~pieces.second_PS.isnan()).sum().double()
    learnt = learns(embedding)
    return product(width * one, learnt) * tokens + product(width * (two - one), learnt) * seconds
