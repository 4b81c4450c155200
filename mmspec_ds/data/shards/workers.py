"""Processes that encode tasks and leave each shard under a provisional name, for the one that commits them."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mmspec_ds.data.shards.distinct import HashArray
from mmspec_ds.data.shards.encode import encode_task
from mmspec_ds.data.shards.plan import Plan, Task
from mmspec_ds.data.shards.rows import write_shard
from mmspec_ds.errors import DataError
from mmspec_ds.files import entry_of, to_disk
from mmspec_ds.processes import ordered_stream


@dataclass(frozen=True)
class Candidate:
    """A shard that is written, but not yet taken: what is in it, and what a manifest would say of the file."""

    shard: int
    path: Path
    molecules: HashArray
    entry: dict[str, Any]


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
    yield from ordered_stream(partial(_encoded, work), tasks, workers, task="encodes")


def _encoded(work: Work, task: Task) -> Iterator[Candidate]:
    for shard, encoded in encode_task(work.plan, task, work.first_shard, skip_invalid=work.skip_invalid):
        path = work.candidate_path(shard)
        rejected = encoded.rejected
        about = {"rejected": rejected.counts, "examples": rejected.examples, "duplicates": 0}
        try:
            write_shard(path, encoded.rows, encoded.words, **about)
            to_disk(path)
            entry = entry_of(path)
        except OSError as error:
            raise DataError(f"cannot be written: {error}", path=work.folder) from None
        yield Candidate(shard, path, encoded.rows.molecule, entry)
