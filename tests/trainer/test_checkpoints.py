"""Which checkpoints are kept and found, what is wrong with others, and the weights file."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from torch import nn

from mmspec_ds.errors import DataError
from mmspec_ds.files import entry_of, write_manifest
from mmspec_ds.moe.expert_names import ExpertSharding, global_name, is_expert
from mmspec_ds.moe.expert_parallel import Placement
from mmspec_ds.trainer.checkpoints import FORMAT, CheckpointFolder, TrainerState, name_of
from mmspec_ds.trainer.distributed import process_group
from mmspec_ds.trainer.pieces import file_of_rank, write_pieces
from mmspec_ds.trainer.start import rescale_position
from mmspec_ds.trainer.weights import load_state, read_weights, write_weights


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process group of one."""
    monkeypatch.setenv("LOCAL_RANK", "0")
    with process_group(1):
        yield


def make_checkpoint(folder: Path, step: int, form: int = FORMAT) -> Path:
    """A checkpoint of two numbers."""
    checkpoint = folder / name_of(step)
    checkpoint.mkdir(parents=True)
    write_pieces(checkpoint / file_of_rank(0), [("weight", "a", 0, torch.full((2,), float(step)))])
    files = {file_of_rank(0): entry_of(checkpoint / file_of_rank(0))}
    state = asdict(TrainerState(step=step, batches=2 * step, batches_per_epoch=7))
    write_manifest(checkpoint, files, format=form, state=state, parameters={"a": [2]}, buffers={})
    return checkpoint


def test_the_newest_is_found_with_its_state_and_weights(tmp_path: Path, alone: None) -> None:
    for step in (5, 100, 20):
        make_checkpoint(tmp_path, step)
    (tmp_path / ".step_00000200.partial").mkdir()
    folder = CheckpointFolder(tmp_path)
    assert folder.steps() == [5, 20, 100]
    newest, wrong = folder.newest()
    assert newest is not None
    assert wrong == []
    assert newest.state == TrainerState(step=100, batches=200, batches_per_epoch=7)
    assert newest.weights()["a"].tolist() == [100, 100]


def test_damaged_ones_are_set_aside_and_named(tmp_path: Path, alone: None) -> None:
    for step in (1, 2, 3):
        make_checkpoint(tmp_path, step)
    (tmp_path / name_of(3) / "manifest.json").write_text("{}")
    (tmp_path / name_of(2) / file_of_rank(0)).unlink()
    newest, wrong = CheckpointFolder(tmp_path).newest()
    assert newest is not None
    assert newest.state.step == 1
    assert len(wrong) == 2
    assert wrong[0].endswith("step_00000003/manifest.json: damaged: it is not a manifest")
    assert wrong[1].endswith("step_00000002/rank_00000.safetensors: No such file or directory")
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["damaged_step_00000002", "damaged_step_00000003", "step_00000001"]


def test_nothing_is_touched_when_none_is_whole(tmp_path: Path, alone: None) -> None:
    (make_checkpoint(tmp_path, 1) / "manifest.json").unlink()
    for _ in range(2):
        with pytest.raises(DataError, match=r"no checkpoint is whole: .*manifest\.json: cannot be read"):
            CheckpointFolder(tmp_path).newest()
    assert CheckpointFolder(tmp_path / "none").newest() == (None, [])


def test_a_checkpoint_of_another_format(tmp_path: Path) -> None:
    make_checkpoint(tmp_path, 1, form=FORMAT + 1)
    with pytest.raises(DataError, match=f"has format {FORMAT + 1}: expected {FORMAT}"):
        CheckpointFolder(tmp_path).at(1)


def test_a_missing_step(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"step_00000007/manifest\.json: cannot be read: No such file"):
        CheckpointFolder(tmp_path).at(7)


