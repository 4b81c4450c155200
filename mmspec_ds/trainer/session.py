"""Everything that a run needs before its first step: data, model, engine, folder, monitor."""

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from mmspec_ds.config import RunConfig, dump_run
from mmspec_ds.data.reading import TrainingData, read_training
from mmspec_ds.data.sampler import BucketSampler, Sampler
from mmspec_ds.data.token_budget import TokenBudgetSampler
from mmspec_ds.data.vocabularies import VOCABULARY
from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.files import replacing
from mmspec_ds.moe.expert_parallel import Placement
from mmspec_ds.moe.layer import relative_costs
from mmspec_ds.nn.weights import WEIGHTS
from mmspec_ds.profiling.flops import Dimensions
from mmspec_ds.systems.elucidation.factory import build_elucidator
from mmspec_ds.systems.elucidation.objective import Objective
from mmspec_ds.systems.elucidation.observer import Observer
from mmspec_ds.trainer.budget import Budget
from mmspec_ds.trainer.checkpoints import CHECKPOINTS, CheckpointFolder, TrainerState, restore
from mmspec_ds.trainer.distributed import check_topology, device_of_rank, everyones, limit_waiting, share_cores
from mmspec_ds.trainer.engine import engine_config, make_engine
from mmspec_ds.trainer.engine_file import EngineFile
from mmspec_ds.trainer.engine_state import EngineState
from mmspec_ds.trainer.monitor import environment
from mmspec_ds.trainer.monitor.monitor import SECONDS_BETWEEN_LINES, Monitor
from mmspec_ds.trainer.monitor.record import METRICS
from mmspec_ds.trainer.start import description, find_start, load_local_weights, moved


@dataclass(frozen=True)
class Session:
    """What a run works with once everything is built; `about` is what its checkpoints say of it."""

    run: RunConfig
    device: torch.device
    data: TrainingData
    batches: Sampler
    validation: BucketSampler
    engine: Any
    objective: Objective
    held: EngineState
    budget: Budget
    checkpoints: CheckpointFolder
    about: Mapping[str, Any]
    monitor: Monitor
    observer: Observer
    dimensions: Dimensions


def prepare(
    run: RunConfig, engine_file: EngineFile, *, resume: bool, overwrite: bool, data: TrainingData | None = None
) -> tuple[Session, TrainerState]:
    """Find where to begin, read the data (unless they are given), build the model and its engine, open the
    run's folder."""
    settings = run.training
    device = device_of_rank()  # before the first collective: NCCL takes the GPU that is current then
    threads = share_cores(settings.threads)
    rank, world = dist.get_rank(), dist.get_world_size()
    check_topology(settings.ep_size)
    start = find_start(run, resume=resume, overwrite=overwrite)
    spoken = _spoken(run.name) if rank == 0 else None
    if data is None:
        data = read_training(run.data, spoken, start.vocabularies, part=(rank, world))
    dist.barrier()  # no rank may still be looking when the folder changes
    if rank == 0:
        open_folder(run, data, resume=start.checkpoint is not None)
    dist.barrier()
    check_shared(run.folder)

    # DeepSpeed's default layout: consecutive ranks share the experts.
    placement = Placement(settings.ep_size, rank % settings.ep_size)
    objective = make_objective(run, data, placement)
    if settings.start_from is not None and start.checkpoint is None:
        load_local_weights(objective.model, settings.start_from, placement)
    engine = make_engine(objective.to(device), engine_config(engine_file, settings, device), settings)
    limit_waiting(settings.timeout_minutes)
    held = EngineState(engine, objective.model, placement, len(run.moe.experts) if run.moe else 0)
    batches, validation = make_samplers(run, data, rank, world)
    state = TrainerState(batches_per_epoch=len(batches))
    if start.checkpoint is not None:
        restore(held, start.checkpoint)
        state = moved(start.checkpoint.state, len(batches))
    monitor = Monitor(run, rank, resume_at=state.step)
    monitor.start(state.step, about_start(run, data, device, objective, threads))
    monitor.say(
        f"{run.name}: {len(data.train):,} molecules to learn from, {len(data.validation):,} to validate on, "
        f"{_parameters(objective, placement):,} parameters, {world} rank(s) x {threads} thread(s), "
        f"expert-parallel size {settings.ep_size}, {device.type}"
    )
    for remark in (*start.remarks, *(f"{remark}: {count}" for remark, count in data.train.remarks.items())):
        monitor.say(f"{run.name}: {remark}")
    session = Session(
        run=run,
        device=device,
        data=data,
        batches=batches,
        validation=validation,
        engine=engine,
        objective=objective,
        held=held,
        budget=Budget.of(settings, len(batches)),
        checkpoints=CheckpointFolder(run.folder / CHECKPOINTS, settings.keep_checkpoints),
        about=description(run, data.vocabularies),
        monitor=monitor,
        observer=make_observer(run, data, objective, device, monitor),
        dimensions=Dimensions.of(run, data.encoding.schemas, len(data.vocabularies.target)),
    )
    return session, state


