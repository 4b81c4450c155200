"""Ways to fuse where a modality is spoilt: contribution, concatenated, OGM-GE and gated, on the same samples.

    python benchmarks/fusion_robustness.py --data DIR --work DIR [--seeds 5] [--steps 3000] [run file overrides]

DIR holds `train.parquet` and `val.parquet`, such as `fusion_data.py` writes, or with --cohort the run files of
two cohorts, such as two of `mmspec simulate --cohort` with the same markers. Every method is trained with each
seed, on the same batches, with the same spoilt training samples (or none, with training.corruption.share=0). A
tenth of the molecules or patients of the first file (data.validation_fraction) chooses the best step, and those
of the second, which are others, are measured: a share has one modality spoilt by noise, by another sample's
spectrum, or missing. A training that is there is not made again, one that was stopped goes on, and rows that
are there are not measured again: start the same command once more. Rows go to results/fusion_robustness.csv.
"""

import argparse
import csv
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from fusion_runs import append, check_apart
from runner import RESULTS, commit

from mmspec_ds.systems.fusion.evaluate import read_samples, score, spoilt_scores
from mmspec_ds.systems.fusion.run_settings import FusionRun
from mmspec_ds.systems.fusion.trained import load_fusion
from mmspec_ds.systems.run_file import load_run_of
from mmspec_ds.trainer.run_settings import CONFIG

METHODS: dict[str, tuple[str, ...]] = {
    "contribution": ("fusion.kind=contribution", "balance.kind=contribution", "objective.alone=0.3"),
    "contribution_vectors": (
        "fusion.kind=contribution_vectors",
        "balance.kind=contribution",
        "objective.alone=0.3",
    ),
    "late_mean": ("fusion.kind=late_mean", "balance.kind=none", "objective.alone=0.3"),
    "concatenated": ("fusion.kind=concatenated", "balance.kind=none", "objective.alone=0"),
    "ogm_ge": ("fusion.kind=concatenated", "balance.kind=ogm_ge", "objective.alone=0"),
    "gated": ("fusion.kind=gated", "balance.kind=none", "objective.alone=0"),
}
RATES = (0.0, 0.2, 0.4, 0.6)
HEAD = ("date", "commit", "data", "molecules", "overrides", "chosen_on", "method", "seed", "modality", "kind",
        "rate", "auc", "weight_spoilt", "weight_sound", "head_answer", "head_truth")  # fmt: skip
KEYS = ("data", "overrides", "chosen_on", "method", "seed")
CHOSEN_ON = "other molecules"
"""What the best step was chosen on; older rows, of which that was what was measured, say so."""


def trained_run(options: argparse.Namespace, method: str, seed: int) -> Path:
    """The folder of a training, which is made or goes on if it is not at its end."""
    name = f"{method}_{seed}"
    folder = options.work / name
    if (folder / CONFIG).is_file() and load_run_of(folder, FusionRun).data.validation:
        raise SystemExit(f"{folder}: its best step was chosen on what is measured: expected another --work")
    if not (folder / "done").is_file():
        run = [f"name={name}", f"output={options.work}", f"seed={seed}", *METHODS[method], *options.overrides]
        files = [f"data.train=[{options.data}/train.parquet]"]
        if options.cohort:
            files = [f"data.cohort={options.data}/train.yaml"]
        budget = ["training.epochs=null", f"training.steps={options.steps}"]
        resume = ["--resume"] if folder.exists() else []
        command = [sys.executable, "-m", "mmspec_ds", "train", "fusion", *run, *files, *budget, *resume]
        subprocess.run(command, check=True)
        (folder / "done").write_text("")
    return Path(folder)


def rows_of(options: argparse.Namespace, folder: Path, method: str, seed: int) -> list[dict[str, object]]:
    """What is measured of a model: one row for each modality, kind and rate."""
    trained = load_fusion(folder)
    data = read_samples(trained, [options.data / ("val.yaml" if options.cohort else "val.parquet")])
    head = score(trained, data).head
    known = {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit(),
        "data": options.data.name,
        "molecules": len(data),
        "overrides": " ".join([f"steps={options.steps}", *options.overrides]),
        "chosen_on": CHOSEN_ON,
        "method": method,
        "seed": seed,
        "head_answer": f"{head['of_answer']:.3f}" if head else "",
        "head_truth": f"{head['of_truth']:.3f}" if head else "",
    }
    return [
        known
        | {"modality": modality, "kind": one.kind, "rate": one.rate, "auc": f"{one.auc:.4f}"}
        | {"weight_spoilt": f"{one.weight_spoilt:.3f}", "weight_sound": f"{one.weight_sound:.3f}"}
        for modality in options.modalities
        for one in spoilt_scores(trained, data, modality, RATES)
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Train what is missing, measure, append."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument(
        "--cohort", action="store_true", help="DIR holds train.yaml and val.yaml, run files of cohorts"
    )
    parser.add_argument("--work", type=Path, required=True, help="folder of the trainings")
    parser.add_argument("--methods", nargs="+", choices=tuple(METHODS), default=list(METHODS))
    parser.add_argument("--modalities", nargs="+", default=["c_nmr", "ms"], help="those that are spoilt")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--results", type=Path, default=RESULTS.with_name("fusion_robustness.csv"))
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    options = parser.parse_args(arguments)
    options.work.mkdir(parents=True, exist_ok=True)
    overrides = " ".join([f"steps={options.steps}", *options.overrides])
    if not options.cohort:
        check_apart([options.data / "train.parquet"], options.data / "val.parquet")
    for seed in range(options.seeds):
        for method in options.methods:
            there: list[dict[str, str]] = []
            if options.results.is_file():
                with options.results.open(newline="") as file:
                    there = list(csv.DictReader(file))
            key = (options.data.name, overrides, CHOSEN_ON, method, str(seed))
            if any(tuple(row.get(name, "") for name in KEYS) == key for row in there):
                continue
            rows = rows_of(options, trained_run(options, method, seed), method, seed)
            append(rows, options.results, HEAD)
            for row in rows:
                told = (row[name] for name in ("method", "seed", "modality", "kind", "rate", "auc"))
                print(" ".join(map(str, told)), flush=True)


if __name__ == "__main__":
    main()
