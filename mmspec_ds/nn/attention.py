"""Multi-head self-attention, causal or not, and the decoder's cross-attention to the encoder's states.

Axes: B samples, S key positions, Q query positions, H heads, C width of a head, D model width = H * C.
"""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from mmspec_ds.nn.initialization import init_linear


class KeysValues(NamedTuple):
    """Keys and values of one attention, [B, H, S, C] each."""

    keys_BHSC: Tensor
    values_BHSC: Tensor


def split_heads(hidden_BSD: Tensor, heads: int) -> Tensor:
    """View [B, S, D] as [B, H, S, C], without a copy."""
    return hidden_BSD.unflatten(-1, (heads, -1)).transpose(1, 2)


def attend(
    queries_BQD: Tensor, memory: KeysValues, mask_B11S: Tensor | None = None, *, causal: bool = False
) -> Tensor:
    """Scaled dot-product attention, heads joined again: [B, Q, D].

    `mask_B11S` (or [B, 1, Q, S]) is True where a key may be attended to. A query without any would give NaN
    (see `attendable`). The mask stays boolean; the kernel broadcasts it. A memory of one sample serves all
    queries without a copy.
    """
    queries_BHQC = split_heads(queries_BQD, memory.keys_BHSC.shape[1])
    # Left to the kernel, which broadcasts as well, one sample for 256 took five times as long.
    keys_BHSC, values_BHSC = (one.expand(len(queries_BQD), -1, -1, -1) for one in memory)
    mixed_BHQC = F.scaled_dot_product_attention(
        queries_BHQC, keys_BHSC, values_BHSC, attn_mask=mask_B11S, is_causal=causal
    )
    return mixed_BHQC.transpose(1, 2).flatten(2)


def attendable(mask_BS: Tensor) -> Tensor:
    """The mask for `attend`, [B, 1, 1, S], from the mask of tokens [B, S].

    A sample without any token (every modality missing) attends to its padding, which has the same state at
    every position; otherwise its attention would be NaN.
    """
    empty_B1 = ~mask_BS.any(dim=1, keepdim=True)
    return (mask_BS | empty_B1)[:, None, None, :]


class SelfAttention(nn.Module):
    """Self-attention with one fused projection to queries, keys and values."""

    def __init__(self, d_model: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query_key_value = init_linear(nn.Linear(d_model, 3 * d_model), parts=3)
        self.output = init_linear(nn.Linear(d_model, d_model))

    def forward(self, hidden_BSD: Tensor, mask_B11S: Tensor | None = None, *, causal: bool = False) -> Tensor:
        """[B, S, D] to [B, S, D]; with `causal`, position s sees positions up to s."""
        queries, keys, values = self.project(hidden_BSD)
        memory = KeysValues(split_heads(keys, self.heads), split_heads(values, self.heads))
        return self.output(attend(queries, memory, mask_B11S, causal=causal))

    def project(self, hidden_BSD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, [B, S, D] each."""
        queries_BSD, keys_BSD, values_BSD = self.query_key_value(hidden_BSD).chunk(3, dim=-1)
        return queries_BSD, keys_BSD, values_BSD


class CrossAttention(nn.Module):
    """Attention to the encoder's states, whose keys and values are computed once and kept."""

    def __init__(self, d_model: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = init_linear(nn.Linear(d_model, d_model))
        self.key_value = init_linear(nn.Linear(d_model, 2 * d_model), parts=2)
        self.output = init_linear(nn.Linear(d_model, d_model))

    def remember(self, memory_BSD: Tensor) -> KeysValues:
        """Keys and values of the encoder's states [B, S, D]."""
        keys_BSD, values_BSD = self.key_value(memory_BSD).chunk(2, dim=-1)
        return KeysValues(split_heads(keys_BSD, self.heads), split_heads(values_BSD, self.heads))

    def forward(self, hidden_BQD: Tensor, memory: KeysValues, mask_B11S: Tensor | None = None) -> Tensor:
        """[B, Q, D] to [B, Q, D]. Queries are the positions of a target or the beams of a sample; they share
        the memory without copies of it."""
        return self.output(attend(self.query(hidden_BQD), memory, mask_B11S))
