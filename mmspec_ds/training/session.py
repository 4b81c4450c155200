"""Everything that a run needs before its first step: data, model, engine, folder, monitor."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from mmspec_ds.config import RunConfig, dump_run
from mmspec_ds.data.reading import TrainingData, read_training
from mmspec_ds.data.sampler import BucketSampler
from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.models.factory import build_elucidator
from mmspec_ds.models.weights import WEIGHTS
from mmspec_ds.moe.expert_parallel import Placement
from mmspec_ds.moe.layer import relative_costs
from mmspec_ds.training.budget import Budget
from mmspec_ds.training.checkpoints import CheckpointFolder, TrainerState
from mmspec_ds.training.distributed import check_topology, device_of_rank, share_cores
from mmspec_ds.training.engine import engine_config, make_engine
from mmspec_ds.training.monitor import METRICS, SECONDS_BETWEEN_LINES, Monitor
from mmspec_ds.training.objective import Objective


@dataclass(frozen=True)
class Session:
    """What a run works with once everything is built."""

    run: RunConfig
    device: torch.device
    data: TrainingData
    batches: BucketSampler
    validation: BucketSampler
    engine: Any
    objective: Objective
    placement: Placement
    budget: Budget
    checkpoints: CheckpointFolder
    monitor: Monitor


def prepare(run: RunConfig, *, resume: bool, overwrite: bool) -> tuple[Session, TrainerState]:
    """Read the data, build the model and its engine, open the run's folder."""
    settings = run.training
    threads, device = share_cores(settings.threads), device_of_rank()
    rank, world = dist.get_rank(), dist.get_world_size()
    check_topology(settings.ep_size, len(run.moe.experts) if run.moe else None)
    if run.data.max_target_tokens >= run.model.max_target_tokens:
        raise ConfigError(
            f"model.max_target_tokens is {run.model.max_target_tokens}: expected at least"
            f" {run.data.max_target_tokens + 1}, data.max_target_tokens and one for the begin or the end"
        )
    check_folder(run, resume=resume, overwrite=overwrite)
    config = engine_config(run.engine, settings, device)
    data = read_training(run.data, _spoken(run.name) if rank == 0 else None)
    dist.barrier()  # no rank may still be looking when the folder changes
    if rank == 0:
        open_folder(run, data, resume=resume)
    dist.barrier()

    # DeepSpeed's default layout: consecutive ranks share the experts.
    placement = Placement(settings.ep_size, rank % settings.ep_size)
    objective = make_objective(run, data, placement).to(device)
    engine = make_engine(objective, config, settings)
    checkpoints = CheckpointFolder(run.folder / "checkpoints", settings.keep_checkpoints)
    state = checkpoints.resume(engine, placement) if resume else TrainerState()
    sampler = partial(BucketSampler, batch_size=settings.batch_size, world_size=world, rank=rank)
    batches = sampler(data.train.lengths, seed=run.seed)
    monitor = Monitor(run.folder, run.name, active=rank == 0, resume_at=state.step)
    monitor.say(
        f"{run.name}: {len(data.train):,} molecules to learn from, {len(data.validation):,} to validate on, "
        f"{_parameters(objective, placement):,} parameters, {world} rank(s) x {threads} thread(s), "
        f"expert-parallel size {settings.ep_size}, {device.type}"
    )
    for remark, count in data.train.remarks.items():
        monitor.say(f"{run.name}: {remark}: {count}")
    session = Session(
        run=run,
        device=device,
        data=data,
        batches=batches,
        validation=sampler(data.validation.lengths, shuffle=False),
        engine=engine,
        objective=objective,
        placement=placement,
        budget=Budget.of(settings, len(batches)),
        checkpoints=checkpoints,
        monitor=monitor,
    )
    return session, state


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


def check_folder(run: RunConfig, *, resume: bool, overwrite: bool) -> None:
    """Refuse, before anything is read, a folder that holds a run already, and one to resume that does not.

    Raises:
        DataError: says what to do.
    """
    checkpoints = CheckpointFolder(run.folder / "checkpoints")
    if resume:
        checkpoints.find("last")
    elif checkpoints.folder.exists() and not overwrite:
        raise DataError("holds a run already: expected --resume, --overwrite or another name", path=run.folder)


def open_folder(run: RunConfig, data: TrainingData, *, resume: bool) -> None:
    """Make the run's folder self-contained: settings, the engine's settings, vocabularies. Unless it is to be
    resumed, what an earlier run left there is removed, and nothing else."""
    folder = run.folder
    engine = run.engine.read_bytes()  # before anything is removed: it may be that of the folder
    if not resume:
        for name in ("checkpoints", "tensorboard"):
            shutil.rmtree(folder / name, ignore_errors=True)
        for name in (WEIGHTS, METRICS):
            (folder / name).unlink(missing_ok=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "engine.json").write_bytes(engine)
        settings = dump_run(run.model_copy(update={"engine": Path("engine.json")}))
        (folder / "config.yaml").write_text(settings, encoding="utf-8")
        data.vocabularies.save(folder / "vocabulary.json")
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror}", path=folder) from None


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
