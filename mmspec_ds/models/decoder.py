"""The decoder: causal self-attention, attention to the encoder's states, a feed-forward network.

Axes: B samples, L target places, S places of the encoder, D model width, V vocabulary, K beams of a sample,
G rows of the cache (B * K when it was made), H heads, C width of a head.
"""

from collections.abc import Iterable
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmspec_ds.models.attention import (
    CrossAttention,
    KeysValues,
    SelfAttention,
    attend,
    attendable,
    split_heads,
)
from mmspec_ds.models.dropout import Dropout
from mmspec_ds.models.feedforward import DenseFeedForward
from mmspec_ds.models.initialization import init_embedding
from mmspec_ds.models.settings import ModelSettings


class LayerCache(NamedTuple):
    """What one layer keeps: the encoder's keys and values per sample, and its own per written token, [slots,
    D]."""

    memory: KeysValues
    keys_ND: Tensor
    values_ND: Tensor


class DecodingCache:
    """Keys and values of K hypotheses for each of B samples while they grow.

    The encoder's keys and values exist once per sample. A hypothesis' own are written once, into a slot, and
    never moved: a hypothesis is the list of its slots (`slots_BKL`), so that reordering beams and dropping
    samples rewrites small integers, and attention gathers the rows that it needs.
    """

    def __init__(self, layers: list[LayerCache], mask_B11S: Tensor, beams: int) -> None:
        self.layers = layers
        self.mask_B11S = mask_B11S
        self.slots_BKL = torch.empty(len(mask_B11S), beams, 0, dtype=torch.int64, device=mask_B11S.device)
        self._rows = len(mask_B11S) * beams

    @property
    def length(self) -> int:
        """Number of tokens that each hypothesis has read."""
        return self.slots_BKL.shape[2]

    def open_slots(self) -> Tensor:
        """Add a slot to every hypothesis; returns the new slots [B * K]."""
        samples, beams, length = self.slots_BKL.shape
        new = torch.arange(samples * beams, device=self.slots_BKL.device) + length * self._rows
        self.slots_BKL = torch.cat([self.slots_BKL, new.view(samples, beams, 1)], dim=2)
        return new

    def reorder(self, parents_BK: Tensor) -> None:
        """Hypothesis k of a sample becomes a copy of hypothesis `parents_BK[b, k]` of that sample."""
        self.slots_BKL = self.slots_BKL.take_along_dim(parents_BK.unsqueeze(2), dim=1)

    def keep(self, samples: Tensor) -> None:
        """Forget all samples but those with these numbers."""
        self.slots_BKL = self.slots_BKL[samples]
        self.mask_B11S = self.mask_B11S[samples]
        self.layers = [
            layer._replace(
                memory=KeysValues(layer.memory.keys_BHSC[samples], layer.memory.values_BHSC[samples])
            )
            for layer in self.layers
        ]


