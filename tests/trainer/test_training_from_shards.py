"""Runs whose data are a prepared folder: the very run of the parquet file, resumed at the exact sample."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from mmspec_ds.data.shards.plan import PrepareSettings
from mmspec_ds.data.shards.prepare import prepare_shards
from mmspec_ds.files import read_manifest
from mmspec_ds.molecules.splits import SplitSettings

ADAM = (
    "training.optimizer=adamw",
    "training.learning_rate=3e-3",
    "training.steps=12",
    "training.validate_every=5",
    "data.modality_dropout=0.2",
    "training.augment.h_nmr.missing_peak=0.2",
    "training.randomise_smiles=0.5",
    "training.batch_size=12",
)
TWO = ("training.batch_size=6", "training.ep_size=2", "engine=zero1.json")


@pytest.fixture(scope="module")
def shards(starter: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The training file as shards of 40 rows, a fifth of the molecules to validate on."""
    folder = tmp_path_factory.mktemp("prepared") / "shards"
    settings = PrepareSettings.model_validate(
        {
            "shard_rows": 40,
            "split": SplitSettings(validation=0.2, test=0, seed=4),
            "compression": {"ms": {"max_peaks": 3}},
            "modalities": ("h_nmr", "c_nmr", "ms"),
        }
    )
    summary = prepare_shards([starter / "train.parquet"], folder, settings)
    assert summary.duplicates == 0
    return folder


def from_shards(shards: Path) -> tuple[str, ...]:
    return (f"data.train=[{shards}]", "data.validation=[]")


@pytest.fixture(scope="module")
def undisturbed(launcher: Any, shards: Path) -> Any:
    """Twelve steps from shards; an epoch has nine or so."""
    finished = launcher.train("from_shards", *ADAM, *from_shards(shards))
    assert finished.statuses == (0,), finished.output
    return finished


def losses(finished: Any) -> list[float]:
    return [entry["loss/total"] for entry in finished.metrics()]


def test_a_run_from_shards_is_that_from_parquet(launcher: Any, undisturbed: Any) -> None:
    parquet = launcher.train(
        "from_parquet", *ADAM, "data.validation=[]", "data.validation_fraction=0.2", "data.split_seed=4"
    )
    assert parquet.statuses == (0,), parquet.output
    assert losses(undisturbed) == pytest.approx(losses(parquet), rel=0, abs=1e-6)
    validations = [
        [entry["loss/validation"] for entry in run.metrics("validation")] for run in (undisturbed, parquet)
    ]
    assert validations[0] == pytest.approx(validations[1], rel=0, abs=1e-6)
    vocabularies = [(run.folder / "vocabulary.json").read_bytes() for run in (undisturbed, parquet)]
    assert vocabularies[0] == vocabularies[1]


def test_two_ranks_share_the_samples(launcher: Any, undisturbed: Any, shards: Path) -> None:
    two = launcher.train("two_from_shards", *ADAM, *TWO, *from_shards(shards), ranks=2)
    assert two.statuses == (0, 0), two.output
    assert losses(two) == pytest.approx(losses(undisturbed), abs=2e-4)


@pytest.mark.parametrize(
    "options", [(), ("training.tokens_per_batch=200",)], ids=["batch size", "token budget"]
)
def test_a_run_goes_on_at_the_exact_sample(
    launcher: Any, undisturbed: Any, shards: Path, options: tuple[str, ...]
) -> None:
    name = "resumed_budget" if options else "resumed"
    if options:
        undisturbed = launcher.train("budget", *ADAM, *from_shards(shards), *options, ranks=2)
        assert undisturbed.statuses == (0, 0), undisturbed.output
    folder = undisturbed.folder.with_name(name)
    shutil.copytree(undisturbed.folder, folder)
    # As if it had ended after step 10, in the middle of an epoch.
    state = read_manifest(folder / "checkpoints" / "step_00000010")["state"]
    assert state["batches"] % state["batches_per_epoch"] != 0
    for step in (folder / "checkpoints").glob("step_*12"):
        shutil.rmtree(step)
    resumed = launcher.train(name, *ADAM, *from_shards(shards), *options, "--resume", ranks=2 if options else 1)
    assert set(resumed.statuses) == {0}, resumed.output
    assert "going on from" in resumed.output
    assert losses(resumed)[-2:] == losses(undisturbed)[-2:]
    assert len(losses(resumed)) == 12


def test_a_budget_below_the_longest_record_is_refused(launcher: Any, shards: Path) -> None:
    refused = launcher.train("narrow", *ADAM, *from_shards(shards), "training.tokens_per_batch=10")
    assert refused.statuses == (1,)
    assert "training.tokens_per_batch is 10, but the longest record has" in refused.output


def test_damaged_shards_end_a_run_before_it_begins(launcher: Any, shards: Path, tmp_path: Path) -> None:
    copy = tmp_path / "shards"
    shutil.copytree(shards, copy)
    last = sorted(copy.glob("shard-*"))[-1]
    content = bytearray(last.read_bytes())
    content[-1] ^= 1
    last.write_bytes(content)
    refused = launcher.train("damaged_shards", *ADAM, *from_shards(copy))
    assert refused.statuses == (1,)
    assert f"{last.name}: altered since it was written" in refused.output
    assert not refused.folder.exists()
