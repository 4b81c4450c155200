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
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from ranks import LOST, run_ranks
from runner import RESULTS, commit, device_name

from mmspec_ds.cli.common import positive
from mmspec_ds.errors import UserError
from mmspec_ds.profiling.resident import memory_of_process, reset_peak
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun
from mmspec_ds.systems.run_file import load_run

NAMES = ("sparse", "dense text", "dense equal", "dense widest")
COLUMNS = (
    "date", "commit", "device", "run", "overrides", "batch_size", "steps", "contestant", "samples_per_second",
    "samples_per_processor_second", "step_ms", "tokens_per_sample", "parameters", "peak_megabytes", "pairs",
    "ranks", "clock_pairs",
)  # fmt: skip
DEFAULT_RUN = Path(__file__).parents[1] / "ds_configs/runs/alberts.yaml"
FIGURES = "figures.json"
# Freed blocks go back to the system at once, or the resident set would be the peak of all mixtures of sizes.
MALLOC = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "2"}


@dataclass
class Contestant:
    """A model under its engine, with its batches; what each step took, which records it had, and its loss."""

    name: str
    session: Any
    batches: list[Any]
    seconds: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    records: list[list[int]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)

    @property
    def samples(self) -> int:
        """Of all steps; repeats that fill up a batch do not count."""
        return sum(map(len, self.records))

    def step(self, number: int) -> None:
        """One training step, timed from when all ranks are ready for it."""
        from mmspec_ds.trainer import loop

        selection = self.batches[number % len(self.batches)]
        dist.barrier()
        started, processor = time.perf_counter(), time.process_time()
        batch = self.session.task.batch_of(selection, number).to(self.session.device)
        _, loss = loop.training_step(self.session, batch, 0.1, 1e-4, number)
        if self.session.device.type == "cuda":
            torch.cuda.synchronize()
        self.seconds.append(time.perf_counter() - started)
        self.processor.append(time.process_time() - processor)
        self.records.append(selection.indices[selection.weights > 0].tolist())
        self.losses.append(float(loss.parts["task"]))

    def check(self) -> None:
        """That every rank had the same finite loss, which is that of the global batch, and records of its own.

        Raises:
            SystemExit: that is not so, so that times would be those of another training.
        """
        from mmspec_ds.trainer.distributed import gather_objects

        told = gather_objects((self.losses, self.records))
        for step, (losses, records) in enumerate(zip(zip(*(a for a, _ in told)), zip(*(b for _, b in told)))):
            if not all(math.isfinite(one) and math.isclose(one, losses[0], rel_tol=1e-5) for one in losses):
                raise SystemExit(
                    f"{self.name}, step {step}: losses of the ranks {losses}: expected one, finite"
                )
            if len({record for own in records for record in own}) < sum(map(len, records)):
                raise SystemExit(f"{self.name}, step {step}: a record occurs twice: expected each on one rank")

    def forget(self) -> None:
        """The steps so far."""
        for steps in (self.seconds, self.processor, self.records, self.losses):
            steps.clear()

    def join_ranks(self) -> None:
        """Make each step that of all ranks: the seconds of the slowest, processor time and records of all."""
        from mmspec_ds.trainer.distributed import gather_objects

        told = gather_objects((self.seconds, self.processor, self.records))
        seconds, processor, records = (list(zip(*of_ranks)) for of_ranks in zip(*told))
        self.seconds, self.processor = list(map(max, seconds)), list(map(sum, processor))
        self.records = [[record for own in step for record in own] for step in records]


def run_of(name: str, options: argparse.Namespace, folder: Path) -> ElucidationRun:
    """The run file with what makes it this contestant."""
    changes = [
        f"name={name.replace(' ', '_')}",
        f"output={folder}",
        f"data.train=[{options.records.resolve()}]",
        "data.validation=[]",
        f"training.batch_size={options.batch_size}",
        f"training.threads={options.threads}",
        f"training.ep_size={options.ranks if name == 'sparse' else 1}",
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
    return Contestant(name, session, session.task.sampler.epoch(0))


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


def figures(everyone: Sequence[Contestant]) -> dict[str, dict[str, float]]:
    """What was measured of each. `pairs` is the median over the steps of the first one's processor time over
    this one's, which other work on the machine disturbs least; `clock_pairs` that of the time by the clock.

    Raises:
        SystemExit: they had not equally many samples.
    """
    from mmspec_ds.trainer.task import count_parameters

    first = everyone[0]
    for one in everyone:
        if one.samples != first.samples:
            raise SystemExit(
                f"{one.name} had {one.samples} samples, {first.name} {first.samples}: expected as many"
            )
    return {
        one.name: {
            "samples_per_second": one.samples / sum(one.seconds),
            "samples_per_processor_second": one.samples / sum(one.processor),
            "step_ms": statistics.median(one.seconds) * 1e3,
            "tokens_per_sample": float(one.session.task.data.train.lengths.mean()),
            "parameters": count_parameters(one.session.task),
            "pairs": statistics.median(a / b for a, b in zip(first.processor, one.processor)),
            "clock_pairs": statistics.median(a / b for a, b in zip(first.seconds, one.seconds)),
        }
        for one in everyone
    }


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
