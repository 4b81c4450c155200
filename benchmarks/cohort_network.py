"""The fusion network on the colorectal cohort, begun anew or from a pretrained encoder, beside linear models.

    python benchmarks/run.py cohort_network DATA --out cohort_network --splits 10

DATA is the folder that holds crc/. For each pair of classes and each split, a part of the patients is held
back (--held-back), of each class about the same share. The network (`mmspec train fusion`) and the methods of
`mmspec cohort` learn from the same other patients, those with one table included; measured is the area under
the ROC curve of the held-back patients with both tables. The network takes a fixed number of steps and is
kept as it is then: nothing is chosen on the patients that are measured. `network, pretrained` begins with the
encoder of a `fusion_masked` run on the tables of all 303 patients but for one of each class, without their
classes: the tables of the held-back patients are among them.

Rows go to results/cohort_network.csv; means, standard deviations over the splits and paired differences are
printed. A run that was stopped goes on when the command is repeated, but rows are written once more.
"""

import argparse
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from cohort_studies import COLORECTAL, run_file
from fusion_runs import append, train
from runner import commit, device_name

from mmspec_ds.evaluation.roc import area
from mmspec_ds.systems.fusion.cohort.analysis import judged_samples
from mmspec_ds.systems.fusion.cohort.analysis_settings import AnalysisSettings
from mmspec_ds.systems.fusion.cohort.cohort import BoolArray, Cohort, FloatVector, IntArray
from mmspec_ds.systems.fusion.cohort.comparisons import without_codes
from mmspec_ds.systems.fusion.cohort.methods import fit_methods
from mmspec_ds.systems.fusion.cohort.reading import read_cohort
from mmspec_ds.systems.fusion.cohort.run_settings import load_cohort_run
from mmspec_ds.systems.fusion.cohort.views import batch_of
from mmspec_ds.systems.fusion.tables import split_patients
from mmspec_ds.systems.fusion.trained import load_fusion
from mmspec_ds.trainer.usage import read_usage

FIELDS = (
    *("date", "commit", "device", "pair", "split", "learnt", "measured", "method", "width", "layers", "steps"),
    *("learning_rate", "pretraining_steps", "flops", "auc"),
)
RESULTS = Path(__file__).resolve().parent / "results" / "cohort_network.csv"
PAIRS = ("cancer,healthy", "cancer,polyp", "polyp,healthy")
SCRATCH, PRETRAINED = "network", "network, pretrained"
REFERENCE = "ms alone"


def content(options: argparse.Namespace, study: Path, name: str) -> dict[str, Any]:
    """What the run files of pretraining and training share: the shipped settings with small sizes."""
    return {
        "name": name,
        "system": "fusion",
        "data": {"cohort": str(study)},
        "model": {
            "d_model": options.width,
            "heads": 4,
            "encoder_layers": options.layers,
            "ffn_width": 2 * options.width,
            "dropout": 0.1,
        },
        "moe": None,
        "training": {
            "batch_size": 16,
            "learning_rate": 1e-3,
            "final_learning_rate": 0.02,
            "warmup": 0.05,
            "threads": 1,
        },
    }


def pretrain(options: argparse.Namespace, study: Path, out: Path) -> Path:
    """The folder of the pretrained encoder."""
    run = content(options, study, "masked")
    run["data"] |= {"validation_fraction": 0.001}  # one patient of each class, the least
    run["objective"] = {"kind": "masked", "masked": 0.3}
    steps = options.pretraining_steps
    run["training"] |= {"steps": steps, "validate_every": steps}
    return train(out, run)


def train_network(
    options: argparse.Namespace, study: Path, out: Path, pair: Sequence[str], split: int, encoder: Path | None
) -> Path:
    """The folder of a network that learnt from the patients of a split that are not held back."""
    name = "_".join([*pair, str(split), "pretrained" if encoder else "anew"])
    run = content(options, study, name) | {"seed": split}
    run["data"] |= {"classes": list(pair), "validation_fraction": options.held_back, "split_seed": split}
    run["fusion"] = {"kind": "contribution", "width": options.width}
    run["balance"] = {"kind": "contribution", "alpha": 0.5}
    run["objective"] = {"kind": "classify", "alone": 0.3, "head": 1.0}
    run["training"] |= {"steps": options.steps, "validate_every": options.steps, "modality_dropout": 0.2}
    run["training"] |= {"learning_rate": options.learning_rate}
    run["training"] |= {"corruption": {"share": 0.3, "kinds": ["noise", "shuffled", "missing"]}}
    if encoder is None:
        return train(out, run)
    run["training"] |= {"encoder_from": str(encoder)}
    return train(out, run, [encoder])


def of_network(folder: Path, held: Cohort, case: str) -> FloatVector:
    """The probability of the case that a network gives samples, [N]."""
    trained = load_fusion(folder)
    told_NC = trained.predict_cohort(held).probability_NC
    return np.asarray(told_NC[:, trained.schema.names.index(case)], dtype=np.float64)


