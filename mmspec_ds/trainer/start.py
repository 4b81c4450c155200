"""Where a run begins: at a checkpoint of its own, with the weights of another model, or from its seed.

On the same topology a resumed run goes on bit for bit; on any other, as if it had always run there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from mmspec_ds.errors import DataError
from mmspec_ds.trainer.checkpoints import CHECKPOINTS, Checkpoint, CheckpointFolder, TrainerState
from mmspec_ds.trainer.run_settings import RunSettings
from mmspec_ds.trainer.task import Task
from mmspec_ds.trainer.weights import WEIGHTS, load_state, read_weights


@dataclass(frozen=True)
class Start:
    """`checkpoint` to go on from, if any; `weights_from`, the folder of the weights to begin with, if any;
    `remarks` to print."""

    checkpoint: Checkpoint | None = None
    weights_from: Path | None = None
    remarks: tuple[str, ...] = ()


def find_start(run: RunSettings, *, resume: bool, overwrite: bool) -> Start:
    """Look for the checkpoint to go on from, before anything else is read. Every rank calls this.

    Raises:
        DataError: the folder holds a run already, or no checkpoint of it is whole; says what to do.
        ConfigError: the checkpoint is of another model.
    """
    folder = CheckpointFolder(run.folder / CHECKPOINTS)
    fresh = Start(weights_from=run.training.start_from)
    if not resume:
        if folder.folder.exists() and not overwrite:
            raise DataError(
                "holds a run already: expected --resume, --overwrite or another name", path=run.folder
            )
        return fresh
    checkpoint, wrong = folder.newest()
    if checkpoint is None:
        return replace(fresh, remarks=("no checkpoint to resume: starting at step 0",))
    run.check_resumable(checkpoint.manifest["run"], checkpoint.folder)
    remarks = [f"set aside: {one}" for one in wrong] + [f"going on from {checkpoint.folder}"]
    return Start(checkpoint, run.folder, tuple(remarks))


def check_identity(task: Task[Any, Any], checkpoint: Checkpoint, folder: Path) -> None:
    """Refuse to go on where a file that the weights depend on is not that of the checkpoint.

    Raises:
        DataError: names the file.
    """
    for name, value in task.identity.items():
        if checkpoint.manifest.get(name) != value:
            raise DataError(f"{name}: altered since {checkpoint.folder} was written", path=folder)


def load_local_weights(
    task: Task[Any, Any], folder: Path, upgrade: Callable[[dict[str, Tensor], Mapping[str, Any]], None]
) -> None:
    """Give a task's model the weights of a trained one: all but the parameters that live on other ranks.

    Raises:
        DataError: they cannot be read, or belong to a model of other sizes.
    """
    path = folder / WEIGHTS
    stored, about = read_weights(path)
    upgrade(stored, about)
    state = task.model.state_dict()
    names = {name: task.sharding.global_name(name) for name in state}
    unknown = [name for name in names.values() if name not in stored]
    if unknown or (task.sharding.size == 1 and len(stored) != len(state)):
        name = unknown[0] if unknown else min(stored.keys() - set(names.values()))
        where = "is not in it" if unknown else "is not in this model"
        raise DataError(f"does not fit training.start_from: {name} {where}", path=path)
    load_state(task.model, {name: stored[other] for name, other in names.items()}, path)


def rescale_position(state: TrainerState, batches_per_epoch: int) -> TrainerState:
    """The state with its position counted in micro-batches of another global batch: the same fraction of the
    same epoch. Some samples of that epoch are then seen twice and some not at all; with the same global batch,
    none is."""
    batches = state.batches * batches_per_epoch // state.batches_per_epoch
    return replace(state, batches=batches, batches_per_epoch=batches_per_epoch)
