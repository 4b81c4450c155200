"""One cell on its way: its training, then its measures, each a process that may be stopped and gone on with."""

import os
import shutil
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter

from mmspec_ds.errors import UserError
from mmspec_ds.files import replacing, write_json
from mmspec_ds.studies.cells import (
    ABOUT,
    ENGINE,
    MEASURES_FOLDER,
    RESULT,
    RUN_FILE,
    CellFolder,
    described,
    settings_of,
)
from mmspec_ds.studies.commands import Commands, Place, Process
from mmspec_ds.studies.data import files_of
from mmspec_ds.studies.language import LANGUAGE_MODEL
from mmspec_ds.studies.measure import MeasureJob
from mmspec_ds.studies.outcome import training_result
from mmspec_ds.studies.plan import Budget, Cell, DataFiles
from mmspec_ds.studies.systems import system_of
from mmspec_ds.trainer.checkpoints import CHECKPOINTS
from mmspec_ds.trainer.monitor.record import METRICS
from mmspec_ds.trainer.run_lock import RunLock

JOB, START = "job.json", "start"
STOPPED = 143

Stage = Literal["upcycle", "train", "measure"]


@dataclass
class CellJob:
    """A cell that this process holds the lock of.

    Attributes:
        cell, budget, out: what is to be done, and the folder of studies.
        commands, place: how and where.
        place_number: of the places that processes run in side by side.
        keep_checkpoints: leave them when everything is measured.
        stage: what is being done.
        fault: why the cell ended without being finished; None otherwise.
        folder: of the cell.
    """

    cell: Cell
    budget: Budget
    out: Path
    commands: Commands
    place: Place
    keep_checkpoints: bool = False
    place_number: int = 0
    stage: Stage | None = None
    fault: str | None = None
    _lock: RunLock | None = None
    _process: Process | None = None
    _stage_began: float = field(default_factory=time.monotonic)
    _step_at_start: int = 0

    def __post_init__(self) -> None:
        self.folder = CellFolder.of(self.out, self.cell, self.budget)

    @property
    def name(self) -> str:
        """The cell in a few words."""
        return described(self.cell)

    def take(self) -> bool:
        """Take the lock of the cell; False while another process has it, or still trains it.

        Raises:
            UserError: the folder cannot be written.
        """
        folder = self.folder
        lock = RunLock(folder.path)
        fault = lock.acquire()
        if fault is None:
            orphan = RunLock(folder.run)  # of a study that was killed: its training goes on without it
            fault = orphan.acquire()
            orphan.release()
            if fault is None:
                self._lock = lock
                return True
            lock.release()
        if not fault.startswith("in use"):
            raise UserError(f"{folder.path}: {fault}")
        return False

    def start(self) -> None:
        """Begin, or go on, with what is missing; a cell that misses nothing ends at once, and so does one that
        cannot begin, with a `fault`."""
        try:
            self.folder.check(self.cell, self.budget)
            self._begin_next()
        except (UserError, OSError) as error:
            self._end(" ".join(str(error).split()))

    def poll(self) -> bool:
        """Whether the cell has ended, well or with a `fault`; begins the next stage when one is done."""
        if self._process is None:
            return True
        status = self._process.poll()
        if status is None:
            return False
        self._process = None
        try:
            if status not in (0, STOPPED, -signal.SIGTERM):
                said = _last_line(self.folder.log)
                self._end(f"{self.stage} ended with status {status}, see {self.folder.log}: {said}")
            elif status != 0:
                self._end("stopped")
            else:
                self._conclude_stage()
                self._begin_next()
        except (UserError, OSError) as error:
            self._end(" ".join(str(error).split()))
        return self._process is None

    def stop(self, *, kill: bool = False) -> None:
        """Ask the process to end, which a training does with a checkpoint; or end it at once."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)

    def poll_stopping(self) -> bool:
        """Whether the process has ended after it was asked to. Nothing is begun any more."""
        if self._process is not None and self._process.poll() is None:
            return False
        self._process = None
        self._end("stopped")
        return True

    def step(self) -> int:
        """The last step that the training has logged."""
        return last_step(self.folder.run)

    def seconds(self) -> float:
        """How long the present stage has taken so far."""
        return time.monotonic() - self._stage_began

    def speed(self) -> float | None:
        """Steps a second of this training since it was begun or gone on with; None before the first log."""
        done, seconds = self.step() - self._step_at_start, self.seconds()
        return done / seconds if self.stage == "train" and done > 0 and seconds > 0 else None

    def _begin_next(self) -> None:
        """Start the process of the first stage that is missing."""
        folder, cell = self.folder, self.cell
        missing = folder.missing_measures(cell, self.budget)
        if cell.trains and folder.result() is None:
            self._write_run()
            if not any((folder.run / CHECKPOINTS).glob("*")):  # what was measured was on weights that are gone
                shutil.rmtree(folder.path / MEASURES_FOLDER, ignore_errors=True)
            source = self._source()
            if source is not None and self._is_upcycled() and not (folder.path / START).exists():
                dense = str(self._relative(source))
                self._run("upcycle", *self.commands.upcycle, dense, RUN_FILE, "--out", START)
            else:
                self._step_at_start = self.step()
                self._run("train", *self.commands.train)
        elif missing:
            if cell.trains and not folder.has_weights():
                raise UserError(
                    f"{folder.path}: {', '.join(missing)} must be measured, and the weights are gone: remove"
                    f" {RESULT} to train it again, and measure all of it again"
                )
            self._write_about()
            data = self._data()
            MeasureJob(cell, self.budget, data, self.place.device).write(folder.path / JOB)
            names = (str(folder.path.resolve()), JOB, *missing)
            self._run("measure", *self.commands.measure, *names)
        else:
            if not self.keep_checkpoints:
                shutil.rmtree(folder.run / CHECKPOINTS, ignore_errors=True)
            (folder.path / JOB).unlink(missing_ok=True)
            self._end(None)

    def _conclude_stage(self) -> None:
        folder = self.folder
        if self.stage == "train":
            result = training_result(folder.run, settings_of(self.cell, self.budget))
            write_json(folder.path / RESULT, result)
            shutil.rmtree(folder.path / START, ignore_errors=True)

    def _run(self, stage: Stage, *arguments: str) -> None:
        """Start the process of a stage in the cell's folder."""
        self.stage, self._stage_began = stage, time.monotonic()
        with self.folder.log.open("ab") as log:
            self._process = self.commands.start(arguments, self.place, self.folder.path, log)

    def _write_run(self) -> None:
        """Write the run file, with paths from the cell's folder: a folder of studies can be moved."""
        folder = self.folder.path
        run: Any = settings_of(self.cell, self.budget)
        data = self._data()
        changes: dict[str, Any] = {"train": (), "validation": ()}
        if data.shards is not None:
            changes["train"] = (self._relative(data.shards),)
        else:
            changes["train"] = tuple(self._relative(path) for path in data.train)
            changes["validation"] = tuple(self._relative(path) for path in data.validation)
        if data.cache is not None:
            changes["cache"] = self._relative(data.cache)
        source = self._source()
        start = Path(START) if self._is_upcycled() else source and self._relative(source)
        written = run.model_copy(
            update={
                "data": run.data.model_copy(update=changes),
                "training": run.training.model_copy(update={"start_from": start}),
                "engine": Path(ENGINE),
                "output": Path("."),
            }
        )
        written = system_of(self.cell).with_language(written, self._relative(self.out / LANGUAGE_MODEL))
        with replacing(folder / ENGINE) as path:
            path.write_bytes(run.engine.read_bytes())
        with replacing(folder / RUN_FILE) as path:
            path.write_text(written.to_yaml(), encoding="utf-8")
        self._write_about()

    def _is_upcycled(self) -> bool:
        """Whether this is a sparse model that begins with a dense one."""
        source = self.cell.start_from
        if source is None:
            return False
        run, begins = (settings_of(one, self.budget) for one in (self.cell, source))
        return system_of(self.cell).is_upcycled(run, begins)

    def _source(self) -> Path | None:
        """The run whose weights the training begins with."""
        source = self.cell.start_from
        return None if source is None else CellFolder.of(self.out, source, self.budget).run

    def _write_about(self) -> None:
        write_json(self.folder.path / ABOUT, TypeAdapter(Cell).dump_python(self.cell, mode="json"))

    def _data(self) -> DataFiles:
        return files_of(self.cell, self.budget, self.out.absolute())

    def _relative(self, path: Path) -> Path:
        return Path(os.path.relpath(path.absolute(), self.folder.path.absolute()))

    def _end(self, fault: str | None) -> None:
        self.fault = fault
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def _last_line(log: Path) -> str:
    """The end of what a process printed, which says most about why it ended."""
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "it printed nothing")


def last_step(run: Path) -> int:
    """The last step that `metrics.jsonl` of a run names; 0 without one."""
    try:
        with (run / METRICS).open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 65_536))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return 0
    for line in reversed(lines):
        at = line.find('"step": ')
        if line.startswith('{"kind"') and at > 0:
            digits = line[at + 8 :].partition(",")[0].rstrip("}")
            if digits.isdecimal():
                return int(digits)
    return 0
