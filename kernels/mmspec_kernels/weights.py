"""The weights of experts of unequal width, and the activation between their two products.

Axes: D model width, F width of one expert, E experts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class StackedWeights:
    """The weights of several experts in four tensors, one expert after the other.

    Attributes:
        w1: [sum F, D] ([2 sum F, D] for "swiglu"). An expert's rows hold its matrix [D, F] in the order of
            memory, so that its part of the flattened tensor is its flattened matrix.
        b1: [sum F], or [2 sum F].
        w2: [sum F, D]; an expert's rows are its matrix [F, D].
        b2: [E * D].
        widths: F of each expert.
    """

    w1: Tensor
    b1: Tensor
    w2: Tensor
    b2: Tensor
    widths: tuple[int, ...]

    def __len__(self) -> int:
        """The number of experts."""
        return len(self.widths)

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """w1, b1, w2 and b2 of all experts, stacked as the attributes say."""
        return self.w1, self.b1, self.w2, self.b2

    def with_tensors(self, tensors: Sequence[Tensor]) -> "StackedWeights":
        """Four other tensors of the same shapes, such as gradients, in this order."""
        w1, b1, w2, b2 = tensors
        return StackedWeights(w1, b1, w2, b2, self.widths)

    def apart(self) -> list[ExpertWeights]:
        """The weights of each expert, as differentiable views."""
        d_model = self.w2.shape[1]
        first = [width * (len(self.w1) // len(self.w2)) for width in self.widths]
        parts = zip(
            self.w1.split(first), self.b1.split(first), self.w2.split(list(self.widths)), self.b2.split(d_model)
        )
        return [ExpertWeights(w1.view(d_model, -1), b1, w2, b2) for w1, b1, w2, b2 in parts]


def stack(experts: Sequence[ExpertWeights]) -> StackedWeights:
    """A stacked copy of experts' weights."""
    d_model = experts[0].w2.shape[1]
    return StackedWeights(
        torch.cat([e.w1.reshape(-1, d_model) for e in experts]),
        torch.cat([e.b1 for e in experts]),
        torch.cat([e.w2 for e in experts]),
        torch.cat([e.b2 for e in experts]),
        tuple(len(e.w2) for e in experts),
    )


Experts = Sequence[ExpertWeights] | StackedWeights
"""Weights of experts: a list, or stacked."""


def apart(experts: Experts) -> Sequence[ExpertWeights]:
    """The weights of each expert."""
    return experts.apart() if isinstance(experts, StackedWeights) else experts


def check_experts(experts: Experts, d_model: int, activation: Activation) -> None:
    """Raise ValueError, naming the expert, unless all shapes fit each other."""
    if not len(experts):
        raise ValueError("no experts: expected at least one")
    if activation not in ("gelu", "swiglu"):
        raise ValueError(f"activation is {activation!r}: expected 'gelu' or 'swiglu'")
    if isinstance(experts, StackedWeights):
        _check_stacked(experts, d_model, activation)
        return
    for e, w in enumerate(experts):
        width = w.w2.shape[0]
        first = width * (2 if activation == "swiglu" else 1)
        found = [tuple(t.shape) for t in w]
        expected = [(d_model, first), (first,), (width, d_model), (d_model,)]
        if found != expected:
            raise ValueError(f"expert {e} has shapes {found}: expected {expected} for {activation}")


def _check_stacked(experts: StackedWeights, d_model: int, activation: Activation) -> None:
    width = sum(experts.widths)
    first = width * (2 if activation == "swiglu" else 1)
    found = [tuple(t.shape) for t in experts.tensors]
    expected = [(first, d_model), (first,), (width, d_model), (len(experts) * d_model,)]
    if found != expected:
        raise ValueError(f"stacked experts have shapes {found}: expected {expected} for {activation}")


def activate(pre: Tensor, activation: Activation) -> Tensor:
    """gelu(pre) with the exact error function, or silu(gates) * values."""
    if activation == "gelu":
        return F.gelu(pre)
    gate, value = pre.chunk(2, -1)
    return F.silu(gate) * value


def in_autocast_dtype(hidden: Tensor, experts: Experts) -> tuple[Tensor, Experts]:
    """The inputs, in autocast's dtype where autocast is on."""
    kind = hidden.device.type
    if not torch.amp.is_autocast_available(kind) or not torch.is_autocast_enabled(kind):
        return hidden, experts
    dtype = torch.get_autocast_dtype(kind)
    if isinstance(experts, StackedWeights):
        return hidden.to(dtype), experts.with_tensors([t.to(dtype) for t in experts.tensors])
    return hidden.to(dtype), [ExpertWeights(*(t.to(dtype) for t in e)) for e in experts]
