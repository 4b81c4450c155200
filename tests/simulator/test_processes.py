"""The ordered map over processes: order, few results ahead, errors and dead processes."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from rdkit import Chem
from threadpoolctl import ThreadpoolController

from mmspec_ds.errors import DataError
from mmspec_ds.simulator import tandem
from mmspec_ds.simulator.fragmentation import BoolMatrix
from mmspec_ds.simulator.processes import CHUNK, CHUNKS_AHEAD, one_blas_thread, ordered_map
from mmspec_ds.simulator.simulate import simulate_record


def marked(folder: Path, item: int) -> int:
    (folder / str(item)).touch()
    return item * item


def refused(item: int) -> int:
    raise ValueError(f"not {item}")


def killed(item: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return item


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_items(workers: int, tmp_path: Path) -> None:
    items = range(5 * CHUNK + 3)
    found = list(ordered_map(partial(marked, tmp_path), items, workers))
    assert found == [item * item for item in items]


def test_a_slow_consumer_holds_the_processes_back(tmp_path: Path) -> None:
    """Of 40 chunks no more are begun than may be under way, however long nobody takes a result."""
    made = ordered_map(partial(marked, tmp_path), range(40 * CHUNK), 2)
    assert next(made) == 0
    most = (2 * CHUNKS_AHEAD + 1) * CHUNK
    deadline = time.monotonic() + 20
    while len(list(tmp_path.iterdir())) < 2 * CHUNKS_AHEAD * CHUNK and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    begun = len(list(tmp_path.iterdir()))
    made.close()
    assert 2 * CHUNKS_AHEAD * CHUNK <= begun <= most


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_an_item_is_the_callers(workers: int) -> None:
    with pytest.raises(ValueError, match="not 0"):
        list(ordered_map(refused, range(2 * CHUNK), workers))


def test_a_process_that_is_killed_is_one_line_and_no_hang() -> None:
    with pytest.raises(DataError, match="ended early: start again, with fewer --workers"):
        list(ordered_map(killed, range(2 * CHUNK), 2))


def test_an_interrupt_ends_all_processes() -> None:
    """As Ctrl-C in a terminal does, the signal goes to the whole group."""
    script = (
        "import time; from mmspec_ds.simulator.processes import ordered_map\n"
        "for _ in ordered_map(time.sleep, [0.005] * 100_000, 2): print('done', flush=True)"
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


def blas_threads() -> set[int]:
    return {library["num_threads"] for library in ThreadpoolController().select(user_api="blas").info()}


def test_one_thread_while_it_lasts_and_as_many_as_before_afterwards() -> None:
    with ThreadpoolController().limit(limits=2, user_api="blas"):
        before = blas_threads()
        with one_blas_thread():
            assert blas_threads() == {1}
        assert blas_threads() == before != {1}


def test_fragments_are_scored_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[set[int]] = []
    real = tandem.fragments

    def noted(mol: Chem.Mol) -> BoolMatrix:
        seen.append(blas_threads())
        return real(mol)

    monkeypatch.setattr(tandem, "fragments", noted)
    with ThreadpoolController().limit(limits=2, user_api="blas"):
        simulate_record("CCO")
    assert seen == [{1}]
