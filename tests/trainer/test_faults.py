"""What clusters do to a run, and what is left of it: after `--resume` its weights are those of an undisturbed
run, bit for bit, or the error says what is lost."""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mmspec_ds.files import read_manifest
from mmspec_ds.trainer.checkpoints import CheckpointFolder

RUN = (
    "training.batch_size=8",
    "training.ep_size=2",
    "training.optimizer=adamw",
    "training.learning_rate=3e-3",
    "training.steps=9",
    "training.keep_checkpoints=3",
    "training.validate_every=3",
    "training.timeout_minutes=0.2",
    "model.dropout=0.1",
    "engine=zero1.json",
)
Fault = tuple[int, str, Sequence[int]]


@pytest.fixture(scope="module")
def undisturbed(launcher: Any) -> dict[str, Any]:
    """The files of the last checkpoint of nine steps on two ranks, saved after each third."""
    finished = launcher.train("calm", *RUN, ranks=2)
    assert finished.statuses == (0, 0), finished.output
    files: dict[str, Any] = read_manifest(finished.folder / "checkpoints" / "step_00000009")["files"]
    return files


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A run of its own for each test."""
    return "fault_" + "".join(c if c.isalnum() else "_" for c in request.node.name)


def assert_resumes_to(launcher: Any, name: str, undisturbed: dict[str, Any], at: int) -> None:
    """Resuming goes on after step `at` and ends where the undisturbed run ends."""
    resumed = launcher.train(name, *RUN, "--resume", ranks=2)
    assert resumed.statuses == (0, 0), resumed.output
    if at:
        assert f"going on from {resumed.folder}/checkpoints/step_{at:08d}" in resumed.output
    else:
        assert "no checkpoint to resume: starting at step 0" in resumed.output
    assert read_manifest(resumed.folder / "checkpoints" / "step_00000009")["files"] == undisturbed
    left = [path.name for path in resumed.folder.rglob(".*")]
    assert left == [], "nothing half-written stays behind"


@pytest.mark.parametrize(
    ("fault", "saved"),
    [
        ((1, "kill_in_step", [5]), 3),
        ((0, "kill_in_step", [2]), 0),
        ((1, "kill_while_writing", [2]), 3),
        ((0, "kill_before_publishing", [3]), 6),
    ],
    ids=[
        "rank 1 in step 5",
        "rank 0 before the first save",
        "rank 1 while writing",
        "rank 0 before publishing",
    ],
)
def test_a_killed_rank(launcher: Any, name: str, undisturbed: dict[str, Any], fault: Fault, saved: int) -> None:
    killed = launcher.train(name, *RUN, ranks=2, faults=[fault])
    rank, other = fault[0], 1 - fault[0]
    assert killed.statuses[rank] == -9
    assert killed.statuses[other] == 1, killed.output
    assert f"rank {other} has lost contact with another rank" in killed.output
    told = f"step {saved} is the last that is saved: start again with --resume" if saved else "no step is saved"
    assert told in killed.output
    assert "Traceback" not in killed.output
    assert CheckpointFolder(killed.folder / "checkpoints").steps() == list(range(3, saved + 1, 3))
    assert_resumes_to(launcher, name, undisturbed, saved)


def test_all_ranks_are_killed_while_they_save(launcher: Any, name: str, undisturbed: dict[str, Any]) -> None:
    faults = [(rank, "kill_while_writing", [2]) for rank in (0, 1)]
    killed = launcher.train(name, *RUN, ranks=2, faults=faults)
    assert killed.statuses == (-9, -9)
    assert (killed.folder / "checkpoints" / ".step_00000006.partial").is_dir(), (
        "it died in the middle of a save"
    )
    assert_resumes_to(launcher, name, undisturbed, 3)


def test_a_rank_that_stalls(launcher: Any, name: str) -> None:
    started = time.monotonic()
    stalled = launcher.train(name, *RUN, ranks=2, faults=[(1, "stall_in_step", [5])], patience=0)
    assert stalled.statuses == (1, -9), stalled.output
    assert time.monotonic() - started < 60 * 0.2 + 30, "the others wait no longer than training.timeout_minutes"
    assert "rank 0 has lost contact with another rank" in stalled.output
    assert "step 3 is the last that is saved" in stalled.output


def test_a_full_disk(launcher: Any, name: str, undisturbed: dict[str, Any]) -> None:
    full = launcher.train(name, *RUN, ranks=2, faults=[(1, "fill_disk_in_save", [2, 50_000])])
    assert full.statuses == (1, 1), full.output
    assert "the checkpoint of step 6 could not be written: " in full.output
    assert "File too large" in full.output
    assert "step 3 is the last that is saved: make room and start again with --resume" in full.output
    assert "Traceback" not in full.output
    assert [path.name for path in (full.folder / "checkpoints").iterdir()] == ["step_00000003"]
    assert_resumes_to(launcher, name, undisturbed, 3)


@pytest.mark.parametrize("engine", ["zero0.json", "zero1.json"])
def test_a_gradient_that_is_not_finite(
    launcher: Any, name: str, undisturbed: dict[str, Any], engine: str
) -> None:
    faults = [(rank, "spoil_gradient", [6]) for rank in (0, 1)]  # two batches of validation come before step 4
    spoilt = launcher.train(name, *RUN, f"engine={engine}", ranks=2, faults=faults)
    assert spoilt.statuses == (1, 1), spoilt.output
    assert "the gradient is not finite at step 4; step 3 is the last that is saved" in spoilt.output
    assert "Traceback" not in spoilt.output
    assert CheckpointFolder(spoilt.folder / "checkpoints").steps() == [3]
    if engine == "zero1.json":
        assert_resumes_to(launcher, name, undisturbed, 3)


def test_a_scheduler_that_asks_one_rank_to_stop(launcher: Any, name: str, undisturbed: dict[str, Any]) -> None:
    asked = launcher.train(name, *RUN, ranks=2, faults=[(1, "terminate_in_step", [4])])
    assert asked.statuses == (143, 143), asked.output
    assert "stopped after 4 steps" in asked.output
    assert_resumes_to(launcher, name, undisturbed, 4)


FLIPPED = ("rank_00000.safetensors", "rank_00001.safetensors", "manifest.json")


@pytest.mark.parametrize("damage", [*(f"flip {file}" for file in FLIPPED), "truncate", "remove"])
def test_a_damaged_checkpoint_is_set_aside(
    launcher: Any, name: str, undisturbed: dict[str, Any], damage: str
) -> None:
    folder = copy_of(launcher, "calm", name, steps=(3, 6))
    newest = folder / "checkpoints" / "step_00000006"
    victim = newest / (damage.removeprefix("flip ") if damage.startswith("flip") else FLIPPED[1])
    spoil(victim, damage)
    resumed = launcher.train(name, *RUN, "--resume", ranks=2)
    assert resumed.statuses == (0, 0), resumed.output
    assert f"set aside: {victim}: " in resumed.output
    assert f"going on from {folder}/checkpoints/step_00000003" in resumed.output
    assert (folder / "checkpoints" / "damaged_step_00000006").is_dir()
    assert read_manifest(folder / "checkpoints" / "step_00000009")["files"] == undisturbed


def test_no_whole_checkpoint(launcher: Any, name: str, undisturbed: dict[str, Any]) -> None:
    folder = copy_of(launcher, "calm", name, steps=(6,))
    spoil(folder / "checkpoints" / "step_00000006" / FLIPPED[0], "flip")
    for _ in range(2):  # what could still be looked into is not thrown away by trying again
        refused = launcher.train(name, *RUN, "--resume", ranks=2)
        assert refused.statuses == (1, 1)
        assert "no checkpoint is whole: " in refused.output
        assert "altered since it was written, its checksum differs" in refused.output
        assert (folder / "checkpoints" / "step_00000006").is_dir()


def spoil(path: Path, damage: str) -> None:
    """Flip a bit in the middle of a file, cut it, or remove it."""
    content = bytearray(path.read_bytes())
    if damage == "remove":
        path.unlink()
    elif damage == "truncate":
        path.write_bytes(content[:-100])
    else:
        content[len(content) // 2] ^= 1
        path.write_bytes(content)


def copy_of(launcher: Any, name: str, other: str, steps: Sequence[int]) -> Path:
    """The folder of a run under another name, with some of its checkpoints."""
    folder: Path = launcher.run_file.parent / other
    shutil.copytree(launcher.run_file.parent / name, folder)
    for path in (folder / "checkpoints").iterdir():
        if int(path.name.removeprefix("step_")) not in steps:
            shutil.rmtree(path)
    return folder
