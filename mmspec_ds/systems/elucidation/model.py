"""The whole model: spectra in, logits of SMILES tokens out.

Axes: B samples, S places of the encoder, L target tokens, D model width, V vocabulary.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from mmspec_ds.data.batch import Batch, SpectraBatch
from mmspec_ds.moe.temperature import KeepsTemperature
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.nn.axis_embedding import make_embedding
from mmspec_ds.nn.decoder import Decoder
from mmspec_ds.nn.encoder import Encoder, EncoderOutput, MakeFeedForward
from mmspec_ds.nn.feedforward import DenseFeedForward
from mmspec_ds.nn.late_fusion import LateFusionEncoder
from mmspec_ds.nn.model_settings import ModelSettings
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.tokens import TokenSchema


@dataclass(frozen=True)
class ElucidatorOutput:
    """`logits_BLV`, [B, L-1, V], predict `target_BL[:, 1:]`; `reports` as in `EncoderOutput`; `encoded` is
    what the decoder read, for losses on the encoder's states; `decoder_reports` of its layers."""

    logits_BLV: Tensor
    reports: tuple[object | None, ...]
    encoded: EncoderOutput
    decoder_reports: tuple[object | None, ...] = ()


class Elucidator(KeepsTemperature):
    """Reads the spectra of a molecule and writes its SMILES.

    Args:
        settings: sizes.
        schemas: the fields of each modality's tokens; the model reads these modalities.
        vocabulary_size: number of target tokens, specials included.
        make_feedforward: makes the encoder's feed-forward network of a layer; dense without it.
        make_decoder_feedforward: the same for the decoder.
        activation_checkpointing: of the encoder, see there.
    """

    def __init__(
        self,
        settings: ModelSettings,
        schemas: Mapping[Modality, TokenSchema],
        vocabulary_size: int,
        make_feedforward: MakeFeedForward | None = None,
        make_decoder_feedforward: MakeFeedForward | None = None,
        *,
        activation_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.open_temperature(sparse=make_feedforward is not None)
        self.embedding = make_embedding(settings, schemas)
        networks = make_feedforward or dense_feedforward(settings)
        checkpointing = {"activation_checkpointing": activation_checkpointing}
        self.encoder: Encoder | LateFusionEncoder
        if settings.fusion == "late":
            self.encoder = LateFusionEncoder(settings, tuple(schemas), networks, **checkpointing)
        else:
            self.encoder = Encoder(settings, networks, **checkpointing)
        self.decoder = Decoder(settings, vocabulary_size, make_decoder_feedforward)

    def encode(self, spectra: SpectraBatch, temperature: float | None = None) -> EncoderOutput:
        """A state per token of the spectra."""
        tau = self.temperature if temperature is None else temperature
        return self.encoder(self.embedding(spectra), spectra.modality_BS, tau)

    def forward(self, batch: Batch, temperature: float | None = None) -> ElucidatorOutput:
        """Logits under teacher forcing; `temperature` is the router's tau, the model's own if none is given.

        Raises:
            ValueError: a target longer than `max_target_tokens`, or spectra that do not fit the schemas.
        """
        encoded = self.encode(batch.spectra, temperature)
        memory = (encoded.hidden_BSD, encoded.mask_BS)
        logits_BLV, decoder_reports = self.decoder.with_reports(batch.target_BL[:, :-1], *memory)
        return ElucidatorOutput(logits_BLV, encoded.reports, encoded, decoder_reports)


def dense_feedforward(settings: ModelSettings) -> MakeFeedForward:
    """A maker of the dense encoder's feed-forward networks."""
    return lambda layer: DenseFeedForward(settings.d_model, settings.dense_width)


def sequence_loss(
    logits_BLV: Tensor,
    target_BL: Tensor,
    weight_B: Tensor,
    pad_id: int = Vocabulary.PAD,
    label_smoothing: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Cross entropy of `target_BL[:, 1:]` in nats, summed, and the number of tokens that it sums over.

    A sum and not a mean, so that ranks with unequal numbers of tokens can divide by their total. Padding and
    samples of weight 0 count nothing in either. Computed in float32 at least.

    Args:
        logits_BLV: [B, L-1, V] as `Elucidator` gives them.
        target_BL: [B, L] with BOS first.
        weight_B: 0 for a sample that only fills up the batch, else 1.
        pad_id: the target id that is padding.
        label_smoothing: the share of the target's probability that is spread evenly over the vocabulary.
    """
    next_BL = target_BL[:, 1:]
    logits = logits_BLV.flatten(0, 1)
    if logits.element_size() < 4:
        logits = logits.float()
    loss = F.cross_entropy(
        logits, next_BL.flatten(), ignore_index=pad_id, reduction="none", label_smoothing=label_smoothing
    )
    loss_sum = (loss.view_as(next_BL).sum(dim=1) * weight_B).sum()
    token_count = ((next_BL != pad_id).sum(dim=1) * weight_B).sum()
    return loss_sum, token_count
