"""Bytes that a rank sends in a training step, and its number of collectives.

Only bytes that leave the rank count: not rows that stay, nor the rank's own part of a reduction. A ring of n
ranks sends 2 (n - 1) / n of a buffer for an all-reduce and (n - 1) / n for an all-gather.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mmspec_ds.profiling.memory import STAGE_0_BUCKET, Holding, optimizer_groups, shares
from mmspec_ds.profiling.sizes import ModelSizes, Weight, numel


@dataclass(frozen=True)
class Exchanges:
    """Exchange of the sparse layers in a pass.

    Attributes:
        tokens: spectrum tokens of a batch; padding is not routed.
        k, experts: experts of each token; number of experts.
        d_model, layers: of the encoder.
        decoder_tokens, decoder_layers: target tokens of a batch and sparse layers of the decoder.
        chunks: `moe.exchange_chunks`.
        capacity: whether experts have a capacity, which needs an all-gather in every layer.
        checkpointing: whether the layers run forward twice.
    """

    tokens: float
    k: int
    experts: int
    d_model: int
    layers: int
    decoder_tokens: float = 0.0
    decoder_layers: int = 0
    chunks: int = 1
    capacity: bool = False
    checkpointing: bool = False


@dataclass(frozen=True)
class Traffic:
    """Bytes that a rank sends in a step, and the collectives of a step by kind, without groups of one rank.

    Attributes:
        forward, backward: all-to-all of rows and counts; with activation checkpointing, the second forward pass
            counts as backward.
        reduce: gradients. This is an all-reduce with ZeRO 1 and 2 too: DeepSpeed 0.19.8 reduces a bucket to all
            ranks, and each takes its part.
        gather: weights, after the update of the shares.
        reduce_experts, gather_experts: the experts' part of `reduce` and `gather`.
        host: to and from the host's memory, with offload.
    """

    forward: float
    backward: float
    reduce: float
    gather: float
    reduce_experts: float
    gather_experts: float
    host: float
    collectives: Mapping[str, int]

    @property
    def all_to_all(self) -> float:
        """All-to-all in both directions."""
        return self.forward + self.backward

    @property
    def total(self) -> float:
        """All bytes sent over the network."""
        return self.all_to_all + self.reduce + self.gather


def all_reduce_bytes(size: float, ranks: int) -> float:
    """Bytes that each rank of a ring sends."""
    return 2 * size * (ranks - 1) / ranks


def all_gather_bytes(size: float, ranks: int) -> float:
    """Bytes that each rank of a ring sends for a gathered buffer of `size`."""
    return size * (ranks - 1) / ranks


def rank_traffic(
    sizes: ModelSizes, exchanges: Exchanges, holding: Holding, *, clipping: bool = True
) -> Traffic:
    """Return the traffic of one step on the rank with the largest experts, tokens spread evenly over them.

    Args:
        sizes: the model's parameters.
        exchanges: of the sparse layers in a pass.
        holding: how the model is distributed.
        clipping: whether gradients are clipped, which needs an all-reduce without ZeRO.
    """
    weights = sizes.on_rank(sizes.fullest(holding.ep_size))
    away = (holding.ep_size - 1) / holding.ep_size
    row = 2 * exchanges.k * away * exchanges.d_model * holding.element  # to its experts and back
    counts = 8 * exchanges.experts * away  # first the rows for each expert, as int64
    of_encoder = row * exchanges.tokens * exchanges.layers
    again = of_encoder + counts * exchanges.layers if exchanges.checkpointing else 0.0
    rows = of_encoder + row * exchanges.decoder_tokens * exchanges.decoder_layers
    once = rows + counts * (exchanges.layers + exchanges.decoder_layers)
    passes = holding.accumulation
    reduces = passes if holding.stage == 2 else 1
    reduce, gather = [0.0, 0.0], [0.0, 0.0]
    for group in optimizer_groups(weights):
        experts, ranks = group[0].expert is not None, holding.ranks_of(group)
        reduce[experts] += reduces * all_reduce_bytes(holding.element * numel(group), ranks)
        if holding.stage:
            padded = shares(group, ranks)[0].size * ranks
            gather[experts] += all_gather_bytes(holding.element * padded, ranks)
    return Traffic(
        forward=passes * once,
        backward=passes * (rows + again),
        reduce=sum(reduce),
        gather=sum(gather),
        reduce_experts=reduce[1],
        gather_experts=gather[1],
        host=_host_bytes(weights, holding),
        collectives=_collectives(weights, exchanges, holding, clipping),
    )


def _host_bytes(weights: Sequence[Weight], holding: Holding) -> float:
    """Bytes of the share's fp32 gradients to the host, and of its weights back."""
    if not holding.offload:
        return 0.0
    owned = sum(shares(group, holding.ranks_of(group))[0].size for group in optimizer_groups(weights))
    return float(owned * (4 + holding.element))


def _collectives(
    weights: Sequence[Weight], exchanges: Exchanges, holding: Holding, clipping: bool
) -> dict[str, int]:
    """Count the collectives by kind. One all-reduce of each pass is for the sums of the objective."""
    passes, layers = holding.accumulation, exchanges.layers
    if holding.world == 1:
        return {}
    found = {"all-reduce": passes + _reductions(weights, holding), "all-gather": 0, "all-to-all": 0}
    if holding.stage == 0:
        found["all-reduce"] += bool(clipping)
    else:
        groups = [(holding.ranks_of(group), group[0].expert is not None) for group in optimizer_groups(weights)]
        # The norm of each group; of experts also its mean over their ranks.
        found["all-reduce"] += len(groups) + sum(experts and ranks > 1 for ranks, experts in groups)
        found["all-reduce"] += holding.element == 2  # whether a gradient is not finite
        found["all-gather"] += sum(ranks > 1 for ranks, _ in groups)
    forwards = 2 if exchanges.checkpointing else 1
    if exchanges.capacity:
        found["all-gather"] += passes * layers * forwards
    if holding.ep_size > 1:
        chunks = exchanges.chunks
        found["all-to-all"] = passes * layers * (forwards * (1 + 2 * chunks) + 2 * chunks)
        found["all-to-all"] += passes * exchanges.decoder_layers * (1 + 4 * chunks)
    return {kind: count for kind, count in found.items() if count}


def _reductions(weights: Sequence[Weight], holding: Holding) -> int:
    """Count the all-reduces of gradients: buckets fill in the order of reduction, and each needs one all-reduce
    for each process group that it has gradients of."""
    limit = holding.bucket if holding.stage else STAGE_0_BUCKET
    if holding.stage == 0:
        parts = [[w for w in weights if (w.expert is not None) == experts] for experts in (False, True)]
        return sum(_buckets(part, limit) for part in parts if part and holding.ranks_of(part) > 1)
    order = list(weights)[::-1]
    if holding.stage == 1:
        order = [w for group in optimizer_groups(weights) for w in group]
    count, filled, kinds = 0, 0, set[bool]()
    for weight in order:
        if filled + weight.numel > limit and filled:
            count, filled, kinds = count + len(kinds), 0, set()
        filled += weight.numel
        if holding.ranks_of([weight]) > 1:
            kinds.add(weight.expert is not None)
    return (count + len(kinds)) * (holding.accumulation if holding.stage == 2 else 1)


def _buckets(weights: Sequence[Weight], limit: int) -> int:
    """Count the buckets without ZeRO: the gradient that overfills a bucket closes it."""
    count, filled = 0, 0
    for weight in weights:
        filled += weight.numel
        if filled > limit:
            count, filled = count + 1, 0
    return count + bool(filled)
