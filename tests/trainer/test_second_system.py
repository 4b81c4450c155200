"""A system of 150 lines, which shares nothing with elucidation but the trainer: trained on every topology,
resumed, moved, exported. The trainer has no line for it."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn

from mmspec_ds.errors import ConfigError
from mmspec_ds.files import read_manifest
from mmspec_ds.trainer.export import export
from mmspec_ds.trainer.weights import load_state, read_weights

SCRIPT = Path(__file__).with_name("denoiser_task.py")
ADAM = (
    "training.optimizer=adamw",
    "training.learning_rate=3e-3",
    "training.validate_every=4",
    "training.steps=8",
)
STAGES = (0, 1, 2)


@pytest.fixture(scope="module")
def denoiser(launcher: Any, starter: Path) -> Path:
    """A run file of this system: ten SGD steps."""
    training = {"batch_size": 16, "steps": 10, "optimizer": "sgd", "learning_rate": 0.1}
    run = {
        "system": "denoiser",
        "name": "denoiser",
        "engine": "zero0.json",
        "output": str(launcher.run_file.parent),
        "data": str(starter / "train.parquet"),
        "training": {**training, "gradient_clipping": 0.5, "log_every": 1, "threads": 1},
    }
    path: Path = launcher.run_file.with_name("denoiser.yaml")
    path.write_text(yaml.safe_dump(run))
    return path


@pytest.fixture(scope="module")
def table(launcher: Any, denoiser: Path) -> Mapping[tuple[int, int], Any]:
    """The run on 1 and 2 ranks with each stage of ZeRO."""
    found = {}
    for ranks in (1, 2):
        runs = {
            f"denoiser_{ranks}_{stage}": (f"engine=zero{stage}.json", f"training.batch_size={16 // ranks}")
            for stage in STAGES
        }
        for stage, run in zip(STAGES, launcher.train_many(runs, ranks, denoiser).values()):
            assert run.statuses == (0,) * ranks, run.output
            found[ranks, stage] = run
    return found


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("stage", STAGES)
def test_every_topology_learns_alike(table: Mapping[tuple[int, int], Any], ranks: int, stage: int) -> None:
    alone, other = table[1, 0], table[ranks, stage]
    losses = alone.series("loss/train")
    assert losses[-1] < 0.9 * losses[0], "the weights must change, or equal losses mean nothing"
    assert other.series("loss/train") == pytest.approx(losses, abs=1e-5)
    assert other.series("gradient/norm") == pytest.approx(alone.series("gradient/norm"), rel=1e-4)
    (one,), (another,) = (run.metrics("validation") for run in (alone, other))
    assert another["error/validation"] == pytest.approx(one["error/validation"], abs=1e-5)
    assert another["error/updates"] == 10
    assert not any(tag.startswith(("auxiliary", "load_", "schedule/tau")) for tag in alone.metrics()[0])


def test_the_launcher_starts_it(launcher: Any, denoiser: Path, table: Mapping[tuple[int, int], Any]) -> None:
    options = ("engine=zero2.json", "training.batch_size=8")
    launched = launcher.by_deepspeed(
        "launched_denoiser", *options, ranks=2, program=[str(SCRIPT)], file=denoiser
    )
    assert launched.statuses == (0,), launched.output
    assert launched.series("loss/train") == pytest.approx(table[1, 0].series("loss/train"), abs=1e-5)
    assert "validation error" in launched.output
    assert "best validation error" in launched.output


@pytest.fixture(scope="module")
def undisturbed(launcher: Any, denoiser: Path) -> Any:
    """Eight steps of AdamW on one rank with ZeRO 1, saved after four and eight."""
    finished = launcher.train("calm_denoiser", *ADAM, "engine=zero1.json", file=denoiser)
    assert finished.statuses == (0,), finished.output
    return finished


def after_four_steps(undisturbed: Any, name: str) -> Path:
    """A copy of the run as if it had crashed after its first checkpoint."""
    folder: Path = undisturbed.folder.with_name(name)
    shutil.copytree(undisturbed.folder, folder)
    shutil.rmtree(folder / "checkpoints" / "step_00000008")
    return folder


def test_it_resumes_bit_for_bit(launcher: Any, denoiser: Path, undisturbed: Any) -> None:
    folder = after_four_steps(undisturbed, "resumed_denoiser")
    resumed = launcher.train(folder.name, *ADAM, "engine=zero1.json", "--resume", file=denoiser)
    assert resumed.statuses == (0,), resumed.output
    assert "going on from" in resumed.output
    saved, again = (
        read_manifest(run / "checkpoints" / "step_00000008")["files"] for run in (undisturbed.folder, folder)
    )
    assert again == saved
    assert resumed.series("loss/train") == undisturbed.series("loss/train")


def test_it_moves_to_another_topology(launcher: Any, denoiser: Path, undisturbed: Any) -> None:
    folder = after_four_steps(undisturbed, "moved_denoiser")
    options = (*ADAM, "training.batch_size=8", "engine=zero2.json", "--resume")
    moved = launcher.train(folder.name, *options, ranks=2, file=denoiser)
    assert moved.statuses == (0, 0), moved.output
    assert moved.series("loss/train") == pytest.approx(undisturbed.series("loss/train"), abs=1e-5)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("width=8", "width is 8, but "),
        ("system=elucidation", "data: input should be a valid dictionary"),
        ("widht=8", "did you mean 'width'?"),
    ],
)
def test_another_model_is_not_resumed(
    launcher: Any, denoiser: Path, undisturbed: Any, override: str, told: str
) -> None:
    refused = launcher.train("calm_denoiser", *ADAM, override, "--resume", file=denoiser)
    assert refused.statuses == (1,)
    assert told in refused.output
    assert "Traceback" not in refused.output


def test_it_is_exported_and_loaded(undisturbed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    import denoiser_task

    from mmspec_ds.systems.elucidation.trained import load_model
    from mmspec_ds.systems.run_file import SYSTEMS, load_run_of, system_of

    monkeypatch.setitem(SYSTEMS, "denoiser", ("denoiser_task", "denoiser_task"))
    run = load_run_of(undisturbed.folder, denoiser_task.Run)
    about = export(run, system_of(run), undisturbed.folder, tmp_path / "model")
    files = {path.name for path in (tmp_path / "model").iterdir()}
    assert files == {"config.yaml", "manifest.json", "model.safetensors", "peaks.txt"}
    model: nn.Module = denoiser_task.Denoiser(load_run_of(tmp_path / "model", denoiser_task.Run).width)
    path = tmp_path / "model" / "model.safetensors"
    load_state(model, read_weights(path).tensors, path)
    best = read_weights(undisturbed.folder / "model.safetensors").tensors
    assert all(torch.equal(value, best[name]) for name, value in model.state_dict().items())
    assert about["parameters"] == sum(value.numel() for value in best.values())
    assert json.loads((tmp_path / "model" / "manifest.json").read_text())["name"] == "calm_denoiser"
    with pytest.raises(ConfigError, match="system is 'denoiser': expected 'elucidation'"):
        load_model(undisturbed.folder)
