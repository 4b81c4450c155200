"""Encode parquet files into a folder of shards, without duplicates, divided into splits.

During preparation the folder holds `plan.json` and the finished shards. The manifest, with the checksums of all
files, is written last and marks the folder as complete. An interrupted run continues at the next shard.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mmspec_ds.data.shards.distinct import DistinctMolecules, HashArray
from mmspec_ds.data.shards.encode import Rejected, encode_task
from mmspec_ds.data.shards.plan import (
    PLAN,
    Plan,
    PrepareSettings,
    Task,
    check_same_plan,
    make_plan,
    settle_plan,
)
from mmspec_ds.data.shards.rows import Shard, open_shard, write_arrays, write_shard
from mmspec_ds.errors import DataError
from mmspec_ds.files import MANIFEST, entry_of, read_manifest, replacing, to_disk, write_manifest
from mmspec_ds.molecules.splits import SPLITS, DrawArray, assign_splits
from mmspec_ds.processes import ordered_stream

SPLIT_FILE = "split.safetensors"

Progress = Callable[[int, int], None]
"""Called with the number of source rows done so far and the number of all source rows."""


@dataclass(frozen=True)
class PrepareSummary:
    """Counts of a prepared folder: molecules of each split, and source rows that were left out."""

    shards: int
    splits: dict[str, int]
    duplicates: int
    rejected: dict[str, int]
    examples: tuple[str, ...]
    bytes: int


@dataclass(frozen=True)
class _Candidate:
    """A shard that is encoded and written under a provisional name; `entry` is for the manifest."""

    shard: int
    path: Path
    molecules: HashArray
    entry: dict[str, Any]


@dataclass
class _Tally:
    """Counts over the finished shards."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    seen: DistinctMolecules = field(default_factory=DistinctMolecules)
    duplicates: int = 0
    rejected: Rejected = field(default_factory=Rejected)

    def take(self, shard: Shard, entry: dict[str, Any]) -> None:
        """Add a finished shard: its entry of the manifest, and its counts of duplicates and rejected rows."""
        self.entries.append({**entry, "rows": len(shard.rows)})
        self.duplicates += shard.about["duplicates"]
        for column, count in shard.about["rejected"].items():
            self.rejected.counts[column] = self.rejected.counts.get(column, 0) + count
        self.rejected.examples = [*self.rejected.examples, *shard.about["examples"]][: Rejected.KEPT]


def prepare_shards(
    files: Sequence[Path],
    out: Path,
    settings: PrepareSettings | None = None,
    *,
    skip_invalid: bool = False,
    workers: int = 1,
    progress: Progress | None = None,
) -> PrepareSummary:
    """Prepare a folder of shards for training, or continue an interrupted preparation.

    Of rows with the same molecule (RDKit's canonical SMILES with stereochemistry) the first in the order of the
    files is kept. The result is the same to the byte for any number of workers and after any interruption.
    Memory grows by about 30 bytes a molecule.

    Args:
        files: parquet files of the benchmark's schema; their order decides which duplicate is kept.
        out: the folder; created if it does not exist.
        settings: what to store, and how to divide it.
        skip_invalid: leave out and count rows that cannot be used, else refuse them. May be switched
            on to continue a preparation that was begun without.
        workers: the number of encoding processes.
        progress: called after each shard.

    Raises:
        DataError: a file or row cannot be used, no row is left, or the folder was begun with other arguments.
    """
    plan = make_plan(files, PrepareSettings() if settings is None else settings)
    out.mkdir(parents=True, exist_ok=True)
    with _alone_in(out):
        if (out / MANIFEST).exists():
            check_same_plan(read_manifest(out), plan.description(), out)
        else:
            settle_plan(out, plan)
            try:
                tally = _shards(plan, out, skip_invalid, workers, progress)
            finally:
                _sweep(out)
            _finish(plan, out, tally)
        (out / PLAN).unlink(missing_ok=True)
        return summary_of(out)


def summary_of(folder: Path) -> PrepareSummary:
    """The counts of a prepared folder, from its manifest.

    Raises:
        DataError: the manifest is missing or damaged.
    """
    manifest = read_manifest(folder)
    counts = manifest["counts"]
    return PrepareSummary(
        shards=len(manifest["shards"]),
        splits={name: counts[name] for name in SPLITS},
        duplicates=counts["duplicates"],
        rejected=counts["rejected"],
        examples=tuple(manifest["examples"]),
        bytes=sum(entry["bytes"] for entry in manifest["files"].values()),
    )


def shard_name(shard: int) -> str:
    """The file name of a shard."""
    return f"shard-{shard:06d}.safetensors"


