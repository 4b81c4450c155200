"""Students of a fusion model: by flow, by probabilities, by features, and without a teacher; and their latency.

    mmspec simulate --molecules 15000 --max-heavy-atoms 10 --seed 0 --out starter
    python benchmarks/run.py distillation starter --out distillation --seeds 0,1,2,3,4

STARTER is a folder with train, val and test.parquet, such as `fusion_data.py --test` writes too. One teacher
is trained, and for each seed a student of each kind, all of one size. All learn from train.parquet, their
best step is chosen on val.parquet, and they are measured on test.parquet, whose molecules are in neither. A
run that was stopped goes on when the command is repeated. Rows go to results/distillation.csv: AUC over
functional groups, Top-1 (the likeliest group is there), both in per cent of the teacher's, and the FLOPs of
the training. The last rows are the time of one pass of teacher and student, in turn in one process on one
thread: the median, and the ratio of the medians. A turn is 20 different molecules one by one, or a batch of 32
molecules. With `--compiled` there are rows of both models compiled as well, timed in the same turns; their
first passes, which compile, are not among those timed, and their seconds are printed.
"""

import argparse
import statistics
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from fusion_runs import append, check_apart, measure, train
from runner import Work, commit, device_name, interleaved, seconds

from mmspec_ds.systems.fusion.batch import FusionBatch
from mmspec_ds.systems.fusion.data import FusionData
from mmspec_ds.systems.fusion.model import FusionModel
from mmspec_ds.systems.fusion.reading import read_known
from mmspec_ds.systems.fusion.task import batches_of
from mmspec_ds.systems.fusion.trained import load_fusion

ALONE = 20
"""Molecules that are timed one by one: a user's molecules differ."""
KINDS = ("none", "logit", "feature", "flow")
FIELDS = (
    *("date", "commit", "device", "data", "settings", "molecules", "steps", "model", "align", "seed"),
    *("parameters", "flops"),
    *("auc", "top_1", "auc_share", "top_1_share", "batch", "ms", "teacher_over_student"),
)
SETTINGS = ("teacher", "teacher_dropout", "teacher_steps", "student", "peaks", "patch")
"""The options that a row names."""
RESULTS = Path(__file__).resolve().parent / "results" / "distillation.csv"


