"""A sparse model out of a trained dense one (sparse upcycling, Komatsuzaki et al. 2023), for experts of unequal
width, and a bound on how far its first outputs are from the dense ones.

An expert as wide as the dense network copies it. A narrower one takes the hidden units j with the largest
||w1_j|| ||w2_j||. A wider one takes all, and its further units start with drawn w1_j and w2_j = 0: they add
nothing yet, but have a gradient, which units of zeros would never have.

The router is drawn so that its logits are small (LOGIT_STD). Its weights are probabilities, so the k weights of
a token sum to nearly k / E, or to 1 where they are renormalised; each expert's second product is multiplied by
the inverse of that. For a token h whose weights, so scaled, are g_e and sum to g the layer then gives

    sparse(h) - dense(h) = (g - 1) dense(h) - sum_e g_e sum_{j dropped by e} gelu(a_j) w2_j,

exactly, and with W2_e the rows of dropped units and a_e their pre-activations

    ||sparse(h) - dense(h)|| <= |g - 1| ||dense(h)||
                                + sum_e g_e min(sum_j |gelu(a_j)| ||w2_j||, ||gelu(a_e)|| ||W2_e||_2),

which is `deviation_bound`: for one layer at its own input. The first layer's input is that of the dense model,
so the residual stream after it is within the bound; later layers see what earlier ones changed. On a trained
model (d_model 128, width 256, experts of 256 and 64) the bound was twice what was found.

g is 1 when weights are renormalised, or k is E. Otherwise a fresh router's of softmax gates, where tokens
choose, is between 1 and `largest_scale`. Where experts choose it is about 1 on average, and 0 for a token that
none of them chose. A pair that capacity drops, or that dynamic activation leaves out without renormalising, is
missing from g: a token that loses all its experts is off by ||dense(h)||.

Axes: B samples, S places, T = B * S tokens, D model width, F dense width, E experts, K choices.
"""

import math
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmspec_ds.data.batch import PADDING
from mmspec_ds.moe.capacity import keep_within_capacity
from mmspec_ds.moe.expert_settings import MoESettings, ObjectiveSettings
from mmspec_ds.moe.experts import ExpertWeights
from mmspec_ds.moe.layer import SparseFeedForward
from mmspec_ds.moe.schedule import curriculum_at
from mmspec_ds.moe.temperature import ROUTER_TEMPERATURE
from mmspec_ds.nn.feedforward import DenseFeedForward
from mmspec_ds.systems.elucidation.factory import build_elucidator
from mmspec_ds.systems.elucidation.model import Elucidator

LOGIT_STD = 0.02
"""Standard deviation of the new router's logits for an input of unit variance. The choice of experts does not
depend on it, only how even their weights are: of 8 experts, k = 2, at tau = 2 their sum was 1 % above k / E."""


@dataclass(frozen=True)
class TakenUnits:
    """Number of `units` of the `layer`'s dense network experts of a `width` hold, and their `share` of the sum
    of all ||w1_j|| ||w2_j||."""

    layer: int
    width: int
    units: int
    share: float


