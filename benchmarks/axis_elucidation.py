"""Structures by an embedding of each kind of spectrum, by one embedding for all, and by that one pretrained.

    mmspec simulate --molecules 15000 --seed 0 --out starter
    python benchmarks/run.py axis_elucidation starter --out axis --seeds 0,1

STARTER is a folder with train, val and test.parquet. For each seed three models of one size are trained for
equal steps on the same batches of train.parquet (ds_configs/runs/elucidation_axis.yaml, sparse; --dense leaves
the experts out):

    modality      model.embedding=modality: fields of each kind of spectrum, couplings and energies among them,
                  and shifts in its usual bins of 0.1 ppm
    axis          model.embedding=axis: positions on axes, one set of weights, as it is drawn
    pretrained    the same, its embedding and encoder pretrained on the spectra of train.parquet without
                  their structures (ds_configs/runs/fusion_masked.yaml)

--labelled N has them learn from the first N molecules alone, while all spectra are there for pretraining. The
best step is chosen on val.parquet, and the first --molecules of test.parquet, which are in neither file, are
measured: Top-1 and Top-10 of a beam of 10, in per cent. FLOPs are those of the training, and of the
pretraining beside it. A training that is there is not made again, one that was stopped goes on, and rows that
are there are not measured again: start the same command once more. Rows go to results/axis_elucidation.csv.
"""

import argparse
import csv
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
import yaml
from fusion_runs import ROOT, append, check_apart, train
from runner import RESULTS, commit, device_name

from mmspec_ds.systems.run_file import load_run_of
from mmspec_ds.trainer.usage import read_usage

RUNS = ROOT / "ds_configs" / "runs"
METHODS = ("modality", "axis", "pretrained")
PEAKS = 4
"""The strongest peaks of each mass spectrum that all models read."""

KEYS = ("data", "settings", "method", "seed", "steps", "pretraining_steps", "train_molecules", "test_molecules")
FIELDS = (
    *("date", "commit", "device", *KEYS, "parameters", "flops", "pretraining_flops"),
    *("validation_loss", "top_1", "top_10"),
)


