"""What benchmarks of fusion share: trainings that go on where they stopped, and figures of their models."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from mmspec_ds.systems.fusion.data import FusionData
from mmspec_ds.systems.fusion.outcome import macro_auc
from mmspec_ds.systems.fusion.trained import TrainedFusion, load_fusion

ROOT = Path(__file__).resolve().parents[1]
FINISHED = "benchmark_finished"
"""An empty file in the folder of a run that reached its end."""


def train(folder: Path, content: Mapping[str, Any], sources: Sequence[Path] = ()) -> Path:
    """Train a run, or go on with it, or do nothing if it was finished; returns its folder.

    Args:
        folder: of the runs, each in a folder of its name.
        content: of a run file.
        sources: what the run learns from beside its files, such as the folder of a teacher; named in errors.
    """
    run = folder / str(content["name"])
    if (run / FINISHED).exists():
        return run
    for one in sources:
        assert (one / FINISHED).exists(), f"{one} is not trained"
    folder.mkdir(parents=True, exist_ok=True)
    engine = folder / "engine.json"
    engine.write_text(json.dumps({"zero_optimization": {"stage": 0}}))
    file = folder / f"{content['name']}.yaml"
    file.write_text(yaml.safe_dump({**content, "engine": str(engine), "output": str(folder)}))
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


def measure(folder: Path, data: FusionData) -> dict[str, float]:
    """The AUC of a trained model on samples, in per cent the share of them whose likeliest class or group is
    right (Top-1), and the number of its parameters."""
    trained: TrainedFusion = load_fusion(folder)
    probability_NC = trained.outcome(data).probability_NC
    first_N = probability_NC.argmax(1)
    right_N = data.target_NC[range(len(data)), first_N]
    return {
        "auc": macro_auc(probability_NC, data.target_NC),
        "top_1": 100 * float(right_N.mean()),
        "parameters": sum(one.numel() for one in trained.model.parameters()),
    }
