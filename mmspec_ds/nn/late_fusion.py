"""Late fusion: an encoder for each modality, and a decoder whose cross-attention reads the states of all.

No token of one modality attends to one of another before the decoder. That is the co-attentional design of two
streams with cross-attention on top (LXMERT, Tan and Bansal 2019, arXiv:1908.07490), with the decoder's query in
the place of the cross-modality encoder; Nagrani et al. (2021, arXiv:2107.00135) compare fusion at such different
depths.

Axes: B samples, S places, X places of one modality alone, D model width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmspec_ds.data.batch import PADDING
from mmspec_ds.nn.encoder import Encoder, EncoderOutput, MakeFeedForward
from mmspec_ds.nn.model_settings import ModelSettings
from mmspec_ds.spectra.records import Modality


class LateFusionEncoder(nn.Module):
    """A whole encoder, `settings.encoder_layers` layers and a last norm, for each modality.

    A modality that a sample lacks adds no state. One that a whole batch lacks takes part with one place of
    padding, so that every parameter has a gradient on every rank and step.

    Args:
        settings: sizes of each of the encoders.
        modalities: those that the model reads.
        make_feedforward: makes the feed-forward network of a layer.
        activation_checkpointing: see `Encoder`.
    """

    def __init__(
        self,
        settings: ModelSettings,
        modalities: Sequence[Modality],
        make_feedforward: MakeFeedForward,
        *,
        activation_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.by_modality = nn.ModuleDict(
            {
                modality.name: Encoder(
                    settings, make_feedforward, activation_checkpointing=activation_checkpointing
                )
                for modality in sorted(modalities)
            }
        )

    def forward(self, hidden_BSD: Tensor, modality_BS: Tensor, temperature: float = 1.0) -> EncoderOutput:
        """Embedded tokens [B, S, D] and their modality [B, S] (PADDING where none); states stay at the places of
        their tokens, and are zero at padding."""
        whole_PD = torch.zeros_like(hidden_BSD).flatten(0, 1)
        for name, encoder in self.by_modality.items():
            place_BX, alone_BX = places_of(modality_BS, Modality[name])
            states_BXD = encoder(hidden_BSD.flatten(0, 1)[place_BX], alone_BX, temperature).hidden_BSD
            kept_BX1 = (alone_BX != PADDING)[..., None]
            # Added and not put: padding reads a place of its row as well, and adds zero there.
            whole_PD = whole_PD.index_add(
                0, place_BX.flatten(), torch.where(kept_BX1, states_BXD, 0).flatten(0, 1).to(whole_PD.dtype)
            )
        return EncoderOutput(whole_PD.view_as(hidden_BSD), modality_BS, ())


def places_of(modality_BS: Tensor, modality: Modality) -> tuple[Tensor, Tensor]:
    """The tokens of one modality as a padded sequence of their own.

    Returns:
        Their places in the flattened layout [B, X], in their order, and the modality of each place [B, X],
        PADDING where there is none; X is the largest number of tokens of a sample, 1 at least.
    """
    samples, places = modality_BS.shape
    is_of_it_BS = modality_BS == modality
    longest = min(max(1, int(is_of_it_BS.sum(1).max())), places)
    order_BX = torch.argsort((~is_of_it_BS).to(torch.uint8), dim=1, stable=True)[:, :longest]
    rows_B1 = places * torch.arange(samples, device=modality_BS.device)[:, None]
    alone_BX = torch.where(is_of_it_BS.gather(1, order_BX), int(modality), PADDING)
    return rows_B1 + order_BX, alone_BX
