"""Multi-head attention: of a sequence to itself, causal or not, and of a decoder to the encoder's states.

Axes: B samples, S places of the sequence attended to, Q places that ask, H heads, C width of a head,
D model width = H * C.
"""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from mmspec_ds.nn.initialization import init_linear


class KeysValues(NamedTuple):
    """What is attended to: `keys_BHSC` and `values_BHSC`."""

    keys_BHSC: Tensor
    values_BHSC: Tensor


def split_heads(hidden_BSD: Tensor, heads: int) -> Tensor:
    """[B, S, D] as [B, H, S, C], without a copy."""
    return hidden_BSD.unflatten(-1, (heads, -1)).transpose(1, 2)


def attend(
    queries_BQD: Tensor, memory: KeysValues, mask_B11S: Tensor | None = None, *, causal: bool = False
) -> Tensor:
    """Scaled dot-product attention of Q places to S places, heads joined again: [B, Q, D].

    `mask_B11S` (or [B, 1, Q, S], where the places that ask differ) is True where there is something to attend
    to; a row without any would give NaN (see `attendable`). The mask stays boolean and is broadcast by the
    kernel, never materialised.
    """
    queries_BHQC = split_heads(queries_BQD, memory.keys_BHSC.shape[1])
    mixed_BHQC = F.scaled_dot_product_attention(
        queries_BHQC, memory.keys_BHSC, memory.values_BHSC, attn_mask=mask_B11S, is_causal=causal
    )
    return mixed_BHQC.transpose(1, 2).flatten(2)


def attendable(mask_BS: Tensor) -> Tensor:
    """The mask for `attend`, [B, 1, 1, S].

    A sample without a single token (every modality missing) attends to its padding instead of dividing zero
    by
    zero: padding has the same state at every place, so the result does not depend on how much there is of it.
    """
    empty_B1 = ~mask_BS.any(dim=1, keepdim=True)
    return (mask_BS | empty_B1)[:, None, None, :]


class SelfAttention(nn.Module):
    """A sequence attends to itself; queries, keys and values come from one fused projection."""

    def __init__(self, d_model: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query_key_value = init_linear(nn.Linear(d_model, 3 * d_model), parts=3)
        self.output = init_linear(nn.Linear(d_model, d_model))

    def forward(self, hidden_BSD: Tensor, mask_B11S: Tensor | None = None, *, causal: bool = False) -> Tensor:
        """[B, S, D] to [B, S, D]; with `causal`, place s sees the places up to s."""
        queries, keys, values = self.project(hidden_BSD)
        memory = KeysValues(split_heads(keys, self.heads), split_heads(values, self.heads))
        return self.output(attend(queries, memory, mask_B11S, causal=causal))

    def project(self, hidden_BSD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, [B, S, D] each."""
        queries_BSD, keys_BSD, values_BSD = self.query_key_value(hidden_BSD).chunk(3, dim=-1)
        return queries_BSD, keys_BSD, values_BSD


class CrossAttention(nn.Module):
    """A decoder attends to the encoder's states, whose keys and values can be computed once and kept."""

    def __init__(self, d_model: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = init_linear(nn.Linear(d_model, d_model))
        self.key_value = init_linear(nn.Linear(d_model, 2 * d_model), parts=2)
        self.output = init_linear(nn.Linear(d_model, d_model))

    def remember(self, memory_BSD: Tensor) -> KeysValues:
        """Keys and values of the encoder's states."""
        keys_BSD, values_BSD = self.key_value(memory_BSD).chunk(2, dim=-1)
        return KeysValues(split_heads(keys_BSD, self.heads), split_heads(values_BSD, self.heads))

    def forward(self, hidden_BQD: Tensor, memory: KeysValues, mask_B11S: Tensor | None = None) -> Tensor:
        """[B, Q, D] to [B, Q, D]. The Q places may be places of one target or the beams of one sample: they
        share the memory, which is never repeated for them."""
        return self.output(attend(self.query(hidden_BQD), memory, mask_B11S))
