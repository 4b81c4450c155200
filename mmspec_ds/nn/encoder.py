"""The encoder: pre-norm self-attention and a feed-forward network that is passed in.

Axes: B samples, S positions, D model width.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmspec_ds.data.batch import PADDING
from mmspec_ds.nn.attention import SelfAttention, attendable
from mmspec_ds.nn.dropout import Dropout
from mmspec_ds.nn.model_settings import EncoderSettings

MakeFeedForward = Callable[[int], nn.Module]
"""Makes the feed-forward network (see `feedforward.FeedForward`) of the layer with that number, from 0."""


@dataclass(frozen=True)
class EncoderOutput:
    """States [B, S, D], the modality of each token [B, S] (PADDING where there is none; states there have no
    meaning), and the report of each layer's feed-forward network, or None."""

    hidden_BSD: Tensor
    modality_BS: Tensor
    reports: tuple[object | None, ...]

    @property
    def mask_BS(self) -> Tensor:
        """True where there is a token."""
        return self.modality_BS != PADDING


class EncoderLayer(nn.Module):
    """hidden + attention(norm(hidden)), then hidden + feedforward(norm(hidden)).

    Attributes:
        after_attention, after_feedforward: adapters of what is added, [B, S, D] to [B, S, D]; None without.
    """

    def __init__(self, settings: EncoderSettings, feedforward: nn.Module) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(settings.d_model)
        self.attention = SelfAttention(settings.d_model, settings.heads)
        self.feedforward_norm = nn.LayerNorm(settings.d_model)
        self.feedforward = feedforward
        self.dropout = Dropout(settings.dropout)
        self.after_attention: nn.Module | None = None
        self.after_feedforward: nn.Module | None = None

    def forward(
        self, hidden_BSD: Tensor, modality_BS: Tensor, mask_B11S: Tensor, temperature: float
    ) -> tuple[Tensor, object | None]:
        """[B, S, D] to [B, S, D], with the report of the feed-forward network.

        Args:
            hidden_BSD: states of the layer before.
            modality_BS: PADDING where there is no token.
            mask_B11S: see `attention.attendable`.
            temperature: a router's tau.
        """
        attended_BSD = self.attention(self.attention_norm(hidden_BSD), mask_B11S)
        if self.after_attention is not None:
            attended_BSD = self.after_attention(attended_BSD)
        hidden_BSD = hidden_BSD + self.dropout(attended_BSD)
        fed_BSD, report = self.feedforward(self.feedforward_norm(hidden_BSD), modality_BS, temperature)
        if self.after_feedforward is not None:
            fed_BSD = self.after_feedforward(fed_BSD)
        return hidden_BSD + self.dropout(fed_BSD), report


class Encoder(nn.Module):
    """A stack of layers and a last normalisation, for any embedded tokens with a modality each.

    Args:
        settings: sizes.
        make_feedforward: makes the feed-forward network of a layer.
        activation_checkpointing: in training keep the input of each layer only, and compute the layer again in
            the backward pass: less memory for a third more arithmetic, and the same numbers bit for bit.
    """

    def __init__(
        self,
        settings: EncoderSettings,
        make_feedforward: MakeFeedForward,
        *,
        activation_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.activation_checkpointing = activation_checkpointing
        self.dropout = Dropout(settings.dropout)
        self.layers = nn.ModuleList(
            EncoderLayer(settings, make_feedforward(layer)) for layer in range(settings.encoder_layers)
        )
        self.norm = nn.LayerNorm(settings.d_model)

    def forward(self, hidden_BSD: Tensor, modality_BS: Tensor, temperature: float = 1.0) -> EncoderOutput:
        """Embedded tokens [B, S, D] and their modality [B, S] (PADDING where none); a router's
        `temperature`."""
        mask_B11S = attendable(modality_BS != PADDING)
        hidden_BSD = self.dropout(hidden_BSD)
        reports = []
        for layer in self.layers:
            hidden_BSD, report = self._through(layer, hidden_BSD, modality_BS, mask_B11S, temperature)
            reports.append(report)
        return EncoderOutput(self.norm(hidden_BSD), modality_BS, tuple(reports))

    def _through(
        self, layer: nn.Module, hidden_BSD: Tensor, modality_BS: Tensor, mask_B11S: Tensor, temperature: float
    ) -> tuple[Tensor, object | None]:
        """Run a layer; with activation checkpointing it runs again in the backward pass."""
        inputs = (hidden_BSD, modality_BS, mask_B11S, temperature)
        if not (self.activation_checkpointing and self.training and torch.is_grad_enabled()):
            out: tuple[Tensor, object | None] = layer(*inputs)
            return out
        # Without early_stop, which could leave out a collective that another rank makes.
        again: tuple[Tensor, object | None] = checkpoint(layer, *inputs, use_reentrant=False, early_stop=False)
        return again
