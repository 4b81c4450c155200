"""The decoder: causal self-attention, cross-attention to the encoder's states, a feed-forward network.

Axes: B samples, L target positions, S positions of the encoder, D model width, V vocabulary, K hypotheses of a
sample, N cache slots of a sample, H heads, C width of a head, Q target positions or hypotheses.
"""

from collections.abc import Iterable
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmspec_ds.data.batch import PADDING
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.nn.attention import (
    CrossAttention,
    KeysValues,
    SelfAttention,
    attend,
    attendable,
    split_heads,
)
from mmspec_ds.nn.dropout import Dropout
from mmspec_ds.nn.encoder import MakeFeedForward
from mmspec_ds.nn.feedforward import DenseFeedForward
from mmspec_ds.nn.initialization import init_embedding
from mmspec_ds.nn.model_settings import ModelSettings


class LayerCache(NamedTuple):
    """Keys and values that a layer keeps: of the encoder [B, H, S, C] and of the written tokens
    [B, H, N, C]."""

    memory: KeysValues
    written: KeysValues


class DecodingCache:
    """Keys and values of the growing hypotheses of B samples.

    The encoder's keys and values exist once per sample. Those of a written token stay in their slot. All
    hypotheses of a sample attend to all its slots in one product, and `sees_BKN` masks what is not their own
    past, so that reordering beams moves booleans only. Gathering each hypothesis' past instead took 3.4 ms a
    layer for 80 hypotheses of 20 tokens (d 512, one thread), against 1.4.

    When samples leave, only the few that move into their rows are copied.
    """

    def __init__(self, layers: list[LayerCache], mask_B11S: Tensor) -> None:
        self.layers = layers
        self.mask_B11S = mask_B11S
        self.length = 0
        self.slots = 0
        self.sees_BKN = torch.empty(len(mask_B11S), 0, 0, dtype=torch.bool, device=mask_B11S.device)

    def open_slots(self, hypotheses: int) -> slice:
        """Add a slot for each hypothesis of every sample, and return the new slots. After the first call the
        number of hypotheses must be that of `sees_BKN`."""
        new = slice(self.slots, self.slots + hypotheses)
        own_KK = torch.eye(hypotheses, dtype=torch.bool, device=self.sees_BKN.device)
        own_BKK = own_KK.expand(len(self.sees_BKN), -1, -1)
        self.sees_BKN = torch.cat([self.sees_BKN, own_BKK], dim=2) if self.length else own_BKK
        self.slots += hypotheses
        self.length += 1
        return new

    def reorder(self, parents_BK: Tensor) -> None:
        """Make hypothesis k of sample b a copy of its hypothesis `parents_BK[b, k]`; K may change."""
        self.sees_BKN = self.sees_BKN.take_along_dim(parents_BK.unsqueeze(2), dim=1)

    def keep(self, samples: Tensor) -> None:
        """Make sample `samples[b]` sample b and drop those that are not named. Cheap where most keep their
        number."""
        moved = (samples != torch.arange(len(samples), device=samples.device)).nonzero()[:, 0]

        def kept(values_BHXC: Tensor, used: int) -> Tensor:
            values_BHXC[moved, :, :used] = values_BHXC[samples[moved], :, :used]
            return values_BHXC[: len(samples)]

        places = self.mask_B11S.shape[3]
        self.layers = [
            LayerCache(
                KeysValues(*(kept(values, places) for values in layer.memory)),
                KeysValues(*(kept(values, self.slots) for values in layer.written)),
            )
            for layer in self.layers
        ]
        self.sees_BKN = self.sees_BKN[samples]
        self.mask_B11S = self.mask_B11S[samples]


class DecoderLayer(nn.Module):
    """Pre-norm self-attention, cross-attention and feed-forward, each added to the residual stream.

    Args:
        settings: sizes.
        feedforward: see `feedforward.FeedForward`; without, a dense network of `ffn_width`. Tokens have the
            modality 0, or PADDING, and the router's temperature is 1: the schedule is for the encoder.
    """

    def __init__(self, settings: ModelSettings, feedforward: nn.Module | None = None) -> None:
        super().__init__()
        width = settings.d_model
        self.self_norm = nn.LayerNorm(width)
        self.self_attention = SelfAttention(width, settings.heads)
        self.cross_norm = nn.LayerNorm(width)
        self.cross_attention = CrossAttention(width, settings.heads)
        self.feedforward_norm = nn.LayerNorm(width)
        self.feedforward = feedforward or DenseFeedForward(width, settings.ffn_width)
        self.dropout = Dropout(settings.dropout)

    def forward(
        self, hidden_BLD: Tensor, memory_BSD: Tensor, mask_B11S: Tensor, modality_BL: Tensor
    ) -> tuple[Tensor, object | None]:
        """[B, L, D] to [B, L, D], all positions at once, with the report of the feed-forward network."""
        attended_BLD = self.self_attention(self.self_norm(hidden_BLD), causal=True)
        hidden_BLD = hidden_BLD + self.dropout(attended_BLD)
        return self._read(hidden_BLD, self.cross_attention.remember(memory_BSD), mask_B11S, modality_BL)

    def step(self, hidden_BKD: Tensor, cache: DecodingCache, layer: LayerCache, new: slice) -> Tensor:
        """[B, K, D] to [B, K, D]: the next position of each hypothesis, whose past is in the cache."""
        attention, written = self.self_attention, layer.written
        queries_BKD, keys_BKD, values_BKD = attention.project(self.self_norm(hidden_BKD))
        written.keys_BHSC[:, :, new] = split_heads(keys_BKD, attention.heads)
        written.values_BHSC[:, :, new] = split_heads(values_BKD, attention.heads)
        past = KeysValues(written.keys_BHSC[:, :, : new.stop], written.values_BHSC[:, :, : new.stop])
        attended_BKD = attention.output(attend(queries_BKD, past, cache.sees_BKN.unsqueeze(1)))
        every_BK = torch.zeros(hidden_BKD.shape[:2], dtype=torch.int64, device=hidden_BKD.device)
        return self._read(hidden_BKD + attended_BKD, layer.memory, cache.mask_B11S, every_BK)[0]

    def _read(
        self, hidden_BQD: Tensor, memory: KeysValues, mask_B11S: Tensor, modality_BQ: Tensor
    ) -> tuple[Tensor, object | None]:
        """Cross-attention and feed-forward, [B, Q, D] to [B, Q, D], with the latter's report."""
        read_BQD = self.cross_attention(self.cross_norm(hidden_BQD), memory, mask_B11S)
        hidden_BQD = hidden_BQD + self.dropout(read_BQD)
        fed_BQD, report = self.feedforward(self.feedforward_norm(hidden_BQD), modality_BQ, 1.0)
        return hidden_BQD + self.dropout(fed_BQD), report


