"""The weights that a run keeps from the course of its training."""

import shutil
from typing import Any

import pytest
import torch

from mmspec_ds.trainer.checkpoints import CheckpointFolder
from mmspec_ds.trainer.snapshots import snapshots_of
from mmspec_ds.trainer.weights import read_weights

SETTINGS = (
    "training.steps=12",
    "training.snapshots=3",
    "training.validate_every=4",
    "training.keep_checkpoints=9",
)
TWO = ("training.batch_size=8", "training.ep_size=2", "engine=zero1.json")


@pytest.fixture(scope="module")
def kept(launcher: Any) -> Any:
    """Twelve steps on one rank, with three snapshots."""
    finished = launcher.train("kept", *SETTINGS)
    assert finished.statuses == (0,), finished.output
    return finished


def test_a_snapshot_holds_the_weights_of_its_step(kept: Any) -> None:
    found = snapshots_of(kept.folder)
    assert list(found) == [4, 8, 12]
    assert [path.name for path in sorted((kept.folder / "snapshots").iterdir())] == [
        path.name for path in found.values()
    ]
    checkpoints = CheckpointFolder(kept.folder / "checkpoints")
    for step, path in found.items():
        assert_same(read_weights(path).tensors, checkpoints.at(step).weights(), 0)


def test_ranks_that_share_the_experts_keep_the_same(kept: Any, launcher: Any) -> None:
    both = launcher.train("kept_2", *SETTINGS, *TWO, ranks=2)
    assert both.statuses == (0, 0), both.output
    alone, shared = snapshots_of(kept.folder), snapshots_of(both.folder)
    assert list(shared) == [4, 8, 12]
    for step, path in shared.items():
        assert_same(read_weights(path).tensors, read_weights(alone[step]).tensors, 1e-5)


def test_a_resumed_run_makes_those_that_it_lacks(kept: Any, launcher: Any) -> None:
    before = {step: path.read_bytes() for step, path in snapshots_of(kept.folder).items()}
    shutil.rmtree(kept.folder / "checkpoints" / "step_00000012")
    shutil.rmtree(kept.folder / "checkpoints" / "step_00000008")
    for step in (8, 12):
        snapshots_of(kept.folder)[step].unlink()
    resumed = launcher.train("kept", *SETTINGS, "--resume")
    assert resumed.statuses == (0,), resumed.output
    assert {step: path.read_bytes() for step, path in snapshots_of(kept.folder).items()} == before


def test_by_default_there_are_none_and_a_new_run_removes_those_of_the_old(kept: Any, launcher: Any) -> None:
    again = launcher.train("kept", "training.steps=2", "--overwrite")
    assert again.statuses == (0,), again.output
    assert snapshots_of(again.folder) == {}
    assert not (again.folder / "snapshots").exists()


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], tolerance: float) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], atol=tolerance, rtol=0)