def of_linear(part: Cohort, train_n: IntArray, held_n: IntArray, settings: AnalysisSettings, seed: int) -> Any:
    """The probability of the first class that each method of `mmspec cohort` gives the samples at the places
    `held_n`, [N], by its name."""
    methods = fit_methods(part, train_n, settings, seed)
    told = methods.predict(batch_of(part, held_n)).probability
    return {name: one_NC[:, 0] for name, one_NC in told.items()}


def rows_of_split(
    options: argparse.Namespace, study: Path, out: Path, pair: Sequence[str], split: int, encoder: Path
) -> list[dict[str, str]]:
    """A row for each method: the area of the held-back patients with both tables."""
    run = load_cohort_run(study)
    part, _ = without_codes(read_cohort(run).choose(tuple(pair)))
    train_n, held_n = split_patients(part, options.held_back, split)
    held_n = held_n[judged_samples(part)[held_n]]
    held = part.subset(held_n)
    case = part.classes[0]
    is_case_N: BoolArray = held.label_N == 0
    usage: dict[str, Mapping[str, str]] = {}
    found: dict[str, FloatVector] = {}
    for method, beginning in ((SCRATCH, None), (PRETRAINED, encoder)):
        folder = train_network(options, study, out, pair, split, beginning)
        found[method] = of_network(folder, held, case)
        usage[method] = {
            "width": str(options.width),
            "layers": str(options.layers),
            "steps": str(options.steps),
            "learning_rate": f"{options.learning_rate:g}",
            "pretraining_steps": str(options.pretraining_steps if beginning else 0),
            "flops": f"{flops_of(folder) + (flops_of(beginning) if beginning else 0):.4g}",
        }
    found |= of_linear(part, train_n, held_n, run.prepared(), split)
    return [
        {
            "pair": " against ".join(pair),
            "split": str(split),
            "learnt": str(len(train_n)),
            "measured": ", ".join(f"{count} {name}" for name, count in held.counts.items()),
            "method": method,
            "auc": f"{area(score_N, is_case_N):.4f}",
            **usage.get(method, {}),
        }
        for method, score_N in found.items()
    ]


def flops_of(folder: Path) -> float:
    """The FLOPs of a training."""
    return read_usage(folder, load_fusion(folder).run).flops or 0.0


def tell(pair: str, rows: Sequence[Mapping[str, str]]) -> None:
    """Print means and standard deviations over the splits, and of paired differences."""
    auc: dict[str, list[float]] = {}
    for row in rows:
        auc.setdefault(row["method"], []).append(float(row["auc"]))
    print(pair)
    for method, some in auc.items():
        print(f"  {method:20} {told(np.asarray(some))}")
    for first, second in ((PRETRAINED, SCRATCH), (SCRATCH, REFERENCE), (PRETRAINED, REFERENCE)):
        print(f"  {first} less {second}: {told(np.asarray(auc[first]) - np.asarray(auc[second]))}")


def told(some: FloatVector) -> str:
    """A mean with the standard deviation, and how many are above zero."""
    deviation = some.std(ddof=1) if len(some) > 1 else 0.0
    return f"{some.mean():+.3f} (SD {deviation:.3f}), {(some > 0).sum()} of {len(some)} above zero"


def main() -> None:
    """Train, measure, write rows and print their means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that holds crc/")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--pairs", nargs="+", choices=PAIRS, default=PAIRS, metavar="CASE,CONTROL")
    parser.add_argument("--splits", type=int, default=10, help="their number (default: 10)")
    parser.add_argument("--first", type=int, default=0, help="seed of the first split (default: 0)")
    parser.add_argument("--held-back", type=float, default=0.3, help="share of the patients (default: 0.3)")
    parser.add_argument("--width", type=int, default=32, help="of the network (default: 32)")
    parser.add_argument("--layers", type=int, default=1, help="of its encoder (default: 1)")
    parser.add_argument("--steps", type=int, default=600, help="of a training (default: 600)")
    parser.add_argument("--learning-rate", type=float, default=3e-3, help="of a training (default: 0.003)")
    parser.add_argument("--pretraining-steps", type=int, default=1000, help="default: 1000")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    study = out / "study.yaml"
    study.write_text(yaml.safe_dump(run_file(COLORECTAL, options.data.resolve())))
    common = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": commit(),
        "device": device_name(torch.device("cpu")),
    }
    encoder = pretrain(options, study, out)
    for pair in options.pairs:
        rows: list[dict[str, str]] = []
        for split in range(options.first, options.first + options.splits):
            of_split = rows_of_split(options, study, out, pair.split(","), split, encoder)
            append([common | row for row in of_split], options.results, FIELDS)
            print(pair, split, {row["method"]: row["auc"] for row in of_split}, flush=True)
            rows += of_split
        tell(pair, rows)


if __name__ == "__main__":
    main()
