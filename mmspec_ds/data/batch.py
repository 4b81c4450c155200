"""What a model is given: a padded layout of tokens whose contents stay ragged, per modality.

Axes: B samples, S places of the padded sequence, T tokens of one modality in the whole batch, L SMILES tokens.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mmspec_ds.spectra.records import Modality

PADDING = -1
"""Value of `modality_BS` where there is no token."""


@dataclass(frozen=True)
class ModalityTokens:
    """All tokens of one modality in a batch, without padding: `place_T` int64 indexes the flattened [B * S]
    layout, `order_T` int64 is a token's place within its own modality and sample, `discrete_TF` int64,
    `continuous_TF` float32."""

    place_T: Tensor
    order_T: Tensor
    discrete_TF: Tensor
    continuous_TF: Tensor


@dataclass(frozen=True)
class SpectraBatch:
    """Encoder input. `modality_BS` int64 holds the modality of each place, PADDING where there is none."""

    modality_BS: Tensor
    tokens: Mapping[Modality, ModalityTokens]

    @property
    def mask_BS(self) -> Tensor:
        """True where there is a token."""
        return self.modality_BS != PADDING

    def mapped(self, change: Callable[[Tensor], Tensor]) -> "SpectraBatch":
        """The same with every tensor changed, such as moved to a device."""
        tokens = {
            m: ModalityTokens(*(change(getattr(t, name)) for name in t.__dataclass_fields__))
            for m, t in self.tokens.items()
        }
        return SpectraBatch(change(self.modality_BS), tokens)


@dataclass(frozen=True)
class Batch:
    """Spectra and targets. `target_BL` int64 is BOS, the SMILES, EOS, then the vocabulary's padding id.
    `weight_B` float32 is 0 for samples that only fill up a batch so that every rank has one, else 1."""

    spectra: SpectraBatch
    target_BL: Tensor
    weight_B: Tensor
    ids: tuple[str, ...] = ()

    @property
    def samples(self) -> float:
        """The number of samples with a weight."""
        return float(self.weight_B.sum())

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device; from pinned memory the copy does not hold up the host."""
        return self._with(lambda tensor: tensor.to(device, non_blocking=True))

    def pinned(self) -> "Batch":
        """The same batch in page-locked memory, from which a GPU copies by itself."""
        return self._with(Tensor.pin_memory)

    def _with(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        return replace(
            self,
            spectra=self.spectra.mapped(change),
            target_BL=change(self.target_BL),
            weight_B=change(self.weight_B),
        )
