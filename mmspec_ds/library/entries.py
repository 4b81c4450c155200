"""Entries of a library from files of any format that the readers know."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from mmspec_ds.errors import DataError
from mmspec_ds.library.entry import Entry
from mmspec_ds.library.layout import is_library
from mmspec_ds.library.references import as_measured
from mmspec_ds.molecules.identity import identify
from mmspec_ds.readers import part as keys
from mmspec_ds.readers.batches import (
    MANIFEST,
    is_experiment,
    looks_like_manifest,
    requests_of_manifest,
    sources_in,
    visible,
)
from mmspec_ds.readers.format_registry import find_format, read_file
from mmspec_ds.readers.part import Part, Rejected, one_line
from mmspec_ds.readers.read_settings import FormatSettings, TandemReadSettings
from mmspec_ds.readers.requests import Request, nothing_answered, request_of_sources
from mmspec_ds.readers.source import read_head
from mmspec_ds.spectra.records import Record, TandemMS

LIBRARY_SETTINGS = FormatSettings(ms=TandemReadSettings(map_energies=False))
"""Collision energies stay as they were measured."""
EVERYTHING: Mapping[str, str] = MappingProxyType({})

_BLOCK = re.compile(r"(?P<block>[A-Z]{14})(?:-[A-Z]{10}(?:-[A-Z])?)?")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_MOST_KINDS = 100
_MOST_REMEMBERED = 200_000


@dataclass
class EntryReport:
    """What became of the records of files.

    Attributes:
        entries: how many became entries.
        unwanted: how many have other metadata than was asked for.
        passed_over: how many sound records are of no use here, by the reason of the first of each kind.
        rejected: how many records are at fault, likewise.
    """

    entries: int = 0
    unwanted: int = 0
    passed_over: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    _first: dict[str, str] = field(default_factory=dict, repr=False)

    def count(self, item: Rejected) -> None:
        """Count a record that gives no entry among those whose reasons differ in numbers alone."""
        kind = _NUMBER.sub("N", item.reason)
        if kind not in self._first and len(self._first) >= _MOST_KINDS:
            kind = "others"
        reason = self._first.setdefault(kind, kind if kind == "others" else item.reason)
        (self.rejected if item.fault else self.passed_over)[reason] += 1


def read_entries(
    paths: Sequence[Path],
    where: Mapping[str, str] = EVERYTHING,
    settings: FormatSettings = LIBRARY_SETTINGS,
    report: EntryReport | None = None,
) -> Iterator[Entry | Rejected]:
    """The entries of files, one for each record, in the order of the files; memory holds one record.

    A record of several files keeps each mass spectrum as it is, and what all files that tell it say alike. The
    molecule's block is that of the InChIKey of its SMILES, else that of the InChIKey in the file. A
    collision energy that the file does not tell stays unknown.

    Args:
        paths: files of any format, manifests, and folders. A folder with a `manifest.csv` is that manifest; any
            other stands for the files in it and for its folders, each of which is one record of all its files.
            Files of a folder that are of no known format are passed over.
        where: metadata that an entry must have, such as {"role": "library"}; others are left out.
        settings: of the readers.
        report: counts what is read, what is left out and why.

    Yields:
        An `Entry`, or a `Rejected` for a record at fault (`fault` is True) or of no use here.

    Raises:
        DataError: a file that was named, or lies in a folder that was, cannot be read; it, or a manifest, is of
            no known format; a folder is empty. Names it.
    """
    report = report if report is not None else EntryReport()
    for path in paths:
        for item in _items(path, settings):
            if isinstance(item, Rejected):
                report.count(item)
                yield item
            elif matches(item.metadata, where):
                report.entries += 1
                yield _entry(item)
            else:
                report.unwanted += 1


def matches(metadata: Mapping[str, str | float | int], where: Mapping[str, str]) -> bool:
    """Whether metadata have these values, compared as text."""
    return all(str(metadata.get(name, "")) == value for name, value in where.items())


def block_of(smiles: str | None, inchikey: str | None = None) -> str:
    """The first block of the InChIKey of a SMILES, 14 letters, else that of a written InChIKey; "" without
    either, and for a molecule that InChI cannot describe."""
    computed = _computed_block(smiles) if smiles else ""
    if computed or inchikey is None:
        return computed
    written = _BLOCK.fullmatch(inchikey.strip().upper())
    return written["block"] if written is not None else ""


@lru_cache(maxsize=_MOST_REMEMBERED)
def _computed_block(smiles: str) -> str:
    """Remembered: a library has several spectra of a molecule, and InChI takes half a millisecond."""
    try:
        group = identify(smiles, "skeleton").group
    except ValueError:
        return ""
    return group if _BLOCK.fullmatch(group) else ""


def _items(path: Path, settings: FormatSettings) -> Iterator[Part | Rejected]:
    """The records of a file, a manifest or a folder, by the rules of `readers.batches`."""
    head = read_head(path)
    if not head.is_folder and looks_like_manifest(head):
        yield from _rows(path, settings)
    elif head.is_folder and (path / MANIFEST).is_file():
        yield from _rows(path / MANIFEST, settings)
    elif not head.is_folder or is_experiment(path):
        yield from read_file(path, None, settings)
    else:
        yield from _in_folder(path, settings)


def _rows(manifest: Path, settings: FormatSettings) -> Iterator[Part | Rejected]:
    """A record of each row of a manifest."""
    where = re.compile(rf"{re.escape(str(manifest))}, row \d+: ")
    for number, one in enumerate(requests_of_manifest(manifest, None, nothing_answered, settings)):
        yield _whole(one, manifest, number, where)


def _in_folder(folder: Path, settings: FormatSettings) -> Iterator[Part | Rejected]:
    """The records of the files in a folder, and a record of each folder in it."""
    inside = visible(folder)
    if not inside:
        raise DataError("the folder is empty", path=folder)
    for one in inside:
        if one.is_dir() and is_library(one):
            yield Rejected(one, 0, "a library in a folder, expected to be named itself", fault=False)
        elif one.is_dir():
            try:
                sources = sources_in(one)
                request = request_of_sources(one.name, sources, None, unknown_files=True, settings=settings)
                yield _whole(request, one, 0)
            except DataError as error:
                yield Rejected(one, 0, one_line(error))
        elif _has_format(one):
            yield from read_file(one, None, settings)
        else:
            yield Rejected(one, 0, "of no known format", fault=False)


def _whole(request: Request, path: Path, number: int, where: re.Pattern[str] | None = None) -> Part | Rejected:
    """A record of several files as a part; the text `where` is not told twice."""
    record = request.record
    if record is None:
        error = request.error or "nothing was read"
        return Rejected(path, number, error if where is None else where.sub("", error, count=1))
    metadata = {name: value for name, value in request.metadata.items() if name != keys.ASSUMED_EV}
    return Part(record.id, as_measured(record).spectra, record.smiles, record.formula, metadata)


def _has_format(path: Path) -> bool:
    try:
        find_format(path)
    except DataError:
        return False
    return True


def _entry(part: Part) -> Entry:
    spectra = part.spectra
    if keys.ASSUMED_EV in part.metadata:
        spectra = tuple(
            replace(one, collision_energy_ev=None) if isinstance(one, TandemMS) else one for one in spectra
        )
    metadata = {name: value for name, value in part.metadata.items() if name != keys.ASSUMED_EV}
    inchikey = metadata.get(keys.INCHIKEY)
    block = block_of(part.smiles, None if inchikey is None else str(inchikey))
    return Entry(Record(part.id, spectra, part.smiles, part.formula), block, metadata)
