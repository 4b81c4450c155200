"""The sizes of an encoder, and of the encoder-decoder Transformer."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mmspec_ds.settings import Settings

Positive = Annotated[int, Field(gt=0)]


class EncoderSettings(Settings):
    """Sizes of an encoder; the defaults are the paper's (table 9).

    `dropout` acts on embeddings and on what each sublayer adds to the residual stream, as in the first
    Transformer; not on attention weights and not within feed-forward networks. `ffn_width` is that of dense
    feed-forward networks; where experts take their place, it means nothing.
    """

    d_model: Positive = 512
    heads: Positive = 8
    encoder_layers: Positive = 6
    ffn_width: Positive = 2048
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.1
    sinusoid_features: Annotated[int, Field(gt=0, multiple_of=2)] = 64

    @property
    def dense_width(self) -> int:
        """The width of the feed-forward networks of a dense encoder."""
        return self.ffn_width

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Self:
        if self.d_model % self.heads:
            raise ValueError(
                f"d_model must be a multiple of heads: {self.d_model} is no multiple of {self.heads}"
            )
        return self


class ModelSettings(EncoderSettings):
    """Sizes of the model; the defaults are the paper's (table 9).

    `encoder_ffn_width` is the width of the feed-forward networks of a dense encoder where it differs from
    `ffn_width`, the decoder's. Where experts take the place of such networks, both mean nothing.

    `embedding` is "modality" for rows and projections of each modality's own fields, or "axis" for one set of
    weights that reads every token as a position on its axis and the intensities there (`axis_embedding`);
    `patch` is then the most intensities that a token has, and means nothing otherwise.

    `fusion` is "early" for one encoder over the tokens of all modalities, or "late" for an encoder of these
    sizes for each modality, whose states meet in the decoder's cross-attention (`late_fusion`).

    `max_target_tokens` is the longest sequence that the decoder reads: BOS and the SMILES tokens, without EOS.
    """

    decoder_layers: Positive = 6
    encoder_ffn_width: Positive | None = None
    fusion: Literal["early", "late"] = "early"
    embedding: Literal["modality", "axis"] = "modality"
    patch: Positive = 16
    max_target_tokens: Positive = 160

    @model_validator(mode="after")
    def _a_patch_is_of_an_axis(self) -> Self:
        if self.embedding != "axis" and self.patch != type(self).model_fields["patch"].default:
            raise ValueError(
                f"patch is {self.patch}, but embedding is {self.embedding!r}: expected 'axis', or no patch"
            )
        return self

    @property
    def dense_width(self) -> int:
        """The width of the feed-forward networks of a dense encoder."""
        return self.encoder_ffn_width or self.ffn_width
