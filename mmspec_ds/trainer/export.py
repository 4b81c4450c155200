"""A trained model as a folder of its own: what commands need to use it, and nothing else.

The settings, the weights, the files that these depend on, and a manifest of their checksums; and what was added
to the run later, which may change and has no checksum. No file is a pickle, none belongs to a rank, and
DeepSpeed is not needed to read them.
"""

import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmspec_ds.errors import DataError
from mmspec_ds.files import entry_of, replacing_output, to_disk, write_manifest
from mmspec_ds.trainer.checkpoints import CHECKPOINTS, CheckpointFolder
from mmspec_ds.trainer.run_settings import CONFIG, RunSettings, check_run_folder
from mmspec_ds.trainer.task import System
from mmspec_ds.trainer.usage import TRAINING, read_usage
from mmspec_ds.trainer.weights import WEIGHTS, read_weights, write_weights


def export(
    run: RunSettings,
    system: System,
    run_folder: Path,
    target: Path,
    step: int | None = None,
    *,
    half: bool = False,
) -> dict[str, Any]:
    """Write the model of a run into a new folder, which appears whole or not at all.

    Args:
        run: the settings in the run's folder.
        system: of these settings.
        run_folder: of a trained run.
        target: the folder to make.
        step: that of a checkpoint; without, the best weights.
        half: store the weights as float16, from which they are read into float32 again.

    Returns:
        What the manifest says of the model.

    Raises:
        DataError: a file of the run is missing or damaged, the target exists, or a weight is too large for half
            precision.
    """
    if target.exists():
        raise DataError("exists already: expected a folder that is to be made", path=target)
    check_run_folder(run_folder, system.files)
    weights = _weights(system, run_folder, step)
    if half:
        weights = {name: _halved(name, tensor, run_folder) for name, tensor in weights.items()}
    about = {
        "name": run.name,
        "step": step,
        "parameters": sum(tensor.numel() for tensor in weights.values()),
        "versions": {name: version(name) for name in ("mmspec-ds", "torch")},
        TRAINING: read_usage(run_folder, run).to_json(),
    }
    with replacing_output(target) as partial:
        partial.mkdir(parents=True)
        write_weights(weights, partial / WEIGHTS)
        (partial / CONFIG).write_text(run.without_paths().to_yaml(), encoding="utf-8")
        for name in system.files:
            shutil.copyfile(run_folder / name, partial / name)
        for name in system.extras:
            if (run_folder / name).is_file():
                shutil.copyfile(run_folder / name, partial / name)
        names = (WEIGHTS, CONFIG, *system.files)
        write_manifest(partial, {name: entry_of(partial / name) for name in names}, **about)
        to_disk(partial / WEIGHTS)
    return about


def _halved(name: str, tensor: Tensor, run_folder: Path) -> Tensor:
    if not tensor.is_floating_point():
        return tensor
    halved = tensor.half()
    if not torch.equal(halved.isfinite(), tensor.isfinite()):
        raise DataError(f"{name} holds a weight above 65,504, the largest of float16", path=run_folder)
    return halved


def _weights(system: System, run_folder: Path, step: int | None) -> dict[str, Tensor]:
    if step is None:
        tensors, about = read_weights(run_folder / WEIGHTS)
    else:
        checkpoints = CheckpointFolder(run_folder / CHECKPOINTS)
        if step not in checkpoints.steps():
            known = ", ".join(map(str, checkpoints.steps())) or "none"
            raise DataError(f"has no checkpoint of step {step}: expected one of {known}", path=run_folder)
        checkpoint = checkpoints.at(step)
        tensors, about = checkpoint.weights(), checkpoint.manifest["state"]
    system.upgrade(tensors, about)
    return tensors
