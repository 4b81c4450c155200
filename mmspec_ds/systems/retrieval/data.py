"""What a retrieval model learns from: the encoded records of known molecules, in memory.

Axes: N records, M molecules, X bytes of a fingerprint.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.library.entries import matches, read_entries
from mmspec_ds.library.entry import Entry
from mmspec_ds.molecules.fingerprints import ByteArray, morgan_fingerprints
from mmspec_ds.readers.part import Rejected
from mmspec_ds.spectra.packed import IntArray
from mmspec_ds.systems.retrieval.model import Encoding, Rows
from mmspec_ds.systems.retrieval.run_settings import RetrievalData

ENCODED_AT_ONCE = 1024


@dataclass(frozen=True)
class MoleculeSpectra:
    """Records of known molecules.

    Attributes:
        rows: what the model reads of each, N.
        molecule_N: the number of its molecule, int64.
        blocks: first block of the InChIKey of each molecule, M.
        fingerprint_MX: packed Morgan fingerprints of the molecules, uint8.
        remarks: what was left out, with the number of records.
    """

    rows: Rows
    molecule_N: IntArray
    blocks: tuple[str, ...]
    fingerprint_MX: ByteArray
    remarks: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.molecule_N)


@dataclass(frozen=True)
class RetrievalSets:
    """What a run learns from and is measured on."""

    train: MoleculeSpectra
    validation: MoleculeSpectra


class Collector:
    """Encodes entries as they come, and keeps no record.

    Args:
        encoding: makes rows of records.
    """

    def __init__(self, encoding: Encoding[Any]) -> None:
        self._encoding, self._waiting, self._parts = encoding, list[Entry](), list[Any]()
        self._molecules, self._numbers = dict[str, int](), list[int]()
        self._smiles, self._remarks = list[str](), dict[str, int]()

    def add(self, entry: Entry) -> None:
        """One entry; it counts if its structure is known and the model can read it."""
        if not entry.block or entry.record.smiles is None:
            self.remark("records without a structure")
            return
        self._waiting.append(entry)
        if len(self._waiting) == ENCODED_AT_ONCE:
            self._encode()

    def remark(self, what: str, count: int = 1) -> None:
        """Count records that are left out."""
        self._remarks[what] = self._remarks.get(what, 0) + count

    def finish(self, where: str) -> MoleculeSpectra:
        """All that was added.

        Raises:
            DataError: no record is left; `where` says of what.
        """
        self._encode()
        if not self._numbers:
            left = ", ".join(f"{count} {what}" for what, count in self._remarks.items())
            raise DataError(f"{where}: no record to use{': ' + left if left else ''}")
        return MoleculeSpectra(
            rows=self._encoding.joined(self._parts),
            molecule_N=np.array(self._numbers, dtype=np.int64),
            blocks=tuple(self._molecules),
            fingerprint_MX=morgan_fingerprints(self._smiles),
            remarks=self._remarks,
        )

    def _encode(self) -> None:
        entries, self._waiting = self._waiting, []
        if not entries:
            return
        rows = self._encoding.encode([entry.record for entry in entries])
        read = rows.lengths > 0
        if not read.all():
            self.remark("records without a spectrum that the model reads", int((~read).sum()))
        self._parts.append(rows.subset(np.flatnonzero(read)))
        for entry in (one for one, kept in zip(entries, read) if kept):
            number = self._molecules.setdefault(entry.block, len(self._molecules))
            if number == len(self._smiles):
                assert entry.record.smiles is not None
                self._smiles.append(entry.record.smiles)
            self._numbers.append(number)


def collected(entries: Iterable[Entry], encoding: Encoding[Any]) -> MoleculeSpectra:
    """The records of some entries.

    Raises:
        DataError: none of them can be used.
    """
    collector = Collector(encoding)
    for entry in entries:
        collector.add(entry)
    return collector.finish("the entries")


def read_sets(
    settings: RetrievalData, encoding: Encoding[Any], progress: Callable[[int], None] | None = None
) -> RetrievalSets:
    """Everything that a run reads.

    Held back are the records of `validation`, or those of `train` that `validation_where` chooses, or a part of
    the molecules that a hash of their InChIKey block decides.

    Args:
        settings: the `data` block.
        encoding: makes rows of records.
        progress: told how many records are read.

    Raises:
        ConfigError: no training file is named.
        DataError: a file cannot be read, a side is empty, or a molecule is on both sides.
    """
    if not settings.train:
        raise ConfigError("data.train names no file to learn from")
    train, held_back = Collector(encoding), Collector(encoding)
    reader = _Reader(progress)
    for entry in reader.entries(settings.train, train):
        held = settings.is_held_back(entry)
        if held is not None:
            (held_back if held else train).add(entry)
    for entry in reader.entries(settings.validation, held_back):
        if matches(entry.metadata, settings.validation_where):
            held_back.add(entry)
    sets = RetrievalSets(train.finish("data.train"), held_back.finish("the held-back part"))
    settings.check_shared(sets.train.blocks, sets.validation.blocks)
    return sets


class _Reader:
    """Reads entries and counts them."""

    def __init__(self, progress: Callable[[int], None] | None) -> None:
        self._progress, self._read = progress, 0

    def entries(self, paths: Sequence[Path], collector: Collector) -> Iterator[Entry]:
        for item in read_entries(paths) if paths else ():
            if isinstance(item, Rejected):
                collector.remark("records that cannot be used")
                continue
            self._read += 1
            if self._progress is not None and self._read % ENCODED_AT_ONCE == 0:
                self._progress(self._read)
            yield item
        if self._progress is not None:
            self._progress(self._read)
