"""Processes that encode tasks and leave each shard under a provisional name, for the one that commits them."""

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess
from multiprocessing.queues import Queue, SimpleQueue
from pathlib import Path
from queue import Empty
from typing import Any, TypeAlias

from mmspec_ds.data.shards.distinct import HashArray
from mmspec_ds.data.shards.encode import encode_task
from mmspec_ds.data.shards.plan import Plan, Task
from mmspec_ds.data.shards.rows import write_shard
from mmspec_ds.errors import DataError
from mmspec_ds.files import entry_of, to_disk

_SECONDS_BETWEEN_LOOKS = 1.0


@dataclass(frozen=True)
class Candidate:
    """A shard that is written, but not yet taken: what is in it, and what a manifest would say of the file."""

    shard: int
    path: Path
    molecules: HashArray
    entry: dict[str, Any]


@dataclass(frozen=True)
class Failed:
    """Why a task ended before its end."""

    shard: int
    error: DataError


Results: TypeAlias = "Queue[Candidate | Failed]"


def shard_name(shard: int) -> str:
    """The file of a shard."""
    return f"shard-{shard:06d}.safetensors"


@dataclass(frozen=True)
class Work:
    """What every process is told. `owner` is the process that commits: a worker of one that was killed may
    still write for a moment, and must not write where another's does."""

    plan: Plan
    folder: Path
    first_shard: int
    skip_invalid: bool
    owner: int

    def candidate_path(self, shard: int) -> Path:
        """The provisional name of a shard."""
        return self.folder / f".{shard_name(shard)}.{self.owner}.candidate"


def candidates(
    plan: Plan, folder: Path, first_shard: int, *, workers: int, skip_invalid: bool
) -> Iterator[Candidate]:
    """The shards from `first_shard` on, in their order, encoded by `workers` processes.

    Raises:
        DataError: a row or a file cannot be used; of several faults the first in the order of the files.
    """
    work = Work(plan, folder, first_shard, skip_invalid, os.getpid())
    tasks = [task for task in plan.tasks if task.shards.stop > first_shard]
    if workers <= 1 or len(tasks) <= 1:
        for task in tasks:
            yield from _encoded(work, task)
        return
    waiting: dict[int, Candidate | Failed] = {}
    with _processes(work, tasks, min(workers, len(tasks))) as (results, processes):
        for shard in range(first_shard, plan.shards):
            while shard not in waiting:
                result = _next_result(results, processes)
                waiting[result.shard] = result
            result = waiting.pop(shard)
            if isinstance(result, Failed):
                raise result.error
            yield result


def _encoded(work: Work, task: Task) -> Iterator[Candidate]:
    for shard, encoded in encode_task(work.plan, task, work.first_shard, skip_invalid=work.skip_invalid):
        path = work.candidate_path(shard)
        rejected = encoded.rejected
        about = {"rejected": rejected.counts, "examples": rejected.examples, "duplicates": 0}
        write_shard(path, encoded.rows, encoded.words, **about)
        to_disk(path)
        yield Candidate(shard, path, encoded.rows.molecule, entry_of(path))


def _next_result(results: Results, processes: list[BaseProcess]) -> Candidate | Failed:
    """What some process has done next; a process that died is noticed."""
    while True:
        dead = [process.exitcode for process in processes if process.exitcode]
        idle = not any(process.is_alive() for process in processes)
        try:
            return results.get(timeout=_SECONDS_BETWEEN_LOOKS)
        except Empty:
            if dead or idle:
                raise DataError(
                    f"a process that encodes ended early (status {dead[0] if dead else 0}): start again with"
                    " the same arguments, and with fewer --workers if memory was short"
                ) from None


@contextmanager
def _processes(work: Work, tasks: Iterable[Task], count: int) -> Iterator[tuple[Results, list[BaseProcess]]]:
    """Started processes, and the queue of what they have done; ended afterwards, whatever happened."""
    context = get_context("spawn")
    results: Results = context.Queue()
    todo: SimpleQueue[Task | None] = context.SimpleQueue()
    processes: list[BaseProcess] = [
        context.Process(target=_serve, args=(work, todo, results), daemon=True) for _ in range(count)
    ]
    feeder = threading.Thread(target=_feed, args=(todo, [*tasks, *[None] * count]), daemon=True)
    try:
        for process in processes:
            process.start()
        feeder.start()
        yield results, processes
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()


def _feed(todo: "SimpleQueue[Task | None]", tasks: Iterable[Task | None]) -> None:
    """In a thread: a pipe holds only so many tasks at a time."""
    for task in tasks:
        todo.put(task)


def _serve(work: Work, todo: "SimpleQueue[Task | None]", results: Results) -> None:
    """In a process of its own: task after task until there is none, or until the parent is gone."""
    threading.Thread(target=_follow_parent, daemon=True).start()
    while (task := todo.get()) is not None:
        shard = max(task.first_shard, work.first_shard)
        try:
            for candidate in _encoded(work, task):
                results.put(candidate)
                shard = candidate.shard + 1
        except DataError as error:
            results.put(Failed(shard, DataError(str(error))))
        except OSError as error:
            results.put(Failed(shard, DataError(f"cannot be written: {error}", path=work.folder)))


def _follow_parent() -> None:
    """End when the parent does: one that is killed cannot ask for it."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
