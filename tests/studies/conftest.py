"""A small study, data that were simulated long ago as far as it knows, and a trainer that only counts steps."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmspec_ds.files import MANIFEST
from mmspec_ds.studies.cells import CellFolder, measure_budget, settings_of
from mmspec_ds.studies.commands import Commands
from mmspec_ds.studies.data import files_of
from mmspec_ds.studies.elucidation.budgets import SMOKE
from mmspec_ds.studies.plan import Budget, Cell, Column, Results, Row, Study, Table

TRAINER = """
import json, os, signal, sys, time
from pathlib import Path
import yaml
run = yaml.safe_load(Path("run.yaml").read_text())
with open("starts", "a") as file:
    print(" ".join(sys.argv[1:]), file=file)
if run["seed"] == 13:
    sys.exit("the trainer fails")
stop = []
signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
os.makedirs("run/checkpoints", exist_ok=True)
kept = Path("run/checkpoints/step")
step = int(kept.read_text()) if kept.exists() else 0
with open("run/metrics.jsonl", "a") as file:
    def write(kind, **values):
        print(json.dumps({"kind": kind, "step": step, **values}), file=file, flush=True)
    write("start", ranks=1, parameters=100, device="abacus")
    while step < run["training"]["steps"]:
        step += 1
        write("train")
        time.sleep(PAUSE)
        if stop:
            kept.write_text(str(step))
            sys.exit(143)
    Path("run/model.safetensors").write_bytes(b"weights")
    kept.write_text(str(step))
    write("validation", **{"loss/validation": 2.0 + run["seed"]})
    write("end", finished=True, **{"final/seconds": 1.5})
"""

MEASURER = """
import json, sys
from pathlib import Path
folder, job, *names = sys.argv[1:]
told = json.loads(Path(job).read_text())
if told["cell"]["seed"] == 14:
    sys.exit("the measure fails")
Path("measures").mkdir(exist_ok=True)
for name in names:
    with open("starts", "a") as file:
        print(name, file=file)
    values = {"top_1": 10.0 * told["cell"]["seed"], "of": {"molecules": 5}, "each": [1, 2]}
    budget = {key: told["budget"][key] for key in ("evaluate", "beam")}
    content = {"budget": budget, "values": values}
    Path(f"measures/{name}.json").write_text(json.dumps(content))
"""

DENSE: dict[str, Any] = {"moe": None}


def cell(seed: int = 0, overrides: dict[str, Any] | None = None, **changes: Any) -> Cell:
    """A cell of the toy study, measured by `accuracy`."""
    return replace(Cell("study", overrides or {}, "hard", seed, ("accuracy",)), **changes)


def study_of(cells: Sequence[Cell]) -> Study:
    """A study with one table of these cells."""

    def tables(results: Results) -> list[Table]:
        columns = [Column("top", "Top-1, %", 1, "higher"), Column("loss", "loss", 3, "lower")]
        rows = [
            Row(
                "dense" if one.overrides else "sparse",
                {"top": results.value(one, "accuracy", "top_1"), "loss": results.value(one, "training", LOSS)},
                {"top": 44.0 if one.overrides else 76.04},
            )
            for one in results.cells
            if one.seed == 0
        ]
        return [Table("Table 1. Toy", columns, rows, "model", ["Equal: steps."], ["A note."])]

    return Study("toy", "A toy study", "Who counts faster?", lambda budget: cells, tables)


LOSS = "best_validation_loss"


@pytest.fixture
def budget() -> Budget:
    return SMOKE


@pytest.fixture
def commands(tmp_path: Path) -> Callable[[float], Commands]:
    """The fake trainer, which rests for some seconds after each step, and the fake measurer."""

    def make(pause: float = 0.0) -> Commands:
        trainer, measurer = tmp_path / "trainer.py", tmp_path / "measurer.py"
        trainer.write_text(TRAINER.replace("PAUSE", str(pause)))
        measurer.write_text(MEASURER)
        return Commands(train=(str(trainer), "--resume"), measure=(str(measurer),))

    return make


@pytest.fixture
def out(tmp_path: Path, budget: Budget) -> Path:
    """A folder of studies whose data are there, as far as names tell."""
    out = tmp_path / "studies"
    for changes in ({}, DENSE):
        one = cell(overrides=dict(changes))
        files = files_of(one, budget, out)
        assert files.shards is not None
        files.shards.mkdir(parents=True, exist_ok=True)
        (files.shards / MANIFEST).write_text("{}")
        for path in (*files.train, *files.validation, *files.test):
            pq.write_table(pa.table({"smiles": ["C", "CC"]}), path)
    return out


def train_otherwise(folder: CellFolder, budget: Budget) -> None:
    """Write a run file into the folder of the plain cell as a version with another default would have."""
    changed = settings_of(cell(overrides={"moe.renormalise": False}), budget)
    (folder.path / "engine.json").write_text("{}")
    (folder.path / "run.yaml").write_text(changed.model_copy(update={"engine": Path("engine.json")}).to_yaml())


def finish(out: Path, one: Cell, budget: Budget, top_1: float, loss: float = 1.0) -> CellFolder:
    """Write what a finished cell leaves."""
    folder = CellFolder.of(out, one, budget)
    (folder.path / "measures").mkdir(parents=True)
    (folder.path / "result.json").write_text(json.dumps({"steps": 6, LOSS: loss, "device": "abacus"}))
    for name in one.measures:
        content = {"budget": measure_budget(budget), "values": {"top_1": top_1, "of": {"molecules": 5}}}
        (folder.path / "measures" / f"{name}.json").write_text(json.dumps(content))
    return folder
