"""Parquet files to a folder of shards: encoded, without duplicates, split, with a manifest of checksums.

While it is at work the folder holds `plan.json` and the shards that are done; the manifest appears last, and
with it the folder is whole. A run that was interrupted goes on at the next shard.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mmspec_ds.data.shards.distinct import DistinctMolecules
from mmspec_ds.data.shards.encode import Rejected
from mmspec_ds.data.shards.plan import PLAN, Plan, PrepareSettings, check_same_plan, make_plan, settle_plan
from mmspec_ds.data.shards.rows import Shard, open_shard, write_arrays, write_shard
from mmspec_ds.data.shards.workers import Candidate, candidates, shard_name
from mmspec_ds.data.splits import SPLITS, DrawArray, assign_splits
from mmspec_ds.errors import DataError
from mmspec_ds.files import MANIFEST, entry_of, read_manifest, replacing, to_disk, write_manifest

SPLIT_FILE = "split.safetensors"

Progress = Callable[[int, int], None]
"""Called with the number of rows of the sources that are done, and of all."""


@dataclass(frozen=True)
class PrepareSummary:
    """What a prepared folder holds: molecules of each split, and rows of the sources that are not in it."""

    shards: int
    splits: dict[str, int]
    duplicates: int
    rejected: dict[str, int]
    examples: tuple[str, ...]
    bytes: int


@dataclass
class _Tally:
    """What the shards so far came to."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    seen: DistinctMolecules = field(default_factory=DistinctMolecules)
    duplicates: int = 0
    rejected: Rejected = field(default_factory=Rejected)

    def take(self, shard: Shard, entry: dict[str, Any]) -> None:
        """Count a shard that is in its place."""
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
    """Prepare a folder of shards for training, or go on with one that was begun.

    Of rows with the same molecule (RDKit's canonical SMILES, stereo kept) the first in the order of the files
    is kept, over the whole set. Neither `workers` nor an interruption changes a byte of the result. Memory does
    not depend on the number of rows, but for some 30 bytes a molecule.

    Args:
        files: of the benchmark's schema, in the order that decides which duplicate is kept.
        out: the folder, made if it is not there.
        settings: what to store, and how to divide it.
        skip_invalid: leave rows out that cannot be used, and count them, else refuse them. May be switched on
            for a folder that was begun without.
        workers: processes that encode.
        progress: called after each shard.

    Raises:
        DataError: a file or a row cannot be used, nothing is left, or the folder was begun with other
            arguments.
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
    """What a prepared folder holds, by its manifest.

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


def _shards(plan: Plan, out: Path, skip_invalid: bool, workers: int, progress: Progress | None) -> _Tally:
    """All shards, those that are there already included."""
    ends = np.cumsum([size for task in plan.tasks for size in task.sizes])
    tally = _Tally()
    _sweep(out)  # what a killed process left
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
    for candidate in candidates(plan, out, first, workers=workers, skip_invalid=skip_invalid):
        entry = _commit(candidate, out, tally)
        tally.take(open_shard(out / shard_name(candidate.shard)), entry)
        if progress is not None:
            progress(int(ends[candidate.shard]), plan.rows)
    return tally


def _commit(candidate: Candidate, out: Path, tally: _Tally) -> dict[str, Any]:
    """Give a shard its name, without the molecules that others before it have; its entry in a manifest."""
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
    """Remove what is not a whole shard."""
    for leftover in out.glob(".*"):
        if leftover.suffix in (".candidate", ".partial"):
            leftover.unlink()


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Refuse to work in a folder in which another process is at work.

    Raises:
        DataError: there is one.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise DataError("another process is preparing it", path=folder) from None
    finally:
        os.close(descriptor)
