"""Shapes of the sparse layer for `kernels.py`: their tensors, and the least that each must compute and move.

Axes: T tokens, D model width, F expert width, E experts, K choices, M modalities.
"""

from dataclasses import dataclass

import torch
from mmspec_kernels import ExpertWeights, RoutingRule, route
from peers import Layer
from runner import Cost
from torch import Tensor

from mmspec_ds.moe.structure import StructuralSums


@dataclass(frozen=True)
class Shape:
    """A sparse layer's sizes; the tokens are those of `samples` molecules."""

    tokens: int
    samples: int
    d_model: int
    widths: tuple[int, ...]
    k: int = 2


SHAPES = {
    "paper": Shape(64 * 1280, 64, 512, (2048, 512) * 4),
    "paper-4096": Shape(4096, 16, 512, (2048, 512) * 4),
    "large": Shape(65536, 64, 2048, (8192, 2048) * 32),
    "decode-1": Shape(1, 1, 512, (2048, 512) * 4),
    "decode-64": Shape(64, 1, 512, (2048, 512) * 4),
    "tiny": Shape(96, 4, 64, (128, 32) * 2),
}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
MODALITIES = 4


def make_structure(shape: Shape, device: torch.device) -> StructuralSums:
    """The structural sums of the paper's families, in turn: shared, two modality families, interaction."""
    family = torch.arange(len(shape.widths)) * 4 // len(shape.widths)
    serves_EM = torch.stack([(family == 1 + m // 2) for m in range(MODALITIES)], 1)
    return StructuralSums(serves_EM, family == 0, margin=1.0).to(device)


def make_layer(shape: Shape, dtype: torch.dtype, device: torch.device) -> tuple[Layer, Tensor, Tensor, Tensor]:
    """A layer routed at random by a router, with the router's weight, prior and the modalities."""
    torch.manual_seed(0)

    def parameter(*size: int, scale: float = 1.0) -> Tensor:
        return (torch.randn(size, device=device) * scale).to(dtype).requires_grad_()

    experts = [
        ExpertWeights(
            parameter(shape.d_model, width, scale=shape.d_model**-0.5), parameter(width, scale=0.1),
            parameter(width, shape.d_model, scale=width**-0.5), parameter(shape.d_model, scale=0.1),
        )
        for width in shape.widths
    ]  # fmt: skip
    hidden = parameter(shape.tokens, shape.d_model)
    router = torch.randn(len(experts), shape.d_model, device=device).mul_(0.02).requires_grad_()
    prior = torch.randn(MODALITIES, shape.d_model, device=device).mul_(0.02).requires_grad_()
    modality = torch.randint(0, MODALITIES, (shape.tokens,), device=device)
    routing = route(hidden, modality, router, prior, RoutingRule(shape.k))
    weight = routing.weight_TK.detach().requires_grad_()
    return Layer(hidden, routing.index_TK, weight, experts), router, prior, modality


def expert_cost(layer: Layer, *, backward: bool) -> Cost:
    """Two products per row forward, four backward. Bytes: tokens, the weights of the experts that are used and
    outputs once each; for training the weights twice and every gradient, and the pre-activations written and
    read."""
    d_model, item = layer.hidden_TD.shape[1], layer.hidden_TD.element_size()
    widths = torch.tensor([len(e.w2) for e in layer.experts], device=layer.index_TK.device)
    index = layer.index_TK[layer.index_TK >= 0]
    hidden = float(widths[index].sum())
    sizes = [sum(t.numel() for t in e) for e in layer.experts]
    read = sum(sizes[number] for number in index.unique().tolist())
    flop = 4.0 * hidden * d_model
    if not backward:
        return Cost(flop, item * (2 * layer.hidden_TD.numel() + read))
    moved = 5 * layer.hidden_TD.numel() + 2 * read + sum(sizes) + 2 * hidden
    return Cost(3 * flop, item * moved)


def equal_cost(layer: Layer, shape: Shape, experts: int, rows: float) -> Cost:
    """Training of `experts` networks of the largest width on `rows` rows, counted as in `expert_cost`."""
    item, width = layer.hidden_TD.element_size(), max(shape.widths)
    weights = experts * (2 * shape.d_model * width + width + shape.d_model)
    moved = 5 * layer.hidden_TD.numel() + 3 * weights + 2 * rows * width
    return Cost(12.0 * rows * shape.d_model * width, item * moved)
