"""The model of a trained fusion run from its folder, a run or an export."""

from dataclasses import dataclass
from pathlib import Path

import torch

from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.systems.fusion.distillation.transfer import TRANSFER
from mmspec_ds.systems.fusion.domain_adapters import with_new_head
from mmspec_ds.systems.fusion.domain_adapters_files import load_adapter
from mmspec_ds.systems.fusion.factory import make_model
from mmspec_ds.systems.fusion.model import FusionModel
from mmspec_ds.systems.fusion.run_settings import FusionRun
from mmspec_ds.systems.fusion.schema import SCHEMA, Schema, load_schema
from mmspec_ds.systems.run_file import load_whole_run_of
from mmspec_ds.trainer.weights import WEIGHTS, load_state, read_weights

BASE = "base"
"""A folder, or a link to one, with the base beside the adapters of a run or an export; without it the path in
the settings is used."""


@dataclass(frozen=True)
class StoredFusion:
    """A model in evaluation mode on the CPU, its settings, what it reads and tells, and a checksum of its
    weights."""

    run: FusionRun
    schema: Schema
    model: FusionModel
    identity: str


def load_model(folder: Path) -> StoredFusion:
    """Read the model of a run or an export. Where there is a manifest, as in an export, the files must have its
    checksums. What a student needed in training alone is left out.

    Raises:
        DataError: no such folder, or a file of it is missing, was altered or does not fit.
        ConfigError: a configuration that this version cannot read, or a model of another system.
    """
    run = load_whole_run_of(folder, FusionRun, (WEIGHTS, SCHEMA))
    schema = load_schema(folder)
    if run.adapt is not None:
        return _load_adapted(folder, run, schema)
    with torch.random.fork_rng(devices=[]):
        model = make_model(run, schema)
    tensors, about = read_weights(folder / WEIGHTS)
    own = {name: one for name, one in tensors.items() if not name.startswith(f"{TRANSFER}.")}
    load_state(model, own, folder / WEIGHTS)
    return StoredFusion(run, schema, model.eval(), about["sha256"])


def load_classifier(folder: Path, key: str, *, pretrained: bool = False) -> StoredFusion:
    """The model that a run file names under `key`, such as a teacher, which must tell something, but where one
    that is `pretrained` alone will do.

    Raises:
        DataError: as `load_model`; names the key where there is no such folder.
        ConfigError: as `load_model`; or the model is pretrained alone.
    """
    if not folder.is_dir():
        raise DataError(f"{key}: no such folder; expected a trained fusion run", path=folder)
    stored = load_model(folder)
    if stored.schema.kind == "none" and not pretrained:
        raise ConfigError(f"{key}: {folder} is pretrained alone: expected one that classifies")
    return stored


def _load_adapted(folder: Path, run: FusionRun, schema: Schema) -> StoredFusion:
    """A base with the adapters in `folder`."""
    assert run.adapt is not None
    beside = folder / BASE
    place = beside if beside.is_dir() else run.adapt.base
    if not place.is_dir():
        raise DataError(
            f"holds adapters alone: expected their base at {place}, or a link {BASE} to it in this folder",
            path=folder,
        )
    base = load_model(place)
    model = adapted_model(base.model, run, schema)
    identity = load_adapter(model, folder, base.identity)
    return StoredFusion(run, schema, model.eval(), identity)


def adapted_model(base: FusionModel, run: FusionRun, schema: Schema) -> FusionModel:
    """The model that the adapters of a run belong to: the base, or one with its encoder and a new head, whose
    weights are not those of the run yet."""
    assert run.adapt is not None
    if run.adapt.head == "base":
        return base
    with torch.random.fork_rng(devices=[]):
        return with_new_head(base, run, schema)