def content(options: argparse.Namespace, kind: str, method: str, seed: int) -> dict[str, Any]:
    """A run file: that of the project of this kind, on the files and with the sizes of the options."""
    run: dict[str, Any] = yaml.safe_load((RUNS / f"{kind}.yaml").read_text(encoding="utf-8"))
    del run["engine"]
    masked = kind == "fusion_masked"
    steps = options.pretraining_steps if masked else options.steps
    whole, folder = options.starter.resolve(), options.out.resolve()
    run["data"] |= {
        "train": [str(whole / "train.parquet" if masked else labelled(options))],
        "validation": [str(whole / "val.parquet")],
    }
    run["model"] |= {"d_model": options.width, "encoder_layers": options.layers}
    if not masked:
        run["model"] |= {"decoder_layers": options.layers}
    run["training"] |= {"epochs": None, "steps": steps, "batch_size": options.batch_size, "threads": 1}
    run["training"] |= {"validate_every": max(1, steps // 5)}
    if not masked:
        run["training"] |= {"pictures": 0, "conflict_samples": 0}
    if masked:
        run["tokens"] |= {"max_peaks": PEAKS}
    else:
        run["data"]["compression"]["ms"] |= {"max_peaks": PEAKS}
    if method == "modality":
        run["model"] |= {"embedding": "modality"}
        for nmr in ("h_nmr", "c_nmr"):  # back to the usual bins
            del run["data"]["compression"][nmr]
    if method == "pretrained" and not masked:
        run["training"] |= {"encoder_from": str(folder / f"masked_{seed}")}
    if options.dense:
        run["moe"] = None
    return run | {"name": f"masked_{seed}" if masked else f"{method}_{seed}", "seed": seed}


def labelled(options: argparse.Namespace) -> Path:
    """The file whose structures are learnt: train.parquet, or its first molecules alone."""
    whole: Path = options.starter.resolve() / "train.parquet"
    if options.labelled is None:
        return whole
    part: Path = options.out.resolve() / f"labelled_{options.labelled}.parquet"
    if not part.exists():
        part.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pq.read_table(whole).slice(0, options.labelled), part)
    return part


def answers(folder: Path, options: argparse.Namespace) -> Mapping[str, float]:
    """What `mmspec evaluate` finds: `n`, `top_1` and `top_10` among others."""
    scores = folder.with_suffix(".json")
    data = ("--data", options.starter.resolve() / "test.parquet", "--limit", options.molecules)
    words = ("evaluate", folder, *data, "--beam", 10, "--json", scores)
    command = [sys.executable, "-m", "mmspec_ds", *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{folder.name}: mmspec evaluate failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    found: Mapping[str, float] = json.loads(scores.read_text(encoding="utf-8"))
    return found


def best_loss(folder: Path) -> float:
    """The smallest validation loss of a training."""
    *_, end = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return float(json.loads(end)["final/best_validation_loss"])


def measured(options: argparse.Namespace, method: str, seed: int) -> dict[str, str]:
    """The row of a model without what it has in common with others."""
    sources = []
    if method == "pretrained":
        sources = [train(options.out, content(options, "fusion_masked", method, seed))]
    folder = train(options.out, content(options, "elucidation_axis", method, seed), sources)
    usage, found = read_usage(folder, load_run_of(folder)), answers(folder, options)
    before = sum(read_usage(one, load_run_of(one)).flops or 0.0 for one in sources)
    return {
        "parameters": str(usage.parameters),
        "flops": f"{usage.flops or 0.0:.4g}",
        "pretraining_flops": f"{before:.4g}",
        "validation_loss": f"{best_loss(folder):.4f}",
        "top_1": f"{found['top_1']:.2f}",
        "top_10": f"{found['top_10']:.2f}",
    }


def is_there(row: Mapping[str, str], path: Path) -> bool:
    """Whether a file of results has a row of the same keys."""
    if not path.exists():
        return False
    with path.open(newline="", encoding="utf-8") as file:
        return any(all(one.get(key) == row[key] for key in KEYS) for one in csv.DictReader(file))


def numbers(text: str) -> tuple[int, ...]:
    """Whole numbers parted by commas."""
    return tuple(int(one) for one in text.split(","))


def parsed(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("starter", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--seeds", type=numbers, default=(0, 1), help="default: 0,1")
    parser.add_argument("--methods", default=",".join(METHODS), help=f"default: {','.join(METHODS)}")
    parser.add_argument("--steps", type=int, default=1500, help="of each training (default: 1500)")
    parser.add_argument("--pretraining-steps", type=int, default=1500, help="default: 1500")
    parser.add_argument("--batch-size", type=int, default=64, help="molecules of a step (default: 64)")
    parser.add_argument("--width", type=int, default=128, help="d_model (default: 128)")
    parser.add_argument("--layers", type=int, default=2, help="of encoder and decoder (default: 2)")
    parser.add_argument("--labelled", type=int, help="learn structures of the first so many (default: all)")
    parser.add_argument("--molecules", type=int, default=500, help="of the test, the first ones (default: 500)")
    parser.add_argument("--dense", action="store_true", help="without experts")
    parser.add_argument("--results", type=Path, default=RESULTS.with_name("axis_elucidation.csv"))
    return parser.parse_args(words)


def main() -> None:
    """Train, measure, and write a row for each model."""
    options = parsed()
    torch.set_num_threads(1)
    files = [options.starter / f"{part}.parquet" for part in ("train", "val", "test")]
    check_apart(files[:2], files[2])
    settings = f"width={options.width} layers={options.layers} batch={options.batch_size}"
    common = {
        "data": options.starter.resolve().name,
        "settings": settings + (" dense" if options.dense else " sparse"),
        "steps": str(options.steps),
        "train_molecules": str(pq.ParquetFile(labelled(options)).metadata.num_rows),
        "test_molecules": str(min(options.molecules, pq.ParquetFile(files[2]).metadata.num_rows)),
    }
    for seed in options.seeds:
        for method in options.methods.split(","):
            before = str(options.pretraining_steps) if method == "pretrained" else "0"
            row = common | {"method": method, "seed": str(seed), "pretraining_steps": before}
            if is_there(row, options.results):
                continue
            row |= measured(options, method, seed)
            row["date"], row["commit"] = f"{datetime.now(UTC):%Y-%m-%d}", commit()
            row["device"] = device_name(torch.device("cpu"))
            append([row], options.results, FIELDS)
            print({name: value for name, value in row.items() if name not in common}, flush=True)


if __name__ == "__main__":
    main()
