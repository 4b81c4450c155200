"""Floating-point operations of a pass, counted from its sizes: two for a multiplication and an addition in
every matrix product, none for anything else.

Counters that watch operations see nothing in Triton kernels and grouped products, nor, on a CPU, in the fused
attention. This one watches nothing: it is the same on every device and for every backend, and agrees with
`torch.utils.flop_counter` where that sees all products, on the reference path with attention as plain products
(`torch.nn.attention.SDPBackend.MATH`).

What is counted: the mathematics. Attention is its full rectangle, padding and the causal half included, as
plain products compute it; a fused kernel may do less. Scores that a fused kernel computes again in its backward
pass are not counted; layers that activation checkpointing computes again are, in the backward pass.

Axes: B samples, S places, P = B * S, L target tokens, D model width, F feed-forward width, E experts, V
vocabulary, Y encoder layers, N token-expert pairs (rows) of an expert.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self, get_args

import torch
from torch import Tensor

from mmspec_ds.data.batch import Batch
from mmspec_ds.moe.expert_settings import MoESettings
from mmspec_ds.moe.experts import physical_order
from mmspec_ds.moe.statistics import RoutingReport
from mmspec_ds.nn.late_fusion import places_of
from mmspec_ds.spectra.records import Modality, table_rows

FlopPart = Literal["embedding", "attention", "feed-forward", "routing", "decoder", "head"]
"""Embedding of the spectra; the encoder's attention with its projections; its feed-forward networks or experts;
its routers and the sums that they report; the decoder's layers; logits."""

FLOP_PARTS: tuple[FlopPart, ...] = get_args(FlopPart)


@dataclass(frozen=True)
class Dimensions:
    """Sizes of a model that decide its number of operations.

    Attributes:
        features: inputs of the matrix products of a token of each modality in the embedding, sinusoids
            included; see `SpectraEmbedding.product_sizes`.
        waves: elements of the sinusoids of all ordinal fields, which are projected once in every pass.
        widths: of the experts in physical order; none in a dense model.
        k: experts of a token.
        always_on: width of the network that every place takes beside its experts.
        modalities: rows of the router's tag.
        prior: whether the router sees the modality.
        checkpointing: whether encoder layers run forward twice.
        encoder_passes: of a training step: 2 where experts are supervised by a masked modality.
        decoder_experts: whether the decoder has experts too, of the same widths.
        late: whether each modality has an encoder of its own.
    """

    d_model: int
    encoder_ffn_width: int
    ffn_width: int
    encoder_layers: int
    decoder_layers: int
    vocabulary: int
    features: Mapping[Modality, int]
    waves: int
    widths: tuple[int, ...] = ()
    k: int = 0
    always_on: int = 0
    modalities: int = table_rows(())
    prior: bool = False
    checkpointing: bool = False
    encoder_passes: int = 1
    decoder_experts: bool = False
    late: bool = False

    def with_experts(self, moe: MoESettings | None) -> Self:
        """The same with the experts of a sparse layer; the same for a dense model (None)."""
        if moe is None:
            return self
        return replace(
            self,
            widths=tuple(one.width for one in physical_order(moe.experts)),
            k=moe.k,
            always_on=moe.always_on,
            prior=moe.tag_routing or moe.router_aware,
            decoder_experts=moe.decoder,
        )


@dataclass(frozen=True)
class BatchSize:
    """Sizes of a batch that decide the number of operations: B samples padded to S `places`, the tokens of each
    modality, and L `targets` that the decoder reads of each sample. Averages may be fractions.

    `longest` are the places of each modality's own padded sequence, where each has an encoder; without it every
    sample has the same number of a modality's tokens."""

    samples: float
    places: float
    tokens: Mapping[Modality, float]
    targets: float
    longest: Mapping[Modality, float] | None = None

    @classmethod
    def of(cls, batch: Batch, *, late: bool = False) -> Self:
        """The sizes of a batch, from the shapes of its tensors alone, without waiting for a device, but for
        `late` fusion, which needs the longest sequence of each modality."""
        modality_BS = batch.spectra.modality_BS
        samples, places = modality_BS.shape
        tokens = {m: float(len(part.place_T)) for m, part in batch.spectra.tokens.items()}
        longest = {m: float(places_of(modality_BS == m)[0].shape[1]) for m in tokens} if late else None
        return cls(samples, places, tokens, max(0, batch.target_BL.shape[1] - 1), longest)

    def sequences(self, *, late: bool) -> list[float]:
        """Padded lengths of the sequences that a sample has in the encoder or encoders."""
        if not late:
            return [self.places]
        even = {m: max(1.0, count / self.samples) for m, count in self.tokens.items()}
        return list((even if self.longest is None else self.longest).values())

    @property
    def routed(self) -> float:
        """Tokens of all modalities: padding is not routed."""
        return sum(self.tokens.values())


