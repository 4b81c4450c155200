"""Train and measure the cells of a study side by side.

A cell has a lock: of two studies on one folder each takes the cells that the other has not taken. A cell that
fails ends with its log named, and the others go on. A request to stop reaches every training, which ends with
a checkpoint; the next call goes on from there.
"""

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmspec_ds.errors import DataError, UserError
from mmspec_ds.studies.cells import CELLS, CellFolder, described, identity_of
from mmspec_ds.studies.commands import Commands, Place
from mmspec_ds.studies.data import DATA, make_data
from mmspec_ds.studies.display import Display, Progress
from mmspec_ds.studies.job import CellJob
from mmspec_ds.studies.language import link_language
from mmspec_ds.studies.plan import Budget, Cell

SECONDS_TO_STOP = 60.0
"""How long a training has for its last checkpoint."""
_SECONDS_BETWEEN_LOOKS = 0.25
_SECONDS_UNTIL_RETRY = 5.0
"""Until a cell that another process held is looked at again."""


@dataclass(frozen=True)
class Outcome:
    """How a study's cells ended: how many are finished, the faults by cell in words (with its hash, where two
    cells have the same words), and whether a request to stop ended it."""

    finished: int
    faults: dict[str, str]
    stopped: bool


@dataclass
class Runner:
    """Runs the cells of a study.

    Attributes:
        cells: each training once (`cells.distinct`), with everything that they begin with among them.
        budget, out: of the study, and the folder of studies.
        places: where processes run side by side.
        commands: what they run.
        keep_checkpoints: leave checkpoints of finished cells.
        seconds_between_lines: of plain progress.
    """

    cells: Sequence[Cell]
    budget: Budget
    out: Path
    places: Sequence[Place]
    commands: Commands = field(default_factory=Commands)
    keep_checkpoints: bool = False
    seconds_between_lines: float = 30.0

    def run(self) -> Outcome:
        """Do what is missing, until everything is there, has failed or is to stop. Faults of cells do not end
        it.

        Raises:
            UserError: data that the cells need cannot be made, or the language model cannot be used.
        """
        self._pending: list[Cell] = []
        self._finished = 0
        self._faults: dict[str, str] = {}
        self._failed: set[str] = set()
        self._running: list[CellJob] = []
        self._retry_at: dict[str, float] = {}
        self._sort_out()
        self._make_data()
        progress = Progress(self.cells, self.budget, len(self.places))
        with _requests_to_stop() as request, Display(self.seconds_between_lines) as display:
            try:
                while (self._pending or self._running) and not request.count:
                    self._fill()
                    self._look(progress)
                    display.show(
                        progress.state(self._finished, len(self._failed), self._running, self._pending)
                    )
                    time.sleep(_SECONDS_BETWEEN_LOOKS)
            finally:  # after a fault too: processes of their own would go on without the study
                self._stop_all(request)
        return Outcome(self._finished, self._faults, request.count > 0)

    def _sort_out(self) -> None:
        """Tell finished cells from those to be done, and from those of other settings than are asked for."""
        for cell in self.cells:
            folder = CellFolder.of(self.out, cell, self.budget)
            if not folder.is_finished(cell, self.budget):
                self._pending.append(cell)
            elif (fault := folder.fault(cell, self.budget)) is None:
                self._finished += 1
            else:
                self._fail(cell, fault)

    def _make_data(self) -> None:
        """Make the data of the cells that are to be done, each folder once, and link the language model."""
        if self._pending and self.budget.language is not None:
            link_language(self.out, self.budget.language)
        for cell in self._pending:
            make_data(cell, self.budget, self.out, workers=len(self.places))

    def _fill(self) -> None:
        """Begin cells in the places that are free."""
        taken = [job.place_number for job in self._running]
        free = [number for number in range(len(self.places)) if number not in taken]
        for cell in list(self._pending):
            if not free:
                return
            name = identity_of(cell, self.budget)
            if time.monotonic() < self._retry_at.get(name, 0.0) or not self._may_begin(cell):
                continue
            job = CellJob(
                cell, self.budget, self.out, self.commands, self.places[free[0]], self.keep_checkpoints
            )
            job.place_number = free[0]
            if not job.take():
                self._retry_at[name] = time.monotonic() + _SECONDS_UNTIL_RETRY
                continue
            self._pending.remove(cell)
            free.pop(0)
            self._running.append(job)
            job.start()

    def _fail(self, cell: Cell, fault: str) -> None:
        name, words = identity_of(cell, self.budget), described(cell)
        self._failed.add(name)
        self._faults[f"{words} ({name})" if words in self._faults else words] = fault

    def _may_begin(self, cell: Cell) -> bool:
        """Whether the cell that it begins with is trained; if that one failed, so does this one."""
        source = cell.start_from
        if source is None or CellFolder.of(self.out, source, self.budget).result() is not None:
            return True
        if identity_of(source, self.budget) in self._failed:
            self._pending.remove(cell)
            self._fail(cell, f"begins with a cell that failed: {described(source)}")
        return False

    def _look(self, progress: "Progress") -> None:
        """Take note of the cells that have ended."""
        for job in list(self._running):
            progress.observe(job)
            if not job.poll():
                continue
            self._running.remove(job)
            if job.fault is None:
                self._finished += 1
            else:
                self._fail(job.cell, job.fault)

    def _stop_all(self, request: "_Request") -> None:
        """Ask all processes that still run to end, and wait; a second request, or too long a wait, ends them at
        once."""
        for job in self._running:
            job.stop()
        deadline, asked = time.monotonic() + SECONDS_TO_STOP, request.count
        while any(not job.poll_stopping() for job in self._running):
            if time.monotonic() > deadline or request.count > asked:
                for job in self._running:
                    job.stop(kill=True)
            time.sleep(_SECONDS_BETWEEN_LOOKS)


class _Request:
    """How often this process was asked to stop."""

    count = 0


@contextmanager
def _requests_to_stop() -> Iterator[_Request]:
    """Within, SIGTERM and SIGINT are counted instead of obeyed."""
    request = _Request()

    def note(number: int, frame: Any) -> None:
        request.count += 1

    before = {one: signal.signal(one, note) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def with_sources(cells: Sequence[Cell]) -> list[Cell]:
    """The cells, and before each the cells that it begins with; those need no measures of their own.

    Raises:
        UserError: a cell begins with one that is not trained.
    """
    found: list[Cell] = []
    for cell in cells:
        source = cell.start_from
        if source is not None:
            if not source.trains:
                raise UserError(f"{described(cell)}: begins with a cell that is not trained")
            found += with_sources([source])
        found.append(cell)
    return found


def open_out(out: Path) -> None:
    """Make the folder of studies, or refuse one that is something else.

    Raises:
        DataError: a file, a folder with other things in it, or one that cannot be written.
    """
    if out.exists() and not out.is_dir():
        raise DataError("is a file: expected the folder of studies", path=out)
    if out.is_dir() and any(out.iterdir()) and not any((out / name).is_dir() for name in (CELLS, DATA)):
        raise DataError(f"is no folder of studies: expected a new one, or one that holds {CELLS}/", path=out)
    try:
        (out / CELLS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror}", path=out) from None