class DecoderLayer(nn.Module):
    """Pre-norm: self-attention, attention to the encoder, feed-forward, each added to the residual stream."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        width = settings.d_model
        self.self_norm = nn.LayerNorm(width)
        self.self_attention = SelfAttention(width, settings.heads)
        self.cross_norm = nn.LayerNorm(width)
        self.cross_attention = CrossAttention(width, settings.heads)
        self.feedforward_norm = nn.LayerNorm(width)
        self.feedforward = DenseFeedForward(width, settings.ffn_width)
        self.dropout = Dropout(settings.dropout)

    def forward(self, hidden_BLD: Tensor, memory_BSD: Tensor, mask_B11S: Tensor) -> Tensor:
        """All places at once."""
        attended_BLD = self.self_attention(self.self_norm(hidden_BLD), causal=True)
        hidden_BLD = hidden_BLD + self.dropout(attended_BLD)
        return self._read(hidden_BLD, self.cross_attention.remember(memory_BSD), mask_B11S)

    def step(self, hidden_BKD: Tensor, cache: DecodingCache, layer: LayerCache, new_slots: Tensor) -> Tensor:
        """One place of each of K hypotheses, after those in the cache."""
        attention = self.self_attention
        queries_BKD, keys_BKD, values_BKD = attention.project(self.self_norm(hidden_BKD))
        layer.keys_ND[new_slots] = keys_BKD.flatten(0, 1)
        layer.values_ND[new_slots] = values_BKD.flatten(0, 1)
        slots_GL = cache.slots_BKL.flatten(0, 1)
        past = KeysValues(
            split_heads(F.embedding(slots_GL, layer.keys_ND), attention.heads),
            split_heads(F.embedding(slots_GL, layer.values_ND), attention.heads),
        )
        attended_G1D = attention.output(attend(queries_BKD.flatten(0, 1).unsqueeze(1), past))
        return self._read(hidden_BKD + attended_G1D.view_as(hidden_BKD), layer.memory, cache.mask_B11S)

    def _read(self, hidden_BQD: Tensor, memory: KeysValues, mask_B11S: Tensor) -> Tensor:
        """The two sublayers that treat every place alike, be it a place of a target or a beam."""
        read_BQD = self.cross_attention(self.cross_norm(hidden_BQD), memory, mask_B11S)
        hidden_BQD = hidden_BQD + self.dropout(read_BQD)
        fed_BQD, _ = self.feedforward(self.feedforward_norm(hidden_BQD))
        return hidden_BQD + self.dropout(fed_BQD)


class Decoder(nn.Module):
    """Target tokens and the encoder's states to logits of each next token.

    Places are learned. The output shares the table of the token embeddings.
    """

    def __init__(self, settings: ModelSettings, vocabulary_size: int) -> None:
        super().__init__()
        self.max_tokens = settings.max_target_tokens
        self.tokens = init_embedding(nn.Embedding(vocabulary_size, settings.d_model))
        self.places = init_embedding(nn.Embedding(settings.max_target_tokens, settings.d_model))
        self.dropout = Dropout(settings.dropout)
        self.layers = nn.ModuleList(DecoderLayer(settings) for _ in range(settings.decoder_layers))
        self.norm = nn.LayerNorm(settings.d_model)

    def forward(self, target_BL: Tensor, memory_BSD: Tensor, mask_BS: Tensor) -> Tensor:
        """Logits [B, L, V]: those at place l predict the token after `target_BL[:, l]` and see none after it.

        Args:
            target_BL: BOS and the tokens so far; padding may follow, its logits mean nothing.
            memory_BSD: the encoder's states.
            mask_BS: True where there is a token.

        Raises:
            ValueError: the target is longer than `max_target_tokens`.
        """
        self._check_length(target_BL.shape[1])
        mask_B11S = attendable(mask_BS)
        hidden_BLD = self.tokens(target_BL) + self.places.weight[: target_BL.shape[1]]
        hidden_BLD = self.dropout(hidden_BLD)
        for layer in self.layers:
            hidden_BLD = layer(hidden_BLD, memory_BSD, mask_B11S)
        return self._logits(hidden_BLD)

    def start(self, memory_BSD: Tensor, mask_BS: Tensor, *, beams: int, capacity: int) -> DecodingCache:
        """A cache for `beams` hypotheses per sample of at most `capacity` tokens each, BOS included."""
        self._check_length(capacity)
        slots = len(memory_BSD) * beams * capacity
        layers = [
            LayerCache(
                layer.cross_attention.remember(memory_BSD),
                memory_BSD.new_empty(slots, memory_BSD.shape[2]),
                memory_BSD.new_empty(slots, memory_BSD.shape[2]),
            )
            for layer in self._layers()
        ]
        return DecodingCache(layers, attendable(mask_BS), beams)

    def step(self, tokens_BK: Tensor, cache: DecodingCache) -> Tensor:
        """Append a token to each hypothesis of the cache; logits of the next one, [B, K, V]."""
        new_slots = cache.open_slots()
        hidden_BKD = self.tokens(tokens_BK) + self.places.weight[cache.length - 1]
        for layer, kept in zip(self._layers(), cache.layers, strict=True):
            hidden_BKD = layer.step(hidden_BKD, cache, kept, new_slots)
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
