"""What benchmarks of fusion share: trainings that go on where they stopped, molecules that are measured and
nothing else, figures of models, and rows of results."""

import csv
import json
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from mmspec_ds.library.entries import read_entries
from mmspec_ds.readers.part import Rejected
from mmspec_ds.systems.fusion.data import FusionData
from mmspec_ds.systems.fusion.outcome import macro_auc
from mmspec_ds.systems.fusion.trained import TrainedFusion, load_fusion
from mmspec_ds.trainer.usage import read_usage

ROOT = Path(__file__).resolve().parents[1]
FINISHED = "benchmark_finished"
"""An empty file in the folder of a run that reached its end."""


def train(folder: Path, content: Mapping[str, Any], sources: Sequence[Path] = ()) -> Path:
    """Train a run, or go on with it, or do nothing if it was finished; returns its folder. A folder that holds
    the run by other settings ends the program with a line that says so.

    Args:
        folder: of the runs, each in a folder of its name.
        content: of a run file.
        sources: what the run learns from beside its files, such as the folder of a teacher; named in errors.
    """
    run, file = folder / str(content["name"]), folder / f"{content['name']}.yaml"
    engine = folder / "engine.json"
    text = yaml.safe_dump({**content, "engine": str(engine), "output": str(folder)})
    if run.exists() and file.is_file() and file.read_text() != text:
        raise SystemExit(f"{run}: was trained by other settings than now: expected another folder of runs")
    if (run / FINISHED).exists():
        return run
    for one in sources:
        assert (one / FINISHED).exists(), f"{one} is not trained"
    folder.mkdir(parents=True, exist_ok=True)
    engine.write_text(json.dumps({"zero_optimization": {"stage": 0}}))
    file.write_text(text)
    command = [sys.executable, "-m", "mmspec_ds", "train", str(file)]
    if (run / "checkpoints").exists():
        command.append("--resume")
    told = folder / f"{content['name']}.log"
    with told.open("a") as log:
        status = subprocess.run(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, check=False).returncode
    if status:
        raise SystemExit(f"{content['name']}: the training ended with status {status}: see {told}")
    (run / FINISHED).touch()
    return run


def check_apart(learnt: Sequence[Path], measured: Path) -> None:
    """End the program with a line if a molecule that is measured, by the first block of its InChIKey, is in a
    file that is learnt from, or by which the best step is chosen."""
    blocks = _molecules(measured)
    for file in learnt:
        shared = blocks & _molecules(file)
        if shared:
            raise SystemExit(
                f"{measured}: {len(shared)} molecules are in {file.name} too, such as {min(shared)}: expected a"
                " split by molecule"
            )


def _molecules(file: Path) -> set[str]:
    return {item.block for item in read_entries([file]) if not isinstance(item, Rejected) and item.block}


def measure(folder: Path, data: FusionData, among: Collection[str] = ()) -> dict[str, float]:
    """The AUC of a trained model on samples, over the classes or groups `among` or over all, in per cent the
    share of them whose likeliest class or group is right (Top-1), the number of its parameters, and the FLOPs
    of its training."""
    trained: TrainedFusion = load_fusion(folder)
    probability_NC = trained.outcome(data).probability_NC
    counted = [at for at, name in enumerate(trained.schema.names) if not among or name in among]
    first_N = probability_NC.argmax(1)
    right_N = data.target_NC[range(len(data)), first_N]
    return {
        "auc": macro_auc(probability_NC[:, counted], data.target_NC[:, counted]),
        "top_1": 100 * float(right_N.mean()),
        "parameters": sum(one.numel() for one in trained.model.parameters()),
        "flops": read_usage(folder, trained.run).flops or 0.0,
    }


def append(rows: Sequence[Mapping[str, object]], path: Path, fields: Sequence[str]) -> None:
    """Append rows to a file of results, with a head if it is new. A file with another head ends the program
    with a line."""
    is_new = not path.exists()
    if not is_new:
        with path.open(newline="", encoding="utf-8") as file:
            head = next(csv.reader(file), [])
        if head != list(fields):
            raise SystemExit(f"{path}: has the columns {', '.join(head)}: expected {', '.join(fields)}")
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fields, restval="", lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerows(rows)
