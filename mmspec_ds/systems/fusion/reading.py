"""Records of files as what a fusion model learns from, with the functional groups of their structures.

Axes: N samples, C groups.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.library.entries import matches, read_entries
from mmspec_ds.library.entry import Entry
from mmspec_ds.molecules.functional_groups import GROUPS, groups_of
from mmspec_ds.readers.part import Rejected
from mmspec_ds.spectra.records import Modality, Record
from mmspec_ds.systems.fusion.data import FusionData, FusionSets
from mmspec_ds.systems.fusion.run_settings import FusionRun
from mmspec_ds.systems.fusion.schema import Kind, Schema
from mmspec_ds.systems.fusion.tokens import Points, TokenSettings, of_records

AT_ONCE = 1024


class Collector:
    """Makes tokens of records as they come, and keeps no record.

    Args:
        modalities: the kinds of spectra to read.
        settings: of tokens.
        told: whether a structure is needed.
    """

    def __init__(self, modalities: Sequence[Modality], settings: TokenSettings, *, told: bool) -> None:
        self._modalities, self._settings, self._told = modalities, settings, told
        self._waiting, self._parts = list[Entry](), list[list[Points]]()
        self._ids, self._blocks, self._found = list[str](), list[str](), list[tuple[str, ...]]()
        self._known: dict[str, tuple[str, ...]] = {}
        self._remarks = dict[str, int]()

    def add(self, entry: Entry) -> None:
        """One entry; it counts if it has a spectrum, and a structure where that is needed."""
        if self._told and (not entry.block or entry.record.smiles is None):
            self.remark("records without a structure")
            return
        if not any(True for one in self._modalities for _ in entry.record.of(one)):
            self.remark("records without a spectrum that the model reads")
            return
        self._waiting.append(entry)
        if len(self._waiting) == AT_ONCE:
            self._encode()

    def remark(self, what: str) -> None:
        """Count a record that is left out."""
        self._remarks[what] = self._remarks.get(what, 0) + 1

    def finish(self, where: str) -> tuple[FusionData, list[tuple[str, ...]]]:
        """All that was added, without targets, and the functional groups of each.

        Raises:
            DataError: no record is left; `where` says of what.
        """
        self._encode()
        if not self._ids:
            left = ", ".join(f"{count} {what}" for what, count in self._remarks.items())
            raise DataError(f"{where}: no record to use{': ' + left if left else ''}")
        pieces = tuple(Points.joined(one) for one in zip(*self._parts))
        target_NC = np.zeros((len(self._ids), 0), dtype=np.float32)
        remarks = tuple(f"{what}: {count}" for what, count in self._remarks.items())
        data = FusionData(tuple(self._ids), pieces, target_NC, tuple(self._blocks), remarks)
        return data, self._found

    def _encode(self) -> None:
        entries, self._waiting = self._waiting, []
        if not entries:
            return
        records = [one.record for one in entries]
        self._parts.append([of_records(records, one, self._settings) for one in self._modalities])
        for entry in entries:
            self._ids.append(entry.record.id)
            self._blocks.append(entry.block or entry.record.id)
            self._found.append(self._groups(entry))

    def _groups(self, entry: Entry) -> tuple[str, ...]:
        if not self._told:
            return ()
        if entry.block not in self._known:
            assert entry.record.smiles is not None
            self._known[entry.block] = groups_of(entry.record.smiles)
        return self._known[entry.block]


def frequent_groups(found: Iterable[tuple[str, ...]], count: int) -> tuple[str, ...]:
    """The functional groups that the most records have, at most `count`, in the order of `GROUPS`; not those
    that all or none have.

    Raises:
        DataError: there is no such group.
    """
    everything = [set(one) for one in found]
    times = {group.name: sum(group.name in one for one in everything) for group in GROUPS}
    usable = [name for name, number in times.items() if 0 < number < len(everything)]
    if not usable:
        raise DataError("all records have the same functional groups: expected some that differ")
    chosen = set(sorted(usable, key=lambda name: -times[name])[:count])
    return tuple(group.name for group in GROUPS if group.name in chosen)


def read_spectra(
    run: FusionRun, schema: Schema | None = None, progress: Callable[[int], None] | None = None
) -> FusionSets:
    """Everything that a run of files of spectra reads.

    Held back are the records of `validation`, or those of `train` that `validation_where` chooses, or a part of
    the molecules that a hash of their InChIKey block decides.

    Args:
        run: the settings.
        schema: of the weights that the run begins with, whose groups are told; without, those of the records.
        progress: told how many records are read.

    Raises:
        ConfigError: no training file is named.
        DataError: a file cannot be read, a side is empty, or a molecule is on both sides.
    """
    settings, told = run.data, run.objective.kind == "classify"
    if not settings.train:
        raise ConfigError("data.train names no file to learn from")
    modalities = settings.chosen_modalities()
    sides = [Collector(modalities, run.tokens, told=told) for _ in range(2)]
    count = 0
    for files, of_train in ((settings.train, True), (settings.validation, False)):
        for item in read_entries(files) if files else ():
            if isinstance(item, Rejected):
                sides[0].remark("records that cannot be used")
                continue
            count += 1
            if progress is not None and count % AT_ONCE == 0:
                progress(count)
            held: bool | None = matches(item.metadata, settings.validation_where) or None
            if of_train:
                held = settings.is_held_back(item)
            if held is not None:
                sides[int(held)].add(item)
    (train, of_train_groups), (held_back, held_groups) = (
        side.finish(name) for side, name in zip(sides, ("data.train", "the held-back part"))
    )
    if told:
        settings.check_shared(train.groups, held_back.groups)
    if schema is None:
        names = frequent_groups(of_train_groups, settings.groups) if told else ()
        kind: Kind = "groups" if told else "none"
        schema = Schema(tuple(one.name.lower() for one in modalities), kind, names, {})
    return FusionSets(
        _with_groups(train, of_train_groups, schema), _with_groups(held_back, held_groups, schema), schema
    )


def _with_groups(data: FusionData, found: Sequence[tuple[str, ...]], schema: Schema) -> FusionData:
    target_NC = np.array([[name in one for name in schema.names] for one in found], dtype=np.float32)
    return FusionData(data.ids, data.pieces, target_NC.reshape(len(found), -1), data.groups, data.remarks)


def read_known(
    files: Sequence[Path], schema: Schema, settings: TokenSettings, limit: int | None = None
) -> FusionData:
    """Records of files with their functional groups, as a trained model reads and tells them.

    Args:
        files: of any format, with structures.
        schema: of the model.
        settings: of its tokens.
        limit: only the first so many molecules.

    Raises:
        DataError: a file cannot be read, or no record is of use.
    """
    modalities = [Modality[name.upper()] for name in schema.modalities]
    collector, blocks = Collector(modalities, settings, told=True), set[str]()
    for item in read_entries(files):
        if isinstance(item, Rejected):
            collector.remark("records that cannot be used")
            continue
        blocks.add(item.block)
        if limit is not None and len(blocks) > limit:
            break
        collector.add(item)
    data, found = collector.finish("the files")
    return _with_groups(data, found, schema)


def data_of_records(records: Sequence[Record], schema: Schema, settings: TokenSettings) -> FusionData:
    """Records whose targets are not known, for prediction."""
    modalities = [Modality[name.upper()] for name in schema.modalities]
    pieces = tuple(of_records(records, one, settings) for one in modalities)
    ids = tuple(one.id for one in records)
    return FusionData(ids, pieces, np.zeros((len(records), len(schema.names)), dtype=np.float32), ids)
