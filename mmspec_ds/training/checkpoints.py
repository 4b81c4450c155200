"""Checkpoints of a run: written beside, published whole, found again.

checkpoints/step_00000400/    DeepSpeed's files, `trainer.json`, and `model.safetensors`: all weights in one
                              file under their global expert numbers, readable without DeepSpeed
checkpoints/last              the name of the newest
checkpoints/best              the name of the one with the smallest validation loss
model.safetensors             the weights of that one
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mmspec_ds.errors import DataError
from mmspec_ds.models.weights import WEIGHTS, write_weights
from mmspec_ds.moe.expert_parallel import Placement

EXPERTS = ".deepspeed_moe.experts.deepspeed_experts."


@dataclass(frozen=True)
class TrainerState:
    """Where a run stands. `seconds` of training so far; `temperature` is the router's at this point; so many
    `ranks` with this `ep_size` saved it."""

    step: int = 0
    seconds: float = 0.0
    validation_loss: float | None = None
    best_loss: float | None = None
    temperature: float = 1.0
    ranks: int = 1
    ep_size: int = 1


class CheckpointFolder:
    """The checkpoints of a run.

    Args:
        folder: `RUN/checkpoints`.
        keep: how many of the newest stay, the best one aside.
    """

    def __init__(self, folder: Path, keep: int = 1) -> None:
        self.folder, self.keep = folder, keep

    def save(
        self, engine: Any, model: nn.Module, placement: Placement, state: TrainerState, *, best: bool
    ) -> None:
        """Write a checkpoint under a temporary name, rename it when all ranks are done, drop the oldest. Every
        rank calls this."""
        name = f"step_{state.step:08d}"
        partial, first = self.folder / f".{name}.partial", dist.get_rank() == 0
        if first:
            for left in self.folder.glob(".step_*.partial"):  # of a save that was cut short
                shutil.rmtree(left, ignore_errors=True)
            partial.mkdir(parents=True)
        dist.barrier()
        engine.save_checkpoint(str(self.folder), tag=partial.name, save_latest=False)
        save_weights(model, partial, placement, state)
        if first:
            saved = replace(state, ranks=dist.get_world_size(), ep_size=placement.size)
            (partial / "trainer.json").write_text(json.dumps(asdict(saved), indent=1) + "\n")
            shutil.rmtree(self.folder / name, ignore_errors=True)
            os.replace(partial, self.folder / name)
            self._point("last", name)
            if best:
                self._point("best", name)
                publish(self.folder / name / WEIGHTS, self.folder.parent / WEIGHTS)
            self._prune()
        dist.barrier()

    def resume(self, engine: Any, placement: Placement) -> TrainerState:
        """Load the newest checkpoint into the engine.

        Raises:
            DataError: there is none, or it does not fit: optimizer states are those of a number of ranks.
        """
        checkpoint = self.find("last")
        state, ranks = read_state(checkpoint), dist.get_world_size()
        if (state.ranks, state.ep_size) != (ranks, placement.size):
            raise DataError(
                f"was saved by {state.ranks} ranks with training.ep_size {state.ep_size}: expected the same,"
                f" found {ranks} with {placement.size}",
                path=checkpoint,
            )
        try:
            loaded, _ = engine.load_checkpoint(str(self.folder), tag=checkpoint.name)
        except (RuntimeError, AssertionError, KeyError, ValueError, OSError, EOFError) as error:
            raise DataError(
                f"cannot be resumed: {' '.join(str(error).split())[:300]}", path=checkpoint
            ) from error
        if loaded is None:
            raise DataError("cannot be resumed: DeepSpeed's files are missing", path=checkpoint)
        return state

    def find(self, pointer: str) -> Path:
        """The checkpoint that `last` or `best` names."""
        path = self.folder / pointer
        try:
            checkpoint = self.folder / path.read_text(encoding="utf-8").strip()
        except OSError:
            raise DataError("not found: expected a run that has saved a checkpoint", path=path) from None
        if not checkpoint.is_dir():
            raise DataError(f"names {checkpoint.name}, which does not exist", path=path)
        return checkpoint

    def _point(self, pointer: str, name: str) -> None:
        partial = self.folder / f".{pointer}.partial"
        partial.write_text(name + "\n")
        os.replace(partial, self.folder / pointer)

    def _prune(self) -> None:
        pointers = (self.folder / pointer for pointer in ("best", "last"))
        needed = {path.read_text().strip() for path in pointers if path.exists()}
        names = sorted(path.name for path in self.folder.glob("step_*"))
        for name in names[: -self.keep]:
            if name not in needed:
                shutil.rmtree(self.folder / name, ignore_errors=True)


def read_state(checkpoint: Path) -> TrainerState:
    """`trainer.json` of a checkpoint."""
    path = checkpoint / "trainer.json"
    try:
        return TrainerState(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"cannot be read: {error}", path=path) from None


def save_weights(model: nn.Module, folder: Path, placement: Placement, state: TrainerState) -> None:
    """Write `model.safetensors`: every weight, experts under their global numbers. Every rank calls this.

    Each rank of the first expert-parallel group writes its experts to a part, which rank 0 joins.
    """
    rank = dist.get_rank()
    weights = {k: v.detach().float().cpu().contiguous() for k, v in model.state_dict().items()}
    experts = globally_named({k: v for k, v in weights.items() if EXPERTS in k}, placement)
    if 0 < rank < placement.size:
        save_file(experts, folder / f"rank_{rank}.part")
    dist.barrier()
    if rank == 0:
        whole = {k: v for k, v in weights.items() if EXPERTS not in k} | experts
        for other in range(1, placement.size):
            part = folder / f"rank_{other}.part"
            whole |= load_file(part)
            part.unlink()
        write_weights(whole, folder / WEIGHTS, state.temperature)


def globally_named(experts: Mapping[str, Tensor], placement: Placement) -> dict[str, Tensor]:
    """Experts' weights named by their number among all experts instead of among the local ones."""
    split = [(key.partition(EXPERTS)[0], *key.partition(EXPERTS)[2].split(".", 1)) for key in experts]
    share = 1 + max((int(number) for _, number, _ in split), default=0)
    first = placement.rank * share
    return {
        f"{before}{EXPERTS}{first + int(number)}.{rest}": value
        for (before, number, rest), value in zip(split, experts.values())
    }


def publish(source: Path, target: Path) -> None:
    """Put a copy of a file in another place, whole or not at all."""
    partial = target.with_name(f".{target.name}.partial")
    shutil.copyfile(source, partial)
    os.replace(partial, target)
