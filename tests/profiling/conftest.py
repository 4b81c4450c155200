"""A tiny run, sparse or dense, for the planner."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor

from mmspec_ds.data.batch import Batch
from mmspec_ds.profiling.activations import pass_loss
from mmspec_ds.systems.elucidation.model import Elucidator
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun
from mmspec_ds.systems.run_file import load_run

EXPERTS = [
    {"family": "shared", "width": 64},
    {"family": "shared", "width": 32},
    {"family": "modality", "width": 64, "modalities": ["h_nmr", "c_nmr"]},
    {"family": "interaction", "width": 32},
]

MakeRun = Callable[..., ElucidationRun]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Makes a run of three encoder and two decoder layers; overrides as on the command line."""

    def make(*overrides: str, engine: dict[str, Any] | None = None) -> ElucidationRun:
        (tmp_path / "engine.json").write_text(json.dumps(engine or {"zero_optimization": {"stage": 1}}))
        run = {
            "name": "tiny",
            "engine": "engine.json",
            "data": {"max_target_tokens": 30},
            "model": {
                "d_model": 32,
                "heads": 2,
                "encoder_layers": 3,
                "decoder_layers": 2,
                "ffn_width": 64,
                "sinusoid_features": 8,
                "max_target_tokens": 64,
            },
            "moe": {"k": 2, "experts": EXPERTS},
            "training": {"steps": 1, "batch_size": 4},
        }
        (tmp_path / "run.yaml").write_text(yaml.safe_dump(run))
        return load_run(tmp_path / "run.yaml", overrides)

    return make


@pytest.fixture
def saved_bytes() -> Callable[[Elucidator, Batch], int]:
    """Counts the bytes that autograd saves for a backward pass, each storage once, parameters and buffers
    excluded. The graph holds the storages, so that no address is used twice."""

    def count(model: Elucidator, batch: Batch) -> int:
        own = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
        saved: dict[int, int] = {}

        def pack(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                saved[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            loss = pass_loss(model, batch)
        del loss
        return sum(saved.values())

    return count
