"""Whole trainings of fusion: on one rank and on two, stopped and resumed, by the project's run files."""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from mmspec_ds.files import read_manifest
from mmspec_ds.simulator.simulate import SimulationSettings, simulate_dataset
from mmspec_ds.spectra.parquet import read_records, write_records
from mmspec_ds.systems.fusion.trained import load_fusion
from tests.systems.fusion.conftest import EXPERTS, SIZES
from tests.trainer.conftest import Launcher

SPARSE = f"moe={json.dumps({'k': 2, 'experts': EXPERTS})}"
NOISY = ("training.modality_dropout=0.2", "training.corruption.share=0.5", "objective.alone=0.3")
RUNS = {
    "dense": ("engine=zero0.json", *NOISY, "balance.kind=contribution"),
    "ogm_ge": ("engine=zero1.json", "fusion.kind=concatenated", "balance.kind=ogm_ge"),
    "sparse": ("engine=zero2.json", SPARSE, *NOISY),
    "masked": ("engine=zero0.json", "objective.kind=masked"),
}
SHARED = "training.ep_size=2"


@pytest.fixture(scope="module")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150 small molecules: train, val and test.parquet."""
    folder = tmp_path_factory.mktemp("starter")
    simulate_dataset(folder, SimulationSettings(molecules=150, max_heavy_atoms=6, validation=0.15, test=0.1))
    return folder


@pytest.fixture(scope="module")
def launcher(starter: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """Starts trainings of a run of twelve SGD steps on simulated spectra."""
    folder = tmp_path_factory.mktemp("fusion")
    for stage in (0, 1, 2):
        (folder / f"zero{stage}.json").write_text(json.dumps({"zero_optimization": {"stage": stage}}))
    training = {"batch_size": 12, "steps": 12, "optimizer": "sgd", "learning_rate": 0.1, "predict_batch": 10}
    run = {
        "system": "fusion",
        "name": "run",
        "engine": "zero0.json",
        "output": str(folder),
        "data": {
            "train": [str(starter / "train.parquet")],
            "validation": [str(starter / "val.parquet")],
            "modalities": ["c_nmr", "ms"],
            "groups": 6,
        },
        "tokens": {"patch": 4, "max_peaks": 8},
        "model": SIZES,
        "training": training | {"log_every": 1, "validate_every": 100, "threads": 1},
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(run))
    found = Launcher(folder / "run.yaml")
    yield found
    found.close()


@pytest.fixture(scope="module")
def table(launcher: Launcher) -> Mapping[tuple[str, int], Any]:
    """Each run on one rank and on two, the sparse one with the experts shared by both."""
    found: dict[tuple[str, int], Any] = {}
    for ranks in (1, 2):
        size = f"training.batch_size={12 // ranks}"
        shared = {name: (SHARED,) if ranks == 2 and SPARSE in options else () for name, options in RUNS.items()}
        runs = {f"{name}_{ranks}": (*RUNS[name], size, *shared[name]) for name in RUNS}
        for name, run in zip(RUNS, launcher.train_many(runs, ranks).values()):
            assert run.statuses == (0,) * ranks, run.output
            found[name, ranks] = run
    return found


@pytest.mark.parametrize("name", list(RUNS))
def test_two_ranks_are_one(table: Mapping[tuple[str, int], Any], name: str) -> None:
    alone, both = table[name, 1], table[name, 2]
    losses = alone.series("loss/total")
    assert abs(losses[-1] - losses[0]) > 0.003, "the weights must change, or equal losses mean nothing"
    assert both.series("loss/total") == pytest.approx(losses, abs=1e-5)
    assert both.series("gradient/norm") == pytest.approx(alone.series("gradient/norm"), rel=1e-4)
    (one,), (other,) = (run.metrics("validation") for run in (alone, both))
    tags = ("loss/validation",) if name == "masked" else ("loss/validation", "auc/validation", "weight/ms")
    for tag in tags:
        assert other[tag] == pytest.approx(one[tag], abs=1e-5)


ADAM = (
    *("training.optimizer=adamw", "training.learning_rate=3e-3", "training.steps=24"),
    *("training.validate_every=12", "training.keep_checkpoints=3", "model.dropout=0.1", "engine=zero1.json"),
    *("balance.kind=blending", "balance.every=7", "balance.batches=2", "training.modality_dropout=0.2"),
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


def test_run_files_of_the_project_are_trained_and_exported(launcher: Launcher, starter: Path) -> None:
    folder = launcher.run_file.parent
    options = (
        f"data.train=[{starter}/train.parquet]",
        f"output={folder}",
        "training.steps=2",
        "training.epochs=null",
    )
    small = ("training.batch_size=12", "training.threads=1", "model.d_model=32", "model.encoder_layers=1")
    masked = launcher.start("masked_log", "train", "fusion_masked", *options, *small, "name=masked")
    assert masked.statuses == (0,), masked.output
    begun = f"training.encoder_from={folder}/masked"
    trained = launcher.start("train_log", "train", "fusion", *options, *small, begun, "name=shipped")
    assert trained.statuses == (0,), trained.output
    assert "samples to learn from" in trained.output
    assert "functional groups" in trained.output
    assert "validation auc" in trained.output
    exported = launcher.start("export_log", "export", str(folder / "shipped"), str(folder / "exported"))
    assert exported.statuses == (0,), exported.output
    one, other = (load_fusion(folder / name) for name in ("shipped", "exported"))
    assert one.identity == other.identity
    records = list(read_records(starter / "val.parquet"))[:5]
    assert one.predict(records).probability_NC.tolist() == other.predict(records).probability_NC.tolist()


def test_structures_by_a_pretrained_encoder(launcher: Launcher, starter: Path) -> None:
    """The run files of the project from pretraining to proposed structures and what each spectrum adds."""
    folder = launcher.run_file.parent
    options = (
        *(f"data.train=[{starter}/train.parquet]", f"output={folder}", "training.steps=3"),
        *("training.batch_size=12", "training.threads=1", "model.d_model=32", "model.encoder_layers=1"),
    )
    masked = launcher.start("m_log", "train", "fusion_masked", *options, "training.epochs=null", "name=before")
    assert masked.statuses == (0,), masked.output
    begun = (f"training.encoder_from={folder}/before", "data.formula=true", "model.decoder_layers=1")
    trained = launcher.start("e_log", "train", "elucidation_axis", *options, *begun, "name=structures")
    assert trained.statuses == (0,), trained.output
    record = next(read_records(starter / "val.parquet"))
    write_records(folder / "one.parquet", [record])
    answered = launcher.start("p_log", "predict", str(folder / "structures"), str(folder / "one.parquet"))
    assert answered.statuses == (0,), answered.output
    assert '"candidates"' in answered.output
    told = launcher.start("x_log", "explain", str(folder / "structures"), str(folder / "one.parquet"))
    assert told.statuses == (0,), told.output
    assert "13C NMR" in told.output
    refused = launcher.start(
        "r_log", "train", "elucidation_axis", *options, *begun, "name=other", "model.heads=2"
    )
    assert refused.statuses == (1,)
    assert "does not fit training.encoder_from: heads is 4, in this run 2" in refused.output
    assert "Traceback" not in refused.output


def test_what_the_files_do_not_hold_is_told_in_a_line(launcher: Launcher) -> None:
    refused = launcher.train("refused", "data.train_where.split=training")
    assert refused.statuses == (1,)
    assert "data.train: no record to use" in refused.output
    assert "Traceback" not in refused.output
