"""The ordered map over processes: order, few results ahead, errors and dead processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.processes import ITEMS_AHEAD, ordered_map, ordered_stream

CHUNK = 16


simulated = partial(ordered_map, task="simulates", chunk=CHUNK)


def marked(folder: Path, item: int) -> int:
    (folder / str(item)).touch()
    return item * item


class Unpicklable(Exception):
    def __init__(self, first: str, second: int) -> None:
        super().__init__(f"{first} {second}")


def unpicklable(item: int) -> int:
    raise Unpicklable("of", item)


def refused(item: int) -> int:
    raise ValueError(f"not {item}")


def killed(item: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return item


def counted(item: int) -> Iterator[int]:
    """`item` results, and an error after those of 3."""
    yield from range(item)
    if item == 3:
        raise DataError("not 3", path="numbers", row=3)


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_items(workers: int, tmp_path: Path) -> None:
    items = range(5 * CHUNK + 3)
    found = list(simulated(partial(marked, tmp_path), items, workers))
    assert found == [item * item for item in items]


def test_a_slow_consumer_holds_the_processes_back(tmp_path: Path) -> None:
    """Of 40 chunks no more are begun than may be under way, however long nobody takes a result."""
    made = simulated(partial(marked, tmp_path), range(40 * CHUNK), 2)
    assert next(made) == 0
    most = (2 * ITEMS_AHEAD + 1) * CHUNK
    deadline = time.monotonic() + 20
    while len(list(tmp_path.iterdir())) < 2 * ITEMS_AHEAD * CHUNK and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    begun = len(list(tmp_path.iterdir()))
    made.close()
    assert 2 * ITEMS_AHEAD * CHUNK <= begun <= most


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_an_item_is_the_callers(workers: int) -> None:
    with pytest.raises(ValueError, match="not 0"):
        list(simulated(refused, range(2 * CHUNK), workers))


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_results_before_an_error_are_given_and_the_first_error_counts(workers: int) -> None:
    """The error of item 3 may come before the results of the others; it is raised in its place."""
    stream = ordered_stream(counted, [2, 0, 4, 3, 3, 1], workers, task="counts")
    found = [next(stream) for _ in range(9)]
    assert found == [0, 1, 0, 1, 2, 3, 0, 1, 2]
    with pytest.raises(DataError, match="numbers, row 3: not 3"):
        next(stream)


def test_an_error_that_cannot_be_pickled_keeps_its_name_and_message() -> None:
    with pytest.raises(RuntimeError, match="Unpicklable: of 0"):
        list(ordered_map(unpicklable, range(2), 2, task="fails"))


def test_a_process_that_is_killed_is_one_line_and_no_hang() -> None:
    with pytest.raises(DataError, match=r"a process that simulates ended early \(status -9\): start again"):
        list(simulated(killed, range(2 * CHUNK), 2))


def test_an_interrupt_ends_all_processes() -> None:
    """As Ctrl-C in a terminal does, the signal goes to the whole group."""
    script = (
        "import time; from mmspec_ds.processes import ordered_map\n"
        "for _ in ordered_map(time.sleep, [0.005] * 100_000, 2, task='sleeps', chunk=16):\n"
        "    print('done', flush=True)"
    )
    command = [sys.executable, "-c", script]
    pipe = subprocess.PIPE
    # Who runs in the background inherits that SIGINT is ignored.
    heed = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        command, stdout=pipe, stderr=pipe, text=True, start_new_session=True, preexec_fn=heed
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "done\n"
            os.killpg(process.pid, signal.SIGINT)
            _, told = process.communicate(timeout=60)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode
    assert "KeyboardInterrupt" in told