@dataclass(frozen=True)
class PassFlops:
    """Floating-point operations of a forward and a backward pass by part of the model."""

    forward: Mapping[FlopPart, float]
    backward: Mapping[FlopPart, float]

    @classmethod
    def nothing(cls) -> Self:
        """Counts that are 0 in every part, to add others to."""
        return cls(_nothing(), _nothing())

    def __add__(self, other: "PassFlops") -> "PassFlops":
        return PassFlops(
            {part: self.forward[part] + other.forward[part] for part in FLOP_PARTS},
            {part: self.backward[part] + other.backward[part] for part in FLOP_PARTS},
        )

    @property
    def total_forward(self) -> float:
        """Floating-point operations of a forward pass, all parts together."""
        return sum(self.forward.values())

    @property
    def total_backward(self) -> float:
        """Floating-point operations of a backward pass, all parts together."""
        return sum(self.backward.values())

    @property
    def total(self) -> float:
        """Floating-point operations of a forward and a backward pass, all parts together."""
        return self.total_forward + self.total_backward


def pass_flops(
    sizes: Dimensions,
    batch: BatchSize,
    rows_YE: Sequence[Sequence[float]] | None = None,
    decoder_rows_YE: Sequence[Sequence[float]] | None = None,
) -> PassFlops:
    """Operations of a forward and a backward pass.

    Args:
        sizes: the model.
        batch: what goes in.
        rows_YE: token-expert pairs that each layer's experts compute, in physical order, as `computed_rows`
            takes them from routing reports; without, every expert has its even share of k for each token. With
            several passes of the encoder, the layers of each.
        decoder_rows_YE: the same of the decoder's layers; without, of every target place.
    """
    if rows_YE is None:
        rows_YE = even_rows(sizes, batch) * sizes.encoder_passes
    if decoder_rows_YE is None:
        share = batch.samples * batch.targets * sizes.k / max(1, len(sizes.widths))
        layers = sizes.decoder_layers if sizes.decoder_experts else 0
        decoder_rows_YE = [[share] * len(sizes.widths) for _ in range(layers)]
    return _without_experts(sizes, batch) + expert_flops(sizes, rows_YE, decoder_rows_YE)


def even_rows(sizes: Dimensions, batch: BatchSize) -> list[list[float]]:
    """Token-expert pairs [Y, E] of a router that chooses every expert equally often."""
    experts = len(sizes.widths)
    share = batch.routed * sizes.k / experts if experts else 0.0
    return [[share] * experts for _ in range(sizes.encoder_layers)]


def computed_rows(report: RoutingReport, moe: MoESettings) -> Tensor:
    """Token-expert pairs that the experts of a layer computed, [E] on the report's device: what was chosen,
    less what capacity dropped. The report is that of the global batch, as capacity is."""
    chosen_E = report.load_ME.sum(0)
    if moe.mode == "dropless":
        return chosen_E
    most = torch.ceil(moe.capacity_factor * moe.k * report.tokens_M.sum() / len(chosen_E))
    return torch.minimum(chosen_E, most)


def expert_flops(
    sizes: Dimensions,
    rows_YE: Sequence[Sequence[float]],
    decoder_rows_YE: Sequence[Sequence[float]] = (),
) -> PassFlops:
    """FLOPs of the experts, and of the gradient of the weights with which their outputs are summed. Those of
    the decoder's experts count as the decoder's."""
    products, weights = _of_rows(sizes, rows_YE)
    again = products if sizes.checkpointing else 0.0
    forward, backward = _nothing(), _nothing()
    forward["feed-forward"], backward["feed-forward"] = products, 2 * products + again
    backward["routing"] = weights
    of_decoder, weights = _of_rows(sizes, decoder_rows_YE)
    forward["decoder"], backward["decoder"] = of_decoder, 2 * of_decoder + weights
    return PassFlops(forward, backward)