def make_samplers(run: RunConfig, data: TrainingData, rank: int, world: int) -> tuple[Sampler, BucketSampler]:
    """What a rank trains on and validates on, in which order."""
    settings, lengths, tokens = run.training, data.train.lengths, run.training.tokens_per_batch
    bucketed = partial(BucketSampler, batch_size=settings.batch_size, world_size=world, rank=rank)
    validation = bucketed(data.validation.lengths, shuffle=False)
    if tokens is None:
        return bucketed(lengths, seed=run.seed), validation
    if lengths.max() > tokens:
        raise ConfigError(
            f"training.tokens_per_batch is {tokens}, but the longest record has {lengths.max()} tokens:"
            " expected at least as many"
        )
    return TokenBudgetSampler(lengths, tokens, world_size=world, rank=rank, seed=run.seed), validation


def make_objective(run: RunConfig, data: TrainingData, placement: Placement) -> Objective:
    """The model with its objective, from the run's seed; expert-parallel where there are experts."""
    from mmspec_ds.moe.deepspeed_layer import DeepSpeedSparseFeedForward

    torch.manual_seed(run.seed)
    model = build_elucidator(
        run.model,
        run.moe,
        data.encoding.schemas,
        len(data.vocabularies.target),
        structure_margin=run.objective.margin if run.objective.structure else None,
        placement=placement,
        sparse_class=DeepSpeedSparseFeedForward,
        activation_checkpointing=run.training.activation_checkpointing,
    )
    costs = relative_costs(run.moe) if run.moe else None
    return Objective(model, run.objective, costs, dist.group.WORLD)


def make_observer(
    run: RunConfig, data: TrainingData, objective: Objective, device: torch.device, monitor: Monitor
) -> Observer:
    """What looks at the model at each validation."""
    vocabulary = data.vocabularies.target
    return Observer(run, objective.model, data.validation, vocabulary, device, monitor, dist.group.WORLD)


def about_start(
    run: RunConfig, data: TrainingData, device: torch.device, objective: Objective, threads: int
) -> dict[str, Any]:
    """What `metrics.jsonl` says of the beginning of a part of a run."""
    placement = Placement(run.training.ep_size, dist.get_rank() % run.training.ep_size)
    return {
        **environment.describe(device),
        "ranks": dist.get_world_size(),
        "threads": threads,
        "ep_size": run.training.ep_size,
        "parameters": _parameters(objective, placement),
        "molecules": {"train": len(data.train), "validation": len(data.validation)},
    }


def open_folder(run: RunConfig, data: TrainingData, *, resume: bool) -> None:
    """Make the run's folder self-contained: settings, the engine's settings, vocabularies. Unless it is to be
    resumed, what an earlier run left there is removed, and nothing else."""
    folder = run.folder
    engine = run.engine.read_bytes()  # before anything is removed: it may be that of the folder
    if not resume:
        for name in (CHECKPOINTS, "tensorboard"):
            shutil.rmtree(folder / name, ignore_errors=True)
        for name in (WEIGHTS, METRICS):
            (folder / name).unlink(missing_ok=True)
    settings = dump_run(run.model_copy(update={"engine": Path("engine.json")}))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / "engine.json") as path:
            path.write_bytes(engine)
        with replacing(folder / "config.yaml") as path:
            path.write_text(settings, encoding="utf-8")
        data.vocabularies.save(folder / VOCABULARY)
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror}", path=folder) from None


def check_shared(folder: Path) -> None:
    """Refuse a folder that rank 0 has made and another rank does not see: on a node's own disk, its part of
    every checkpoint would be lost."""
    blind = [rank for rank, sees in enumerate(everyones(folder.is_dir())) if not sees]
    if blind:
        raise ConfigError(
            f"output: rank {blind[0]} does not see {folder}: expected a folder that all nodes share"
        )


def _spoken(name: str) -> Callable[[int], None]:
    """Says how far reading has come, now and then: a large set takes minutes."""
    last = time.monotonic()

    def say(records: int) -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            print(f"{name}: {records:,} records read", flush=True)

    return say


def _parameters(objective: Objective, placement: Placement) -> int:
    """Parameters of the whole model, experts of other ranks included."""
    local = [p for p in objective.parameters() if not getattr(p, "allreduce", True)]
    everywhere = [p for p in objective.parameters() if getattr(p, "allreduce", True)]
    return sum(p.numel() for p in everywhere) + placement.size * sum(p.numel() for p in local)
