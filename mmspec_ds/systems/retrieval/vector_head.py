"""The end of our encoder: from the states of a record's tokens to a vector of unit length.

Axes: B records, S places, T tokens of a modality, D model width, W width of a vector, K sinusoids of a token.
"""

import math
from collections.abc import Mapping
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from mmspec_ds.data.batch import SpectraBatch
from mmspec_ds.nn.embeddings import Placed, RealProjection, SpectraEmbedding
from mmspec_ds.nn.encoder import EncoderOutput
from mmspec_ds.nn.initialization import init_linear
from mmspec_ds.nn.pooling import AttentionPooling, IntensityPooling, MeanPooling
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.tokens import TokenSchema
from mmspec_ds.systems.retrieval.run_settings import SpectrumEncoderSettings

INTENSITY = "intensity"
"""The field of a token that weighs it, where its kind of spectrum has one."""


class VectorHead(nn.Module):
    """Pooling and projection.

    Args:
        settings: of the encoder.
        embedding: that of the encoder, whose sinusoids a skip projects.
    """

    def __init__(self, settings: SpectrumEncoderSettings, embedding: SpectraEmbedding) -> None:
        super().__init__()
        self.pooling: nn.Module
        match settings.pooling:
            case "attention":
                self.pooling = AttentionPooling(settings.d_model, settings.heads)
            case "mean":
                self.pooling = MeanPooling()
            case "intensity":
                self.pooling = IntensityPooling(settings.d_model)
        self.projection = init_linear(nn.Linear(settings.d_model, settings.width))
        self._intensity = {modality: _place_of(schema) for modality, schema in embedding.schemas.items()}
        self.skip = nn.ModuleDict()
        for name, part in embedding.real.items() if settings.skip else ():
            count = settings.sinusoid_features * len(cast(RealProjection, part).waves)
            if count:
                self.skip[name] = nn.Linear(count, settings.width, bias=False)
                nn.init.normal_(self.skip[name].weight, std=1 / math.sqrt(count / 2))

    def forward(
        self, encoded: EncoderOutput, inputs: SpectraBatch, sinusoids: Mapping[Modality, Placed]
    ) -> Tensor:
        """The vectors [B, W] of length 1, fp32, from the states, the batch and its sinusoids."""
        if not isinstance(self.pooling, IntensityPooling):
            pooled_BD = self.pooling(encoded.hidden_BSD, encoded.mask_BS)
            return F.normalize(self.projection(pooled_BD).float(), dim=-1)
        pooled_BD, weight_BS = self.pooling(encoded.hidden_BSD, self._intensities(inputs))
        vectors_BW = self.projection(pooled_BD)
        records, length = weight_BS.shape
        for name, project in self.skip.items():
            place_T, waves_TK = sinusoids[Modality[name]]
            weighted_TK = weight_BS.flatten()[place_T][:, None] * waves_TK
            summed_BK = waves_TK.new_zeros(records, waves_TK.shape[1])
            vectors_BW = vectors_BW + project(summed_BK.index_add(0, place_T // length, weighted_TK))
        return F.normalize(vectors_BW.float(), dim=-1)

    def _intensities(self, inputs: SpectraBatch) -> Tensor:
        """The intensity of each token [B, S], 1 where its kind has none, 0 where there is no token."""
        found_P = inputs.mask_BS.flatten().float()
        for modality, part in inputs.tokens.items():
            column = self._intensity[modality]
            if column is not None:
                found_P = found_P.index_copy(0, part.place_T, part.continuous_TF[:, column].float())
        return found_P.view_as(inputs.modality_BS)


def _place_of(schema: TokenSchema) -> int | None:
    names = [field.name for field in schema.continuous]
    return names.index(INTENSITY) if INTENSITY in names else None
