"""Weights that a run keeps from the course of its training, so that one can see how a model changed.

snapshots/step_00000400.safetensors ...   all weights in one file each, like `model.safetensors`
"""

import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmspec_ds.errors import UserError
from mmspec_ds.trainer.checkpoints import CHECKPOINTS, CheckpointFolder, TrainerState, name_of, on_rank0
from mmspec_ds.trainer.engine_state import EngineState
from mmspec_ds.trainer.weights import WEIGHTS

SNAPSHOTS = "snapshots"
_ENDING = ".safetensors"


class Snapshots:
    """Keeps the weights `wanted` times, at even parts of the budget; the last time is the end of the run.

    Args:
        folder: of the run.
        wanted: `training.snapshots`; 0 keeps none.
        done: the fraction of the budget that is spent already.
    """

    def __init__(self, folder: Path, wanted: int, done: float) -> None:
        self._folder, self._wanted, self._done = folder / SNAPSHOTS, wanted, done

    def after(self, step: int, done: float, engine: EngineState, about: Mapping[str, Any]) -> None:
        """Keep the weights if a further part of the budget is spent with this step. Every rank calls this.

        Raises:
            UserError: on every rank, if any of them could not write.
        """
        before, self._done = self._done, done
        if not self._wanted or _parts(done, self._wanted) == _parts(before, self._wanted):
            return
        scratch = self._folder / f".{name_of(step)}"
        # A checkpoint of its own brings the shares of all ranks together, on any topology.
        whole = CheckpointFolder(scratch / CHECKPOINTS, keep=1)
        whole.save(engine, TrainerState(step=step, best_step=step), about, publish=True)
        try:
            on_rank0(lambda: self._take(scratch, step))
        except OSError as error:
            raise UserError(f"{self._folder}: the weights of step {step} could not be kept: {error}") from None

    def _take(self, scratch: Path, step: int) -> None:
        os.replace(scratch / WEIGHTS, self._folder / f"{name_of(step)}{_ENDING}")
        shutil.rmtree(scratch)


def snapshots_of(folder: Path) -> dict[int, Path]:
    """The files of the weights that a run kept, by step, in order."""
    found = (folder / SNAPSHOTS).glob(f"step_*{_ENDING}")
    return {int(path.name[len("step_") : -len(_ENDING)]): path for path in sorted(found)}


def _parts(done: float, wanted: int) -> int:
    """How many of the `wanted` parts of a budget are spent. 3 * 0.1 is a little more than 0.3, so a share just
    below a whole part counts as that part."""
    return math.floor(done * wanted + 1e-9)
