"""Memory of a rank under ZeRO 0, 1 and 2, as DeepSpeed 0.19.8 allocates it (runtime/zero/stage_1_and_2.py and
runtime/engine.py).

All sizes are in bytes. P: parameters of the rank; b: bytes of an element of the weights.

Stage 0 keeps the gradients and AdamW's two moments of all P parameters. Stages 1 and 2 keep the weights in one
flat buffer for each optimizer group, an fp32 copy of the rank's share (also for an fp32 model), and the moments
of that share. The dense part is shared by all ranks, an expert by the world / ep ranks that hold it.

The reduce bucket is allocated in full at the first gradient of a pass. `allgather_bucket_size` has no effect:
updated weights are gathered into the flat buffers, one collective for each group.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mmspec_ds.profiling.ledger import StageBytes
from mmspec_ds.profiling.sizes import ModelSizes, Weight, numel

Optimizer = Literal["adamw", "sgd"]

STAGE_0_BUCKET = 500_000_000
"""Elements of DeepSpeed's all-reduce bucket without ZeRO; also the default of ZeRO's buckets."""

MASTER = 4
"""Bytes of an element of ZeRO's copy of the weights, and of each moment."""


@dataclass(frozen=True)
class Holding:
    """How a model is distributed over ranks and memory.

    Attributes:
        stage: of ZeRO.
        offload: whether the optimizer and the fp32 weights are in the host's memory.
        world, ep_size: number of ranks, and of ranks in an expert-parallel group.
        element: bytes of an element of weights and gradients, 2 or 4.
        optimizer: "adamw" with two moments, "sgd" with none.
        bucket: elements of the reduce bucket.
        overlap: ZeRO's `overlap_comm`, which needs a second bucket.
        accumulation: passes for each update.
    """

    stage: int
    offload: bool
    world: int
    ep_size: int
    element: int
    optimizer: Optimizer = "adamw"
    bucket: int = STAGE_0_BUCKET
    overlap: bool = False
    accumulation: int = 1

    @property
    def moments(self) -> int:
        """Bytes of the optimizer's state for each parameter."""
        return 8 if self.optimizer == "adamw" else 0

    def ranks_of(self, group: Sequence[Weight]) -> int:
        """Return the number of ranks that share a group: all, or those with the same experts."""
        return self.world // (self.ep_size if group[0].expert is not None else 1)


@dataclass(frozen=True)
class Phase:
    """Memory at one point of a step, without weights and optimizer."""

    name: str
    gradients: float
    buffers: float
    activations: float = 0.0
    working: float = 0.0

    @property
    def total(self) -> float:
        """Sum of the four kinds."""
        return self.gradients + self.buffers + self.activations + self.working


@dataclass(frozen=True)
class RankMemory:
    """Memory of a rank: weights and optimizer, the phases of a step, and the host's memory with offload.

    `start` is the memory needed to build the model: in fp32, before it is converted and partitioned.
    """

    weights: float
    optimizer: float
    phases: tuple[Phase, ...]
    start: float
    host: float

    @property
    def peak(self) -> Phase:
        """The phase with the most memory."""
        return max(self.phases, key=lambda phase: phase.total)

    @property
    def total(self) -> float:
        """The largest memory at any time."""
        return max(self.start, self.weights + self.optimizer + self.peak.total)

    def most(self, kind: Literal["gradients", "buffers", "activations", "working"]) -> float:
        """Return the maximum of one kind over the phases. Kinds peak at different times and do not add up."""
        return max(float(getattr(phase, kind)) for phase in self.phases)


@dataclass(frozen=True)
class Share:
    """A rank's share of a flat optimizer group: `size` elements are its partition; `held` are those of all
    parameters that overlap with it, whose reduced gradients are kept whole."""

    size: int
    held: int


def optimizer_groups(weights: Sequence[Weight]) -> list[list[Weight]]:
    """Return the groups of `make_optimizer`: dense matrices, dense vectors, and those of experts."""
    groups = [
        [w for w in weights if w.matrix == matrix and (w.expert is not None) == experts]
        for experts in (False, True)
        for matrix in (True, False)
    ]
    return [group for group in groups if group]


