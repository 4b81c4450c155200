"""Start the ranks of a benchmark on this machine, as a launcher would, and watch them."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

LOST = "has lost contact with another rank"
"""What a rank says last that ends because another one has."""
GRACE = 5.0
"""Seconds that the other ranks are given to say why they end, when one has failed."""


def run_ranks(command: Sequence[str], ranks: int, folder: Path) -> None:
    """Run the command once for each rank, to the end; when one fails, the others are ended.

    Args:
        command: a program and its arguments, the same for every rank. It finds its rank, and the others, in the
            variables that a launcher sets, and the packages of this process in PYTHONPATH.
        ranks: their number.
        folder: takes what each rank prints, `rank_N.log`.

    Raises:
        SystemExit: one line: the rank that failed first, how it ended, and the last line that it printed.
    """
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    shared = {"WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    shared["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # or the ranks would outlive this process
    started: list[subprocess.Popen[bytes]] = []
    try:
        for rank in range(ranks):
            place = {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            with (folder / f"rank_{rank}.log").open("wb") as log:
                started.append(
                    subprocess.Popen(
                        command,
                        env=os.environ | shared | place,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                    )
                )
        _wait(started)
        failed = {rank: process.returncode for rank, process in enumerate(started) if process.returncode}
    finally:
        for process in started:
            if process.poll() is None:
                process.kill()
            process.wait()
        signal.signal(signal.SIGTERM, before)
    if failed:
        said = {rank: _last_line(folder / f"rank_{rank}.log") for rank in failed}
        first = min(failed, key=lambda rank: LOST in said[rank])
        raise SystemExit(f"rank {first} of {ranks} {_end(failed[first], said[first])}")


def _wait(started: Sequence[subprocess.Popen[bytes]]) -> None:
    """Until all have ended, or until GRACE after one has failed."""
    deadline = None
    while None in (statuses := [process.poll() for process in started]):
        if deadline is None and any(statuses):
            deadline = time.monotonic() + GRACE
        if deadline is not None and time.monotonic() > deadline:
            return
        time.sleep(0.05)


def _end(status: int, said: str) -> str:
    """How a rank ended, in words; what a killed one printed last does not say why."""
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return f"ended with status {status}: {said or 'it said nothing'}"


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else ""
