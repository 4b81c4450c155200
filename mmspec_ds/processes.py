"""A pool of processes that maps a function over items: results come in order, and few are held in memory. And
what tells machines that share a folder apart."""

import os
import pickle
import signal
import socket
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess
from multiprocessing.queues import Queue
from pathlib import Path
from queue import Empty
from typing import Any, NamedTuple, TypeAlias, TypeVar

from mmspec_ds.errors import DataError

ITEMS_AHEAD = 4
"""Items for each process that are handed out before the results of the first are taken."""
_SECONDS_BETWEEN_CHECKS = 1.0

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Message(NamedTuple):
    """What a process sends: a pickled result of an item, or its end, with the pickled error if one ended it."""

    item: int
    is_end: bool
    content: bytes | None


_Todo: TypeAlias = "Queue[tuple[int, Any]]"
_Messages: TypeAlias = "Queue[_Message]"


def ordered_stream(
    function: Callable[[Item], Iterable[Result]], items: Sequence[Item], workers: int, *, task: str
) -> Generator[Result, None, None]:
    """The results of `function(item)` one by one, in the order of the items.

    With one worker, or one item, everything runs in this process; else in `workers` others, with the same
    results. The function, the items, the results and errors are pickled. At most ITEMS_AHEAD items for each
    process are under way, so a slow consumer slows the processes and costs no memory.

    Args:
        function: a function of a module that other processes can import.
        items: what it is called with.
        workers: the number of processes.
        task: what the processes do, for the error message, for instance "simulates".

    Raises:
        DataError: a process ended early, for instance because the system had too little memory.
        Exception: the first error of `function`, in the order of the items.
    """
    if workers <= 1 or len(items) <= 1:
        for item in items:
            yield from function(item)
        return
    waiting: defaultdict[int, deque[_Message]] = defaultdict(deque)
    workers, handed_out = min(workers, len(items)), 0
    with _processes(function, workers) as (todo, messages, processes):
        for current in range(len(items)):
            while handed_out < min(len(items), current + workers * ITEMS_AHEAD):
                todo.put((handed_out, items[handed_out]))
                handed_out += 1
            while True:
                while not waiting[current]:
                    message = _next_message(messages, processes, task)
                    waiting[message.item].append(message)
                _, is_end, content = waiting[current].popleft()
                if not is_end:
                    yield pickle.loads(content or b"")
                elif content is not None:
                    raise pickle.loads(content)
                else:
                    break
            del waiting[current]


def ordered_map(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int, *, task: str, chunk: int = 1
) -> Generator[Result, None, None]:
    """`function(item)` for each item, in order, as `ordered_stream` gives them. A process takes `chunk` items
    at a time."""
    chunks = [items[start : start + chunk] for start in range(0, len(items), chunk)]
    each: Callable[[Sequence[Item]], Iterable[Result]] = partial(map, function)  # a closure cannot be pickled
    return ordered_stream(each, chunks, workers, task=task)


def _next_message(messages: _Messages, processes: Sequence[BaseProcess], task: str) -> _Message:
    while True:
        ended = [process.exitcode for process in processes if process.exitcode is not None]
        try:
            return messages.get(timeout=_SECONDS_BETWEEN_CHECKS)
        except Empty:
            if ended:
                raise DataError(
                    f"a process that {task} ended early (status {ended[0]}): start again with the same"
                    " arguments, and with fewer --workers if memory was short"
                ) from None


@contextmanager
def _processes(
    function: Callable[[Any], Iterable[Any]], count: int
) -> Iterator[tuple[_Todo, _Messages, list[BaseProcess]]]:
    """Started processes with the queues of their items and messages; the processes are ended afterwards."""
    context = get_context("spawn")
    todo: _Todo = context.Queue()
    messages: _Messages = context.Queue()
    processes: list[BaseProcess] = [
        context.Process(target=_serve, args=(function, todo, messages), daemon=True) for _ in range(count)
    ]
    try:
        for process in processes:
            process.start()
        yield todo, messages, processes
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()
        todo.cancel_join_thread()


def _serve(function: Callable[[Any], Iterable[Any]], todo: _Todo, messages: _Messages) -> None:
    """The work of one process: item after item until it is terminated or its parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the parent's to handle: it ends this process
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        number, item = todo.get()
        try:
            for result in function(item):
                messages.put(_Message(number, False, pickle.dumps(result)))
            messages.put(_Message(number, True, None))
        except Exception as error:
            messages.put(_Message(number, True, _pickled(error)))


def _pickled(error: Exception) -> bytes:
    """The error, or one with its message where its class cannot be pickled."""
    try:
        content = pickle.dumps(error)
        pickle.loads(content)
    except Exception:
        return pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))
    return content


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def this_machine() -> str:
    """This machine since it was started, and the container whose process numbers we see: where two are equal, a
    process number means the same process."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts += [Path("/proc/sys/kernel/random/boot_id").read_text().strip(), os.readlink("/proc/self/ns/pid")]
    return " ".join(parts)
