"""Whole trainings of retrieval: on one rank and on two, stopped and resumed, by the names of the project's
files."""

import json
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from mmspec_ds.files import read_manifest
from mmspec_ds.systems.retrieval.embedders import load_embedder
from tests.systems.retrieval.conftest import EXPERTS, SIZES
from tests.systems.retrieval.spectra_of_molecules import make_entries, write_mgf
from tests.trainer.conftest import Launcher

SPLITS = ("data.train_where.split=train", "data.validation_where.split=val")
MINED = ("objective.mine_every=1", "objective.soft_weight=0.3")
SPARSE = f"moe={json.dumps({'k': 2, 'experts': EXPERTS})}"
RUNS = {
    "dense": ("engine=zero0.json", *MINED),
    "cached": ("engine=zero1.json", *MINED, "training.gradient_cache=3"),
    "sparse": ("engine=zero0.json", SPARSE, "training.gradient_cache=3"),
    "stage_2": ("engine=zero2.json", SPARSE, "training.gradient_cache=3"),
}
SHARED = "training.ep_size=2"


@pytest.fixture(scope="module")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """Starts trainings of a run of twelve SGD steps."""
    folder = tmp_path_factory.mktemp("retrieval")
    write_mgf(folder / "spectra.mgf", make_entries())
    for stage in (0, 1, 2):
        (folder / f"zero{stage}.json").write_text(json.dumps({"zero_optimization": {"stage": stage}}))
    training = {"batch_size": 12, "steps": 12, "optimizer": "sgd", "learning_rate": 0.2, "embed_batch": 10}
    run = {
        "system": "retrieval",
        "name": "run",
        "engine": "zero0.json",
        "output": str(folder),
        "data": {"train": [str(folder / "spectra.mgf")]},
        "model": {**SIZES, "dropout": 0.0, "embedding_std": 0.5},
        "objective": {"scale": 5},
        "training": training | {"log_every": 1, "validate_every": 100, "threads": 1},
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(run))
    found = Launcher(folder / "run.yaml")
    yield found
    found.close()


@pytest.fixture(scope="module")
def table(launcher: Launcher) -> Mapping[tuple[str, int], Any]:
    """Each run on one rank and on two, the sparse ones with the experts shared by both."""
    found: dict[tuple[str, int], Any] = {}
    for ranks in (1, 2):
        size = f"training.batch_size={12 // ranks}"
        shared = {name: (SHARED,) if ranks == 2 and SPARSE in options else () for name, options in RUNS.items()}
        runs = {f"{name}_{ranks}": (*SPLITS, *RUNS[name], size, *shared[name]) for name in RUNS}
        for name, run in zip(RUNS, launcher.train_many(runs, ranks).values()):
            assert run.statuses == (0,) * ranks, run.output
            found[name, ranks] = run
    return found


@pytest.mark.parametrize("name", list(RUNS))
def test_two_ranks_are_one(table: Mapping[tuple[str, int], Any], name: str) -> None:
    alone, both = table[name, 1], table[name, 2]
    losses = alone.series("loss/total")
    assert losses[-1] < losses[0] - 0.01, "the weights must change, or equal losses mean nothing"
    assert both.series("loss/total") == pytest.approx(losses, abs=1e-5)
    assert both.series("gradient/norm") == pytest.approx(alone.series("gradient/norm"), rel=1e-4)
    (one,), (other,) = (run.metrics("validation") for run in (alone, both))
    assert other["loss/validation"] == pytest.approx(one["loss/validation"], abs=1e-5)
    assert other["recall_at_1/validation"] == one["recall_at_1/validation"]


def test_pieces_and_mining(table: Mapping[tuple[str, int], Any]) -> None:
    dense, cached, sparse, staged = (table[name, 1].series("loss/total") for name in RUNS)
    assert cached == pytest.approx(dense, abs=1e-5)
    assert staged == pytest.approx(sparse, abs=1e-5)


ADAM = (
    *(
        "training.optimizer=adamw",
        "training.learning_rate=3e-3",
        "training.steps=24",
        "training.validate_every=12",
    ),
    *("training.keep_checkpoints=3", "objective.mine_every=4", "model.dropout=0.1", "engine=zero1.json"),
    *("training.gradient_cache=5", "training.augment.ms.intensity=0.2", *SPLITS),
)


def test_it_resumes_bit_for_bit(launcher: Launcher) -> None:
    calm = launcher.train("calm", *ADAM)
    assert calm.statuses == (0,), calm.output
    folder = calm.folder.with_name("resumed")
    shutil.copytree(calm.folder, folder)
    shutil.rmtree(folder / "checkpoints" / "step_00000024")
    resumed = launcher.train(folder.name, *ADAM, "--resume")
    assert resumed.statuses == (0,), resumed.output
    assert "going on from" in resumed.output
    saved, again = (
        read_manifest(run / "checkpoints" / "step_00000024")["files"] for run in (calm.folder, folder)
    )
    assert again == saved
    assert resumed.series("loss/train") == calm.series("loss/train")


def test_a_run_file_of_the_project_is_trained_and_exported(launcher: Launcher) -> None:
    folder = launcher.run_file.parent
    options = (f"data.train=[{folder}/spectra.mgf]", f"output={folder}", "name=shipped", "training.steps=2")
    small = ("training.batch_size=12", "training.threads=1", "model.d_model=32", "model.encoder_layers=1")
    trained = launcher.start("train_log", "train", "retrieval", *options, *small, *SPLITS)
    assert trained.statuses == (0,), trained.output
    assert "45 records of 15 molecules to learn from, 15 of 5 to validate on" in trained.output
    assert "validation recall_at_1" in trained.output
    exported = launcher.start("export_log", "export", str(folder / "shipped"), str(folder / "exported"))
    assert exported.statuses == (0,), exported.output
    one, other = (load_embedder(folder / name) for name in ("shipped", "exported"))
    assert one.identity == other.identity
    records = [entry.record for entry in make_entries(molecules=2)]
    assert one.embed(records).tolist() == other.embed(records).tolist()


def test_what_the_files_do_not_hold_is_told_in_a_line(launcher: Launcher) -> None:
    refused = launcher.train("refused", "data.train_where.split=training")
    assert refused.statuses == (1,)
    assert "data.train: no record to use" in refused.output
    assert "Traceback" not in refused.output