def content(options: argparse.Namespace, name: str, seed: int, kind: str = "") -> dict[str, Any]:
    """A run file: of the teacher, or of a student if a kind is given."""
    student = bool(kind)
    sizes = options.student if student else options.teacher
    model = dict(zip(("d_model", "encoder_layers", "ffn_width", "heads"), sizes))
    model |= {"dropout": 0.0 if student else options.teacher_dropout}
    steps = options.student_steps if student else options.teacher_steps
    training = {"batch_size": 32, "steps": steps, "learning_rate": 3e-3 if student else 1e-3, "threads": 1}
    training |= {"final_learning_rate": 0.02, "warmup": 0.05, "validate_every": max(steps // 4, 1)}
    found: dict[str, Any] = {
        "name": name,
        "system": "fusion",
        "seed": seed,
        "data": {
            "train": [str(options.starter.resolve() / "train.parquet")],
            "validation": [str(options.starter.resolve() / "val.parquet")],
            "modalities": ["h_nmr", "c_nmr", "ms"],
            "groups": 40,
        },
        "tokens": {"patch": options.patch, "max_peaks": options.peaks},
        "model": model,
        "fusion": {"kind": "contribution", "width": sizes[0]},
        "objective": {"alone": 0.3},
        "training": training,
    }
    if kind not in ("", "none"):
        teacher = str(options.out.resolve() / "teacher")
        found["distillation"] = {"teacher": teacher, "kind": kind, "align": options.align}
    return found


@torch.inference_mode()
def one_pass(model: FusionModel, batch: FusionBatch) -> None:
    """Encode and fuse a batch, without the contributions of coalitions."""
    encoded = model.encode(batch.pieces)
    model.fuse(encoded.vectors_BMD, encoded.present_BM)


def latencies(
    models: Mapping[str, FusionModel], data: FusionData, size: int, rounds: int
) -> dict[str, list[float]]:
    """Seconds of one pass of a batch of so many molecules by each model, in turn. Of one molecule, a time is
    the mean over `ALONE` different ones, which a model passes one after the other."""
    batches = list(islice(batches_of(data, size), ALONE if size == 1 else 1))

    def all_of(model: FusionModel) -> None:
        for batch in batches:
            one_pass(model, batch)

    works: dict[str, Work] = {name: partial(all_of, model) for name, model in models.items()}
    for name, work in works.items():
        print(
            f"first passes of {name}, {size} at a time: {seconds(work, torch.device('cpu')):.1f} s", flush=True
        )
    found = interleaved(works, torch.device("cpu"), rounds)
    return {name: [value / len(batches) for value in values] for name, values in found.items()}


def latency_rows(models: Mapping[str, FusionModel], data: FusionData, rounds: int) -> list[dict[str, str]]:
    """Rows of the latency of models named "teacher" and "student", and perhaps "teacher compiled" and "student
    compiled", each with the ratio to its like."""
    rows = []
    for size in (1, 32):
        timed = latencies(models, data, size, rounds)
        medians = {name: 1e3 * statistics.median(one) for name, one in timed.items()}
        for name, value in medians.items():
            how = name.partition(" ")[2]
            teacher, student = (medians[f"{one} {how}".strip()] for one in ("teacher", "student"))
            ratio = f"{teacher / student:.2f}"
            rows.append(
                {"model": name, "batch": str(size), "ms": f"{value:.3f}", "teacher_over_student": ratio}
            )
    return rows


def shared(figures: Mapping[str, float], teacher: Mapping[str, float]) -> dict[str, str]:
    """Figures of a model as text, and those in per cent of the teacher's."""
    return {
        "parameters": f"{figures['parameters']:.0f}",
        "flops": f"{figures['flops']:.4g}",
        "auc": f"{figures['auc']:.4f}",
        "top_1": f"{figures['top_1']:.1f}",
        **{f"{name}_share": f"{100 * figures[name] / teacher[name]:.2f}" for name in ("auc", "top_1")},
    }


def numbers(text: str) -> tuple[int, ...]:
    """Whole numbers parted by commas."""
    return tuple(int(one) for one in text.split(","))


def worded(value: object) -> str:
    """A setting as its option is given."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def main() -> None:
    """Train, measure, and write rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("starter", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--seeds", type=numbers, default=(0, 1, 2), help="of students (default: 0,1,2)")
    parser.add_argument("--kinds", default=",".join(KINDS), help=f"default: {','.join(KINDS)}")
    parser.add_argument("--teacher-steps", type=int, default=6000)
    parser.add_argument("--student-steps", type=int, default=3000)
    sizes = "width, layers, feed-forward width, heads"
    parser.add_argument("--teacher", type=numbers, default=(128, 6, 512, 4), help=f"{sizes} (128,6,512,4)")
    parser.add_argument("--student", type=numbers, default=(32, 1, 64, 2), help=f"{sizes} (32,1,64,2)")
    parser.add_argument("--teacher-dropout", type=float, default=0.0, help="default: 0")
    parser.add_argument("--peaks", type=int, default=64, help="of a mass spectrum (default: 64)")
    parser.add_argument("--patch", type=int, default=16, help="points of a curve in a token (default: 16)")
    parser.add_argument("--align", type=float, default=0.1, help="weight of vectors' distances (default: 0.1)")
    parser.add_argument("--rounds", type=int, default=100, help="of timing (default: 100)")
    parser.add_argument("--compiled", action="store_true", help="time compiled models too")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    files = [options.starter / f"{part}.parquet" for part in ("train", "val", "test")]
    check_apart(files[:2], files[2])
    teacher = train(options.out, content(options, "teacher", 0))
    loaded = load_fusion(teacher)
    data = read_known(files[2:], loaded.schema, loaded.run.tokens)
    common = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": commit(),
        "device": device_name(torch.device("cpu")),
        "data": options.starter.name,
        "settings": " ".join(f"{name}={worded(getattr(options, name))}" for name in SETTINGS),
        "molecules": str(len(data)),
    }
    of_teacher = measure(teacher, data)
    rows = [common | shared(of_teacher, of_teacher) | {"model": "teacher", "steps": str(options.teacher_steps)}]
    for seed in options.seeds:
        for kind in options.kinds.split(","):
            suffix = f"_align_{options.align:g}" if kind in ("feature", "flow") else ""
            student = train(options.out, content(options, f"{kind}_{seed}{suffix}", seed, kind), [teacher])
            about = {"model": kind, "seed": str(seed), "steps": str(options.student_steps)}
            about |= {"align": f"{options.align:g}"} if suffix else {}
            rows.append(common | shared(measure(student, data), of_teacher) | about)
            print({name: value for name, value in rows[-1].items() if name not in common}, flush=True)
    timed = {"teacher": teacher, "student": student}
    models = {name: load_fusion(folder).model for name, folder in timed.items()}
    if options.compiled:
        models |= {f"{name} compiled": load_fusion(one, compiled=True).model for name, one in timed.items()}
    for row in latency_rows(models, data, options.rounds):
        rows.append(common | row)
        print(row)
    append(rows, options.results, FIELDS)


if __name__ == "__main__":
    main()
