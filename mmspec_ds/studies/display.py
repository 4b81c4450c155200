"""The progress of a study: cells done, those that are running with their step, the time left."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from mmspec_ds.studies.cells import settings_of
from mmspec_ds.studies.job import CellJob
from mmspec_ds.studies.plan import Budget, Cell


@dataclass(frozen=True)
class State:
    """The progress in words: a line on the whole, and a line for each running cell."""

    whole: str
    running: tuple[str, ...]


class Progress:
    """Estimates the time left from the steps a second and the seconds of measuring that were seen so far.

    Args:
        cells, budget: of the study.
        places: how many processes run side by side.
    """

    def __init__(self, cells: Sequence[Cell], budget: Budget, places: int) -> None:
        self._budget, self._places, self._total = budget, places, len(cells)
        self._steps: dict[str, int | None] = {}
        self._speeds: dict[Path, float] = {}
        self._measuring: dict[Path, float] = {}

    def observe(self, job: CellJob) -> None:
        """Take note of the speed of a training, or of how long the measures of a cell take."""
        speed = job.speed()
        if speed is not None:
            self._speeds[job.folder.path] = speed
        elif job.stage == "measure":
            self._measuring[job.folder.path] = job.seconds()

    def state(self, finished: int, failed: int, running: Sequence[CellJob], pending: Sequence[Cell]) -> State:
        """The progress in words, with an estimate of the time left."""
        whole = f"{finished} of {self._total} cells done, {len(running)} running"
        if failed:
            whole += f", {failed} failed"
        left = self.seconds_left(running, pending)
        if left is not None:
            whole += f", about {duration(left)} left"
        return State(whole, tuple(self._line(job) for job in running))

    def seconds_left(self, running: Sequence[CellJob], pending: Sequence[Cell]) -> float | None:
        """The time that is left; None before any speed is known, or while a training runs or waits whose steps
        are not known. Measures before the first was made are left out."""
        steps = [self._steps_of(cell) for cell in pending if cell.trains]
        for job in running:
            if job.stage == "train":
                whole = self._steps_of(job.cell)
                steps.append(whole and max(0, whole - job.step()))
        if not self._speeds or None in steps:
            return None
        speed = sum(self._speeds.values()) / len(self._speeds)
        seconds = sum(one for one in steps if one is not None) / speed
        if self._measuring:
            each = sum(self._measuring.values()) / len(self._measuring)
            seconds += each * (len(pending) + sum(job.stage == "train" for job in running))
        return seconds / max(1, min(self._places, len(running) + len(pending)))

    def _line(self, job: CellJob) -> str:
        if job.stage != "train":
            return f"{job.name}: {job.stage}"
        speed = job.speed()
        pace = "" if speed is None else f", {speed:.1f} steps/s"
        steps = self._steps_of(job.cell)
        return f"{job.name}: step {job.step():,}{f' of {steps:,}' if steps else ''}{pace}"

    def _steps_of(self, cell: Cell) -> int | None:
        """The steps of a cell; None where its budget is in FLOPs or epochs."""
        name = f"{cell.base} {dict(cell.overrides)} {cell.data}"
        if name not in self._steps:
            self._steps[name] = settings_of(cell, self._budget).training.steps
        return self._steps[name]


class Display:
    """Shows the state on a terminal, where it is replaced in place, or as a line now and then elsewhere."""

    def __init__(self, seconds: float, console: Console | None = None) -> None:
        self._console = Console(stderr=True) if console is None else console
        self._seconds, self._printed, self._shown = seconds, -seconds, ""
        self._live = Live(console=self._console, refresh_per_second=2, transient=True)

    def __enter__(self) -> "Display":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._live.stop()

    def show(self, state: State) -> None:
        """Draw the lines anew on a terminal; print one now and then elsewhere."""
        if self._console.is_terminal:
            lines = [Text(state.whole, style="bold"), *(Text(f"  {line}") for line in state.running)]
            self._live.update(Group(*lines))
            return
        counts = state.whole.partition(", about")[0]
        if time.monotonic() - self._printed >= self._seconds or counts != self._shown:
            self._printed, self._shown = time.monotonic(), counts
            line = "; ".join((state.whole, *state.running))
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)


def duration(seconds: float) -> str:
    """A time in words: "40 s", "12 min", "3 h 5 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