@pytest.mark.parametrize(
    ("batches", "per_epoch", "new", "expected"),
    [(13, 10, 10, 13), (13, 10, 5, 6), (25, 10, 20, 50), (0, 10, 3, 0), (7, 10, 3, 2)],
)
def test_another_global_batch_moves_the_place(batches: int, per_epoch: int, new: int, expected: int) -> None:
    state = rescale_position(TrainerState(step=4, batches=batches, batches_per_epoch=per_epoch), new)
    assert (state.step, state.batches, state.batches_per_epoch) == (4, expected, new)


def test_experts_are_named_by_their_number_among_all() -> None:
    before = "encoder.layers.1.feedforward.deepspeed_moe.experts.deepspeed_experts."
    assert global_name(f"{before}1.w1", Placement(4, 2), 8) == f"{before}5.w1"
    assert global_name(f"{before}1.w1", Placement(), 8) == f"{before}1.w1"
    gate = "encoder.layers.1.feedforward.deepspeed_moe.gate.wg.weight"
    assert global_name(gate, Placement(4, 2), 8) == gate
    assert is_expert(f"{before}0.b2")
    assert not is_expert(gate)


def test_a_parameter_of_stacked_experts_is_a_tensor_of_each_in_files() -> None:
    before = "encoder.layers.1.feedforward.deepspeed_moe.experts."
    names = [f"{before}deepspeed_experts.{number}" for number in (2, 3)]
    sharding = ExpertSharding(Placement(2, 1), (64, 16, 48, 32))
    assert is_expert(f"{before}w1")
    assert sharding.parts(f"{before}w1", (80, 8)) == [(f"{names[0]}.w1", (8, 48)), (f"{names[1]}.w1", (8, 32))]
    assert sharding.parts(f"{before}w2", (80, 8)) == [(f"{names[0]}.w2", (48, 8)), (f"{names[1]}.w2", (32, 8))]
    assert sharding.parts(f"{before}b1", (80,)) == [(f"{names[0]}.b1", (48,)), (f"{names[1]}.b1", (32,))]
    assert sharding.parts(f"{before}b2", (16,)) == [(f"{names[0]}.b2", (8,)), (f"{names[1]}.b2", (8,))]
    assert sharding.parts("decoder.norm.weight", (8,)) == [("decoder.norm.weight", (8,))]


class Small(nn.Module):
    """As much of a model as loading needs."""

    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.layer = nn.Linear(width, 2)


def test_weights_survive_the_file(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    one, other = Small(), Small()
    write_weights(one.state_dict(), path)
    load_state(other, read_weights(path).tensors, path)
    assert torch.equal(one.layer.weight, other.layer.weight)
    assert torch.equal(one.layer.bias, other.layer.bias)


def test_one_model_gives_one_file(tmp_path: Path) -> None:
    weights = Small().state_dict()
    for name in "ab":
        write_weights(weights, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_weights(Small(4).state_dict(), path)
    with pytest.raises(DataError, match=r"does not fit the model: .*layer\.weight") as caught:
        load_state(Small(), read_weights(path).tensors, path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["empty", "cut", "text"])
def test_weights_that_cannot_be_read(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "model.safetensors"
    write_weights(Small().state_dict(), path)
    whole = path.read_bytes()
    path.write_bytes({"empty": b"", "cut": whole[:-5], "text": b"no weights at all"}[damage])
    with pytest.raises(DataError, match="cannot be read as a model's weights"):
        read_weights(path)


def test_no_byte_of_the_weights_can_be_changed(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_weights(Small().state_dict(), path)
    whole = path.read_bytes()
    header = int.from_bytes(whole[:8], "little")
    about = json.loads(whole[8 : 8 + header])["__metadata__"]["mmspec"]
    assert len(json.loads(about)["sha256"]) == 64
    for place in range(8 + header, len(whole)):
        spoilt = bytearray(whole)
        spoilt[place] ^= 4
        path.write_bytes(spoilt)
        with pytest.raises(DataError, match="altered since it was written"):
            read_weights(path)
