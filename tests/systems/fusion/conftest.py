"""A run of the smallest size, and samples of two modalities whose class is known."""

from typing import Any

import numpy as np
import pytest
import torch

from mmspec_ds.spectra.records import CarbonNMR, Record, TandemMS
from mmspec_ds.systems.fusion.data import FusionData, FusionSets
from mmspec_ds.systems.fusion.reading import data_of_records
from mmspec_ds.systems.fusion.run_settings import FusionRun
from mmspec_ds.systems.fusion.schema import Schema
from mmspec_ds.systems.fusion.task import FusionTask
from mmspec_ds.trainer.task import TaskContext

SIZES: dict[str, float] = {
    "d_model": 16,
    "heads": 2,
    "encoder_layers": 1,
    "ffn_width": 32,
    "sinusoid_features": 32,
    "dropout": 0.0,
}
EXPERTS = [
    {"family": "shared", "width": 32},
    {"family": "shared", "width": 16},
    {"family": "modality", "width": 32, "modalities": ["c_nmr"]},
    {"family": "modality", "width": 16, "modalities": ["ms"]},
]
SCHEMA = Schema(("c_nmr", "ms"), "classes", ("healthy", "ill"), {})


def make_run(**blocks: Any) -> FusionRun:
    """A run; each argument replaces keys of a block, or a whole value."""
    content: dict[str, Any] = {
        "system": "fusion",
        "name": "run",
        "engine": "zero0.json",
        "data": {"modalities": ["c_nmr", "ms"]},
        "tokens": {"patch": 4, "max_peaks": 8},
        "model": dict(SIZES),
        "fusion": {"width": 16},
        "training": {"batch_size": 8, "steps": 4},
    }
    for name, value in blocks.items():
        content[name] = content.get(name, {}) | value if isinstance(value, dict) else value
    return FusionRun.model_validate(content)


def make_records(count: int, seed: int = 0) -> tuple[list[Record], list[int]]:
    """Records and their classes: a 13C line near 120 ppm tells the class always, a peak at m/z 91 in three of
    four records; one in eight has no 13C spectrum, another one no mass spectrum."""
    rng, records, labels = np.random.default_rng(seed), [], []
    for number in range(count):
        label = int(rng.integers(2))
        lines = (*rng.uniform(10, 60, 3), 118 + 4 * rng.random() if label else 170 + 4 * rng.random())
        told = label if rng.random() < 0.75 else 1 - label
        mz = np.sort(np.append(rng.uniform(30, 80, 3), 91.05 if told else 105.03))
        spectra = (CarbonNMR(lines), TandemMS(mz, rng.uniform(1, 10, 4)))
        kept = {0: spectra[:1], 4: spectra[1:]}.get(number % 8, spectra)
        records.append(Record(f"r{number}", kept))
        labels.append(label)
    return records, labels


def make_data(run: FusionRun, count: int, seed: int = 0, schema: Schema = SCHEMA) -> FusionData:
    """These records as a model reads them; with a schema that tells nothing, without classes."""
    records, labels = make_records(count, seed)
    plain = data_of_records(records, schema, run.tokens)
    target_NC = np.eye(len(schema.names), dtype=np.float32)[labels] if schema.names else plain.target_NC
    return FusionData(plain.ids, plain.pieces, target_NC, plain.ids)


def make_sets(run: FusionRun) -> FusionSets:
    """96 samples to learn from, 41 to validate on."""
    masked = run.objective.kind == "masked"
    schema = Schema(SCHEMA.modalities, "none", (), {}) if masked else SCHEMA
    return FusionSets(make_data(run, 96, 0, schema), make_data(run, 41, 1, schema), schema)


def make_task(rank: int = 0, world: int = 1, **blocks: Any) -> FusionTask:
    """The task of such a run as one rank sees it."""
    run = make_run(**blocks)
    return FusionTask(run, TaskContext(torch.device("cpu"), rank, world), make_sets(run))


def learn(task: FusionTask, steps: int, rate: float = 3e-3) -> None:
    """So many updates with Adam."""
    optimizer = torch.optim.Adam(task.module.parameters(), lr=rate)
    for number in range(steps):
        task.module.train()
        loss = task.module(task.batch(number), 0.5)
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
        task.after_update(loss)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Tests do not wait for a second core."""
    torch.set_num_threads(1)
