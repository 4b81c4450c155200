"""The end of our encoder: from the states of a record's tokens to a vector of unit length.

Axes: B records, S places, T tokens of a modality, D model width, W width of a vector, K sinusoids of a token.
"""

import math
from collections.abc import Mapping
from typing import cast

import torch
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

_LEAST = 1e-4
"""Intensities below count as this in the logarithm."""


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
        self.skip = nn.ModuleDict()
        for name, part in embedding.real.items() if settings.skip else ():
            count = settings.sinusoid_features * len(cast(RealProjection, part).waves)
            if count:
                project = nn.Linear(count, settings.width, bias=False)
                nn.init.normal_(project.weight, std=1 / math.sqrt(count / 2))
                self.skip[name] = project

    def forward(
        self, encoded: EncoderOutput, intensity_BS: Tensor, sinusoids: Mapping[Modality, Placed]
    ) -> Tensor:
        """The vectors [B, W] of length 1, fp32, from the states, the intensities of the peaks and the sinusoids
        of their places."""
        if not isinstance(self.pooling, IntensityPooling):
            pooled_BD = self.pooling(encoded.hidden_BSD, encoded.mask_BS)
            return F.normalize(self.projection(pooled_BD).float(), dim=-1)
        pooled_BD, weight_BS = self.pooling(encoded.hidden_BSD, intensity_BS)
        vectors_BW = self.projection(pooled_BD)
        records, length = weight_BS.shape
        for name, project in self.skip.items():
            place_T, waves_TK = sinusoids[Modality[name]]
            weighted_TK = weight_BS.flatten()[place_T][:, None] * waves_TK
            summed_BK = waves_TK.new_zeros(records, waves_TK.shape[1])
            vectors_BW = vectors_BW + project(summed_BK.index_add(0, place_T // length, weighted_TK))
        return F.normalize(vectors_BW.float(), dim=-1)


class IntensityForms(nn.Module):
    """The square root and the logarithm of a token's intensity, as a part of what is embedded."""

    def __init__(self, settings: SpectrumEncoderSettings) -> None:
        super().__init__()
        self.projection = nn.Linear(2, settings.d_model, bias=False)
        nn.init.normal_(self.projection.weight, std=settings.embedding_std)

    def forward(self, intensity_BS: Tensor) -> Tensor:
        """What is added to the embedded tokens [B, S, D], from the intensities [B, S] of `intensities`."""
        forms = (intensity_BS.clamp_min(0).sqrt(), intensity_BS.clamp_min(_LEAST).log() / -math.log(_LEAST))
        found: Tensor = self.projection(torch.stack(forms, dim=-1).to(self.projection.weight.dtype))
        return found


def intensities(inputs: SpectraBatch, schemas: Mapping[Modality, TokenSchema]) -> Tensor:
    """The intensity of each token [B, S], fp32: 1 where its kind has none, 0 where there is no token."""
    found_P = inputs.mask_BS.flatten().float()
    for modality, part in inputs.tokens.items():
        names = [field.name for field in schemas[modality].continuous]
        if INTENSITY in names:
            values_T = part.continuous_TF[:, names.index(INTENSITY)].float()
            found_P = found_P.index_copy(0, part.place_T, values_T)
    return found_P.view_as(inputs.modality_BS)
