"""A trained model from its folder: a run, an export, or anything that holds the same three files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmspec_ds.data.encoding import InputEncoding
from mmspec_ds.data.vocabularies import VOCABULARY, Vocabularies
from mmspec_ds.errors import DataError
from mmspec_ds.moe.temperature import ROUTER_TEMPERATURE
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.systems.elucidation.factory import build_elucidator
from mmspec_ds.systems.elucidation.model import Elucidator
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun
from mmspec_ds.systems.run_file import load_whole_run_of
from mmspec_ds.systems.trained_folder import resolve_model
from mmspec_ds.trainer.run_settings import CONFIG
from mmspec_ds.trainer.weights import WEIGHTS, load_state, read_weights
from mmspec_ds.verification.calibration import Calibration, load_calibration


@dataclass(frozen=True)
class TrainedModel:
    """A model in evaluation mode with what its numbers mean, and how its candidates are verified."""

    run: ElucidationRun
    model: Elucidator
    vocabulary: Vocabulary
    encoding: InputEncoding
    calibration: Calibration = field(default_factory=Calibration)


def load_model(name: str | Path) -> TrainedModel:
    """Read `config.yaml`, `vocabulary.json` and `model.safetensors`, and `calibration.json` if there is one; no
    DeepSpeed is needed. Where there is a manifest, as in an export, the files must have its checksums. `name`
    is as `resolve_model` takes it.

    Raises:
        DataError: no such folder, or a file of it is missing, was altered or does not fit.
        ConfigError: a configuration that this version cannot read.
    """
    run = load_whole_run_of(name, ElucidationRun, (VOCABULARY, WEIGHTS))
    folder = resolve_model(name)
    vocabularies = Vocabularies.load(folder / VOCABULARY)
    try:
        encoding = InputEncoding.from_settings(run.data, vocabularies.source)
    except ValueError as error:
        raise DataError(f"does not fit {CONFIG}: {error}", path=folder / VOCABULARY) from None
    model = build_elucidator(run.model, run.moe, encoding.schemas, len(vocabularies.target))
    load_weights(model, folder / WEIGHTS)
    return TrainedModel(run, model.eval(), vocabularies.target, encoding, load_calibration(folder))


def load_weights(model: Elucidator, path: Path) -> None:
    """Load a weights file into a model that holds all experts.

    Raises:
        DataError: a file that cannot be read, was altered or belongs to another model.
    """
    tensors, about = read_weights(path)
    add_temperature(tensors, about)
    load_state(model, tensors, path)


def add_temperature(tensors: dict[str, Tensor], about: Mapping[str, Any]) -> None:
    """Give the weights of a sparse model the router's temperature where an older version stored it beside
    them."""
    sparse = any(".deepspeed_moe.gate." in name for name in tensors)
    if sparse and ROUTER_TEMPERATURE not in tensors and "temperature" in about:
        tensors[ROUTER_TEMPERATURE] = torch.tensor(float(about["temperature"]))
