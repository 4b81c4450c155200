"""Training steps of sparse and dense models on the same records, in turn, on this machine.

    python benchmarks/step.py RECORDS.parquet                  # the paper's sizes: ds_configs/runs/alberts.yaml
    python benchmarks/step.py RECORDS.parquet --run ds_configs/runs/demo.yaml --batch-size 32

The contestants, all with the run's depth, optimizer and engine:

sparse         the run as it is: compressed spectra, experts of unequal width, every auxiliary loss
dense text     the paper's dense baseline: the benchmark's text, a network as wide as the widest expert
dense equal    the sparse model's spectra, an encoder's network as wide as a token's k experts together are on
               average
dense widest   the same with the width of the widest expert

A step is what training does: collate, forward, backward, clip, update. Every contestant sees all records, in
batches of like lengths; steps are taken in turn, so that a machine that slows down slows all. Peak memory is
that of fresh processes: what the resident set grows beyond what it was before the model was built.

Rows are appended to results/step.csv.
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from runner import RESULTS, commit, device_name

from mmspec_ds.profiling.resident import memory_of_process, reset_peak
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun
from mmspec_ds.systems.run_file import load_run

NAMES = ("sparse", "dense text", "dense equal", "dense widest")
DEFAULT_RUN = Path(__file__).parents[1] / "ds_configs/runs/alberts.yaml"
# Freed blocks go back to the system at once, or the resident set would be the peak of all mixtures of sizes.
MALLOC = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "2"}


@dataclass
class Contestant:
    """A model under its engine, with its batches."""

    name: str
    session: Any
    batches: list[Any]
    seconds: list[float]
    processor: list[float]
    samples: int = 0

    def step(self, number: int) -> None:
        """One training step, timed."""
        from mmspec_ds.trainer import loop

        selection = self.batches[number % len(self.batches)]
        started, processor = time.perf_counter(), time.process_time()
        batch = self.session.task.batch_of(selection, number).to(self.session.device)
        loop.training_step(self.session, batch, 0.1, 1e-4, number)
        if self.session.device.type == "cuda":
            torch.cuda.synchronize()
        self.seconds.append(time.perf_counter() - started)
        self.processor.append(time.process_time() - processor)
        self.samples += len(selection.indices)


def run_of(name: str, options: argparse.Namespace, folder: Path) -> ElucidationRun:
    """The run file with what makes it this contestant."""
    changes = [
        f"name={name.replace(' ', '_')}",
        f"output={folder}",
        f"data.train=[{options.records.resolve()}]",
        "data.validation=[]",
        f"training.batch_size={options.batch_size}",
        f"training.threads={options.threads}",
        "training.ep_size=1",
        *options.overrides,
    ]
    sparse = load_run(options.run, changes, ElucidationRun)
    assert sparse.moe is not None, "the run must have experts"
    widths = [expert.width for expert in sparse.moe.experts]
    dense = {
        "sparse": [],
        "dense text": ["moe=null", "data.representation=text", f"model.ffn_width={max(widths)}"],
        "dense equal": ["moe=null", f"model.encoder_ffn_width={round(sparse.moe.k * statistics.mean(widths))}"],
        "dense widest": ["moe=null", f"model.ffn_width={max(widths)}"],
    }
    return load_run(options.run, [*changes, *dense[name]], ElucidationRun)


def contestant(name: str, options: argparse.Namespace, folder: Path) -> Contestant:
    """Data read, model and engine built; a process group is there."""
    from mmspec_ds.systems.elucidation.task import SYSTEM
    from mmspec_ds.trainer.engine_file import read_engine
    from mmspec_ds.trainer.session import prepare

    run = run_of(name, options, folder)
    session, _ = prepare(run, SYSTEM, read_engine(run.engine), resume=False, overwrite=True)
    return Contestant(name, session, session.task.sampler.epoch(0), [], [])


def compete(options: argparse.Namespace, folder: Path) -> dict[str, dict[str, float]]:
    """Speed and size of each; `pairs` is the median over the steps of the first one's processor time over this
    one's, which other work on the machine disturbs least."""
    from mmspec_ds.trainer.distributed import process_group

    with process_group(10):
        everyone = [contestant(name, options, folder) for name in options.only]
        for number in range(options.warm_up):
            for one in everyone:
                one.step(number)
        for one in everyone:
            one.seconds.clear()
            one.processor.clear()
            one.samples = 0
        for number in range(options.steps):
            for one in everyone:
                one.step(number)
                print(".", end="", flush=True, file=sys.stderr)
        first = everyone[0].processor
        return {
            one.name: {
                "samples_per_second": one.samples / sum(one.seconds),
                "samples_per_processor_second": one.samples / sum(one.processor),
                "step_ms": statistics.median(one.seconds) * 1e3,
                "tokens_per_sample": float(one.session.task.data.train.lengths.mean()),
                "parameters": sum(p.numel() for p in one.session.task.module.parameters()),
                "pairs": statistics.median(a / b for a, b in zip(first, one.processor)),
            }
            for one in everyone
        }


