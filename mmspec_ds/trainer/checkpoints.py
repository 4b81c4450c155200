"""Checkpoints of a run: written under a temporary name, checksummed, published whole, read on any topology.

checkpoints/step_00000400/rank_00000.safetensors ...   the pieces of weights and optimizer states of each rank
checkpoints/step_00000400/manifest.json                sizes and checksums of these, progress of the run, its
                                                       topology, its settings, the versions that wrote it
model.safetensors                                      beside the folder: the weights with the best validation
                                                       score, in one file that needs no DeepSpeed

Nothing is pickled. A checkpoint that is not whole is set aside as `damaged_step_00000400`, and the one before
is used.
"""

import os
import platform
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from mmspec_ds.errors import DataError, UserError
from mmspec_ds.files import entry_of, faults, read_manifest, replacing, to_disk, write_manifest
from mmspec_ds.trainer.distributed import broadcast_from_rank0, gather_objects
from mmspec_ds.trainer.engine_state import WEIGHT, EngineState
from mmspec_ds.trainer.pieces import BUFFER, PieceReader, file_of_rank, write_pieces
from mmspec_ds.trainer.weights import WEIGHTS, write_weights

FORMAT = 1
CHECKPOINTS = "checkpoints"
TASK_STATE = "task_state"
"""The key of the manifest that holds `Task.state`."""
OLDER_NAMES = {"validation_loss": "score", "best_loss": "best_score"}
"""What older checkpoints call parts of the trainer's state."""


@dataclass(frozen=True)
class TrainerState:
    """Progress of a run: counters and validation scores.

    Attributes:
        step: updates so far.
        seconds: of training so far.
        batches: micro-batches so far, of `batches_per_epoch` in an epoch.
        samples, flops: trained so far on all ranks; None for a run that an older version began, which did not
            count them.
        score, best_score: of the latest validation and of the best one; None before the first.
        best_step: when the best was reached; before any validation, the last step that was saved.
    """

    step: int = 0
    seconds: float = 0.0
    batches: int = 0
    batches_per_epoch: int = 1
    samples: float | None = 0.0
    flops: float | None = 0.0
    score: float | None = None
    best_score: float | None = None
    best_step: int | None = None


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint with its manifest."""

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def state(self) -> TrainerState:
        """Progress of the run at this checkpoint."""
        stored = {OLDER_NAMES.get(key, key): value for key, value in self.manifest["state"].items()}
        stored = {"samples": None, "flops": None} | stored
        return TrainerState(
            **{one.name: stored[one.name] for one in fields(TrainerState) if one.name in stored}
        )

    def reader(self) -> PieceReader:
        """A reader of the files of all ranks."""
        return PieceReader(self.folder, sorted(self.manifest["files"]))

    def weights(self) -> dict[str, Tensor]:
        """Every weight and buffer of the model by its global name, fp32."""
        reader = self.reader()
        whole = reader.whole(WEIGHT, self.manifest["parameters"])
        return whole | reader.whole(BUFFER, self.manifest["buffers"])


class CheckpointFolder:
    """The checkpoints of a run.

    Args:
        folder: `RUN/checkpoints`.
        keep: how many of the newest stay, the best one aside.
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder, self.keep = folder, keep

    def save(
        self, engine: EngineState, state: TrainerState, about: Mapping[str, Any], *, publish: bool
    ) -> None:
        """Write a checkpoint under a temporary name, rename it when every rank's part is on disk, drop the
        oldest. Every rank calls this.

        Args:
            engine: what there is to save.
            state: progress of the run.
            about: more for the manifest.
            publish: whether these weights become the run's `model.safetensors`.

        Raises:
            UserError: on every rank, if any of them could not write; the older checkpoints are untouched.
        """
        partial = self.folder / f".{name_of(state.step)}.partial"
        on_rank0(lambda: self._clear(partial))
        file = file_of_rank(dist.get_rank())
        parts = gather_objects(_attempted(lambda: _write_part(engine, partial / file)))
        fault = next((part for part in parts if isinstance(part, str)), None)
        try:
            if fault is not None:
                raise OSError(fault)
            on_rank0(lambda: self._complete(partial, _manifest(parts, engine, state, about), publish=publish))
        except OSError as error:
            on_rank0(lambda: shutil.rmtree(partial, ignore_errors=True))
            raise UserError(self._not_saved(state.step, str(error))) from None

    def newest(self) -> tuple[Checkpoint | None, list[str]]:
        """The newest checkpoint that is whole, and what is wrong with newer ones, which are set aside. Every
        rank calls this; they share the work of reading.

        Raises:
            DataError: there are checkpoints, and none is whole.
        """
        wrong: list[str] = []
        damaged: list[int] = []
        for step in broadcast_from_rank0(lambda: self.steps()[::-1]):
            found = self._checked(step)
            if isinstance(found, Checkpoint):
                on_rank0(lambda: self._set_aside(damaged))
                return found, wrong
            wrong += found
            damaged.append(step)
        if damaged:
            raise DataError(f"no checkpoint is whole: {'; '.join(wrong)}", path=self.folder)
        return None, []

    def steps(self) -> list[int]:
        """The steps with a checkpoint, whole or not."""
        names = (path.name.removeprefix("step_") for path in self.folder.glob("step_*"))
        return sorted(int(name) for name in names if name.isdigit())

    def at(self, step: int) -> Checkpoint:
        """The checkpoint of a step.

        Raises:
            DataError: it does not exist or is not whole.
        """
        folder = self.folder / name_of(step)
        manifest = _manifest_of(folder)
        wrong = faults(folder, manifest)
        if wrong:
            raise DataError("; ".join(wrong))
        return Checkpoint(folder, manifest)

    def _clear(self, partial: Path) -> None:
        for left in self.folder.glob(".step_*.partial"):  # of a save that was cut short
            shutil.rmtree(left, ignore_errors=True)
        (self.folder.parent / f".{WEIGHTS}.partial").unlink(missing_ok=True)
        partial.mkdir(parents=True)

    def _complete(self, partial: Path, manifest: Mapping[str, Any], *, publish: bool) -> None:
        """Write the manifest, publish the weights, then the checkpoint: weights without their checkpoint are
        written again, but a checkpoint without its weights would go unnoticed."""
        write_manifest(partial, **manifest)
        state = TrainerState(**manifest["state"])
        if publish:
            with replacing(self.folder.parent / WEIGHTS) as path:
                write_weights(Checkpoint(partial, manifest).weights(), path)
        final = self.folder / name_of(state.step)
        shutil.rmtree(final, ignore_errors=True)
        to_disk(partial)
        os.replace(partial, final)
        to_disk(self.folder)
        kept = {*self.steps()[-self.keep :], state.best_step}
        for step in self.steps():
            if step not in kept:
                shutil.rmtree(self.folder / name_of(step), ignore_errors=True)

    def _checked(self, step: int) -> Checkpoint | list[str]:
        """A checkpoint, or what is wrong with it."""
        folder = self.folder / name_of(step)
        try:
            manifest = _manifest_of(folder)
            share = sorted(manifest["files"])[dist.get_rank() :: dist.get_world_size()]
            mine = faults(folder, manifest, share)
        except DataError as error:
            manifest, mine = {}, [str(error)]
        wrong = sorted({fault for part in gather_objects(mine) for fault in part})
        return wrong or Checkpoint(folder, manifest)

    def _set_aside(self, steps: list[int]) -> None:
        for step in steps:
            aside = self.folder / f"damaged_{name_of(step)}"
            shutil.rmtree(aside, ignore_errors=True)
            os.replace(self.folder / name_of(step), aside)

    def _not_saved(self, step: int, why: str) -> str:
        steps = self.steps()
        left = f"step {steps[-1]} is the last that is saved" if steps else "no step is saved"
        return (
            f"{self.folder}: the checkpoint of step {step} could not be written: {why}; {left}: make room and"
            " start again with --resume"
        )


