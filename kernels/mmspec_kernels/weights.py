"""The weights of experts of unequal width, and the activation between their two products."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

Activation = Literal["gelu", "swiglu"]


class ExpertWeights(NamedTuple):
    """The weights of an expert: w1 [D, F], b1 [F], w2 [F, D], b2 [D]. F may differ between experts.

    For "swiglu" w1 is [D, 2 F] and b1 [2 F]: F gates, then F values.
    """

    w1: Tensor
    b1: Tensor
    w2: Tensor
    b2: Tensor


def check_experts(experts: Sequence[ExpertWeights], d_model: int, activation: Activation) -> None:
    """Raise ValueError, naming the expert, unless all shapes fit each other."""
    if not experts:
        raise ValueError("no experts: expected at least one")
    if activation not in ("gelu", "swiglu"):
        raise ValueError(f"activation is {activation!r}: expected 'gelu' or 'swiglu'")
    for e, w in enumerate(experts):
        width = w.w2.shape[0]
        first = width * (2 if activation == "swiglu" else 1)
        found = [tuple(t.shape) for t in w]
        expected = [(d_model, first), (first,), (width, d_model), (d_model,)]
        if found != expected:
            raise ValueError(f"expert {e} has shapes {found}: expected {expected} for {activation}")


def activate(pre: Tensor, activation: Activation) -> Tensor:
    """gelu(pre) with the exact error function, or silu(gates) * values."""
    if activation == "gelu":
        return F.gelu(pre)
    gate, value = pre.chunk(2, -1)
    return F.silu(gate) * value


def in_autocast_dtype(hidden: Tensor, experts: Sequence[ExpertWeights]) -> tuple[Tensor, list[ExpertWeights]]:
    """The inputs, in autocast's dtype where autocast is on."""
    kind = hidden.device.type
    if not torch.amp.is_autocast_available(kind) or not torch.is_autocast_enabled(kind):
        return hidden, list(experts)
    dtype = torch.get_autocast_dtype(kind)
    return hidden.to(dtype), [ExpertWeights(*(t.to(dtype) for t in e)) for e in experts]
