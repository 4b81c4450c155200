"""What HSQC, DEPT and the precursor of MS/MS each add: the same model trained with and without them.

    python benchmarks/modality_gain.py starter                           # a folder of `mmspec simulate`
    python benchmarks/modality_gain.py --molecules 15000 --steps 2500    # simulates it first
    python benchmarks/modality_gain.py starter --only nmr nmr+hsqc --seeds 0 1 2

Each configuration trains the dense model of the demo's size (ds_configs/runs/demo.yaml without experts) for the
same number of steps from the same seed on the same simulated molecules, in one process. The best checkpoint
proposes structures for the first 500 test molecules (beam 10). Top-1 and Top-10 are printed, and appended with
everything else to results/modality_gain.csv.

configuration         the model reads
nmr                   1H, 13C
nmr+dept              1H, 13C with the hydrogens attached to each line
nmr+hsqc              1H, 13C, HSQC
nmr+hsqc+dept         both
all                   1H, 13C, IR, MS/MS
all+hsqc+dept         1H, 13C with attached hydrogens, IR, MS/MS, HSQC
all+precursor         1H, 13C, IR, MS/MS with a token for the precursor of each spectrum
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
import yaml
from runner import RESULTS, commit, device_name

DEMO = Path(__file__).parents[1] / "ds_configs/runs/demo.yaml"
NMR, ALL = ["h_nmr", "c_nmr"], ["h_nmr", "c_nmr", "ir", "ms"]
DEPT, PRECURSOR = {"c_nmr": {"multiplicity": True}}, {"ms": {"precursor": True}}
CONFIGURATIONS: dict[str, tuple[list[str], dict[str, dict[str, bool]]]] = {
    "nmr": (NMR, {}),
    "nmr+dept": (NMR, DEPT),
    "nmr+hsqc": ([*NMR, "hsqc"], {}),
    "nmr+hsqc+dept": ([*NMR, "hsqc"], DEPT),
    "all": (ALL, {}),
    "all+hsqc+dept": ([*ALL, "hsqc"], DEPT),
    "all+precursor": (ALL, PRECURSOR),
}
"""Modalities of each configuration, and settings of their compression."""


def run_settings(name: str, data: Path, output: Path, options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """The run file of a configuration: the demo's without experts, with its modalities and compression."""
    modalities, compression = CONFIGURATIONS[name]
    run: dict[str, Any] = yaml.safe_load(DEMO.read_text(encoding="utf-8"))
    operators = run["data"]["compression"]
    for modality, settings in compression.items():
        operators[modality] = operators.get(modality, {}) | settings
    run["data"] |= {
        "train": [str(data / "train.parquet")],
        "validation": [str(data / "val.parquet")],
        "modalities": modalities,
    }
    return run | {
        "name": f"{name.replace('+', '_')}-{seed}",
        "seed": seed,
        "engine": str((DEMO.parent / run["engine"]).resolve()),
        "output": str(output),
        "moe": None,
        "training": run["training"]
        | {
            "minutes": None,
            "ep_size": 1,
            "steps": options.steps,
            "batch_size": options.batch_size,
            "threads": options.threads,
            "validate_every": max(1, options.steps // 5),
            "pictures": 0,
            "conflict_samples": 0,
        },
    }


def mmspec(*words: object, threads: int) -> None:
    """Run a command of the project and end with its message if it fails."""
    command = [sys.executable, "-m", "mmspec_ds", *map(str, words)]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"mmspec {words[0]} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def measure(name: str, data: Path, work: Path, options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Train and evaluate one configuration: a row of results."""
    settings = run_settings(name, data, work, options, seed)
    path, scores = work / f"{settings['name']}.yaml", work / f"{settings['name']}.json"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    began = time.monotonic()
    mmspec("train", path, "--overwrite", threads=options.threads)
    seconds = time.monotonic() - began
    test = ("--data", data / "test.parquet", "--limit", options.test_molecules, "--beam", 10, "--json", scores)
    mmspec("evaluate", work / settings["name"], *test, threads=options.threads)
    found = json.loads(scores.read_text(encoding="utf-8"))
    start, *_, end = map(json.loads, (work / settings["name"] / "metrics.jsonl").read_text().splitlines())
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": commit(),
        "device": device_name(torch.device("cpu")),
        "configuration": name,
        "seed": seed,
        "steps": options.steps,
        "batch_size": options.batch_size,
        "train_molecules": pq.ParquetFile(data / "train.parquet").metadata.num_rows,
        "parameters": start["parameters"],
        "validation_loss": f"{end['final/best_validation_loss']:.4f}",
        "test_molecules": found["n"],
        "top_1": f"{found['top_1']:.2f}",
        "top_10": f"{found['top_10']:.2f}",
        "train_seconds": f"{seconds:.0f}",
    }


def all_rows(data: Path, work: Path, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    for seed in options.seeds:
        for name in options.only:
            row = measure(name, data, work, options, seed)
            print(
                f"{name:16} seed {seed}  Top-1 {row['top_1']:>6}  Top-10 {row['top_10']:>6}"
                f"  validation loss {row['validation_loss']}  {row['train_seconds']} s",
                flush=True,
            )
            yield row


def append(path: Path, row: dict[str, Any]) -> None:
    """Add a row to the file, with a head if it is new."""
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(row), lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)


def main() -> None:
    """Simulate unless a folder is given, then train, evaluate and write a row for each configuration."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", help="folder with train, val and test.parquet")
    parser.add_argument("--molecules", type=int, default=15_000, help="to simulate (default: 15000)")
    parser.add_argument("--max-heavy-atoms", type=int, default=8, help="of these (default: 8)")
    parser.add_argument("--steps", type=int, default=2500, help="of each training (default: 2500)")
    parser.add_argument("--batch-size", type=int, default=32, help="molecules of a step (default: 32)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of the trainings (default: 0)")
    parser.add_argument("--test-molecules", type=int, default=500, help="the first so many (default: 500)")
    parser.add_argument("--only", nargs="+", choices=CONFIGURATIONS, default=list(CONFIGURATIONS))
    parser.add_argument("--threads", type=int, default=1, help="of each training (default: 1)")
    parser.add_argument("--work", type=Path, help="folder for runs that are kept (default: a temporary one)")
    parser.add_argument("--out", type=Path, default=RESULTS.with_name("modality_gain.csv"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        data = options.data
        if data is None:
            data = work / "starter"
            size = ("--molecules", options.molecules, "--max-heavy-atoms", options.max_heavy_atoms)
            mmspec("simulate", *size, "--seed", 0, "--out", data, threads=1)
        for row in all_rows(data, work, options):
            append(options.out, row)


if __name__ == "__main__":
    main()