def peak_megabytes(name: str, options: argparse.Namespace) -> float:
    """Growth of the resident set in a fresh process; on a GPU the allocator's peak."""
    command = [sys.executable, __file__, *sys.argv[1:], "--memory", name]
    environment = os.environ | MALLOC
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def report_peak(name: str, options: argparse.Namespace, folder: Path) -> None:
    """In a fresh process: train on the longest batches and print the peak."""
    from mmspec_ds.systems.elucidation import task as building
    from mmspec_ds.trainer.distributed import process_group

    before = 0
    make = building.make_objective

    def marked(*arguments: Any) -> Any:
        nonlocal before
        before = reset_peak()["VmRSS"]
        return make(*arguments)

    building.make_objective = marked
    with process_group(10):
        one = contestant(name, options, folder)
        lengths = one.session.task.data.train.lengths
        one.batches.sort(key=lambda selection: -lengths[selection.indices].max())
        for number in range(3):  # the longest
            one.step(number)
    peak = memory_of_process()["VmHWM"] - before
    if torch.cuda.is_available():
        peak = torch.cuda.max_memory_allocated()
    print(json.dumps(peak / 1e6))


def main() -> None:
    """The command line above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", type=Path, help="a file of the benchmark's schema")
    parser.add_argument("overrides", nargs="*", help="section.key=value for all contestants")
    parser.add_argument("--run", type=Path, default=DEFAULT_RUN, help="the sparse run")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--steps", type=int, default=24, help="of each contestant, after warm-up")
    parser.add_argument("--warm-up", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default=",".join(NAMES), help="contestants, with commas")
    parser.add_argument("--no-csv", action="store_true", help="write no row")
    parser.add_argument("--no-memory", action="store_true", help="leave the fresh processes out")
    parser.add_argument("--memory", choices=NAMES, help=argparse.SUPPRESS)
    options = parser.parse_intermixed_args()
    options.only = options.only.split(",")
    with tempfile.TemporaryDirectory() as folder:
        if options.memory:
            report_peak(options.memory, options, Path(folder))
            return
        results = compete(options, Path(folder))
    for name, found in results.items():
        found["peak_megabytes"] = float("nan") if options.no_memory else peak_megabytes(name, options)
    write(results, options)


def write(results: dict[str, dict[str, float]], options: argparse.Namespace) -> None:
    """Rows for the eye and for the file."""
    first = next(iter(results.values()))
    path = Path(os.devnull) if options.no_csv else RESULTS.with_name("step.csv")
    head = ["date", "commit", "device", "run", "overrides", "batch_size", "steps", "contestant", *first]
    head.append(head.pop(head.index("pairs")))  # younger than the file
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, head, lineterminator="\n")
        if new:
            writer.writeheader()
        for name, found in results.items():
            rounded = {key: round(value, 3) for key, value in found.items()}
            writer.writerow(
                {
                    "date": datetime.now(UTC).date().isoformat(),
                    "commit": commit(),
                    "device": device_name(torch.device("cuda" if torch.cuda.is_available() else "cpu")),
                    "run": options.run.stem,
                    "overrides": " ".join(options.overrides),
                    "batch_size": options.batch_size,
                    "steps": options.steps,
                    "contestant": name,
                    **rounded,
                }
            )
            ratio, busy = (
                first[key] / found[key] for key in ("samples_per_second", "samples_per_processor_second")
            )
            memory = first["peak_megabytes"] / found["peak_megabytes"]
            print(
                f"{name:14} {found['parameters'] / 1e6:7.1f} M  {found['tokens_per_sample']:6.0f} tokens "
                f"{found['samples_per_second']:8.2f} samples/s  {found['peak_megabytes']:8.0f} MB  "
                f"ratio {ratio:.2f} (by processor time {busy:.2f}, step by step {1 / found['pairs']:.2f}), "
                f"of memory {memory:.2f}"
            )


if __name__ == "__main__":
    main()
