"""Estimated time of a step on a cluster: arithmetic at a share of the peak, and bytes at stated bandwidths."""

from dataclasses import dataclass

from mmspec_ds.nn.flops import BatchSize, pass_flops
from mmspec_ds.profiling.plan import PlanRow
from mmspec_ds.profiling.tokens import TokenFigures
from mmspec_ds.systems.elucidation.dimensions import dimensions_in_training
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun


@dataclass(frozen=True)
class Cluster:
    """Assumptions about the machines; bytes and floating-point operations per second of each GPU.

    Attributes:
        node: GPUs of a node.
        inside: NVLink bandwidth within a node.
        between: network bandwidth between nodes, 400 Gbit/s.
        peak: dense bf16 arithmetic of an H100.
        utilisation: the share of it that training reaches.
    """

    node: int = 8
    inside: float = 450e9
    between: float = 50e9
    peak: float = 990e12
    utilisation: float = 0.4

    def assumptions(self) -> list[str]:
        """Return the assumptions as lines of text."""
        return [
            f"nodes of {self.node} GPUs, {self.inside / 1e9:.0f} GB/s of NVLink for each GPU within one,"
            f" {self.between * 8 / 1e9:.0f} Gbit/s of network for each GPU between them",
            f"arithmetic at {self.utilisation:.0%} of {self.peak / 1e12:.0f} TFLOP/s in bf16, of half"
            " of that in fp32 (TF32)",
            "no communication overlaps with computation, and no collective has a latency",
            "consecutive ranks share the experts; a group across nodes has the network of all its GPUs",
            "weak scaling: the same batch on each GPU; efficiency is arithmetic over the whole step",
        ]


@dataclass(frozen=True)
class StepTime:
    """Seconds of a step: `compute` for arithmetic, `exchange` for all-to-all, `reduce` for gradients and
    weights."""

    compute: float
    exchange: float
    reduce: float

    @property
    def total(self) -> float:
        """Seconds of the whole step."""
        return self.compute + self.exchange + self.reduce

    @property
    def efficiency(self) -> float:
        """Efficiency of weak scaling, 0 to 1: relative to one GPU without communication."""
        return self.compute / self.total


def step_flops(run: ElucidationRun, figures: TokenFigures) -> float:
    """Return the floating-point operations of a step on one rank, for batches of mean size and tokens spread
    evenly over the experts."""
    samples = run.training.batch_size
    tokens = {m: samples * figures.mean * share for m, share in figures.shares.items()}
    batch = BatchSize(samples, figures.padded, tokens, figures.target)
    dimensions = dimensions_in_training(run, figures.schemas, figures.vocabulary)
    return run.training.gradient_accumulation * pass_flops(dimensions, batch).total


def step_time(row: PlanRow, flops: float, cluster: Cluster = Cluster()) -> StepTime:
    """Return the seconds of a step for one row of a plan."""
    world, ep, traffic = row.holding.world, row.holding.ep_size, row.traffic
    away = max(0, ep - cluster.node) / max(1, ep - 1)  # of what leaves a rank, the share that leaves its node
    exchange = traffic.all_to_all * ((1 - away) / cluster.inside + away / cluster.between)
    experts = traffic.reduce_experts + traffic.gather_experts
    dense = traffic.reduce + traffic.gather - experts
    reduce = dense / _ring(world, 1, cluster) + experts / _ring(world, ep, cluster)
    speed = cluster.utilisation * cluster.peak * (1.0 if row.holding.element == 2 else 0.5)
    return StepTime(flops / speed, exchange, reduce)


def _ring(world: int, stride: int, cluster: Cluster) -> float:
    """Return the bandwidth of a ring over every `stride`-th rank. Across nodes it is that of the network
    connections of its GPUs in a node."""
    if world <= cluster.node:
        return cluster.inside
    return min(cluster.inside, max(1, cluster.node // stride) * cluster.between)
