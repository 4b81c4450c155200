"""Where a run begins: at a checkpoint of its own, with the weights of another model, or from its seed.

On the same topology a resumed run goes on bit for bit; on any other, as if it had always run there.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from mmspec_ds.config import RunConfig
from mmspec_ds.data.vocabularies import VOCABULARY, Vocabularies
from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.moe.expert_names import global_name, is_expert
from mmspec_ds.moe.expert_parallel import Placement
from mmspec_ds.nn.weights import WEIGHTS, read_weights
from mmspec_ds.trainer.checkpoints import CHECKPOINTS, Checkpoint, CheckpointFolder, TrainerState

OF_THE_MODEL = ("model", "moe", "data")
"""Blocks of a run file that must be those of the checkpoint; the rest may change between two parts of a run,
but for the optimizer."""

FREE_KEYS = (
    "data.train",
    "data.validation",
    "data.validation_fraction",
    "data.split_seed",
    "data.allow_shared_molecules",
    "data.skip_invalid",
    "data.skip_long_targets",
    "data.modality_dropout",
    "model.dropout",
    "moe.mode",
    "moe.capacity_factor",
    "moe.exchange_chunks",
)
"""Keys of these blocks on which neither the shape of a weight nor the meaning of a token depends."""


@dataclass(frozen=True)
class Start:
    """`checkpoint` to go on from, if any; `vocabularies` that the weights bring, if any; `remarks` to tell."""

    checkpoint: Checkpoint | None = None
    vocabularies: Vocabularies | None = None
    remarks: tuple[str, ...] = ()


def find_start(run: RunConfig, *, resume: bool, overwrite: bool) -> Start:
    """Look for the checkpoint to go on from, before anything else is read. Every rank calls this.

    Raises:
        DataError: the folder holds a run already, or no checkpoint of it is whole; says what to do.
        ConfigError: the checkpoint is of another model.
    """
    folder = CheckpointFolder(run.folder / CHECKPOINTS)
    if not resume:
        if folder.folder.exists() and not overwrite:
            raise DataError(
                "holds a run already: expected --resume, --overwrite or another name", path=run.folder
            )
        return _fresh(run)
    checkpoint, wrong = folder.newest()
    if checkpoint is None:
        return replace(_fresh(run), remarks=("no checkpoint to resume: starting at step 0",))
    check_same_model(run, checkpoint)
    remarks = [f"set aside: {one}" for one in wrong] + [f"going on from {checkpoint.folder}"]
    return Start(checkpoint, vocabularies_of(run, checkpoint), tuple(remarks))


def _fresh(run: RunConfig) -> Start:
    other = run.training.start_from
    return Start() if other is None else Start(vocabularies=Vocabularies.load(other / VOCABULARY))


def load_local_weights(model: nn.Module, folder: Path, placement: Placement) -> None:
    """Give a model the weights of a trained one: all but the experts that live on other ranks.

    Raises:
        DataError: they cannot be read, or belong to a model of other sizes.
    """
    path = folder / WEIGHTS
    stored = read_weights(path).tensors
    experts = 1 + max((int(n.split(".")[-2]) for n in stored if is_expert(n)), default=-1)
    state = model.state_dict()
    names = {name: global_name(name, placement, experts) for name in state}
    strangers = [name for name in names.values() if name not in stored]
    if strangers or (placement.size == 1 and len(stored) != len(state)):
        odd = strangers[0] if strangers else min(stored.keys() - set(names.values()))
        where = "is not in it" if strangers else "is not in this model"
        raise DataError(f"does not fit training.start_from: {odd} {where}", path=path)
    try:
        model.load_state_dict({name: stored[other] for name, other in names.items()})
    except RuntimeError as error:
        raise DataError(f"does not fit the model: {' '.join(str(error).split())[:300]}", path=path) from None


def moved(state: TrainerState, batches_per_epoch: int) -> TrainerState:
    """Where a run stands in micro-batches of another global batch: at the same fraction of the same epoch. Some
    samples of that epoch are then seen twice and some not at all; with the same global batch, none is."""
    batches = state.batches * batches_per_epoch // state.batches_per_epoch
    return replace(state, batches=batches, batches_per_epoch=batches_per_epoch)


def description(run: RunConfig, vocabularies: Vocabularies) -> dict[str, Any]:
    """What a checkpoint's manifest says of its run."""
    return {"run": run.model_dump(mode="json"), "vocabulary": fingerprint(vocabularies)}


def fingerprint(vocabularies: Vocabularies) -> str:
    """A checksum of the vocabularies."""
    return hashlib.sha256(json.dumps(vocabularies.to_dict(), sort_keys=True).encode()).hexdigest()


def check_same_model(run: RunConfig, checkpoint: Checkpoint) -> None:
    """Refuse to go on with another model than that of the checkpoint.

    Raises:
        ConfigError: names the first key that differs.
    """
    now, then = (dict(_flat(content)) for content in (run.model_dump(mode="json"), checkpoint.manifest["run"]))
    for key in sorted(now.keys() | then.keys()):
        of_the_model = key.partition(".")[0] in OF_THE_MODEL and key not in FREE_KEYS
        bound = of_the_model or key == "training.optimizer"
        if bound and now.get(key) != then.get(key):
            raise ConfigError(
                f"{key} is {now.get(key)!r}, but {checkpoint.folder} was trained with {then.get(key)!r}:"
                " expected the same, or another name for another run"
            )


def vocabularies_of(run: RunConfig, checkpoint: Checkpoint) -> Vocabularies:
    """The vocabularies that a checkpoint's weights mean, whatever the training files now hold.

    Raises:
        DataError: the run's file of them is missing or is another.
    """
    path = run.folder / VOCABULARY
    vocabularies = Vocabularies.load(path)
    if fingerprint(vocabularies) != checkpoint.manifest["vocabulary"]:
        raise DataError(f"altered since {checkpoint.folder} was written: expected the same tokens", path=path)
    return vocabularies


def _flat(content: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Values by their dotted keys; lists are values."""
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value
