"""What `mmspec cohort` finds in the studies of docs/cohort.md, with the settings that it ships.

    python benchmarks/run.py cohort_studies DATA --out cohort_studies
    python benchmarks/run.py cohort_studies DATA --out cohort_studies --studies MTBLS161 --repeats 2

DATA is the folder that holds crc/ and cohorts/. Each study is a run of `mmspec cohort` in the folder --out; one
that holds results there is not analysed again. Rows go to results/cohorts.csv: a line for each comparison and
method, with the area under the ROC curve, its 95 % interval, the samples that it is of, and the control by
shuffled classes.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import yaml
from fusion_runs import ROOT, append
from runner import commit, device_name

from mmspec_ds.systems.fusion.cohort.analysis_settings import FoldSettings

FIELDS = (
    *("date", "commit", "device", "study", "comparison", "method", "area", "low", "high", "samples", "repeats"),
    *("mean_of_repeats", "shuffles", "shuffled_mean", "p"),
)
RESULTS = Path(__file__).resolve().parent / "results" / "cohorts.csv"
WORKBOOKS: dict[str, dict[str, list[str]]] = {
    "MTBLS161": {},
    "ST001047": {"gastric cancer": ["GC"], "healthy": ["HE"]},
    "ST000496": {},
    "ST000369": {},
    "MTBLS404": {},
    "MTBLS92": {},
}
"""Of each workbook of cohorts/, the values of its column Class that mean a class; each value is one without."""
COLORECTAL = "colorectal"
AREA = {"area": "auc", "low": "low", "high": "high"}
"""Columns of an area, and what they are called in a result."""


def run_file(study: str, data: Path) -> dict[str, Any]:
    """The run file of a study; that of the colorectal cancer study is the one of docs/cohort.md."""
    if study != COLORECTAL:
        table = {"name": study, "file": str(data / f"cohorts/{study}.xlsx")}
        return {"name": study, "tables": [table], "classes": {"column": "Class", "names": WORKBOOKS[study]}}
    crc = data / "crc"
    nmr = {"name": "nmr", "file": str(crc / "colorectal_cancer_nmr.csv"), "sample": "sample_id"}
    ms = {"name": "ms", "file": str(crc / "st000284_dataMatrix.csv"), "sample": "Patient_ID"}
    metadata = {"file": str(crc / "st000284_sampleMetadata.csv"), "join": "order"}
    return {
        "name": study,
        "tables": [
            nmr | {"prepare": {"normalisation": "pqn"}},
            ms | {"metadata": metadata, "prepare": {"transform": "log"}},
        ],
        "classes": {
            "column": ["Groups", "classification"],
            "names": {
                "cancer": ["C", "Colorectal Cancer"],
                "polyp": ["P", "Polyp"],
                "healthy": ["H", "Healthy Control"],
            },
            "compare": [["cancer", "healthy"], ["cancer", "polyp"], ["polyp", "healthy"]],
        },
        "covariates": ["Age", "Gender"],
    }


def analyse(study: str, options: argparse.Namespace, out: Path) -> dict[str, Any]:
    """The results of a study, as `mmspec cohort` writes them; it is run where they are not there yet."""
    found = out / study / "result.json"
    if not found.exists():
        out.mkdir(parents=True, exist_ok=True)
        file = out / f"{study}.yaml"
        file.write_text(yaml.safe_dump(run_file(study, options.data.resolve()) | {"output": str(out)}))
        command = [sys.executable, "-m", "mmspec_ds", "cohort", str(file)]
        command += [f"analysis.folds.repeats={options.repeats}"]
        command += [f"analysis.controls.permutations={options.permutations}"]
        subprocess.run(command, cwd=ROOT, check=True)
    result: dict[str, Any] = json.loads(found.read_text(encoding="utf-8"))
    return result


def rows(study: str, result: dict[str, Any], common: dict[str, str]) -> Iterator[dict[str, str]]:
    """A line for each comparison and method of a result."""
    for part in result["comparisons"].values():
        samples = ", ".join(f"{count} {name}" for name, count in part["judged"].items())
        for comparison, scores in part["scores"].items():
            for method, score in scores.items():
                row = {"study": study, "comparison": comparison, "method": method, "samples": samples}
                row |= {name: f"{score['area'][key]:.4f}" for name, key in AREA.items()}
                row |= {"repeats": str(len(score["repeats"]))}
                row |= {"mean_of_repeats": f"{score['mean_of_repeats']:.4f}"}
                shuffled = part["controls"]["permuted"].get(comparison, {}).get(method, [])
                if shuffled:
                    row |= {"shuffles": str(len(shuffled))}
                    row |= {"shuffled_mean": f"{sum(shuffled) / len(shuffled):.4f}"}
                    row |= {"p": f"{part['controls']['p_value'][comparison][method]:.4f}"}
                yield common | row


def main() -> None:
    """Analyse the studies one after another, and write rows of each when it is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that holds crc/ and cohorts/")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    every = [*WORKBOOKS, COLORECTAL]
    parser.add_argument("--studies", nargs="+", choices=every, default=every, metavar="NAME")
    parser.add_argument("--repeats", type=int, default=FoldSettings().repeats, help="default: 10")
    parser.add_argument("--permutations", type=int, default=20, help="of the classes (default: 20)")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    common = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": commit(),
        "device": device_name(torch.device("cpu")),
    }
    for study in options.studies:
        found = list(rows(study, analyse(study, options, options.out.resolve()), common))
        append(found, options.results, FIELDS)
        for row in found:
            print(", ".join(f"{name} {row[name]}" for name in FIELDS[3:] if name in row))


if __name__ == "__main__":
    main()
