"""One run at a time in a folder: its holder is named, and the lock of a killed run stops nobody."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mmspec_ds.trainer import run_lock
from mmspec_ds.trainer.run_lock import LOCK, RunLock


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[RunLock]:
    """A lock that is held."""
    lock = RunLock(tmp_path / "runs" / "one")
    assert lock.acquire() is None
    yield lock
    lock.release()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heartbeats of tenths of a second."""
    monkeypatch.setattr(run_lock, "HEARTBEAT", 0.05)
    monkeypatch.setattr(run_lock, "STALE", 0.5)


def written_by(lock: RunLock, **changes: Any) -> None:
    """Pretend that somebody else wrote the lock."""
    lock.path.parent.mkdir(parents=True, exist_ok=True)
    own = json.loads(lock._content)
    lock.path.write_text(json.dumps(own | {"key": "another"} | changes))


def test_a_second_run_is_refused_and_the_first_named(lock: RunLock) -> None:
    fault = RunLock(lock.folder).acquire()
    assert fault is not None
    assert fault.startswith(f"in use by process {os.getpid()} on ")
    assert fault.endswith(f"expected one run at a time; if that one has ended, remove {lock.path}")


def test_a_release_frees_the_folder_and_leaves_nothing(tmp_path: Path) -> None:
    for _ in range(2):
        lock = RunLock(tmp_path / "runs" / "one")
        assert lock.acquire() is None
        lock.release()
        assert list(tmp_path.iterdir()) == []
    lock.acquire()
    (lock.folder / "metrics.jsonl").touch()
    lock.release()
    assert [path.name for path in lock.folder.iterdir()] == ["metrics.jsonl"]


def test_a_killed_process_leaves_a_stale_lock(tmp_path: Path) -> None:
    code = (
        "import sys, time, pathlib; from mmspec_ds.trainer.run_lock import RunLock\n"
        "assert RunLock(pathlib.Path(sys.argv[1])).acquire() is None\nprint('held', flush=True)\ntime.sleep(60)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    second = RunLock(tmp_path)
    assert f"in use by process {holder.pid} " in str(second.acquire())
    holder.send_signal(signal.SIGKILL)
    while (
        Path(f"/proc/{holder.pid}/stat").read_text().split()[2] != "Z"
    ):  # dead, and nobody has asked for its status
        time.sleep(0.01)
    assert second.acquire() is None
    second.release()
    holder.wait()
    assert not (tmp_path / LOCK).exists()


def test_a_process_with_the_number_of_an_ended_one_holds_nothing(tmp_path: Path) -> None:
    lock = RunLock(tmp_path)
    written_by(lock, started="1")
    assert lock.acquire() is None
    lock.release()


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"process": 1}'])
def test_half_a_lock_is_taken_over_when_nobody_touches_it(quick: None, tmp_path: Path, content: str) -> None:
    lock = RunLock(tmp_path)
    lock.path.write_text(content)
    assert lock.acquire() is None
    lock.release()


def test_on_another_machine_a_lock_that_nobody_touches_is_stale(quick: None, tmp_path: Path) -> None:
    lock = RunLock(tmp_path)
    written_by(lock, machine="node-b", host="node-b")
    start = time.monotonic()
    assert lock.acquire() is None
    assert time.monotonic() - start >= 0.5
    lock.release()


def test_on_another_machine_a_lock_that_is_touched_is_held(quick: None, tmp_path: Path) -> None:
    lock = RunLock(tmp_path)
    written_by(lock, machine="node-b", host="node-b")
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(0.05):
            os.utime(lock.path)

    thread = threading.Thread(target=beat)
    thread.start()
    fault = lock.acquire()
    ended.set()
    thread.join()
    assert "on node-b since" in str(fault)


def test_the_holder_touches_its_lock(quick: None, tmp_path: Path) -> None:
    lock = RunLock(tmp_path)
    assert lock.acquire() is None
    before, deadline = lock.path.stat().st_mtime_ns, time.monotonic() + 10
    while lock.path.stat().st_mtime_ns == before:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    lock.release()


def test_a_live_lock_that_took_a_stale_ones_place_is_not_removed(lock: RunLock) -> None:
    other = RunLock(lock.folder)
    other._remove_stale("what was there a moment ago")
    assert lock.path.read_text() == lock._content
    assert [path.name for path in lock.folder.iterdir()] == [LOCK]


def _try(folder: str, start: Any, answers: Any) -> None:
    lock = RunLock(Path(folder))
    start.wait()
    answers.put(lock.acquire() is None)
    time.sleep(1)


def test_of_many_at_once_one_gets_the_folder(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    start, answers = context.Event(), context.Queue()
    processes = [context.Process(target=_try, args=(str(tmp_path), start, answers)) for _ in range(6)]
    for process in processes:
        process.start()
    start.set()
    got = [answers.get(timeout=30) for _ in processes]
    for process in processes:
        process.join()
    assert sum(got) == 1


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert RunLock(tmp_path / "file" / "run").acquire() == "cannot be written: Not a directory"


def test_two_trainings_at_once_into_one_folder(launcher: Any) -> None:
    # Two processes without a launcher's variables, as `mpirun -n 2` without more would start them.
    folder = launcher.run_file.parent / "twice"
    seen = []

    def second(path: Path) -> bool:
        if not (path / "metrics.jsonl").exists():
            return False
        seen.append(RunLock(folder).acquire())
        return True

    first = launcher.train("twice", "training.steps=100000", when=second)
    assert first.statuses == (143,), first.output
    assert "expected one run at a time" in str(seen[-1])
    assert not (folder / LOCK).exists()
    resumed = launcher.train("twice", "training.steps=1", "--resume")
    assert resumed.statuses == (0,), resumed.output
