"""What a rank holds in memory under ZeRO 0, 1 and 2, as DeepSpeed 0.19.8 allocates it
(runtime/zero/stage_1_and_2.py and runtime/engine.py).

All sizes in bytes. P parameters of the rank, R elements of the reduce bucket, b bytes of an element of the
weights.

Stage 0 keeps gradients and AdamW's two moments of all P. Stages 1 and 2 keep the weights in one flat buffer for
each optimizer group, an fp32 copy of the rank's share (also of a model in fp32) and the moments of that share.
A share is that of the data-parallel group for the dense part, and that of the expert-data-parallel group, world
/ ep ranks, for experts.

The reduce bucket is allocated in full at the first gradient of a pass. `allgather_bucket_size` plays no part:
updated weights are gathered into the flat buffers in one collective for each group.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mmspec_ds.profiling.ledger import StageBytes
from mmspec_ds.profiling.sizes import ModelSizes, Weight, numel

Optimizer = Literal["adamw", "sgd"]

STAGE_0_BUCKET = 500_000_000
"""Elements of a bucket of DeepSpeed's all-reduce without ZeRO; also the default of ZeRO's buckets."""

MASTER = 4
"""Bytes of an element of ZeRO's copy of the weights, and of each moment."""


@dataclass(frozen=True)
class Holding:
    """How a model is held.

    Attributes:
        stage: of ZeRO.
        offload: whether optimizer and fp32 weights live in the host's memory.
        world, ep_size: ranks in all, and of an expert-parallel group.
        element: bytes of an element of weights and gradients, 2 or 4.
        optimizer: with two moments, or none.
        bucket: R, elements of the reduce bucket.
        overlap: ZeRO's `overlap_comm`, which takes a second bucket.
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


@dataclass(frozen=True)
class Phase:
    """A moment of a step, beside weights and optimizer."""

    name: str
    gradients: float
    buffers: float
    activations: float = 0.0
    working: float = 0.0

    @property
    def total(self) -> float:
        """All of it."""
        return self.gradients + self.buffers + self.activations + self.working


@dataclass(frozen=True)
class RankMemory:
    """Memory of a rank: what is always there, the phases of a step, and the host's share under offload.

    `start` is what building takes: the model in fp32 before it is converted and partitioned.
    """

    weights: float
    optimizer: float
    phases: tuple[Phase, ...]
    start: float
    host: float

    @property
    def peak(self) -> Phase:
        """The phase that holds most."""
        return max(self.phases, key=lambda phase: phase.total)

    @property
    def total(self) -> float:
        """The most that is held at once."""
        return max(self.start, self.weights + self.optimizer + self.peak.total)

    def most(self, kind: Literal["gradients", "buffers", "activations", "working"]) -> float:
        """The most of one kind in any phase; kinds peak at different times, so that these do not add up."""
        return max(float(getattr(phase, kind)) for phase in self.phases)


@dataclass(frozen=True)
class Share:
    """A flat optimizer group of a rank: `size` elements are its partition, `held` those of all parameters that
    reach into it, whose reduced gradients it keeps whole."""

    size: int
    held: int


def optimizer_groups(weights: Sequence[Weight]) -> list[list[Weight]]:
    """The groups of `training.engine.make_optimizer`: dense matrices, dense vectors, and the same of
    experts."""
    groups = [
        [w for w in weights if w.matrix == matrix and (w.expert is not None) == experts]
        for experts in (False, True)
        for matrix in (True, False)
    ]
    return [group for group in groups if group]


def shares(group: Sequence[Weight], ranks: int) -> list[Share]:
    """A group cut into equal partitions, padded to a multiple of two elements for each rank."""
    total = numel(group)
    size = -(-total // (2 * ranks)) * 2
    held, at = [0] * ranks, 0
    for weight in group:
        for rank in range(at // size, (at + weight.numel - 1) // size + 1):
            held[rank] += weight.numel
        at += weight.numel
    return [Share(size, one) for one in held]


def rank_memory(sizes: ModelSizes, stages: Sequence[StageBytes], holding: Holding) -> RankMemory:
    """Memory of the rank that holds most.

    Args:
        sizes: the model's parameters.
        stages: what each stage of a pass keeps and works with.
        holding: how the model is held.
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
    """Of every group the share of the rank that holds most."""
    cut = [
        (shares(group, _ranks(group, holding)), _ranks(group, holding)) for group in optimizer_groups(weights)
    ]
    by_rank = [
        [pieces[rank // (holding.world // ranks)] for pieces, ranks in cut] for rank in range(holding.world)
    ]
    return max(by_rank, key=lambda owned: sum(share.held for share in owned))


def _ranks(group: Sequence[Weight], holding: Holding) -> int:
    """Ranks that share a group: all, or those with the same experts."""
    return holding.world // (holding.ep_size if group[0].expert is not None else 1)


def _host(weights: Sequence[Weight], owned: Sequence[Share], holding: Holding) -> float:
    """fp32 weights, their gradients and moments of the share, its copy in the dtype of the weights, and room
    for one gradient."""
    each = 2 * MASTER + holding.moments + holding.element
    return float(each * sum(s.size for s in owned) + holding.element * max(w.numel for w in weights))


def _passing(
    weights: Sequence[Weight], owned: Sequence[Share], stages: Sequence[StageBytes], holding: Holding
) -> list[Phase]:
    """Each stage of the backward pass: earlier stages keep, this one works, this and later ones have gradients.

    Stage 0 and 1 keep every gradient until the pass is over. Stage 2 copies each into the bucket, reduces full
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
    """After the pass: reducing gradients, and the update of one group after the other."""
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
    """Room for one gradient on its way to the host, and its fp32 copy."""
    return float((holding.element + MASTER) * max(w.numel for w in weights)) if holding.offload else 0.0


def _flattened(weights: Sequence[Weight], holding: Holding) -> float:
    """The flat copy of what is reduced at once: of the dense part or of the experts, whichever is larger.

    With ZeRO a group of one rank has one slice, of which no copy is made.
    """
    most, limit = 0, holding.bucket if holding.stage else STAGE_0_BUCKET
    for experts in (False, True):
        part = [w for w in weights if (w.expert is not None) == experts]
        if part and (holding.stage == 0 or _ranks(part, holding) > 1):
            most = max(most, min(limit, numel(part)))
    return float(holding.element * most)
