"""A run that changes its ranks, its expert-parallel size and its stage of ZeRO on the way learns what one
learns that never does."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from mmspec_ds.files import read_manifest
from mmspec_ds.trainer.checkpoints import CheckpointFolder
from mmspec_ds.trainer.pieces import PieceReader

RUN = (
    "training.optimizer=adamw",
    "training.learning_rate=1e-3",
    "training.steps=18",
    "training.validate_every=9",
    "training.keep_checkpoints=9",
    "data.modality_dropout=0.2",
    "training.augment.h_nmr.missing_peak=0.2",
    "training.randomise_smiles=0.5",
)
FOUR = ("training.batch_size=4", "training.ep_size=4", "engine=zero2.json")
TWO = ("training.batch_size=8", "training.ep_size=2", "engine=zero1.json")
ALONE = ("training.batch_size=16", "training.ep_size=1", "engine=zero0.json")


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Engine files with bf16, and with the optimizer in the CPU's memory."""
    folder = tmp_path_factory.mktemp("engines")
    offload = {"offload_optimizer": {"device": "cpu"}}
    contents = {
        "bf16": {"zero_optimization": {"stage": 2}, "bf16": {"enabled": True}},
        "offload": {"zero_optimization": {"stage": 1, **offload}},
        "offload2": {"zero_optimization": {"stage": 2, **offload}},
    }
    for name, content in contents.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def until(step: int) -> list[tuple[int, str, list[int]]]:
    """Rank 0 is asked to stop in the n-th step of its process."""
    return [(0, "terminate_in_step", [step])]


@pytest.fixture(scope="module")
def settled(launcher: Any) -> Any:
    """Eighteen steps of AdamW on four ranks."""
    finished = launcher.train("settled", *RUN, *FOUR, ranks=4)
    assert finished.statuses == (0,) * 4, finished.output
    return finished


@pytest.fixture(scope="module")
def moved(launcher: Any) -> Any:
    """The same: four steps on four ranks (ep 4, ZeRO 2), four on one (ep 1, ZeRO 0), the rest on two (ep 2,
    ZeRO 1)."""
    first = launcher.train("moved", *RUN, *FOUR, ranks=4, faults=until(4))
    assert first.statuses == (143,) * 4, first.output
    second = launcher.train("moved", *RUN, *ALONE, "--resume", faults=until(4))
    assert second.statuses == (143,), second.output
    third = launcher.train("moved", *RUN, *TWO, "--resume", ranks=2)
    assert third.statuses == (0, 0), third.output
    return third


def test_the_next_losses_are_the_same(settled: Any, moved: Any) -> None:
    assert [entry["step"] for entry in moved.metrics()] == [*range(1, 19)]
    for tag in ("loss/train", "loss/total"):
        one, other = settled.series(tag), moved.series(tag)
        assert other[4:8] == pytest.approx(one[4:8], abs=1e-5), "on one rank, after four"
        assert other[8:] == pytest.approx(one[8:], abs=1e-5), "ten steps on two ranks, after one"
    assert one[0] - one[-1] > 0.5, "the weights must change, or equal losses mean nothing"


@pytest.mark.parametrize(
    ("ranks", "topology"),
    [
        (1, ALONE),
        (2, TWO),
        (4, ("training.batch_size=4", "training.ep_size=2", "engine=zero1.json")),
        (2, ("training.batch_size=8", "training.ep_size=1", "engine=zero2.json")),
    ],
    ids=["1 rank, ZeRO 0", "2 ranks, ep 2, ZeRO 1", "4 ranks, ep 2, ZeRO 1", "2 ranks, ep 1, ZeRO 2"],
)
def test_every_number_survives_a_move(
    launcher: Any, moved: Any, ranks: int, topology: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    """What four ranks saved after four steps, read and saved again by others without a step between."""
    step = "step_00000004"
    folder = (
        launcher.run_file.parent / f"survives_{request.node.callspec.id.replace(' ', '').replace(',', '_')}"
    )
    shutil.copytree(moved.folder / "checkpoints" / step, folder / "checkpoints" / step)
    shutil.copyfile(moved.folder / "vocabulary.json", folder / "vocabulary.json")
    before, shapes = pieces_of(folder)
    again = launcher.train(folder.name, *RUN, *topology, "training.steps=4", "--resume", ranks=ranks)
    assert again.statuses == (0,) * ranks, again.output
    after, _ = pieces_of(folder)
    assert read_manifest(folder / "checkpoints" / step)["topology"]["ranks"] == ranks
    for kind in ("weight", "exp_avg", "exp_avg_sq"):
        one, other = before.whole(kind, shapes), after.whole(kind, shapes)
        assert all(torch.equal(one[name], other[name]) for name in shapes), kind


def pieces_of(folder: Path) -> tuple[PieceReader, dict[str, list[int]]]:
    """What is in the checkpoint of step 4, whose files may be removed, and the parameters' shapes."""
    checkpoint = CheckpointFolder(folder / "checkpoints").at(4)
    return checkpoint.reader(), checkpoint.manifest["parameters"]


@pytest.mark.parametrize(
    ("engine", "ranks", "topology"),
    [
        ("bf16.json", 2, TWO),
        ("offload.json", 2, TWO),
        ("offload2.json", 1, ALONE),
    ],
    ids=["bf16, ZeRO 2", "offload, ZeRO 1", "offload, ZeRO 2, one rank"],
)
def test_other_engines_resume_bit_for_bit(
    launcher: Any, engines: Any, engine: str, ranks: int, topology: tuple[str, ...]
) -> None:
    options = (*RUN, *topology, f"engine={engines / engine}", "training.steps=6", "training.validate_every=6")
    name = f"engine_{engine.removesuffix('.json')}"
    whole = launcher.train(name, *options, ranks=ranks)
    assert whole.statuses == (0,) * ranks, whole.output
    first = launcher.train(f"{name}_2", *options, ranks=ranks, faults=until(3))
    assert first.statuses == (143,) * ranks, first.output
    second = launcher.train(f"{name}_2", *options, "--resume", ranks=ranks)
    assert second.statuses == (0,) * ranks, second.output
    assert second.series("loss/total") == whole.series("loss/total")
    weights = [(run.folder / "model.safetensors").read_bytes() for run in (whole, second)]
    assert weights[0] == weights[1]


def test_offload_changes_nothing(launcher: Any, engines: Any) -> None:
    options = (*RUN, *TWO, "training.steps=6")
    one = launcher.train("in_place", *options, ranks=2)
    other = launcher.train("offloaded", *options, f"engine={engines / 'offload.json'}", ranks=2)
    assert other.statuses == (0, 0), other.output
    assert other.series("loss/total") == pytest.approx(one.series("loss/total"), abs=1e-5)
    assert other.series("gradient/norm") == pytest.approx(one.series("gradient/norm"), rel=1e-5)


def test_another_global_batch_goes_on_at_the_same_place(launcher: Any, moved: Any) -> None:
    resumed = launcher.train("moved", *RUN, *ALONE, "training.batch_size=24", "training.steps=20", "--resume")
    assert resumed.statuses == (0,), resumed.output
    assert [entry["step"] for entry in resumed.metrics()] == [*range(1, 21)]
