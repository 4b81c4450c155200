"""Cores and how they are shared: one thread for the products of a molecule, and an ordered map over processes
that holds only a few results at a time, however fast they come."""

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from functools import cache
from multiprocessing import get_context, parent_process
from typing import TypeVar

from threadpoolctl import ThreadpoolController

from mmspec_ds.errors import DataError

CHUNK = 16
"""Items that a process takes at a time: 0.2 s of simulation, so that an interrupt is soon obeyed."""
CHUNKS_AHEAD = 4
"""Chunks for each process that are given out or wait to be taken: with 20 kB a record, 1.3 MB a process."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def one_blas_thread() -> AbstractContextManager[object]:
    """Matrix products on one thread while it lasts.

    A molecule has matrices of some thousand rows: large enough for a BLAS to wake all cores, too small to
    gain by it. On two shared cores, 22 drug-like molecules a second of processor time became 90.
    """
    return _pools().limit(limits=1, user_api="blas")


@cache
def _pools() -> ThreadpoolController:
    """The libraries of this process; finding them takes 5 ms, a limit 0.02 ms."""
    return ThreadpoolController()


def ordered_map(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int
) -> Generator[Result, None, None]:
    """`function` of every item, in their order: in this process with one worker, else over `workers` others.

    What comes does not depend on their number. The function and its results must pickle. No more than
    CHUNKS_AHEAD chunks a process are under way: a slow consumer slows the processes and costs no memory.

    Raises:
        DataError: a process ended early, as one does that the system kills for want of memory.
    """
    if workers <= 1 or len(items) <= CHUNK:
        yield from map(function, items)
        return
    under_way: deque[Future[list[Result]]] = deque()
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_end_with_parent)
    try:
        for start in range(0, len(items), CHUNK):
            if len(under_way) == workers * CHUNKS_AHEAD:
                yield from under_way.popleft().result()
            under_way.append(pool.submit(_all_of, function, items[start : start + CHUNK]))
        while under_way:
            yield from under_way.popleft().result()
    except BrokenProcessPool:
        raise DataError(
            "a process that simulates ended early: start again, with fewer --workers if memory was short"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _all_of(function: Callable[[Item], Result], chunk: Sequence[Item]) -> list[Result]:
    return [function(item) for item in chunk]


def _end_with_parent() -> None:
    """In a process of the pool: watch, in a thread, for the end of a parent that was killed and cannot ask."""
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
