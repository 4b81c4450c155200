"""What the step benchmark times: a run and its dense counterparts, each under its engine, a step at a time."""

import argparse
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from mmspec_ds.systems.elucidation.run_settings import ElucidationRun
from mmspec_ds.systems.run_file import load_run

NAMES = ("sparse", "dense text", "dense equal", "dense widest")


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
