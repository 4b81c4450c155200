"""Progress of long work: a bar on a terminal, a plain line every few seconds elsewhere."""

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


class ProgressLines:
    """Shows how far some work is; use it as a context manager.

    Args:
        what: the work, written before the bar and at the start of each line.
        total: the amount of work, if it is known.
        unit: what is counted, for instance "rows"; lines then also give the speed.
        seconds: the time between two plain lines.
        last_line: print a plain line at the end of the work, however soon that is.
        bar: whether to show a bar on a terminal; else lines are printed there as well.
        console: where to write; stderr unless given.
    """

    def __init__(
        self,
        what: str,
        total: float | None = None,
        *,
        unit: str = "",
        seconds: float = 10.0,
        last_line: bool = False,
        bar: bool = True,
        console: "Console | None" = None,
    ) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        self.console = Console(stderr=True) if console is None else console
        self._has_bar = bar and self.console.is_terminal
        self._what, self._total, self._unit = what, total, unit
        self._seconds, self._last_line = seconds, last_line
        self._started = self._printed = time.monotonic()
        self._done_before: float | None = None
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        self._bar = Progress(
            *columns,
            TextColumn("{task.fields[status]}"),
            console=self.console,
            transient=True,
            disable=not self._has_bar,
        )
        self._task = self._bar.add_task(what, total=total, status="")

    def __enter__(self) -> "ProgressLines":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def at(self, done: float, total: float | None = None, *, status: str = "", line: str | None = None) -> None:
        """Report the work that is done. `status` follows the bar; `line` replaces the usual plain line."""
        self._total = self._total if total is None else total
        if self._has_bar:
            self._bar.update(self._task, completed=done, total=self._total, status=status)
            return
        if self._done_before is None:  # an interrupted run may continue: its work does not count as speed
            self._done_before, self._started = done, time.monotonic()
        now = time.monotonic()
        is_end = self._last_line and self._total is not None and done >= self._total
        if now - self._printed >= self._seconds or is_end:
            speed = (done - self._done_before) / max(now - self._started, 1e-9)
            self._printed = now
            self.say(self._plain_line(done, speed, status) if line is None else line)

    def say(self, line: str) -> None:
        """Print a line of its own, above the bar where there is one."""
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _plain_line(self, done: float, speed: float, status: str) -> str:
        of = "" if self._total is None else f" of {self._total:,}"
        unit = f" {self._unit}, {speed:,.0f} {self._unit}/s" if self._unit else ""
        return f"{self._what}: {done:,}{of}{unit}{', ' + status if status else ''}"
