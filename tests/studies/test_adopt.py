"""Runs that were trained before a study asked for them."""

import json
from pathlib import Path

import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.studies.adopt import adopt
from mmspec_ds.studies.cells import CellFolder, settings_of
from mmspec_ds.studies.plan import Budget
from mmspec_ds.trainer.run_lock import RunLock
from tests.studies.conftest import cell, finish


def run_of(folder: Path, budget: Budget, *, finished: bool = True, **changes: object) -> Path:
    """The folder of a run with the settings of a cell, of another name."""
    run = settings_of(cell(), budget)
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "engine.json").write_bytes(run.engine.read_bytes())
    training = run.training.model_copy(update={"threads": 2, **changes})
    written = run.model_copy(update={"name": "before", "engine": Path("engine.json"), "training": training})
    (folder / "config.yaml").write_text(written.to_yaml())
    (folder / "model.safetensors").write_bytes(b"weights")
    lines = [
        {"kind": "start", "step": 0, "ranks": 1, "parameters": 7},
        {"kind": "train", "step": 2, **throughput(8.0, 4.0, 10.0)},
        {"kind": "train", "step": 6, **throughput(6.0, 3.0, 20.0)},
        {"kind": "validation", "step": 3, "loss/validation": 0.5},
        {"kind": "validation", "step": 6, "loss/validation": 0.7},
        {"kind": "end", "step": 6, "finished": finished, "final/seconds": 12.0},
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def throughput(tokens: float, samples: float, megaflops: float) -> dict[str, float]:
    return {
        "throughput/tokens_per_second": tokens,
        "throughput/samples_per_second": samples,
        "resources/megaflops_per_token": megaflops,
    }


def test_a_finished_run_becomes_its_cell(budget: Budget, tmp_path: Path) -> None:
    source = run_of(tmp_path / "runs" / "before", budget)
    found = adopt(tmp_path / "out", source, budget.data["hard"])
    assert found.path == CellFolder.of(tmp_path / "out", cell(), budget).path
    result = found.result()
    assert result is not None
    assert (result["steps"], result["samples"], result["seconds"], result["parameters"]) == (6, 48, 12.0, 7)
    # Two tokens a sample and 8 samples a step: 2 steps of 16 tokens at 10 MFLOP, 4 steps at 20.
    assert result["flops"] == pytest.approx(1e6 * (2 * 16 * 10 + 4 * 16 * 20))
    assert (result["best_validation_loss"], result["final_validation_loss"]) == (0.5, 0.7)
    assert found.has_weights()
    assert not (found.run / "checkpoints").exists()
    assert (source / "checkpoints").exists()
    found.check(cell(), budget)
    assert adopt(tmp_path / "out", source, budget.data["hard"]) == found


def test_measures_of_other_weights_do_not_stay(budget: Budget, tmp_path: Path) -> None:
    folder = finish(tmp_path / "out", cell(), budget, 50.0)
    (folder.path / "result.json").unlink()
    found = adopt(tmp_path / "out", run_of(tmp_path / "run", budget), budget.data["hard"])
    assert found.path == folder.path
    assert found.missing_measures(cell(), budget) == ("accuracy",)


def test_what_is_no_finished_run_is_refused(budget: Budget, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not finished: expected a run that has spent its budget"):
        adopt(tmp_path / "out", run_of(tmp_path / "a", budget, finished=False), budget.data["hard"])
    with pytest.raises(DataError, match="began with the weights of another run"):
        adopt(tmp_path / "out", run_of(tmp_path / "b", budget, start_from=Path("x")), budget.data["hard"])
    two = run_of(tmp_path / "c", budget)
    told = (
        (two / "metrics.jsonl").read_text().replace('"ranks": 1', '"ranks": 2')
    )  # twice the samples of a step
    (two / "metrics.jsonl").write_text(told)
    with pytest.raises(DataError, match="was trained on 2 ranks: expected one"):
        adopt(tmp_path / "out", two, budget.data["hard"])
    with pytest.raises(DataError, match=r"holds no config\.yaml"):
        adopt(tmp_path / "out", tmp_path, budget.data["hard"])
    assert not (tmp_path / "out").exists()


def test_a_cell_that_is_being_trained_is_left_alone(budget: Budget, tmp_path: Path) -> None:
    source = run_of(tmp_path / "run", budget)
    folder = CellFolder.of(tmp_path / "out", cell(), budget)
    lock = RunLock(folder.run)  # the training's own, as it stays when its study was killed
    assert lock.acquire() is None
    (folder.run / "metrics.jsonl").write_text("")
    with pytest.raises(DataError, match="in use by process"):
        adopt(tmp_path / "out", source, budget.data["hard"])
    assert sorted(path.name for path in folder.path.rglob("*")) == [".lock", "metrics.jsonl", "run"]
    lock.release()
    assert adopt(tmp_path / "out", source, budget.data["hard"]).result() is not None
