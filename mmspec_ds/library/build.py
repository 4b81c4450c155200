"""Build a library from entries, and add to it.

An addition is valid as a whole or not at all: it is stopped by anything, and the library is what it was.
"""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from mmspec_ds.errors import DataError
from mmspec_ds.files import to_disk
from mmspec_ds.library.duplicates import key_of
from mmspec_ds.library.entry import Embedder, Entry
from mmspec_ds.library.identity import matching_embedders
from mmspec_ds.library.index import update_indexes
from mmspec_ds.library.layout import (
    KEYS,
    LOCK,
    clear_debris,
    load_manifest,
    new_manifest,
    open_array,
    quick_faults,
    save_manifest,
    writing,
)
from mmspec_ds.library.writer import PartWriter
from mmspec_ds.readers.part import Rejected

CHUNK = 512
"""Entries that are held in memory and embedded at a time."""
_EXAMPLES = 5

Progress = Callable[[int], None]


@dataclass
class Added:
    """What became of the entries of one addition.

    Attributes:
        entries: that were added.
        duplicates: that the library, or the same addition, had already.
        without_structure: of those added.
        blank: of those added, by the name of a model: it cannot read them, and their vectors are 0.
        rejected: records of the files that gave no entry; `examples` says why for the first ones.
        passed_over: sound ones that are not used, such as survey scans; `not_used` says why for the first one.
    """

    entries: int = 0
    duplicates: int = 0
    without_structure: int = 0
    blank: dict[str, int] = field(default_factory=dict)
    rejected: int = 0
    passed_over: int = 0
    examples: list[str] = field(default_factory=list)
    not_used: str = ""

    def reject(self, item: Rejected) -> None:
        """Count a record that gave no entry."""
        if not item.fault:
            self.passed_over += 1
            self.not_used = self.not_used or str(item)
            return
        self.rejected += 1
        if len(self.examples) < _EXAMPLES:
            self.examples.append(str(item))


def build_library(
    folder: Path,
    entries: Iterable[Entry | Rejected],
    embedders: Sequence[Embedder] = (),
    progress: Progress | None = None,
) -> Added:
    """Make a new library. It appears under its name when it is complete.

    Args:
        folder: where nothing is yet, or an empty folder.
        entries: in any number; a chunk at a time is held in memory.
        embedders: the models whose vectors are stored, none for a library that is searched by peaks alone.
        progress: called with the number of entries that were read.

    Raises:
        DataError: there is something at `folder`, it cannot be written, no entry is left, or one of the
            entries cannot be stored.
    """
    if not folder.name:  # "." or "/"
        raise DataError("expected the name of a new folder", path=folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError("exists already: expected the name of a new folder, or use `library add`", path=folder)
    partial = folder.with_name(f".{folder.name}.partial")
    try:
        partial.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror}", path=folder) from None
    with writing(partial):
        for old in partial.iterdir():
            if old.name != LOCK:
                old.unlink()
        try:
            added = _append(partial, _with_embedders(new_manifest(), embedders), entries, embedders, progress)
            if not added.entries:
                raise DataError(f"no entry for a library: {_nothing(added)}", path=folder)
            os.replace(partial, folder)
            to_disk(folder.parent)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    return added


def add_to_library(
    folder: Path,
    entries: Iterable[Entry | Rejected],
    embedders: Sequence[Embedder] = (),
    progress: Progress | None = None,
) -> Added:
    """Add entries to a library, after its last one; rows that were there keep their numbers.

    Arguments as for `build_library`; `embedders` must be the models of the library, in any order.

    Raises:
        DataError: there is no library, its files are not whole, another process writes it, it was built with
            other models, or one of the entries cannot be stored.
    """
    load_manifest(folder)
    with writing(folder):
        manifest = load_manifest(folder)
        for line in quick_faults(folder, manifest):
            raise DataError(line)
        chosen = matching_embedders(folder, manifest, embedders)
        clear_debris(folder, manifest)
        added = Added()
        try:
            added = _append(folder, manifest, entries, chosen, progress)
        finally:
            if not added.entries:
                clear_debris(folder, manifest)
        return added


def _with_embedders(manifest: dict[str, Any], embedders: Sequence[Embedder]) -> dict[str, Any]:
    names = Counter(one.name for one in embedders)
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise DataError(f"two models are named {twice[0]!r}, expected models of different names")
    for number, one in enumerate(embedders):
        file = f"vectors-{number}.f32"
        about = {"name": one.name, "identity": one.identity, "width": one.width, "file": file}
        manifest["embedders"].append(about)
        manifest["arrays"][file] = []
    return manifest


def _append(
    folder: Path,
    manifest: dict[str, Any],
    entries: Iterable[Entry | Rejected],
    embedders: Sequence[Embedder],
    progress: Progress | None,
) -> Added:
    added, read = Added(), 0
    seen = set(np.asarray(open_array(folder, manifest, KEYS)).tolist())
    source = iter(entries)
    with PartWriter(folder, manifest, embedders) as writer:
        while chunk := list(islice(source, CHUNK)):
            read += len(chunk)
            fresh: list[Entry] = []
            hashes: list[int] = []
            for item in chunk:
                if isinstance(item, Rejected):
                    added.reject(item)
                elif (key := key_of(item)) in seen:
                    added.duplicates += 1
                else:
                    seen.add(key)
                    fresh.append(item)
                    hashes.append(key)
            _write(folder, writer, fresh, hashes)
            added.without_structure += sum(not one.block for one in fresh)
            if progress is not None:
                progress(read)
    added.entries = writer.entries
    added.blank = {one.name: count for one, count in zip(embedders, writer.blank) if count}
    if added.entries:
        manifest = update_indexes(folder, writer.finish())
        save_manifest(folder, manifest)
    return added


def _write(folder: Path, writer: PartWriter, entries: Sequence[Entry], keys: Sequence[int]) -> None:
    if not entries:
        return
    try:
        writer.write(entries, keys)
    except ValueError as error:
        raise DataError(f"an entry cannot be stored: {error}", path=folder) from None
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror or error}", path=folder) from None


def _nothing(added: Added) -> str:
    if not added.rejected + added.passed_over:
        return "the files hold no spectrum that was asked for"
    why = added.examples[0] if added.examples else added.not_used
    return f"{added.rejected:,} at fault and {added.passed_over:,} of no use, for instance {why}"