def restore(
    engine: EngineState,
    checkpoint: Checkpoint,
    upgrade: Callable[[dict[str, Tensor], Mapping[str, Any]], None],
) -> None:
    """Write a checkpoint's weights and optimizer states into an engine of the same model on any topology. Every
    rank calls this. `upgrade` is that of the `System`.

    Raises:
        DataError: the checkpoint is not of this model.
    """
    reader = checkpoint.reader()
    engine.open_states(checkpoint.manifest["states"], checkpoint.manifest["updates"])
    with torch.no_grad():
        for piece in engine.pieces():
            stop = piece.start + piece.values.numel()
            piece.values.copy_(reader.read(piece.kind, piece.name, piece.start, stop))
        buffers = reader.whole(BUFFER, checkpoint.manifest["buffers"])
        upgrade(buffers, checkpoint.manifest["state"])
        for name, buffer in engine.buffers():
            if name not in buffers:
                raise DataError(f"holds no {name}: expected a checkpoint of this model", path=checkpoint.folder)
            buffer.copy_(buffers[name])
    engine.refresh_weights()


def name_of(step: int) -> str:
    """The folder of a step's checkpoint."""
    return f"step_{step:08d}"


def on_rank0(work: Callable[[], None]) -> None:
    """Call `work` on rank 0 alone; an OSError there is raised on every rank."""
    fault = broadcast_from_rank0(lambda: _attempted(work))
    if isinstance(fault, str):
        raise OSError(fault)


def _manifest_of(folder: Path) -> dict[str, Any]:
    manifest = read_manifest(folder)
    if manifest.get("format") != FORMAT:
        raise DataError(
            f"the checkpoint has format {manifest.get('format')!r}: expected {FORMAT}, that of this version",
            path=folder,
        )
    return manifest


def _attempted(work: Callable[[], Any]) -> Any:
    """The result of `work`, or the text of its OSError."""
    try:
        return work()
    except OSError as error:
        return f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"


def _write_part(engine: EngineState, path: Path) -> dict[str, Any]:
    """Write this rank's share, and return its part of the manifest."""
    pieces = [(p.kind, p.name, p.start, p.values) for p in engine.pieces() if p.owned]
    if dist.get_rank() == 0:
        pieces += [(BUFFER, name, 0, buffer.view(-1)) for name, buffer in engine.buffers()]
    write_pieces(path, pieces)
    return {"file": entry_of(path), "parameters": engine.shapes()}


def _manifest(
    parts: list[dict[str, Any]], engine: EngineState, state: TrainerState, about: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "state": asdict(state),
        "states": list(engine.state_kinds()),
        "updates": engine.updates(),
        "parameters": {name: shape for part in parts for name, shape in part["parameters"].items()},
        "buffers": {name: list(buffer.shape) for name, buffer in engine.buffers()},
        "topology": engine.topology(),
        "versions": {name: version(name) for name in ("mmspec-ds", "torch", "deepspeed")}
        | {"python": platform.python_version()},
        **about,
        "files": {file_of_rank(rank): part["file"] for rank, part in enumerate(parts)},
    }
