"""Training steps of sparse and dense models on the same records, in turn, on this machine.

    python benchmarks/step.py RECORDS.parquet                  # the paper's sizes: ds_configs/runs/alberts.yaml
    python benchmarks/step.py RECORDS.parquet --run ds_configs/runs/demo.yaml --batch-size 32
    python benchmarks/step.py RECORDS.parquet --run ds_configs/runs/demo.yaml --batch-size 16 \\
        --ranks 2 --threads 1 --only "sparse,dense equal"      # experts shared by two processes

The contestants, all with the run's depth, optimizer and engine:

sparse         the run as it is: compressed spectra, experts of unequal width, every auxiliary loss
dense text     the paper's dense baseline: the benchmark's text, a network as wide as the widest expert
dense equal    the sparse model's spectra, an encoder's network as wide as a token's k experts together are on
               average
dense widest   the same with the width of the widest expert

A step is what training does: collate, forward, backward, clip, update. Every contestant sees all records, in
batches of like lengths; steps are taken in turn, so that a machine that slows down slows all. Peak memory is
that of fresh processes: what the resident set grows beyond what it was before the model was built.

With --ranks N as many processes take each step together, each with its own samples of the global batch: the
sparse model's experts are shared among them, the dense models have data parallelism alone. They wait for each
other before each step, and its time is that of the slowest. Peak memory is left out.

Rows are appended to results/step.csv.
"""

import argparse
import csv
import json
import math
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from ranks import LOST, run_ranks
from runner import RESULTS, commit, device_name
from step_work import NAMES, contestant, figures

from mmspec_ds.cli.common import positive
from mmspec_ds.errors import UserError
from mmspec_ds.profiling.resident import memory_of_process, reset_peak

COLUMNS = (
    "date", "commit", "device", "run", "overrides", "batch_size", "steps", "contestant", "samples_per_second",
    "samples_per_processor_second", "step_ms", "tokens_per_sample", "parameters", "peak_megabytes", "pairs",
    "ranks", "clock_pairs",
)  # fmt: skip
DEFAULT_RUN = Path(__file__).parents[1] / "ds_configs/runs/alberts.yaml"
FIGURES = "figures.json"
# Freed blocks go back to the system at once, or the resident set would be the peak of all mixtures of sizes.
MALLOC = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "2"}


def compete(options: argparse.Namespace, folder: Path) -> dict[str, dict[str, float]]:
    """Speed and size of each, on all ranks; every rank calls this."""
    from mmspec_ds.trainer.distributed import process_group

    with process_group(10):
        everyone = [contestant(name, options, folder) for name in options.only]
        for number in range(options.warm_up):
            for one in everyone:
                one.step(number)
        for one in everyone:
            one.check()
            one.forget()
        for number in range(options.steps):
            for one in everyone:
                one.step(number)
                print(".", end="", flush=True, file=sys.stderr)
        for one in everyone:
            one.check()
            one.join_ranks()
        return figures(everyone)


def compete_on_ranks(options: argparse.Namespace, folder: Path) -> dict[str, dict[str, float]]:
    """`compete` in as many processes as there are ranks."""
    run_ranks([sys.executable, __file__, *sys.argv[1:], "--rank-in", str(folder)], options.ranks, folder)
    found: dict[str, dict[str, float]] = json.loads((folder / FIGURES).read_text())
    return found


def be_rank(options: argparse.Namespace) -> None:
    """One of those processes, in the folder of all; the first leaves the figures there."""
    from mmspec_ds.trainer.distributed import is_lost_contact

    try:
        results = compete(options, options.rank_in)
    except RuntimeError as error:
        if not is_lost_contact(error):
            raise
        raise SystemExit(LOST) from None
    if os.environ["RANK"] == "0":
        (options.rank_in / FIGURES).write_text(json.dumps(results))


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
    parser.add_argument("--batch-size", type=positive, default=8, help="samples of a step on each rank")
    parser.add_argument("--steps", type=positive, default=24, help="of each contestant, after warm-up")
    parser.add_argument("--warm-up", type=positive, default=3)
    parser.add_argument("--threads", type=positive, default=2, help="of each rank")
    parser.add_argument("--ranks", type=positive, default=1, help="processes that take each step together")
    parser.add_argument("--only", default=",".join(NAMES), help="contestants, with commas")
    parser.add_argument("--no-csv", action="store_true", help="write no row")
    parser.add_argument("--no-memory", action="store_true", help="leave the fresh processes out")
    parser.add_argument("--memory", choices=NAMES, help=argparse.SUPPRESS)
    parser.add_argument("--rank-in", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_intermixed_args()
    options.only = options.only.split(",")
    if unknown := set(options.only) - set(NAMES):
        parser.error(f"--only: {', '.join(sorted(unknown))}: expected some of {', '.join(NAMES)}")
    try:
        measure(options)
    except UserError as error:
        raise SystemExit(f"{parser.prog}: {error}") from None


def measure(options: argparse.Namespace) -> None:
    """All that is asked for; or, where this is a process of its own, its part."""
    with tempfile.TemporaryDirectory() as folder:
        if options.memory:
            report_peak(options.memory, options, Path(folder))
            return
        if options.rank_in:
            be_rank(options)
            return
        if options.ranks > 1:
            torch.set_num_threads(options.threads)  # for the name of the device: those of a rank
            results = compete_on_ranks(options, Path(folder))
        else:
            results = compete(options, Path(folder))
    for name, found in results.items():
        left_out = options.no_memory or options.ranks > 1
        found["peak_megabytes"] = float("nan") if left_out else peak_megabytes(name, options)
    write(results, options)


def write(results: dict[str, dict[str, float]], options: argparse.Namespace) -> None:
    """Rows for the eye and for the file."""
    first = next(iter(results.values()))
    path = Path(os.devnull) if options.no_csv else RESULTS.with_name("step.csv")
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
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
                    "ranks": options.ranks,
                    **rounded,
                }
            )
            ratio, busy = (
                first[key] / found[key] for key in ("samples_per_second", "samples_per_processor_second")
            )
            memory = ""
            if not math.isnan(found["peak_megabytes"]):
                of_first = first["peak_megabytes"] / found["peak_megabytes"]
                memory = f"  {found['peak_megabytes']:8.0f} MB, ratio {of_first:.2f}"
            print(
                f"{name:14} {found['parameters'] / 1e6:7.1f} M  {found['tokens_per_sample']:6.0f} tokens "
                f"{found['samples_per_second']:8.2f} samples/s, ratio {ratio:.2f} (by processor time "
                f"{busy:.2f}, step by step {1 / found['pairs']:.2f})  {found['step_ms']:8.1f} ms a step, of "
                f"which {next(iter(results))} takes {found['clock_pairs']:.2f} times as many{memory}"
            )


if __name__ == "__main__":
    main()
