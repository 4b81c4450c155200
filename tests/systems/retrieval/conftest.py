"""A run of the smallest size, and the records that it learns from."""

from typing import Any

import pytest
import torch

from mmspec_ds.systems.retrieval.data import RetrievalSets, collected
from mmspec_ds.systems.retrieval.factory import make_encoding
from mmspec_ds.systems.retrieval.run_settings import RetrievalRun
from mmspec_ds.systems.retrieval.task import RetrievalTask
from mmspec_ds.trainer.task import TaskContext
from tests.systems.retrieval.spectra_of_molecules import make_entries

EXPERTS = [
    {"family": "shared", "width": 32},
    {"family": "shared", "width": 16},
    {"family": "modality", "width": 32, "modalities": ["ms"]},
    {"family": "interaction", "width": 16},
]
SIZES = {"d_model": 16, "heads": 2, "encoder_layers": 1, "ffn_width": 32, "width": 12, "sinusoid_features": 8}


def make_run(**blocks: Any) -> RetrievalRun:
    """A run; each argument replaces keys of a block, or a whole value."""
    content: dict[str, Any] = {
        "system": "retrieval",
        "name": "run",
        "engine": "zero0.json",
        "model": dict(SIZES),
        "training": {"batch_size": 8, "steps": 4},
    }
    for name, value in blocks.items():
        content[name] = content.get(name, {}) | value if isinstance(value, dict) else value
    return RetrievalRun.model_validate(content)


def make_sets(run: RetrievalRun) -> RetrievalSets:
    """Fifteen molecules to learn from, five to validate on, three spectra of each."""
    entries, encoding = make_entries(), make_encoding(run)
    train, held_back = (
        collected([one for one in entries if one.metadata["split"] == side], encoding)
        for side in ("train", "val")
    )
    return RetrievalSets(train, held_back)


def make_task(rank: int = 0, world: int = 1, **blocks: Any) -> RetrievalTask:
    """The task of such a run as one rank sees it."""
    run = make_run(**blocks)
    return RetrievalTask(run, TaskContext(torch.device("cpu"), rank, world), make_sets(run))


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Tests do not wait for a second core."""
    torch.set_num_threads(1)