def flops_of_rows(sizes: Dimensions, *, decoder: bool = False) -> Tensor:
    """FLOPs of a token-expert pair of the encoder, or of the decoder, forward and backward, by expert: float64
    [E], empty for a dense model."""
    experts = range(len(sizes.widths))
    one_EE = [[float(row == expert) for row in experts] for expert in experts]
    passes = [expert_flops(sizes, *(([], [row]) if decoder else ([row], []))) for row in one_EE]
    return torch.tensor([one.total for one in passes], dtype=torch.float64)


def _of_rows(sizes: Dimensions, rows_YE: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Forward FLOPs of experts on so many rows, and FLOPs of the gradient of their weights."""
    rows = [[float(count) for count in layer] for layer in rows_YE] if sizes.widths else []
    products = sum(4.0 * sizes.d_model * n * width for layer in rows for n, width in zip(layer, sizes.widths))
    return products, sum(2.0 * sizes.d_model * n for layer in rows for n in layer)


def _without_experts(sizes: Dimensions, batch: BatchSize) -> PassFlops:
    d, layers = sizes.d_model, sizes.encoder_layers * sizes.encoder_passes
    places = batch.samples * batch.places
    forward, backward = _nothing(), _nothing()

    real = sum(2.0 * d * count * sizes.features.get(m, 0) for m, count in batch.tokens.items())
    once = real + 2.0 * d * sizes.waves
    forward["embedding"] = backward["embedding"] = sizes.encoder_passes * once  # inputs need no gradient

    encoded = 0.0  # places of the encoders, which are not those of the decoder's memory in late fusion
    for length in batch.sequences(late=sizes.late):
        of_it = batch.samples * length
        forward["attention"] += layers * (8.0 * of_it * d * d + 4.0 * of_it * length * d)
        encoded += of_it
    if sizes.widths:
        router, sums = routing_flops(d, len(sizes.widths), places, sizes.modalities, prior=sizes.prior)
        forward["routing"] = layers * (router + sums)
        backward["routing"] = layers * (2 * router + sums / 2)
    width = sizes.always_on if sizes.widths else sizes.encoder_ffn_width
    forward["feed-forward"] = layers * 4.0 * encoded * d * width

    targets = batch.samples * batch.targets
    width = sizes.always_on if sizes.decoder_experts else sizes.ffn_width
    of_target = 12.0 * d * d + 4.0 * (batch.targets + batch.places) * d + 4.0 * d * width
    forward["decoder"] = sizes.decoder_layers * (targets * of_target + 4.0 * places * d * d)
    forward["head"] = 2.0 * targets * sizes.vocabulary * d
    products: tuple[FlopPart, ...] = ("attention", "feed-forward", "decoder", "head")
    for part in products:
        backward[part] = 2 * forward[part]
    if sizes.decoder_experts:
        router, sums = routing_flops(d, len(sizes.widths), targets, 1, prior=False)
        forward["decoder"] += sizes.decoder_layers * (router + sums)
        backward["decoder"] += sizes.decoder_layers * (2 * router + sums / 2)
    computed_again: tuple[FlopPart, ...] = ("attention", "feed-forward", "routing")
    for part in computed_again if sizes.checkpointing else ():
        backward[part] += forward[part]
    return PassFlops(forward, backward)


def routing_flops(
    d_model: int, experts: int, places: float, modalities: int, *, prior: bool
) -> tuple[float, float]:
    """Forward FLOPs of one sparse layer: of the router, with the modalities' table if it sees the modality
    (`prior`), and of the sums over each modality's tokens: of probabilities and the entropy, which have a
    gradient, and of as many choices and drops, which have none. Which tokens are summed has none either."""
    router = 2.0 * places * d_model * experts
    if prior:
        router += 2.0 * modalities * d_model * experts
    return router, 2.0 * modalities * places * (2 * experts + 2)


def _nothing() -> dict[FlopPart, float]:
    return dict.fromkeys(FLOP_PARTS, 0.0)
