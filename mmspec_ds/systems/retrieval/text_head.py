"""The end of a language model: from the states of a text to a vector of unit length.

Axes: B records, L positions, P tokens of a position, V new tokens, D model width, W width of a vector.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmspec_ds.nn.embeddings import Sinusoids
from mmspec_ds.nn.pooling import IntensityPooling
from mmspec_ds.spectra.peak_tokens import hundredths_told, level_share, level_told
from mmspec_ds.systems.retrieval.batch import TextBatch
from mmspec_ds.systems.retrieval.language_settings import LanguageModelSettings

_WAVELENGTHS, _FEATURES = (0.02, 2000.0), 256
"""Of m/z, which the text tells to 0.01."""


class TextHead(nn.Module):
    """Pooling and projection.

    Args:
        settings: of the language model.
        d_model: D.
        tokens: the new tokens, in the order of their numbers.
    """

    hundredths_V: Tensor
    level_V: Tensor

    def __init__(self, settings: LanguageModelSettings, d_model: int, tokens: Sequence[str]) -> None:
        super().__init__()
        self._weighted = settings.pooling == "weighted"
        self.projection = nn.Linear(d_model, settings.width, bias=False)
        nn.init.orthogonal_(self.projection.weight)
        self.pooling = IntensityPooling(d_model) if settings.pooling == "intensity" else None
        levels = [level_told(token) for token in tokens]
        self.register_buffer("hundredths_V", torch.tensor([*map(hundredths_told, tokens)]), persistent=False)
        # 0: a token that tells no level
        self.register_buffer(
            "level_V", torch.tensor([0 if one is None else one + 1 for one in levels]), persistent=False
        )
        self.skip: nn.Linear | None = None
        if settings.skip:
            self.sinusoids = Sinusoids(_WAVELENGTHS, _FEATURES)
            self.skip = nn.Linear(_FEATURES, settings.width, bias=False)
            nn.init.normal_(self.skip.weight, std=1 / math.sqrt(_FEATURES / 2))
            nn.init.zeros_(self.projection.weight)

    def forward(self, states_BLD: Tensor, inputs: TextBatch) -> Tensor:
        """The vectors [B, W], fp32, of length 1; zeros for a record without any token (or, weighted by
        intensity, without any peak)."""
        states_BLD = states_BLD.to(self.projection.weight.dtype)
        if self.pooling is None:
            weight_BL = inputs.mask_BL.float()
            if self._weighted:
                weight_BL = weight_BL * torch.arange(1, weight_BL.shape[1] + 1, device=weight_BL.device)
            weight_BL = (weight_BL / weight_BL.sum(1, keepdim=True).clamp_min(1)).to(states_BLD.dtype)
            return F.normalize(
                self.projection(torch.einsum("bl,bld->bd", weight_BL, states_BLD)).float(), dim=-1
            )
        pooled_BD, weight_BL = self.pooling(states_BLD, self.intensities(inputs.ids_BLP))
        vectors_BW = self.projection(pooled_BD)
        if self.skip is not None:
            waves = self.sinusoids(self.mz(inputs.ids_BLP), weight_BL.dtype)
            vectors_BW = vectors_BW + self.skip(torch.einsum("bl,blk->bk", weight_BL, waves))
        return F.normalize(vectors_BW.float(), dim=-1)

    def intensities(self, ids_BLP: Tensor) -> Tensor:
        """The intensity of the peak at each position [B, L]; 0 where there is no peak."""
        level_BL = self._added(self.level_V, ids_BLP)
        share_BL = level_share(0) * 0.5 ** (level_BL - 1).float()
        return torch.where(level_BL > 0, share_BL, 0.0)

    def mz(self, ids_BLP: Tensor) -> Tensor:
        """The m/z that the tokens of each position tell [B, L], float64; 0 where they tell none."""
        return self._added(self.hundredths_V, ids_BLP).double() / 100

    def _added(self, value_V: Tensor, ids_BLP: Tensor) -> Tensor:
        return (value_V[ids_BLP.clamp_min(0)] * (ids_BLP >= 0)).sum(2)
