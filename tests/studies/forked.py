"""The processes of a study as forks of this one: to import torch and DeepSpeed costs more than a small cell."""

import os
import signal
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mmspec_ds.studies.cells import distinct
from mmspec_ds.studies.commands import Commands, Place
from mmspec_ds.studies.plan import Budget, Cell
from mmspec_ds.studies.runner import Runner, open_out, with_sources


@dataclass
class Child:
    """A forked process."""

    pid: int
    status: int | None = None

    def poll(self) -> int | None:
        if self.status is None:
            pid, raw = os.waitpid(self.pid, os.WNOHANG)
            self.status = None if pid == 0 else os.waitstatus_to_exitcode(raw)
        return self.status

    def send_signal(self, signal: int, /) -> None:
        os.kill(self.pid, signal)


@dataclass(frozen=True)
class Forked(Commands):
    """Runs what the commands would run. Import torch, but start no training, before the first."""

    def start(self, arguments: Sequence[str], place: Place, folder: Path, log: IO[bytes]) -> Child:
        import deepspeed  # noqa: F401, once, for all forks

        from mmspec_ds.cli import main
        from mmspec_ds.studies import measure

        _, module, *rest = arguments
        pid = os.fork()
        if pid:
            return Child(pid)
        status = 1
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            os.setsid()
            os.chdir(folder)
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            status = main(rest) if module == "mmspec_ds" else measure.main(rest)
        except BaseException:
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(status)


def run_cells(cells: Sequence[Cell], budget: Budget, out: Path) -> None:
    """Train and measure cells within a budget, each once, and what they begin with."""
    everything = distinct(with_sources(cells), budget)
    open_out(out)
    outcome = Runner(everything, budget, out, [Place(), Place()], Forked()).run()
    assert outcome.faults == {}
    assert outcome.finished == len(everything)
