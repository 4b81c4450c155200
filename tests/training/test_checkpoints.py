"""Checkpoints: which are kept, which are found, and the weights file."""

import json
from pathlib import Path
from typing import cast

import pytest
import torch
from torch import nn

from mmspec_ds.errors import DataError
from mmspec_ds.models.elucidator import Elucidator
from mmspec_ds.models.weights import load_weights, write_weights
from mmspec_ds.moe.expert_parallel import Placement
from mmspec_ds.training.checkpoints import (
    EXPERTS,
    CheckpointFolder,
    TrainerState,
    globally_named,
    publish,
    read_state,
)


def make_checkpoint(folder: Path, step: int) -> str:
    name = f"step_{step:08d}"
    (folder / name).mkdir(parents=True)
    (folder / name / "trainer.json").write_text(json.dumps({"step": step}))
    return name


@pytest.mark.parametrize(
    ("keep", "best", "left"),
    [(1, 30, [30, 50]), (1, 50, [50]), (2, 10, [10, 40, 50]), (9, 10, [10, 20, 30, 40, 50])],
)
def test_the_newest_and_the_best_are_kept(tmp_path: Path, keep: int, best: int, left: list[int]) -> None:
    checkpoints = CheckpointFolder(tmp_path, keep)
    names = {step: make_checkpoint(tmp_path, step) for step in (10, 20, 30, 40, 50)}
    checkpoints._point("best", names[best])
    checkpoints._point("last", names[50])
    checkpoints._prune()
    assert sorted(path.name for path in tmp_path.glob("step_*")) == [names[step] for step in left]
    assert checkpoints.find("best").name == names[best]
    assert read_state(checkpoints.find("last")) == TrainerState(step=50)


def test_a_checkpoint_that_was_not_finished_is_never_found(tmp_path: Path) -> None:
    (tmp_path / ".step_00000010.partial").mkdir()
    with pytest.raises(DataError, match="expected a run that has saved a checkpoint"):
        CheckpointFolder(tmp_path).find("last")
    make_checkpoint(tmp_path, 5)
    (tmp_path / "last").write_text("step_00000005\n")
    assert CheckpointFolder(tmp_path).find("last").name == "step_00000005"
    (tmp_path / "last").write_text("step_00000010\n")
    with pytest.raises(DataError, match="names step_00000010, which does not exist"):
        CheckpointFolder(tmp_path).find("last")


@pytest.mark.parametrize("content", [None, "{", '{"stride": 3}', "[1]"], ids=str)
def test_a_state_that_cannot_be_read(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "trainer.json").write_text(content)
    with pytest.raises(DataError, match=r"trainer\.json: cannot be read"):
        read_state(tmp_path)


def test_published_files_are_whole_copies(tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"new")
    target.write_bytes(b"older")
    publish(source, target)
    assert target.read_bytes() == b"new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_experts_are_named_by_their_number_among_all() -> None:
    local = {
        f"encoder.layers.1.feedforward{EXPERTS}{i}.{part}": torch.tensor([i]) for i in (0, 1) for part in "ab"
    }
    named = globally_named(local, Placement(4, 2))
    before = f"encoder.layers.1.feedforward{EXPERTS}"
    assert {key: int(value) for key, value in named.items()} == {
        f"{before}4.a": 0,
        f"{before}4.b": 0,
        f"{before}5.a": 1,
        f"{before}5.b": 1,
    }
    assert globally_named(local, Placement()) == local
    assert globally_named({}, Placement(2, 1)) == {}


class Small(nn.Module):
    """As much of a model as loading needs."""

    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.layer, self.temperature = nn.Linear(width, 2), 1.0


def test_weights_and_temperature_survive_the_file(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    one, other = Small(), Small()
    write_weights(dict(one.state_dict()), path, temperature=1.2345678901234567)
    load_weights(cast(Elucidator, other), path)
    assert torch.equal(one.layer.weight, other.layer.weight)
    assert torch.equal(one.layer.bias, other.layer.bias)
    assert other.temperature == 1.2345678901234567


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_weights(dict(Small(4).state_dict()), path, temperature=1.0)
    with pytest.raises(DataError, match=r"does not fit the model: .*layer\.weight") as caught:
        load_weights(cast(Elucidator, Small()), path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["empty", "cut", "text"])
def test_weights_that_cannot_be_read(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "model.safetensors"
    write_weights(dict(Small().state_dict()), path, temperature=1.0)
    whole = path.read_bytes()
    path.write_bytes({"empty": b"", "cut": whole[:-5], "text": b"no weights at all"}[damage])
    with pytest.raises(DataError, match="cannot be read as a model's weights"):
        load_weights(cast(Elucidator, Small()), path)
