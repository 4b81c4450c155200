"""Training steps of an alignment with a frozen language model on the same questions, in turn, on this machine.

    python benchmarks/language_step.py QUESTIONS.jsonl models/smollm2
    python benchmarks/language_step.py QUESTIONS.jsonl models/smollm2 data.tasks=[description] --batch-size 8

The contestants:

float32         weights and arithmetic in float32
bfloat16        in bfloat16 (language.precision), attention in plain steps, as training does on a processor
bfloat16 fused  the same with PyTorch's fused attention
compiled        bfloat16 with compiled layers (language.compile)

A step is what training does: collate, forward, backward, clip, update. Every contestant sees the same batches;
steps are taken in turn, so that a machine that slows down slows all. Times are of the processor.

Rows are appended to results/language_step.csv.
"""

import argparse
import csv
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from runner import RESULTS, commit, device_name

from mmspec_ds.systems.alignment.run_settings import AlignmentRun
from mmspec_ds.systems.run_file import load_run

RUN = Path(__file__).parents[1] / "ds_configs/runs/alignment_stage2.yaml"
CONTESTANTS: dict[str, list[str]] = {
    "float32": ["language.precision=float32"],
    "bfloat16": ["language.precision=bfloat16"],
    "bfloat16 fused": ["language.precision=bfloat16"],
    "compiled": ["language.precision=bfloat16", "language.compile=true"],
}


@dataclass
class Contestant:
    """A model under its engine, and the processor seconds of its steps."""

    name: str
    session: Any
    seconds: list[float] = field(default_factory=list)
    questions: int = 0
    positions: int = 0

    def step(self, number: int) -> None:
        """One training step, timed."""
        from mmspec_ds.trainer import loop

        started = time.process_time()
        batch = self.session.task.batch(number).to(self.session.device)
        loop.training_step(self.session, batch, 0.1, 1e-4, number)
        if self.session.device.type == "cuda":
            torch.cuda.synchronize()
        self.seconds.append(time.process_time() - started)
        self.questions += batch.rows
        self.positions += batch.prompts.ids_BL.numel()


def contestant(name: str, options: argparse.Namespace, folder: Path) -> Contestant:
    """Questions read, model and engine built; a process group is there."""
    from mmspec_ds.systems.alignment.task import SYSTEM
    from mmspec_ds.trainer.engine_file import read_engine
    from mmspec_ds.trainer.session import prepare

    changes = [
        f"name={name.replace(' ', '_')}",
        f"output={folder}",
        f"data.train=[{options.questions.resolve()}]",
        f"data.cache={folder / 'cache'}",
        f"language.base={options.language_model.resolve()}",
        f"training.batch_size={options.batch_size}",
        "training.threads=1",
        *CONTESTANTS[name],
        *options.overrides,
    ]
    run = load_run(RUN, changes, AlignmentRun)
    session, _ = prepare(run, SYSTEM, read_engine(run.engine), resume=False, overwrite=True)
    if name == "bfloat16 fused":
        session.task.model.language._choose_attention = lambda positions: None  # it begins with the fused one
    return Contestant(name, session)


def compete(options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """A row for each; `times_first` is the median over the steps of the first one's time over this one's."""
    from mmspec_ds.trainer.distributed import process_group

    with process_group(10):
        everyone = [contestant(name, options, folder) for name in options.only]
        for number in range(-options.warm_up, options.steps):
            for one in everyone:
                if number == 0:
                    one.seconds, one.questions, one.positions = [], 0, 0
                one.step(number + options.warm_up)
                print(".", end="", flush=True, file=sys.stderr)
        first = everyone[0].seconds
        return [
            {
                "contestant": one.name,
                "questions_per_processor_second": round(one.questions / sum(one.seconds), 2),
                "positions_per_processor_second": round(one.positions / sum(one.seconds), 1),
                "times_first": round(statistics.median(a / b for a, b in zip(first, one.seconds)), 3),
            }
            for one in everyone
        ]


def write(rows: Sequence[dict[str, Any]], options: argparse.Namespace) -> None:
    """Rows for the eye and for the file."""
    about = {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit(),
        "device": device_name(torch.device("cuda" if torch.cuda.is_available() else "cpu")),
        "language_model": options.language_model.name,
        "questions": options.questions.parent.name,
        "overrides": " ".join(options.overrides),
        "batch_size": options.batch_size,
        "steps": options.steps,
    }
    path = Path(os.devnull) if options.no_csv else RESULTS.with_name("language_step.csv")
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, [*about, *rows[0]], lineterminator="\n")
        if new:
            writer.writeheader()
        for row in rows:
            writer.writerow(about | row)
            print(
                f"{row['contestant']:15} {row['questions_per_processor_second']:8.2f} questions/s "
                f"{row['positions_per_processor_second']:9.1f} positions/s   "
                f"{row['times_first']:.2f} times {rows[0]['contestant']}"
            )


def main() -> None:
    """The command line above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("questions", type=Path, help="a file of mmspec questions")
    parser.add_argument("language_model", type=Path, help="its folder")
    parser.add_argument("overrides", nargs="*", help="section.key=value for all contestants")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=8, help="of each contestant, after warm-up")
    parser.add_argument("--warm-up", type=int, default=2)
    parser.add_argument("--only", default=",".join(CONTESTANTS), help="contestants, with commas")
    parser.add_argument("--no-csv", action="store_true", help="write no row")
    options = parser.parse_intermixed_args()
    options.only = options.only.split(",")
    with tempfile.TemporaryDirectory() as folder:
        rows = compete(options, Path(folder))
    write(rows, options)


if __name__ == "__main__":
    main()