def upcycle(dense: Elucidator, moe: MoESettings, objective: ObjectiveSettings, seed: int) -> Elucidator:
    """A model with sparse layers that begins where the dense one stands.

    Args:
        dense: a trained model without experts.
        moe: the sparse layers.
        objective: the model has the router's temperature at which a training with this objective begins.
        seed: of the routers, and of the units that the dense network has not.

    Returns:
        A new model in evaluation mode of the same precision that holds all experts, on the CPU.

    Raises:
        ValueError: the model has experts already.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        words = dense.decoder.tokens.num_embeddings
        sparse = build_elucidator(dense.settings, moe, dense.embedding.schemas, words)
        sparse.to(dense.decoder.tokens.weight.dtype)
        old = dense_networks(dense)
        new = [cast(SparseFeedForward, layer.feedforward) for layer in sparse.encoder.layers]
        if moe.decoder:
            old += [cast(DenseFeedForward, layer.feedforward) for layer in dense.decoder.layers]
            new += [cast(SparseFeedForward, layer.feedforward) for layer in sparse.decoder.layers]
        for ffn, layer in zip(old, new, strict=True):
            fill_layer(ffn, layer)
    sparse_parts = ("encoder.layers.", "decoder.layers.") if moe.decoder else ("encoder.layers.",)
    everything_else = {
        key: value
        for key, value in dense.state_dict().items()
        if not (key.startswith(sparse_parts) and ".feedforward." in key)
    }
    missing = sparse.load_state_dict(everything_else, strict=False).missing_keys
    new_parts = (".deepspeed_moe.", ".always_on.")
    assert all(any(p in key for p in new_parts) or key == ROUTER_TEMPERATURE for key in missing), missing
    sparse.keep_temperature(curriculum_at(0.0, objective).temperature)
    return sparse.eval()


def dense_networks(model: Elucidator) -> list[DenseFeedForward]:
    """The feed-forward network of each encoder layer of a dense model.

    Raises:
        ValueError: the model has experts.
    """
    networks = [layer.feedforward for layer in model.encoder.layers]
    if not all(isinstance(network, DenseFeedForward) for network in networks):
        raise ValueError("the model has experts already: expected a dense one")
    return cast(list[DenseFeedForward], networks)


@torch.no_grad()
def fill_layer(ffn: DenseFeedForward, layer: SparseFeedForward) -> None:
    """Give a fresh sparse layer a new router of small logits, and experts cut from the dense network."""
    gate, settings = layer.deepspeed_moe.gate, layer.settings
    nn.init.normal_(gate.wg.weight, std=LOGIT_STD / math.sqrt(gate.wg.in_features))
    if layer.always_on is not None:  # it adds nothing yet, but has a gradient
        nn.init.zeros_(layer.always_on.w2)
    for expert in layer.deepspeed_moe.experts.weights():
        _fill_expert(ffn, expert, expert_scale(settings))


def _fill_expert(ffn: DenseFeedForward, expert: ExpertWeights, scale: float) -> None:
    units = strongest_units(ffn, expert.w1.shape[1])
    taken = len(units)
    expert.w1[:, :taken] = ffn.widen.weight[units].T
    expert.b1[:taken] = ffn.widen.bias[units]
    expert.w2[:taken] = scale * ffn.narrow.weight[:, units].T
    expert.w2[taken:] = 0.0
    expert.b2.copy_(scale * ffn.narrow.bias)


def expert_scale(settings: MoESettings) -> float:
    """The factor of an expert's output with which a token's even weights add up to one network. Small logits
    give probabilities of 1 / E, and affinities of sigmoid gates of 1 / 2. Where experts choose their tokens, a
    token has k of them on average."""
    if settings.renormalise:
        return 1.0
    return 2 / settings.k if settings.gate == "sigmoid" else len(settings.experts) / settings.k


def unit_norms(ffn: DenseFeedForward) -> Tensor:
    """||w1_j|| ||w2_j|| of every hidden unit, [F]."""
    return ffn.widen.weight.detach().norm(dim=1) * ffn.narrow.weight.detach().norm(dim=0)


def strongest_units(ffn: DenseFeedForward, width: int) -> Tensor:
    """The numbers of the `width` units of largest norm, all if there are no more, in ascending order."""
    return unit_norms(ffn).argsort(descending=True, stable=True)[:width].sort().values


def taken_units(dense: Elucidator, moe: MoESettings) -> list[TakenUnits]:
    """The units that experts of each width take from each layer, the widest first."""
    widths = sorted({expert.width for expert in moe.experts}, reverse=True)
    found = []
    for number, ffn in enumerate(dense_networks(dense)):
        norms = unit_norms(ffn)
        for width in widths:
            units = strongest_units(ffn, width)
            found.append(TakenUnits(number, width, len(units), float(norms[units].sum() / norms.sum())))
    return found


def largest_scale(spread: float, experts: int, k: int) -> float:
    """The largest g of a token whose logits, divided by the temperature, are within `spread` of each other.

    g = E / k * (sum of the k largest probabilities) is largest when k logits are at the top of that range and
    all others at its bottom: E / (k + (E - k) exp(-spread)). It is at least 1.
    """
    return experts / (k + (experts - k) * math.exp(-spread))


@torch.no_grad()
def deviation_bound(
    ffn: DenseFeedForward,
    layer: SparseFeedForward,
    hidden_BSD: Tensor,
    modality_BS: Tensor,
    temperature: float,
) -> Tensor:
    """How far the output of a layer, as `fill_layer` made it, can be from the dense network's, per token.

    The layer's router is asked; its experts are not looked at. One process: capacity is that of this batch.

    Args:
        ffn: the dense network.
        layer: the sparse layer made from it.
        hidden_BSD: the layer's input.
        modality_BS: PADDING where there is no token; the bound is 0 there.
        temperature: the router's tau.

    Returns:
        [B, S], a bound of the norm over D.
    """
    settings, widths = layer.settings, layer.deepspeed_moe.experts.widths
    hidden_TD, modality_T = hidden_BSD.flatten(0, 1), modality_BS.flatten()
    routing = layer.deepspeed_moe.gate(hidden_TD, modality_T, temperature, len(modality_BS))
    index_TK = routing.index_TK
    if settings.mode == "capacity":
        index_TK = keep_within_capacity(index_TK, len(widths), settings.capacity_factor)
    used_TK = index_TK >= 0
    scaled_TK = expert_scale(settings) * routing.weight_TK.to(hidden_TD.dtype) * used_TK

    by_width = {width: _dropped_norm(ffn, width, hidden_TD) for width in set(widths)}
    dropped_TE = torch.stack([by_width[width] for width in widths], dim=1)
    from_units_T = (scaled_TK * dropped_TE.gather(1, index_TK.clamp_min(0))).sum(1)
    from_scale_T = (scaled_TK.sum(1) - 1).abs() * ffn(hidden_TD)[0].norm(dim=1)
    bound_T = (from_scale_T + from_units_T) * (modality_T != PADDING)
    return bound_T.view_as(modality_BS)


def _dropped_norm(ffn: DenseFeedForward, width: int, hidden_TD: Tensor) -> Tensor:
    """A bound of ||sum_j gelu(a_j) w2_j|| over the units that an expert of that width does not hold: [T]."""
    dropped = torch.ones(ffn.widen.out_features, dtype=torch.bool, device=hidden_TD.device)
    dropped[strongest_units(ffn, width)] = False
    if not dropped.any():
        return hidden_TD.new_zeros(len(hidden_TD))
    active_TF = F.gelu(F.linear(hidden_TD, ffn.widen.weight[dropped], ffn.widen.bias[dropped]))
    second_DF = ffn.narrow.weight[:, dropped]
    one_by_one_T = active_TF.abs() @ second_DF.norm(dim=0)
    together_T = active_TF.norm(dim=1) * torch.linalg.matrix_norm(second_DF, ord=2)
    return torch.minimum(one_by_one_T, together_T)
