"""Reports of a run: a progress bar or plain lines, TensorBoard, `metrics.jsonl`."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from mmspec_ds.progress import ProgressLines
from mmspec_ds.trainer.monitor.board import FOLDER, Board
from mmspec_ds.trainer.monitor.layout import Layout, make_layout
from mmspec_ds.trainer.monitor.record import MetricsFile
from mmspec_ds.trainer.monitor.trace import StepTrace
from mmspec_ds.trainer.run_settings import RunSettings

SECONDS_BETWEEN_LINES = 15.0


class Monitor:
    """Reports on rank 0. On the other ranks it is silent, except that every rank traces its own steps.

    Args:
        run: what is trained.
        rank: of this process.
        layout: the task's charts.
        resume_at: a resumed run's step: what an interrupted run wrote beyond it is superseded.
    """

    def __init__(self, run: RunSettings, rank: int, layout: Layout, *, resume_at: int = 0) -> None:
        self.active, self.run, self.name = rank == 0, run, run.name
        self.trace = StepTrace(run.folder / FOLDER, run.training.trace_steps, rank)
        if not self.active:
            return
        self.board = Board(run.folder, make_layout(layout), resume_at)
        self.metrics = MetricsFile(run.folder, resume_at)
        self.progress = ProgressLines(self.name, 1.0, seconds=SECONDS_BETWEEN_LINES, console=Console())
        self.progress.__enter__()

    def say(self, line: str) -> None:
        """Print a line on rank 0."""
        if self.active:
            self.progress.say(line)

    def start(self, step: int, about: Mapping[str, Any]) -> None:
        """Record where this part of the run begins, and on what hardware and data."""
        if self.active:
            self.metrics.write("start", step, about)

    def step(self, step: int, done: float, eta_seconds: float, values: Mapping[str, float]) -> None:
        """The scalars of a step; `done` is the fraction of the budget, `values` go to TensorBoard by tag."""
        if not self.active:
            return
        self.board.scalars(step, values)
        self.metrics.write("train", step, values)
        status = (
            f"step {step}  loss {values['loss/train']:.3f}  "
            f"{values['throughput/tokens_per_second']:,.0f} tokens/s"
        )
        line = f"{self.name}  {100 * done:3.0f} %  {status}  ETA {_clock(eta_seconds)}"
        self.progress.at(done, status=status, line=line)

    def validation(self, step: int, line: str, values: Mapping[str, float], record: Mapping[str, Any]) -> None:
        """The result of a validation: in words, its scalars by tag, and what else `metrics.jsonl` says."""
        if not self.active:
            return
        self.board.scalars(step, values)
        self.metrics.write("validation", step, {**values, **record})
        self.say(f"{self.name}  step {step}  {line}")

    def end(self, step: int, finished: bool, figures: Mapping[str, float]) -> None:
        """Record where this part of the run ends, with its final figures by tag."""
        if self.active:
            self.board.final(step, self.run, figures)
            self.metrics.write("end", step, {"finished": finished, **figures})

    def __enter__(self) -> "Monitor":
        return self

    def __exit__(self, *_: object) -> None:
        """Close all files and the progress bar."""
        self.trace.close()
        if self.active:
            self.progress.__exit__()
            self.board.close()
            self.metrics.close()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