def shares(group: Sequence[Weight], ranks: int) -> list[Share]:
    """Cut a group into equal partitions, padded to a multiple of two elements for each rank."""
    total = numel(group)
    size = -(-total // (2 * ranks)) * 2
    held, at = [0] * ranks, 0
    for weight in group:
        for rank in range(at // size, (at + weight.numel - 1) // size + 1):
            held[rank] += weight.numel
        at += weight.numel
    return [Share(size, one) for one in held]


def rank_memory(sizes: ModelSizes, stages: Sequence[StageBytes], holding: Holding) -> RankMemory:
    """Return the memory of the rank that needs most.

    Args:
        sizes: the model's parameters.
        stages: memory of each stage of a pass.
        holding: how the model is distributed.
    """
    weights = sizes.on_rank(sizes.fullest(holding.ep_size))
    parameters, element = numel(weights), holding.element
    if holding.stage == 0:
        optimizer, owned, host = float(holding.moments * parameters), [], 0.0
    else:
        owned = _largest_shares(weights, holding)
        state = (MASTER + holding.moments) * sum(share.size for share in owned)
        optimizer, host = (0.0, _host(weights, owned, holding)) if holding.offload else (float(state), 0.0)
    largest_group = max(numel(group) for group in optimizer_groups(weights)) if holding.stage else 0
    return RankMemory(
        weights=float(element * parameters),
        optimizer=optimizer,
        phases=(*_passing(weights, owned, stages, holding), *_updating(weights, owned, holding)),
        start=float(max(4 * parameters, element * (parameters + largest_group))),
        host=host,
    )


def _largest_shares(weights: Sequence[Weight], holding: Holding) -> list[Share]:
    """Return the share of each group on the rank that holds most."""
    cut = [shares(group, holding.ranks_of(group)) for group in optimizer_groups(weights)]
    by_rank = [[pieces[rank * len(pieces) // holding.world] for pieces in cut] for rank in range(holding.world)]
    return max(by_rank, key=lambda owned: sum(share.held for share in owned))


def _host(weights: Sequence[Weight], owned: Sequence[Share], holding: Holding) -> float:
    """Host memory with offload: fp32 weights, gradients and moments of the share, its copy in the weights'
    dtype, and a buffer for one gradient."""
    each = 2 * MASTER + holding.moments + holding.element
    return float(each * sum(s.size for s in owned) + holding.element * max(w.numel for w in weights))


def _passing(
    weights: Sequence[Weight], owned: Sequence[Share], stages: Sequence[StageBytes], holding: Holding
) -> list[Phase]:
    """Return the phase of each stage of the backward pass: activations of earlier stages, work space of this
    one, gradients of this and later ones.

    ZeRO 0 and 1 keep every gradient until the end of the pass. ZeRO 2 copies each into the bucket, reduces full
    buckets, and keeps the gradients of its own share.
    """
    b, phases, before = holding.element, [], 0.0
    extra = _bucket(holding) + _offload_room(weights, holding) if holding.stage else 0.0
    if holding.stage == 2:
        extra += _flattened(weights, holding) + (0.0 if holding.offload else b * sum(s.held for s in owned))
    for number, stage in enumerate(stages):
        here = [w.numel for w in weights if w.stage == number]
        if holding.stage == 2:
            gradients = float(b * max(here, default=0))
        elif holding.accumulation > 1:  # those of the passes before, and one that is about to be added
            gradients = float(b * (numel(weights) + max(here, default=0)))
        else:
            gradients = float(b * sum(w.numel for w in weights if w.stage >= number))
        phases.append(Phase(stage.name, gradients, extra, before, stage.working))
        before += stage.kept
    return phases


def _updating(weights: Sequence[Weight], owned: Sequence[Share], holding: Holding) -> list[Phase]:
    """Return the phases after the pass: reduction of the gradients, and update group by group."""
    b, parameters = holding.element, numel(weights)
    if holding.stage == 0:
        return [Phase("reduce", float(b * parameters), _flattened(weights, holding))]
    held = 0.0 if holding.offload else float(b * sum(share.held for share in owned))
    # Stage 1: what is in the bucket is no longer held outside; stage 2 has nothing outside.
    waiting = float(b * max(0, parameters - holding.bucket)) if holding.stage == 1 else 0.0
    buffers = _bucket(holding) + _flattened(weights, holding) + _offload_room(weights, holding)
    phases = [Phase("reduce", waiting + held, buffers)]
    if not holding.offload:
        # A flat copy of the group's gradients, and one of that in fp32 where they are not.
        copies = b if b == MASTER else b + MASTER
        phases.append(Phase("update", held, float(copies * max(share.size for share in owned))))
    return phases


def _bucket(holding: Holding) -> float:
    return float(holding.element * holding.bucket * (2 if holding.overlap else 1))


def _offload_room(weights: Sequence[Weight], holding: Holding) -> float:
    """Buffer for one gradient on its way to the host, and its fp32 copy."""
    return float((holding.element + MASTER) * max(w.numel for w in weights)) if holding.offload else 0.0


def _flattened(weights: Sequence[Weight], holding: Holding) -> float:
    """Flat copy of the gradients reduced at once: those of the dense part or of the experts, whichever is
    larger. With ZeRO, a group of one rank has a single slice and needs no copy."""
    most, limit = 0, holding.bucket if holding.stage else STAGE_0_BUCKET
    for experts in (False, True):
        part = [w for w in weights if (w.expert is not None) == experts]
        if part and (holding.stage == 0 or holding.ranks_of(part) > 1):
            most = max(most, min(limit, numel(part)))
    return float(holding.element * most)
