"""Runs that begin with the weights of another, and models that leave their run."""

import pickletools
from pathlib import Path
from typing import Any

import pytest
import torch

from mmspec_ds.errors import DataError
from mmspec_ds.files import read_manifest
from mmspec_ds.systems.elucidation.trained import load_model
from mmspec_ds.systems.run_file import load_run_of, system_of
from mmspec_ds.trainer.export import export
from mmspec_ds.trainer.weights import read_weights

STILL = ("training.steps=1", "training.learning_rate=1e-20", "training.gradient_clipping=0")


def export_run(folder: Path, target: Path, step: int | None = None) -> dict[str, Any]:
    """As `mmspec export` does."""
    run = load_run_of(folder)
    return export(run, system_of(run), folder, target, step)


@pytest.fixture(scope="module")
def parent(launcher: Any) -> Any:
    """Six steps, saved after three and six."""
    finished = launcher.train("parent", "training.steps=6", "training.validate_every=3")
    assert finished.statuses == (0,), finished.output
    return finished


@pytest.mark.parametrize(
    ("ranks", "topology"),
    [(1, ()), (2, ("training.batch_size=8", "training.ep_size=2", "engine=zero2.json"))],
    ids=["1 rank", "2 ranks, ep 2, ZeRO 2"],
)
def test_a_run_starts_from_the_weights_of_another(
    launcher: Any, parent: Any, ranks: int, topology: tuple[str, ...]
) -> None:
    start = f"training.start_from={parent.folder}"
    child = launcher.train(f"child_{ranks}", start, *topology, *STILL, "seed=5", ranks=ranks)
    assert child.statuses == (0,) * ranks, child.output
    mother, daughter = (read_weights(run.folder / "model.safetensors").tensors for run in (parent, child))
    assert mother.keys() == daughter.keys()
    assert daughter.pop("router_temperature") == 2.0, "the child's own schedule begins"
    assert all(torch.equal(mother[name], daughter[name]) for name in daughter)
    assert (child.folder / "vocabulary.json").read_bytes() == (parent.folder / "vocabulary.json").read_bytes()


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("model.d_model=64", "does not fit the model"),
        ("moe=null", "training.start_from: encoder.layers.0.feedforward.widen.weight is not in it"),
        ("model.encoder_layers=2", "does not fit training.start_from: encoder.layers.1."),
    ],
)
def test_weights_of_another_shape(launcher: Any, parent: Any, override: str, told: str) -> None:
    refused = launcher.train("other_shape", f"training.start_from={parent.folder}", override)
    assert refused.statuses == (1,)
    assert told in refused.output
    assert "Traceback" not in refused.output


@pytest.mark.parametrize("step", [None, 3], ids=["best", "step 3"])
def test_an_export_is_the_model(parent: Any, tmp_path: Path, step: int | None) -> None:
    about = export_run(parent.folder, tmp_path / "model", step)
    files = {path.name for path in (tmp_path / "model").iterdir()}
    assert files == {"config.yaml", "manifest.json", "model.safetensors", "vocabulary.json"}
    exported = load_model(tmp_path / "model").model.state_dict()
    assert about["parameters"] == sum(tensor.numel() for tensor in exported.values())
    best = load_model(parent.folder).model.state_dict()
    same = all(torch.equal(exported[name], best[name]) for name in best)
    assert same is (step is None), "the best weights are those of step 6"
    assert str(parent.folder.parent) not in (tmp_path / "model" / "config.yaml").read_text()
    for name in files:
        assert not is_pickle(tmp_path / "model" / name)


def test_an_export_of_half_the_size(launcher: Any, parent: Any, tmp_path: Path) -> None:
    run, target = load_run_of(parent.folder), tmp_path / "model"
    export(run, system_of(run), parent.folder, target, half=True)
    best = load_model(parent.folder).model.state_dict()
    for name, tensor in load_model(target).model.state_dict().items():
        assert tensor.dtype == best[name].dtype
        torch.testing.assert_close(tensor, best[name], rtol=2**-11, atol=2**-25)  # of float16
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (target, parent.folder)]
    assert sizes[0] < 0.6 * sizes[1]
    child = launcher.train("child_of_half", f"training.start_from={target}", *STILL)
    assert child.statuses == (0,), child.output


def is_pickle(path: Path) -> bool:
    """Whether a file could be unpickled up to its stop sign."""
    try:
        list(pickletools.genops(path.read_bytes()))
    except Exception:
        return False
    return True


@pytest.mark.parametrize("name", ["config.yaml", "model.safetensors", "vocabulary.json", "manifest.json"])
def test_an_altered_export_is_noticed(parent: Any, tmp_path: Path, name: str) -> None:
    export_run(parent.folder, tmp_path / "model")
    path = tmp_path / "model" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 2
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"{name}: (altered since|damaged)"):
        load_model(tmp_path / "model")


def test_what_cannot_be_exported(parent: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no checkpoint of step 4: expected one of 3, 6"):
        export_run(parent.folder, tmp_path / "model", 4)
    (tmp_path / "there").mkdir()
    with pytest.raises(DataError, match="exists already"):
        export_run(parent.folder, tmp_path / "there")
    with pytest.raises(DataError, match=r"holds no config\.yaml"):
        export_run(tmp_path / "there", tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert read_manifest(parent.folder / "checkpoints" / "step_00000003")["topology"] == {
        "ranks": 1,
        "ep_size": 1,
        "zero_stage": 0,
        "bf16": False,
    }
