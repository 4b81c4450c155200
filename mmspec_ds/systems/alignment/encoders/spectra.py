"""Spectra by the encoder of a trained model: the states of its tokens, pooled.

Axes: B records, S places of tokens, D width of a state, V vectors.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmspec_ds.data.batch import PADDING
from mmspec_ds.settings import Settings
from mmspec_ds.spectra.records import Record
from mmspec_ds.spectra.registry import REGISTRY
from mmspec_ds.systems.alignment.encoders.checks import all_of
from mmspec_ds.systems.alignment.objects import Kind, Object
from mmspec_ds.systems.trained_folder import STARTER
from mmspec_ds.systems.trained_states import read_states

_AT_ONCE = 64


class SpectraOptions(Settings):
    """Which model, and how the states of its tokens become vectors.

    Attributes:
        path: the folder of a trained run or an export; "starter" is the model that comes with the package.
        pooling: "modality" for a vector of each kind of spectrum that the model reads, zeros where the record
            has none of it; "record" for one of all tokens.
        maximum: the largest value of each component follows the mean, which doubles the width.
    """

    path: str = STARTER
    pooling: Literal["modality", "record"] = "modality"
    maximum: bool = False


class SpectraEncoder:
    """The means of the states of a record's tokens. See `ObjectEncoder`."""

    Options = SpectraOptions
    kind: Kind = "spectrum"

    def __init__(self, options: SpectraOptions) -> None:
        self._reader = read_states(options.path)
        self._options = options
        self.name = STARTER if options.path == STARTER else "mmspec"
        self.width = self._reader.width * (2 if options.maximum else 1)
        by_modality = [(modality,) for modality in self._reader.modalities]
        self._pools = by_modality if options.pooling == "modality" else [self._reader.modalities]
        self.vectors = len(self._pools)
        self.identity: Mapping[str, Any] = {
            "encoder": "mmspec",
            **options.model_dump(exclude={"path"}),
            **self._reader.identity,
        }

    @property
    def pooled(self) -> tuple[str, ...]:
        """What each vector is made of: the names of kinds of spectra, parted by plus signs."""
        return tuple("+".join(REGISTRY[modality].name for modality in pool) for pool in self._pools)

    def encode(self, objects: Sequence[Object]) -> NDArray[np.float32]:
        """See `ObjectEncoder`; [N, V, width]."""
        records = all_of(objects, Record, self.name)
        found = np.zeros((len(records), self.vectors, self.width), dtype=np.float32)
        for start in range(0, len(records), _AT_ONCE):
            hidden_BSD, modality_BS = self._reader.states(records[start : start + _AT_ONCE])
            for at, pool in enumerate(self._pools):
                mask_BS = torch.isin(modality_BS, torch.tensor(pool)) & (modality_BS != PADDING)
                pooled = pooled_states(hidden_BSD, mask_BS, maximum=self._options.maximum)
                found[start : start + len(pooled), at] = pooled.numpy()
        return found


def pooled_states(hidden_BSD: Tensor, mask_BS: Tensor, *, maximum: bool = False) -> Tensor:
    """The mean of the states where the mask is true, [B, D], or with their maximum, [B, 2 D]; zeros without
    any."""
    mask_BS1 = mask_BS[..., None]
    mean_BD = (hidden_BSD * mask_BS1).sum(1) / mask_BS1.sum(1).clamp_min(1)
    if not maximum:
        return mean_BD
    largest_BD = hidden_BSD.masked_fill(~mask_BS1, -torch.inf).amax(1)
    return torch.cat([mean_BD, largest_BD.masked_fill(~mask_BS.any(1, keepdim=True), 0.0)], dim=1)
