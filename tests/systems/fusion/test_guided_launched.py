"""Trainings that begin with a trained model, a student and adapters: on one rank and on two, and resumed."""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from mmspec_ds.files import read_manifest
from mmspec_ds.simulator.simulate import SimulationSettings, simulate_dataset
from mmspec_ds.spectra.parquet import read_records
from mmspec_ds.systems.fusion.trained import load_fusion
from tests.systems.fusion.conftest import SIZES
from tests.trainer.conftest import Launcher

STUDENT = (
    *("model.d_model=8", "model.ffn_width=8", "model.heads=1"),
    *("distillation.kind=flow", "distillation.steps=3", "distillation.width=16"),
)
ADAPTERS = ("adapt.width=2", "adapt.most_share=1.0", "training.learning_rate=3.0")


@pytest.fixture(scope="module")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """Starts trainings of twelve SGD steps on simulated spectra; the run `large` is trained."""
    folder = tmp_path_factory.mktemp("guided")
    simulate_dataset(folder, SimulationSettings(molecules=120, max_heavy_atoms=6, validation=0.15, test=0.1))
    for stage in (0, 1):
        (folder / f"zero{stage}.json").write_text(json.dumps({"zero_optimization": {"stage": stage}}))
    training = {"batch_size": 12, "steps": 12, "optimizer": "sgd", "learning_rate": 0.1, "predict_batch": 10}
    run = {
        "system": "fusion",
        "name": "run",
        "engine": "zero0.json",
        "output": str(folder),
        "data": {
            "train": [str(folder / "train.parquet")],
            "validation": [str(folder / "val.parquet")],
            "modalities": ["c_nmr", "ms"],
            "groups": 6,
        },
        "tokens": {"patch": 4, "max_peaks": 8},
        "model": SIZES,
        "training": training | {"log_every": 1, "validate_every": 100, "threads": 1},
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(run))
    found = Launcher(folder / "run.yaml")
    large = found.train("large", "training.optimizer=adamw", "training.learning_rate=3e-3")
    assert large.statuses == (0,), large.output
    yield found
    found.close()


def options_of(name: str, folder: Path) -> tuple[str, ...]:
    if name == "student":
        return ("engine=zero0.json", f"distillation.teacher={folder}/large", *STUDENT)
    return ("engine=zero1.json", f"adapt.base={folder}/large", *ADAPTERS)


@pytest.fixture(scope="module")
def table(launcher: Launcher) -> Mapping[tuple[str, int], Any]:
    """Both kinds of run on one rank and on two."""
    folder, found = launcher.run_file.parent, dict[tuple[str, int], Any]()
    names = ("student", "adapted")
    for ranks in (1, 2):
        size = f"training.batch_size={12 // ranks}"
        runs = {f"{name}_{ranks}": (*options_of(name, folder), size) for name in names}
        for name, run in zip(names, launcher.train_many(runs, ranks).values()):
            assert run.statuses == (0,) * ranks, run.output
            found[name, ranks] = run
    return found


@pytest.mark.parametrize("name", ["student", "adapted"])
def test_two_ranks_are_one(table: Mapping[tuple[str, int], Any], name: str) -> None:
    alone, both = table[name, 1], table[name, 2]
    losses = alone.series("loss/total")
    assert losses[-1] < losses[0] - 0.003, "the weights must change, or equal losses mean nothing"
    assert both.series("loss/total") == pytest.approx(losses, abs=1e-5)
    assert both.series("gradient/norm") == pytest.approx(alone.series("gradient/norm"), rel=1e-4)
    if name == "student":
        assert both.series("auxiliary/align") == pytest.approx(alone.series("auxiliary/align"), abs=1e-5)


def test_adapters_and_students_are_found_in_their_folders(
    table: Mapping[tuple[str, int], Any], launcher: Launcher
) -> None:
    folder = launcher.run_file.parent
    records = list(read_records(folder / "val.parquet"))[:5]
    large, student, adapted = (load_fusion(folder / one) for one in ("large", "student_1", "adapted_1"))
    told = [one.predict(records).probability_NC for one in (large, student, adapted)]
    assert all(one.shape == (5, 6) for one in told)
    assert abs(told[0] - told[2]).max() > 1e-4
    sizes = {one: (folder / one / "model.safetensors").stat().st_size for one in ("large", "adapted_1")}
    assert sizes["adapted_1"] < sizes["large"] / 2
    assert json.loads((folder / "adapted_1" / "adapter.json").read_text())["base"] == large.identity


def test_adapters_resume_bit_for_bit(launcher: Launcher) -> None:
    folder = launcher.run_file.parent
    adam = ("training.optimizer=adamw", "training.steps=8", "training.validate_every=4")
    options = (*options_of("adapted", folder), *adam, "training.learning_rate=1e-2")
    calm = launcher.train("calm", *options)
    assert calm.statuses == (0,), calm.output
    copy = folder / "resumed"
    shutil.copytree(calm.folder, copy)
    shutil.rmtree(copy / "checkpoints" / "step_00000008")
    resumed = launcher.train("resumed", *options, "--resume")
    assert resumed.statuses == (0,), resumed.output
    saved, again = (
        read_manifest(one / "checkpoints" / "step_00000008")["files"] for one in (calm.folder, copy)
    )
    assert again == saved
