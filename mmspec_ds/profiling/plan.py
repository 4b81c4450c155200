"""Choose the ZeRO stage and the expert-parallel size of a run for given GPUs and memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from mmspec_ds.errors import ConfigError
from mmspec_ds.moe.expert_parallel import Placement
from mmspec_ds.profiling.activations import generated_batch, pass_stages
from mmspec_ds.profiling.ledger import StageBytes
from mmspec_ds.profiling.memory import STAGE_0_BUCKET, Holding, RankMemory, rank_memory
from mmspec_ds.profiling.sizes import model_sizes
from mmspec_ds.profiling.tokens import TokenFigures
from mmspec_ds.profiling.traffic import Exchanges, Traffic, rank_traffic
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun
from mmspec_ds.trainer.engine_file import EngineFile

RESERVE = 0.1
"""Share of a GPU's memory reserved for the driver, the collectives' buffers and fragmentation."""

SMALL_BUCKET = 50_000_000
"""Elements of the reduce bucket that is suggested when memory is short."""

RULE = (
    "recommended: of the rows that fit, the one that sends least; then without offload, then the least memory"
)


@dataclass(frozen=True)
class PlanRow:
    """One way to distribute the run: memory of the rank that needs most, traffic, and whether it fits."""

    holding: Holding
    memory: RankMemory
    traffic: Traffic
    fits: bool

    @property
    def name(self) -> str:
        """ZeRO stage and expert-parallel size as text."""
        offload = " + offload" if self.holding.offload else ""
        return f"ZeRO {self.holding.stage}{offload}, ep {self.holding.ep_size}"


@dataclass(frozen=True)
class Change:
    """Settings that a plan may vary besides stage, offload and ep; None keeps those of the files."""

    batch_size: int | None = None
    accumulation: int | None = None
    checkpointing: bool | None = None
    bucket: int | None = None


class Planner:
    """Plans of one run. A pass is watched once for each batch size, width, precision and checkpointing.

    Raises:
        ConfigError: the run fuses late, or has more than one pass a step.
    """

    def __init__(self, run: ElucidationRun, engine: EngineFile, figures: TokenFigures) -> None:
        if run.model.fusion == "late":
            raise ConfigError("model.fusion is late, but plans reckon with one encoder: expected early")
        if run.training.modality_gradients != "none":
            raise ConfigError(
                f"training.modality_gradients is {run.training.modality_gradients}, but plans reckon with one"
                " pass a step: expected none"
            )
        self.run, self.engine, self.figures = run, engine, figures
        self.sizes = model_sizes(run, figures.schemas, figures.vocabulary)
        self._passes: dict[tuple[object, ...], list[StageBytes]] = {}
        self._zero: dict[str, Any] = dict(engine.content.get("zero_optimization", {}))

    @property
    def bucket(self) -> int:
        """Elements of ZeRO's reduce bucket."""
        return int(self._zero.get("reduce_bucket_size", STAGE_0_BUCKET))

    def rows(self, world: int, memory: float, change: Change = Change()) -> list[PlanRow]:
        """Return a row for each ZeRO stage, offload, and each ep that divides the ranks and the experts. Stages
        that one rank would not use are left out (`EngineFile.on`).

        Args:
            world: GPUs, a rank each.
            memory: bytes of each.
            change: to the settings of the run.
        """
        kinds = [(0, False), (1, False), (2, False), (1, True), (2, True)]
        return [
            self._row(self._holding(stage, offload, world, ep, change), memory, change)
            for stage, offload in kinds
            if offload or not stage or world > 1 or self.engine.bf16
            for ep in self.ep_sizes(world)
        ]

    def ep_sizes(self, world: int) -> list[int]:
        """Return the expert-parallel sizes that work."""
        experts = len(self.sizes.widths) or 1
        return [size for size in range(1, min(world, experts) + 1) if world % size == 0 and experts % size == 0]

    def _holding(self, stage: int, offload: bool, world: int, ep_size: int, change: Change) -> Holding:
        return Holding(
            stage=stage,
            offload=offload,
            world=world,
            ep_size=ep_size,
            element=2 if stage and self.engine.bf16 else 4,
            optimizer=self.run.training.optimizer,
            bucket=change.bucket or self.bucket,
            overlap=bool(self._zero.get("overlap_comm", False)),
            accumulation=change.accumulation or self.run.training.gradient_accumulation,
        )

    def _row(self, holding: Holding, memory: float, change: Change) -> PlanRow:
        run, placement = self.run, self.sizes.fullest(holding.ep_size)
        samples = change.batch_size or run.training.batch_size
        checkpointing = (
            run.training.activation_checkpointing if change.checkpointing is None else change.checkpointing
        )
        stages = self._stages(samples, placement, holding.element, checkpointing=checkpointing)
        exchanges = Exchanges(
            tokens=self.figures.mean * samples,
            k=self.sizes.k,
            experts=len(self.sizes.widths),
            d_model=run.model.d_model,
            layers=run.model.encoder_layers * (2 if run.objective.interactions else 1) if run.moe else 0,
            decoder_tokens=self.figures.target * samples,
            decoder_layers=run.model.decoder_layers if run.moe and run.moe.decoder else 0,
            chunks=run.moe.exchange_chunks if run.moe else 1,
            capacity=bool(run.moe and run.moe.mode == "capacity"),
            checkpointing=checkpointing,
        )
        held = rank_memory(self.sizes, stages, holding)
        traffic = rank_traffic(self.sizes, exchanges, holding, clipping=run.training.gradient_clipping > 0)
        return PlanRow(holding, held, traffic, held.total <= (1 - RESERVE) * memory)

    def _stages(
        self, samples: int, placement: Placement, element: int, *, checkpointing: bool
    ) -> list[StageBytes]:
        width, figures = self.sizes.mean_width(placement), self.figures
        key = (samples, width, element, checkpointing)
        if key not in self._passes:
            load = figures.with_batch(samples).largest
            self._passes[key] = pass_stages(
                self.run,
                figures.schemas,
                figures.vocabulary,
                generated_batch(load, figures.schemas, figures.vocabulary, figures.shares),
                width=width,
                dtype=torch.bfloat16 if element == 2 else torch.float32,
                checkpointing=checkpointing,
            )
        return self._passes[key]


