"""A trained model as a folder of its own: what `evaluate` and `predict` need, and nothing else.

Three files and a manifest that vouches for them. No file is a pickle, none belongs to a rank, and DeepSpeed is
not needed to read them.
"""

import os
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mmspec_ds.config import RunConfig, dump_run, load_run
from mmspec_ds.data.vocabularies import VOCABULARY, Vocabularies
from mmspec_ds.errors import DataError
from mmspec_ds.files import entry_of, to_disk, write_manifest
from mmspec_ds.nn.weights import WEIGHTS, StoredWeights, read_weights, write_weights
from mmspec_ds.trainer.checkpoints import CHECKPOINTS, CheckpointFolder

CONFIG = "config.yaml"


def export(run_folder: Path, target: Path, step: int | None = None) -> dict[str, Any]:
    """Write the model of a run into a new folder, which appears whole or not at all.

    Args:
        run_folder: of a trained run.
        target: the folder to make.
        step: that of a checkpoint; without, the weights with the smallest validation loss.

    Returns:
        What the manifest says of the model.

    Raises:
        DataError: a file of the run is missing or damaged, or the target exists.
    """
    if target.exists():
        raise DataError("exists already: expected a folder that is to be made", path=target)
    for name in (CONFIG, VOCABULARY):
        if not (run_folder / name).is_file():
            raise DataError(f"holds no {name}: expected the folder of a trained run", path=run_folder)
    run = load_run(run_folder / CONFIG)
    vocabularies = Vocabularies.load(run_folder / VOCABULARY)
    weights = _weights(run_folder, step)
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        write_weights(weights.tensors, partial / WEIGHTS, weights.temperature)
        (partial / CONFIG).write_text(dump_run(_without_paths(run)), encoding="utf-8")
        vocabularies.save(partial / VOCABULARY)
        about = {
            "name": run.name,
            "step": step,
            "parameters": sum(tensor.numel() for tensor in weights.tensors.values()),
            "versions": {name: version(name) for name in ("mmspec-ds", "torch")},
        }
        write_manifest(
            partial, {name: entry_of(partial / name) for name in (WEIGHTS, CONFIG, VOCABULARY)}, **about
        )
        to_disk(partial / WEIGHTS)
        os.replace(partial, target)
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror or error}", path=target) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return about


def _weights(run_folder: Path, step: int | None) -> StoredWeights:
    if step is None:
        return read_weights(run_folder / WEIGHTS)
    checkpoints = CheckpointFolder(run_folder / CHECKPOINTS)
    if step not in checkpoints.steps():
        known = ", ".join(map(str, checkpoints.steps())) or "none"
        raise DataError(f"has no checkpoint of step {step}: expected one of {known}", path=run_folder)
    checkpoint = checkpoints.at(step)
    return StoredWeights(checkpoint.weights(), checkpoint.state.temperature)


def _without_paths(run: RunConfig) -> RunConfig:
    """The settings without the places of the machine where the model was trained."""
    return run.model_copy(
        update={
            "engine": Path("engine.json"),
            "output": RunConfig.model_fields["output"].default,
            "data": run.data.model_copy(update={"train": (), "validation": ()}),
            "training": run.training.model_copy(update={"start_from": None}),
        }
    )
