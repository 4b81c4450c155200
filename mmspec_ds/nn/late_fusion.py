"""Late fusion: an encoder for each modality, and a decoder whose cross-attention reads the states of all.

No token of one modality attends to one of another before the decoder. It is the design of streams of their own
with cross-attention on top (LXMERT, Tan and Bansal 2019, arXiv:1908.07490), with the decoder in the place of
the cross-modality encoder; Nagrani et al. (2021, arXiv:2107.00135) compare fusion at such different depths.

Axes: B samples, S places, X places of one modality alone, D model width.
"""

from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from mmspec_ds.data.batch import PADDING
from mmspec_ds.nn.encoder import Encoder, EncoderLayer, EncoderOutput, MakeFeedForward
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

    @property
    def layers(self) -> list[EncoderLayer]:
        """The layers of all encoders, one modality after the other."""
        encoders = cast("Iterable[Encoder]", self.by_modality.values())
        return [cast(EncoderLayer, layer) for encoder in encoders for layer in encoder.layers]

    def forward(self, hidden_BSD: Tensor, modality_BS: Tensor, temperature: float = 1.0) -> EncoderOutput:
        """Embedded tokens [B, S, D] and their modality [B, S] (PADDING where none); states stay at the
        places of their tokens, and are zero at padding."""
        whole_PD = torch.zeros_like(hidden_BSD).flatten(0, 1)
        for name, encoder in self.by_modality.items():
            modality = Modality[name]
            place_BX, is_token_BX = places_of(modality_BS == modality)
            alone_BX = torch.where(is_token_BX, int(modality), PADDING)
            states_BXD = encoder(hidden_BSD.flatten(0, 1)[place_BX], alone_BX, temperature).hidden_BSD
            # Added and not put: padding reads a place of its row as well, and adds zero there.
            whole_PD = whole_PD.index_add(
                0,
                place_BX.flatten(),
                torch.where(is_token_BX[..., None], states_BXD, 0).flatten(0, 1).to(whole_PD.dtype),
            )
        return EncoderOutput(whole_PD.view_as(hidden_BSD), modality_BS, ())


def places_of(kept_BS: Tensor) -> tuple[Tensor, Tensor]:
    """Some of the tokens, such as those of one modality, as a padded sequence of their own.

    Args:
        kept_BS: which places, bool [B, S].

    Returns:
        The kept places in the flattened layout [B, X], in their order, and whether there is a token [B, X],
        False for padding, which names other places of its row. X is the most that a sample keeps, 1 at least.
    """
    samples, places = kept_BS.shape
    longest = min(max(1, int(kept_BS.sum(1).max())), places)
    order_BX = torch.argsort((~kept_BS).to(torch.uint8), dim=1, stable=True)[:, :longest]
    rows_B1 = places * torch.arange(samples, device=kept_BS.device)[:, None]
    return rows_B1 + order_BX, kept_BS.gather(1, order_BX)
