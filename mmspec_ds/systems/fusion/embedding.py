"""The embedding of the tokens of pieces, and what it costs.

Axes: P pieces, S places, T tokens, D model width, W intensities of a token, X tokens with two coordinates.
"""

from torch import Tensor

from mmspec_ds.nn.module_flops import Cost, learns, product
from mmspec_ds.nn.token_embedding import AxisTokens, TokenEmbedding
from mmspec_ds.systems.fusion.batch import Pieces


def embed_pieces(embedding: TokenEmbedding, pieces: Pieces) -> Tensor:
    """The embedded tokens [P, S, D], zeros at padding."""
    mask_PS = pieces.mask_PS
    at_T = mask_PS.flatten().nonzero().squeeze(1)  # once: each indexing by the mask would look for them

    def of_tokens(values: Tensor) -> Tensor:
        return values.flatten(0, 1).index_select(0, at_T)

    second_T = of_tokens(pieces.second_PS)
    two_X = (~second_T.isnan()).nonzero().squeeze(1)
    embedded_TD = embedding(
        AxisTokens(
            position_T=of_tokens(pieces.position_PS),
            values_TW=of_tokens(pieces.values_PSW),
            extent_T=of_tokens(pieces.extent_PS),
            sign_T=of_tokens(pieces.sign_PS),
            axis_T=of_tokens(pieces.axis_PS),
            form_T=of_tokens(pieces.form_PS),
            two_X=two_X,
            second_X=second_T[two_X],
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