class Decoder(nn.Module):
    """Logits of each next token from the target so far and the encoder's states.

    Position embeddings are learned. The output layer shares the token embeddings' table.

    Args:
        settings: sizes.
        vocabulary_size: V.
        make_feedforward: makes the feed-forward network of a layer; dense without it.
    """

    def __init__(
        self, settings: ModelSettings, vocabulary_size: int, make_feedforward: MakeFeedForward | None = None
    ) -> None:
        super().__init__()
        self.max_tokens = settings.max_target_tokens
        self.tokens = init_embedding(nn.Embedding(vocabulary_size, settings.d_model))
        self.places = init_embedding(nn.Embedding(settings.max_target_tokens, settings.d_model))
        self.dropout = Dropout(settings.dropout)
        self.layers = nn.ModuleList(
            DecoderLayer(settings, make_feedforward(layer) if make_feedforward else None)
            for layer in range(settings.decoder_layers)
        )
        self.norm = nn.LayerNorm(settings.d_model)

    def forward(self, target_BL: Tensor, memory_BSD: Tensor, mask_BS: Tensor) -> Tensor:
        """Logits [B, L, V]; those at position l predict the token after `target_BL[:, l]` and see none after
        it.

        Args:
            target_BL: BOS and the tokens so far; logits at EOS and padding after them have no meaning.
            memory_BSD: the encoder's states.
            mask_BS: True where there is a token.

        Raises:
            ValueError: the target is longer than `max_target_tokens`.
        """
        return self.with_reports(target_BL, memory_BSD, mask_BS)[0]

    def with_reports(
        self, target_BL: Tensor, memory_BSD: Tensor, mask_BS: Tensor
    ) -> tuple[Tensor, tuple[object | None, ...]]:
        """What `forward` gives, and the report of each layer's feed-forward network, or None.

        Raises:
            ValueError: as `forward`.
        """
        self._check_length(target_BL.shape[1])
        mask_B11S = attendable(mask_BS)
        # Nothing follows EOS. The longest target of a batch comes without it: if it were routed, loads would
        # depend on how a batch is shared.
        nothing_follows_BL = (target_BL == Vocabulary.PAD) | (target_BL == Vocabulary.EOS)
        modality_BL = torch.where(nothing_follows_BL, PADDING, 0)
        hidden_BLD = self.tokens(target_BL) + self.places.weight[: target_BL.shape[1]]
        hidden_BLD = self.dropout(hidden_BLD)
        reports = []
        for layer in self.layers:
            hidden_BLD, report = layer(hidden_BLD, memory_BSD, mask_B11S, modality_BL)
            reports.append(report)
        return self._logits(hidden_BLD), tuple(reports)

    @torch.no_grad()
    def start(self, memory_BSD: Tensor, mask_BS: Tensor, *, beams: int, capacity: int) -> DecodingCache:
        """A cache for at most `beams` hypotheses per sample of at most `capacity` tokens each, BOS included.

        Raises:
            ValueError: `capacity` is more than `max_target_tokens`.
        """
        self._check_length(capacity)

        def layer_cache(attention: CrossAttention) -> LayerCache:
            # Heads of their own storage: as views of the fused product their rows are 4 kB apart at d 512.
            memory = KeysValues(*(values.contiguous() for values in attention.remember(memory_BSD)))
            samples, heads, _, head_width = memory.keys_BHSC.shape
            size = (samples, heads, beams * capacity, head_width)
            return LayerCache(memory, KeysValues(memory_BSD.new_empty(size), memory_BSD.new_empty(size)))

        layers = [layer_cache(layer.cross_attention) for layer in self._layers()]
        return DecodingCache(layers, attendable(mask_BS))

    @torch.no_grad()
    def step(self, tokens_BK: Tensor, cache: DecodingCache) -> Tensor:
        """Append a token to each hypothesis of the cache; logits of the next one, [B, K, V]."""
        new = cache.open_slots(tokens_BK.shape[1])
        hidden_BKD = self.tokens(tokens_BK) + self.places.weight[cache.length - 1]
        for layer, kept in zip(self._layers(), cache.layers, strict=True):
            hidden_BKD = layer.step(hidden_BKD, cache, kept, new)
        return self._logits(hidden_BKD)

    def _layers(self) -> Iterable[DecoderLayer]:
        return cast("Iterable[DecoderLayer]", self.layers)

    def _logits(self, hidden: Tensor) -> Tensor:
        return F.linear(self.norm(hidden), self.tokens.weight)

    def _check_length(self, length: int) -> None:
        if length > self.max_tokens:
            raise ValueError(
                f"a target of {length} tokens is longer than the model's max_target_tokens, {self.max_tokens}"
            )
