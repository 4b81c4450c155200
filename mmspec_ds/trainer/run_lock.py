"""One run at a time in a folder: a lock file that names its holder, also on a shared file system.

The file `.lock` in the run's folder is created exclusively, which is atomic on local disks and on NFS. Its
holder touches it every HEARTBEAT seconds. A lock is stale when its process has ended, which the same machine
can see, or, seen from another machine, when nobody has touched it for STALE seconds. Clocks of machines are
never compared.
"""

import json
import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch.distributed as dist

from mmspec_ds.errors import DataError
from mmspec_ds.processes import this_machine
from mmspec_ds.trainer.distributed import device_of_rank

LOCK = ".lock"
HEARTBEAT = 10.0
STALE = 45.0


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Hold a run's folder. Every rank calls this; rank 0 holds the lock for all.

    Raises:
        DataError: another run holds the folder, or it cannot be written.
    """
    device_of_rank()  # before the first collective: NCCL takes the GPU that is current then
    lock = RunLock(folder)
    fault = [lock.acquire() if dist.get_rank() == 0 else None]
    dist.broadcast_object_list(fault)
    if fault[0] is not None:
        raise DataError(fault[0], path=folder)
    try:
        yield
    finally:
        if dist.get_rank() == 0:
            lock.release()


class RunLock:
    """The lock file of one folder; see the head of this file."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / LOCK
        self._content = json.dumps(
            {
                "host": socket.gethostname(),
                "machine": this_machine(),
                "process": os.getpid(),
                "started": _start_of(os.getpid()),
                "since": datetime.now(UTC).isoformat(timespec="seconds"),
                "key": uuid.uuid4().hex,
            }
        )
        self._ended = threading.Event()
        self._created: list[Path] = []

    def acquire(self) -> str | None:
        """Take the lock and keep it fresh; or say in one line why that is not possible."""
        try:
            self._created = [f for f in (self.folder, *self.folder.parents) if not f.exists()]
            self.folder.mkdir(parents=True, exist_ok=True)
            for _ in range(3):
                if self._create():
                    threading.Thread(target=self._keep_fresh, daemon=True).start()
                    return None
                holder = self._read()
                if holder is not None and self._is_held(holder):
                    break
                if holder is not None:
                    self._remove_stale(holder)
        except OSError as error:
            return f"cannot be written: {error.strerror}"
        about = _parse(holder) if holder else {}
        return (
            f"in use by process {about.get('process')} on {about.get('host')} since {about.get('since')}:"
            f" expected one run at a time; if that one has ended, remove {self.path}"
        )

    def release(self) -> None:
        """Give the lock up, and remove folders that were made for it and are empty."""
        self._ended.set()
        with suppress(OSError):
            if self._read() == self._content:
                self.path.unlink()
        with suppress(OSError):
            for folder in self._created:
                folder.rmdir()

    def _create(self) -> bool:
        try:
            descriptor = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            return False
        with os.fdopen(descriptor, "w") as file:
            file.write(self._content)
        return True

    def _read(self) -> str | None:
        """The lock's content; None when there is no lock."""
        try:
            content = self.path.read_text(encoding="utf-8")
            for _ in range(20):
                if content:
                    break
                time.sleep(0.05)  # made a moment ago, and not yet written
                content = self.path.read_text(encoding="utf-8")
            return content
        except FileNotFoundError:
            return None

    def _is_held(self, holder: str) -> bool:
        about = _parse(holder)
        if about.get("machine") == this_machine():
            started = _start_of(int(about["process"]))
            return started is not None and started == about["started"]
        print(f"{self.folder.name}: looking whether the run on {about.get('host')} still goes on", flush=True)
        deadline, before = time.monotonic() + STALE, self._touched()
        while time.monotonic() < deadline:
            time.sleep(min(1.0, STALE / 10))
            if self._touched() != before:
                return self._read() is not None
        return False

    def _touched(self) -> int | None:
        # By opening the file: a network file system may answer a plain stat from its cache.
        try:
            with self.path.open("rb") as file:
                return os.fstat(file.fileno()).st_mtime_ns
        except FileNotFoundError:
            return None

    def _remove_stale(self, holder: str) -> None:
        """Remove the lock of this holder, and no other that has taken its place meanwhile."""
        aside = self.path.with_name(f"{LOCK}.{uuid.uuid4().hex}")
        try:
            os.rename(self.path, aside)
        except FileNotFoundError:
            return
        if aside.read_text(encoding="utf-8") == holder:
            aside.unlink()
        else:
            os.rename(aside, self.path)

    def _keep_fresh(self) -> None:
        while not self._ended.wait(HEARTBEAT):
            with suppress(OSError):
                if self._read() not in (None, self._content):
                    # This process slept for so long that another one took its lock over.
                    print(
                        f"mmspec: {self.folder}: another run holds this folder now", file=sys.stderr, flush=True
                    )
                    os._exit(1)
                os.utime(self.path)


def _parse(content: str) -> dict[str, Any]:
    """The fields of a lock; none when it is not whole."""
    try:
        about = json.loads(content)
    except ValueError:
        return {}
    return about if isinstance(about, dict) else {}


def _start_of(process: int) -> str | None:
    """The start of a process in ticks since that of the machine, "" where unknown; None if it has ended."""
    try:
        state, *fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return None if state == "Z" else fields[18]
    except OSError:
        pass
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return ""