def _encoded(
    plan: Plan, folder: Path, first_shard: int, skip_invalid: bool, owner: int, task: Task
) -> Iterator[_Candidate]:
    """Encode the shards of a task, in a worker process.

    `owner` is the id of the process that gives the shards their names. It is part of the provisional names: a
    worker of a killed process may still write for a moment, and must not write to the same file as another.
    """
    for shard, encoded in encode_task(plan, task, first_shard, skip_invalid=skip_invalid):
        path = folder / f".{shard_name(shard)}.{owner}.candidate"
        rejected = encoded.rejected
        about = {"rejected": rejected.counts, "examples": rejected.examples, "duplicates": 0}
        try:
            write_shard(path, encoded.rows, encoded.words, **about)
            to_disk(path)
            entry = entry_of(path)
        except OSError as error:
            raise DataError(f"cannot be written: {error}", path=folder) from None
        yield _Candidate(shard, path, encoded.rows.molecule, entry)


def _shards(plan: Plan, out: Path, skip_invalid: bool, workers: int, progress: Progress | None) -> _Tally:
    """Encode the shards that do not exist yet; return the counts over all."""
    ends = np.cumsum([size for task in plan.tasks for size in task.sizes])
    tally = _Tally()
    _sweep(out)  # files of a killed process
    for number in range(plan.shards):
        path = out / shard_name(number)
        if not path.exists():
            break
        shard = open_shard(path)
        tally.seen.add(shard.rows.molecule)
        tally.take(shard, entry_of(path))
    first = len(tally.entries)
    if progress is not None:
        progress(int(ends[first - 1]) if first else 0, plan.rows)
    tasks = [task for task in plan.tasks if task.shards.stop > first]
    encoded = partial(_encoded, plan, out, first, skip_invalid, os.getpid())
    for candidate in ordered_stream(encoded, tasks, workers, task="encodes"):
        entry = _commit(candidate, out, tally)
        tally.take(open_shard(out / shard_name(candidate.shard)), entry)
        if progress is not None:
            progress(int(ends[candidate.shard]), plan.rows)
    return tally


def _commit(candidate: _Candidate, out: Path, tally: _Tally) -> dict[str, Any]:
    """Drop the molecules that earlier shards have and give the shard its name; return its manifest entry."""
    path, entry = out / shard_name(candidate.shard), candidate.entry
    new = tally.seen.add(candidate.molecules)
    if new.all():
        os.replace(candidate.path, path)
    else:
        shard = open_shard(candidate.path)
        about = {**shard.about, "duplicates": int(np.count_nonzero(~new))}
        with replacing(path) as partial:
            write_shard(partial, shard.rows.subset(np.flatnonzero(new)), shard.words, **about)
        candidate.path.unlink()
        entry = entry_of(path)
    to_disk(out)
    return entry


def _finish(plan: Plan, out: Path, tally: _Tally) -> None:
    """Write the splits and the manifest."""
    names = [shard_name(number) for number in range(len(tally.entries))]
    rejected = sum(tally.rejected.counts.values())
    if not len(tally.seen):
        why = f", the first because {tally.rejected.examples[0]}" if tally.rejected.examples else ""
        raise DataError(f"no usable row in {plan.rows:,}: {rejected:,} rejected{why}")
    draws: list[DrawArray] = [open_shard(out / name).rows.draw for name in names]
    split_N = assign_splits(plan.settings.split, np.concatenate(draws))
    with replacing(out / SPLIT_FILE) as partial:
        write_arrays(partial, {"split": split_N}, {})
    files = {
        name: {key: entry[key] for key in ("bytes", "sha256")} for name, entry in zip(names, tally.entries)
    }
    counts = {name: int(np.count_nonzero(split_N == number)) for number, name in enumerate(SPLITS)}
    write_manifest(
        out,
        {**files, SPLIT_FILE: entry_of(out / SPLIT_FILE)},
        **plan.description(),
        shards=[{"file": name, "rows": entry["rows"]} for name, entry in zip(names, tally.entries)],
        counts={
            "rows": plan.rows,
            **counts,
            "duplicates": tally.duplicates,
            "rejected": dict(sorted(tally.rejected.counts.items())),
        },
        examples=tally.rejected.examples,
    )


def _sweep(out: Path) -> None:
    """Remove unfinished files."""
    for leftover in out.glob(".*"):
        if leftover.suffix in (".candidate", ".partial"):
            leftover.unlink()


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Lock a folder against other processes.

    Raises:
        DataError: another process has locked it.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise DataError("another process is preparing it", path=folder) from None
    finally:
        os.close(descriptor)
