"""The embedding of the tokens of pieces, and what it costs.

Axes: P pieces, S places, T tokens, D model width, X tokens with two coordinates, N = P * S.
"""

from torch import Tensor

from mmspec_ds.nn.module_flops import Cost, learns, product
from mmspec_ds.nn.token_embedding import AxisTokens, TokenEmbedding
from mmspec_ds.systems.fusion.batch import Pieces


def embed_pieces(embedding: TokenEmbedding, pieces: Pieces) -> Tensor:
    """The embedded tokens [P, S, D], zeros at padding."""
    two_X = (~pieces.second_T.isnan()).nonzero().squeeze(1) if pieces.two_axes else None
    embedded_TD = embedding(
        AxisTokens(
            steps_T=pieces.steps_T,
            numbers_TF=pieces.numbers_TF,
            axis_T=pieces.axis_T,
            form_T=pieces.form_T,
            two_X=two_X,
            second_X=None if two_X is None else pieces.second_T[two_X],
            hidden_T=pieces.hidden_T,
        )
    )
    padded_ND = embedded_TD.new_zeros(pieces.modality_PS.numel(), embedded_TD.shape[1])
    padded_ND = padded_ND.index_copy(0, pieces.at_T, embedded_TD)
    return padded_ND.view(*pieces.modality_PS.shape, -1)


def embedding_cost(embedding: TokenEmbedding, pieces: Pieces) -> Cost:
    """FLOPs of these tokens, scalars on their device: no step waits for how many have two coordinates."""
    width, one, two = embedding.first_KD.shape[1], embedding.inputs(1), embedding.inputs(2)
    seconds, learnt = (~pieces.second_T.isnan()).sum().double(), learns(embedding)
    of_tokens = product(width * one, learnt) * len(pieces.at_T)
    return of_tokens + product(width * (two - one), learnt) * seconds
