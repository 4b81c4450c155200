"""Everything that a run needs before its first step: task, engine, folder, monitor."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from rich.console import Console

from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.files import replacing
from mmspec_ds.progress import ProgressLines
from mmspec_ds.trainer.budget import Budget
from mmspec_ds.trainer.checkpoints import (
    CHECKPOINTS,
    TASK_STATE,
    CheckpointFolder,
    TrainerState,
    restore,
)
from mmspec_ds.trainer.distributed import (
    check_topology,
    device_of_rank,
    gather_objects,
    limit_waiting,
    share_cores,
)
from mmspec_ds.trainer.engine import engine_config, make_engine
from mmspec_ds.trainer.engine_file import EngineFile
from mmspec_ds.trainer.engine_state import EngineState
from mmspec_ds.trainer.monitor import environment
from mmspec_ds.trainer.monitor.monitor import SECONDS_BETWEEN_LINES, Monitor
from mmspec_ds.trainer.monitor.record import METRICS
from mmspec_ds.trainer.run_settings import RunSettings
from mmspec_ds.trainer.snapshots import SNAPSHOTS
from mmspec_ds.trainer.start import check_identity, find_start, load_local_weights, rescale_position
from mmspec_ds.trainer.task import Progress, System, Task, TaskContext, count_parameters
from mmspec_ds.trainer.weights import WEIGHTS


@dataclass(frozen=True)
class Session:
    """A run that is ready to train; `about` goes into the manifests of its checkpoints."""

    run: RunSettings
    device: torch.device
    task: Task[Any, Any]
    engine: Any
    engine_state: EngineState
    budget: Budget
    checkpoints: CheckpointFolder
    about: Mapping[str, Any]
    monitor: Monitor


def prepare(
    run: RunSettings, system: System, engine_file: EngineFile, *, resume: bool, overwrite: bool
) -> tuple[Session, TrainerState]:
    """Find where to begin, make the task and its engine, open the run's folder.

    Args:
        run: the settings.
        system: what is trained.
        engine_file: DeepSpeed's settings.
        resume, overwrite: see `find_start`.

    Raises:
        ConfigError: settings that do not fit these ranks, the checkpoint or the task.
        DataError: a file cannot be read, or the folder cannot be written.
    """
    settings = run.training
    device = device_of_rank()  # before the first collective: NCCL takes the GPU that is current then
    threads = share_cores(settings.threads)
    rank, world = dist.get_rank(), dist.get_world_size()
    check_topology(settings.ep_size)
    start = find_start(run, resume=resume, overwrite=overwrite)
    progress = _reading_progress(run.name) if rank == 0 else None
    task = system.make_task(run, TaskContext(device, rank, world, start.weights_from, progress))
    if start.checkpoint is not None:
        check_identity(task, start.checkpoint, run.folder)
    dist.barrier()  # no rank may still be looking when the folder changes
    if rank == 0:
        open_folder(run, task, resume=start.checkpoint is not None)
    dist.barrier()
    check_shared(run.folder)

    if settings.start_from is not None and start.checkpoint is None:
        load_local_weights(task, settings.start_from, system.upgrade)
    config = engine_config(engine_file, settings, device, world)
    engine = make_engine(task.module.to(device), config, settings)
    limit_waiting(settings.timeout_minutes)
    engine_state = EngineState(engine, task.model, task.sharding)
    state = TrainerState(batches_per_epoch=task.batches_per_epoch)
    if start.checkpoint is not None:
        restore(engine_state, start.checkpoint, system.upgrade)
        task.load_state(start.checkpoint.manifest.get(TASK_STATE) or {})
        state = rescale_position(start.checkpoint.state, task.batches_per_epoch)
    budget = Budget.of(settings, task.batches_per_epoch, world)
    if budget.is_counted and None in (state.samples, state.flops):
        raise ConfigError(
            "training.samples and training.flops need a run that counted them from its first step, and an older"
            f" version began {run.folder}: expected training.steps or training.epochs"
        )
    monitor = Monitor(run, rank, task.layout, resume_at=state.step)
    session = Session(
        run=run,
        device=device,
        task=task,
        engine=engine,
        engine_state=engine_state,
        budget=budget,
        checkpoints=CheckpointFolder(run.folder / CHECKPOINTS, settings.keep_checkpoints),
        about={"run": run.model_dump(mode="json"), **task.identity},
        monitor=monitor,
    )
    _announce(session, state.step, threads, (*start.remarks, *task.remarks))
    return session, state


def _announce(session: Session, step: int, threads: int, remarks: tuple[str, ...]) -> None:
    """Print and record what this part of a run begins with."""
    run, task, monitor, world = session.run, session.task, session.monitor, dist.get_world_size()
    ep_size, parameters = run.training.ep_size, count_parameters(task)
    about = {"ranks": world, "threads": threads, "ep_size": ep_size, "parameters": parameters, **task.about}
    monitor.start(step, environment.describe(session.device) | about)
    monitor.say(
        f"{run.name}: {task.summary}, {parameters:,} parameters, {world} rank(s) x {threads} thread(s), "
        f"expert-parallel size {ep_size}, {session.device.type}"
    )
    for remark in remarks:
        monitor.say(f"{run.name}: {remark}")


def open_folder(run: RunSettings, task: Task[Any, Any], *, resume: bool) -> None:
    """Make the run's folder self-contained: settings, the engine's settings, the task's files. Unless it is to
    be resumed, what an earlier run left there is removed, and nothing else.

    Raises:
        DataError: it cannot be written.
    """
    folder = run.folder
    engine = run.engine.read_bytes()  # before anything is removed: it may be that of the folder
    if not resume:
        for name in (CHECKPOINTS, SNAPSHOTS, "tensorboard"):
            shutil.rmtree(folder / name, ignore_errors=True)
        for name in (WEIGHTS, METRICS):
            (folder / name).unlink(missing_ok=True)
    settings = run.model_copy(update={"engine": Path("engine.json")}).to_yaml()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / "engine.json") as path:
            path.write_bytes(engine)
        with replacing(folder / "config.yaml") as path:
            path.write_text(settings, encoding="utf-8")
        task.save_files(folder)
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror}", path=folder) from None


def check_shared(folder: Path) -> None:
    """Refuse a folder that rank 0 has made and another rank does not see: on a node's own disk, its part of
    every checkpoint would be lost."""
    blind = [rank for rank, sees in enumerate(gather_objects(folder.is_dir())) if not sees]
    if blind:
        raise ConfigError(
            f"output: rank {blind[0]} does not see {folder}: expected a folder that all nodes share"
        )


def _reading_progress(name: str) -> Progress:
    """Prints now and then how much is read: a large set takes minutes."""
    progress = ProgressLines(name, seconds=SECONDS_BETWEEN_LINES, bar=False, console=Console())

    def read(done: int, what: str = "records", /) -> None:
        progress.at(done, line=f"{name}: {done:,} {what} read")

    return read
