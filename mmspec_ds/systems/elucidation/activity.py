"""How much of a model works on a token: active parameters and FLOPs, by the experts that were really chosen.

With experts of unequal width, "k of E experts" says little: a router that prefers wide experts uses more than k
times the mean width, one that prefers narrow ones less. Here each expert counts by the share of tokens that
chose it, layer by layer.

The yardstick is the dense model of equal total parameters: the same layers, with feed-forward networks so wide
that both models have as many parameters.

Axes: Y layers with experts, E experts in physical order, D model width, F width of a feed-forward network.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from mmspec_ds.nn.flops import Dimensions
from mmspec_ds.systems.elucidation.equal_models import network_parameters

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Activity:
    """What a token of the spectra uses in a forward pass, on average over the tokens that were counted.

    Attributes:
        parameters: of the whole model.
        active: all parameters outside the experts, and those of the experts that the token chose.
        nominal: the same if every expert were chosen equally often: k experts of mean width.
        feedforward_flops: of the feed-forward part of all encoder layers: routers and chosen experts.
        encoder_flops: of all encoder layers: attention and feed-forward part.
        equal_width: the width of the feed-forward networks of the dense model of equal total parameters.
        equal_feedforward_flops, equal_encoder_flops: those of that dense model.
    """

    parameters: float
    active: float
    nominal: float
    feedforward_flops: float
    encoder_flops: float
    equal_width: float
    equal_feedforward_flops: float
    equal_encoder_flops: float

    @property
    def feedforward_share(self) -> float:
        """FLOPs of the feed-forward part over those of the dense model of equal total parameters."""
        return self.feedforward_flops / self.equal_feedforward_flops

    @property
    def encoder_share(self) -> float:
        """FLOPs of the encoder over those of the dense model of equal total parameters."""
        return self.encoder_flops / self.equal_encoder_flops

    def scalars(self) -> dict[str, float]:
        """By tag, for TensorBoard and `metrics.jsonl`; shares are of the dense model of equal parameters."""
        return {
            "active/parameters": self.active,
            "active/nominal_parameters": self.nominal,
            "active/feedforward_megaflops": self.feedforward_flops / 1e6,
            "active/encoder_megaflops": self.encoder_flops / 1e6,
            "active/feedforward_share": self.feedforward_share,
            "active/encoder_share": self.encoder_share,
        }

    def to_json(self) -> dict[str, Any]:
        """The attributes and both shares, unrounded."""
        shares = {"feedforward_share": self.feedforward_share, "encoder_share": self.encoder_share}
        return asdict(self) | shares


def sparse_activity(
    sizes: Dimensions, parameters: float, routers: float, chosen_YE: Array, length: float
) -> Activity:
    """The activity of a sparse model.

    Args:
        sizes: of the model.
        parameters: of the whole model.
        routers: parameters of all routers, which a dense model has in its feed-forward networks instead.
        chosen_YE: how often a token chooses each expert of a layer on average, before capacity; the encoder's
            layers come first.
        length: mean tokens of a sample, for the scores of attention.
    """
    layers = len(chosen_YE)
    width_E = np.array(sizes.widths, dtype=np.float64)
    size_E = np.array([network_parameters(sizes.d_model, width) for width in sizes.widths])
    outside = parameters - layers * float(size_E.sum())
    always_on = network_parameters(sizes.d_model, sizes.always_on) if sizes.always_on else 0
    each = (parameters - (outside - routers - layers * always_on)) / layers
    equal_width = (each - sizes.d_model) / (2.0 * sizes.d_model + 1.0)

    encoder_YE = chosen_YE[: sizes.encoder_layers]
    feedforward = 4.0 * sizes.d_model * float((encoder_YE @ width_E + sizes.always_on).sum())
    feedforward += sizes.encoder_layers * 2.0 * sizes.d_model * len(width_E)
    equal = sizes.encoder_layers * 4.0 * sizes.d_model * equal_width
    attention = attention_flops(sizes, length)
    return Activity(
        parameters=parameters,
        active=outside + float((chosen_YE @ size_E).sum()),
        nominal=outside + layers * sizes.k * float(size_E.mean()),
        feedforward_flops=feedforward,
        encoder_flops=attention + feedforward,
        equal_width=equal_width,
        equal_feedforward_flops=equal,
        equal_encoder_flops=attention + equal,
    )


def dense_activity(sizes: Dimensions, parameters: float, length: float, encoders: int = 1) -> Activity:
    """The activity of a dense model, all of which works on every token; it is its own yardstick.

    With late fusion a token meets one of several `encoders`, and in it the tokens of one modality, of which a
    sample is taken to have `length` / `encoders`.
    """
    feedforward = sizes.encoder_layers * 4.0 * sizes.d_model * sizes.encoder_ffn_width
    encoder = attention_flops(sizes, length / encoders) + feedforward
    active = parameters - (encoders - 1) * encoder_parameters(sizes)
    width = float(sizes.encoder_ffn_width)
    return Activity(parameters, active, active, feedforward, encoder, width, feedforward, encoder)


def encoder_parameters(sizes: Dimensions) -> int:
    """Parameters of a dense encoder: in each layer attention (fused projection and output, with biases), two
    norms and the feed-forward network, and a last norm."""
    d = sizes.d_model
    layer = 4 * d * d + 4 * d + 4 * d + network_parameters(d, sizes.encoder_ffn_width)
    return sizes.encoder_layers * layer + 2 * d


def attention_flops(sizes: Dimensions, length: float) -> float:
    """FLOPs of a token in the attention of all encoder layers: four projections, and the scores and weighted
    sums over a sample of `length` tokens."""
    return sizes.encoder_layers * (8.0 * sizes.d_model**2 + 4.0 * length * sizes.d_model)


def count_routers(model: nn.Module) -> int:
    """Parameters of the routers of a model."""
    return sum(p.numel() for name, p in model.named_parameters() if ".deepspeed_moe.gate." in name)