def check_request(run: ElucidationRun, world: int, memory: float) -> None:
    """Refuse a request for which no plan can be made.

    Raises:
        ConfigError: no GPU, no memory, or an expert-parallel size that cannot work on so many GPUs.
    """
    if world < 1:
        raise ConfigError(f"--gpus is {world}: expected at least 1")
    if not memory > 0:
        raise ConfigError(f"--memory is {memory / 1e9:g}: expected GB of each GPU, more than 0")
    size, experts = run.training.ep_size, len(run.moe.experts) if run.moe else None
    if experts is None and size > 1:
        raise ConfigError(f"training.ep_size is {size}, but the model is dense: expected 1")
    if experts is not None and experts % size:
        raise ConfigError(f"training.ep_size is {size}, but there are {experts} experts: expected a divisor")
    if world % size:
        raise ConfigError(f"training.ep_size is {size}, but --gpus is {world}: expected a divisor")


def recommended(rows: Sequence[PlanRow]) -> PlanRow | None:
    """Return the recommended row, see RULE; None where none fits."""
    return min(
        (row for row in rows if row.fits),
        key=lambda row: (row.traffic.total, row.holding.offload, row.memory.total),
        default=None,
    )


def smallest(rows: Sequence[PlanRow]) -> PlanRow:
    """Return the row with the least memory."""
    return min(rows, key=lambda row: (row.memory.total, row.traffic.total))


@dataclass(frozen=True)
class Help:
    """A change that helps where no row fits, and the smallest row with it."""

    change: str
    row: PlanRow


def ways_out(planner: Planner, world: int, memory: float) -> list[Help]:
    """Return changes that reduce memory: smaller batches, checkpointing, a smaller bucket, more GPUs.

    Each is tried alone with all stages, offload and ep; its smallest row is returned, whether it fits or not.
    """
    settings = planner.run.training
    changes: dict[str, tuple[Change, int]] = {}
    batch = settings.batch_size
    for halved in _halves(batch):
        accumulation = settings.gradient_accumulation * batch // halved
        change = Change(batch_size=halved, accumulation=accumulation)
        words = f"training.batch_size={halved} training.gradient_accumulation={accumulation}"
        if smallest(planner.rows(world, memory, change)).fits or halved == _halves(batch)[-1]:
            changes[words] = (change, world)
            break
    if not settings.activation_checkpointing:
        changes["training.activation_checkpointing=true"] = (Change(checkpointing=True), world)
    if planner.bucket > SMALL_BUCKET:
        words = f'"reduce_bucket_size": {SMALL_BUCKET} under zero_optimization of the engine file'
        changes[words] = (Change(bucket=SMALL_BUCKET), world)
    for more in (2, 4, 8):
        if smallest(planner.rows(world * more, memory)).fits or more == 8:
            changes[f"--gpus {world * more}"] = (Change(), world * more)
            break
    return [Help(words, smallest(planner.rows(ranks, memory, c))) for words, (c, ranks) in changes.items()]


def _halves(batch: int) -> list[int]:
    """Return the batch size halved repeatedly, down to an odd number."""
    found = []
    while batch % 2 == 0:
        batch //= 2
        found.append(batch)
    return found
