"""Floating-point operations of modules, counted as `flops` counts: two for a multiplication and an addition in
every matrix product, none for anything else.

`flops` counts a model that learns as a whole, from its settings. Here modules are asked which of their
parameters learn: a frozen weight has no gradient, and nothing before the first parameter that learns has one.

Axes: B samples, S places, D model width, E experts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from mmspec_ds.moe.experts import physical_order
from mmspec_ds.moe.layer import SparseFeedForward
from mmspec_ds.moe.statistics import RoutingReport
from mmspec_ds.nn.attention import SelfAttention
from mmspec_ds.nn.bottleneck import Bottleneck, Bottlenecks
from mmspec_ds.nn.encoder import Encoder, EncoderLayer
from mmspec_ds.nn.feedforward import DenseFeedForward
from mmspec_ds.nn.flops import computed_rows, routing_flops
from mmspec_ds.nn.pooling import AttentionPooling, MeanPooling


@dataclass(frozen=True)
class Cost:
    """FLOPs of a forward and of a backward pass; scalars on a device where they depend on values there."""

    forward: float | Tensor = 0.0
    backward: float | Tensor = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.forward + other.forward, self.backward + other.backward)

    def __mul__(self, times: float | Tensor) -> "Cost":
        return Cost(self.forward * times, self.backward * times)

    @property
    def total(self) -> float | Tensor:
        """FLOPs of both passes together; a scalar tensor where one of them is."""
        return self.forward + self.backward


def learns(module: nn.Module) -> bool:
    """Whether any parameter of a module has a gradient."""
    return any(one.requires_grad for one in module.parameters())


def product(multiplications: float, gradients: int) -> Cost:
    """FLOPs of a matrix product, of so many multiplications, of which so many factors, 0 to 2, have a
    gradient."""
    return Cost(2.0 * multiplications, 2.0 * multiplications * gradients)


@dataclass
class Pass:
    """FLOPs of a pass through modules one after the other.

    Attributes:
        wanted: whether what the modules so far have made has a gradient.
        cost: of the modules so far.
    """

    wanted: bool = True
    cost: Cost = Cost()

    def through(self, module: nn.Module) -> None:
        """Count a module without matrix products, such as a normalisation: nothing."""
        self.wanted = self.wanted or learns(module)

    def linear(self, layer: nn.Module, rows: float) -> None:
        """Count a linear layer on so many rows, with the low-rank changes that `peft` adds to it."""
        change_of: Any = layer
        base: Any = getattr(layer, "base_layer", layer)
        self.cost += product(rows * base.weight.numel(), self.wanted + base.weight.requires_grad)
        names = () if getattr(layer, "disable_adapters", True) else change_of.active_adapters
        for name in names:
            change = Pass(self.wanted)
            change.linear(change_of.lora_A[name], rows)
            change.linear(change_of.lora_B[name], rows)
            self.cost += change.cost
        self.wanted = self.wanted or learns(layer)


def encoder_cost(encoder: Encoder, samples: float, places: float, *, of_input: bool) -> Cost:
    """FLOPs of an encoder on `samples` sequences of so many places, without those of its experts, see
    `experts_cost`. Layers that are computed again in the backward pass count there.

    Args:
        encoder: dense or sparse, with or without adapters.
        samples: B.
        places: S, padding included.
        of_input: whether the embedded tokens have a gradient.
    """
    cost = Cost()
    for layer in encoder.layers:
        assert isinstance(layer, EncoderLayer)
        one = _layer_pass(layer, samples, places, of_input)
        again = one.cost.forward if encoder.activation_checkpointing else 0.0
        cost += replace(one.cost, backward=one.cost.backward + again)
        of_input = one.wanted
    return cost


def experts_cost(encoder: Encoder, reports: Sequence[RoutingReport]) -> Cost:
    """FLOPs of the experts of an encoder, for the tokens of the reports of its layers: scalars on their
    device. The gradient of the weights with which their outputs are summed is among them."""
    cost = Cost()
    for layer, report in zip(encoder.layers, reports):
        sparse = layer.feedforward
        assert isinstance(sparse, SparseFeedForward)
        rows_E = computed_rows(report, sparse.settings).double()
        width = sparse.deepspeed_moe.gate.wg.in_features
        widths_E = torch.tensor([one.width for one in physical_order(sparse.settings.experts)]).to(rows_E)
        times = 1 + learns(sparse.deepspeed_moe.experts) + encoder.activation_checkpointing
        products = 4.0 * width * (rows_E @ widths_E)
        cost += Cost(products, products * times + 2.0 * width * rows_E.sum())
    return cost


def pooling_cost(
    pooling: AttentionPooling | MeanPooling, samples: float, places: float, width: int, *, of_input: bool
) -> Cost:
    """FLOPs of a pooling of states of that width, D."""
    count = Pass(of_input)
    if isinstance(pooling, AttentionPooling):
        count.linear(pooling.score, samples * places)
    gradients = of_input + (count.wanted if isinstance(pooling, AttentionPooling) else False)
    return count.cost + product(samples * places * width, gradients)


def _layer_pass(layer: EncoderLayer, samples: float, places: float, of_input: bool) -> Pass:
    rows, count = samples * places, Pass(of_input)
    count.through(layer.attention_norm)
    _count_attention(count, layer.attention, samples, places)
    _count_adapter(count, layer.after_attention, rows)
    count.through(layer.feedforward_norm)
    if isinstance(layer.feedforward, SparseFeedForward):
        _count_sparse(count, layer.feedforward, rows)
    else:
        assert isinstance(layer.feedforward, DenseFeedForward)
        count.linear(layer.feedforward.widen, rows)
        count.linear(layer.feedforward.narrow, rows)
    _count_adapter(count, layer.after_feedforward, rows)
    return count


def _count_attention(count: Pass, attention: SelfAttention, samples: float, places: float) -> None:
    rows, width = samples * places, getattr(attention.output, "base_layer", attention.output).in_features
    count.linear(attention.query_key_value, rows)
    # Scores, and the sums of values: both factors of both come from the projection.
    count.cost += product(2 * rows * places * width, 2 * count.wanted)
    count.linear(attention.output, rows)


def _count_adapter(count: Pass, adapter: nn.Module | None, rows: float) -> None:
    if not isinstance(adapter, Bottlenecks) or adapter.active is None:
        return
    bottleneck = adapter[adapter.active]
    assert isinstance(bottleneck, Bottleneck)
    count.linear(bottleneck.down, rows)
    count.linear(bottleneck.up, rows)


def _count_sparse(count: Pass, layer: SparseFeedForward, rows: float) -> None:
    gate = layer.deepspeed_moe.gate
    width, experts, modalities = gate.wg.in_features, gate.wg.out_features, len(gate.serves_ME)
    router, sums = routing_flops(width, experts, rows, modalities, prior=False)
    count.cost += Cost(router + sums, router * (count.wanted + learns(gate)) + sums / 2)
    if gate.tag is not None or gate.bias is not None:
        count.cost += product(modalities * width * experts, 2 * learns(gate))
    if layer.always_on is not None:
        for weight in (layer.always_on.w1, layer.always_on.w2):
            count.cost += product(rows * weight.numel(), count.wanted + weight.requires_grad)
    count.through(layer)
