"""Records of many files: folders, and tables that say which files belong together.

The rules
- A file of spectra: each of its records is a record.
- A manifest, a CSV whose first line names the columns `id` and some of `h_nmr`, `c_nmr`, `ir`, `msms`, `hsqc`,
  `ei`, `formula` and `smiles` (for a library): each row is a record of the files that it names, relative to the
  CSV; several MS/MS files are parted by semicolons, and an empty cell is a spectrum that was not measured.
- A folder with a `manifest.csv` is that manifest.
- Of any other folder each sub-folder is a record, made of all files and Bruker experiments in it, files of no
  known format left out; a file that lies directly in the folder is read as a file. Hidden ones are passed over.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence, Set
from pathlib import Path

from mmspec_ds.errors import DataError
from mmspec_ds.readers.bruker import looks_like_bruker
from mmspec_ds.readers.part import Part, one_line
from mmspec_ds.readers.read_settings import DEFAULT_SETTINGS, FormatSettings
from mmspec_ds.readers.requests import (
    IGNORED,
    Answered,
    Request,
    Source,
    nothing_answered,
    request_of_sources,
    requests_of_file,
)
from mmspec_ds.readers.source import Head, read_head, read_lines, readable
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.registry import REGISTRY

MANIFEST = "manifest.csv"
ID, FORMULA, SMILES = "id", "formula", "smiles"
SPECTRA = {
    "msms" if modality is Modality.MS else entry.name: modality
    for modality, entry in REGISTRY.items()
    if entry.is_instrument
}
"""Columns of files, which are also the options of the command line."""

_EXPERIMENT = ("procs", "acqus", "pdata", "acqu")


def read_requests(
    paths: Sequence[Path],
    formula: str | None = None,
    answered: Answered = nothing_answered,
    ignored: Set[Modality] = IGNORED,
) -> Iterator[Request]:
    """All records of files, folders and manifests, in order, one at a time, without those that were answered;
    what cannot be read is a request with an error, under the name of the file or folder. `formula` is that of
    every record. Of files, records of `ignored` kinds of spectra alone are passed over."""
    for path in paths:
        try:
            yield from _requests_of_path(path, formula, answered, ignored)
        except (DataError, OSError) as error:
            if not answered(path.name or str(path)):
                yield _unreadable(path, error)


def _unreadable(path: Path, error: DataError | OSError) -> Request:
    """A request that says why a file or folder as a whole gives no record."""
    if isinstance(error, OSError):
        error = DataError(f"cannot be read: {error.strerror or error}", path=path)
    return Request(path.name or str(path), error=one_line(error, 400))


def _requests_of_path(
    path: Path, formula: str | None, answered: Answered, ignored: Set[Modality]
) -> Iterator[Request]:
    head = read_head(path)
    if not head.is_folder:
        if looks_like_manifest(head):
            yield from requests_of_manifest(path, formula, answered)
        else:
            yield from requests_of_file(path, formula, answered, ignored)
    elif (path / MANIFEST).is_file():
        yield from requests_of_manifest(path / MANIFEST, formula, answered)
    elif is_experiment(path):
        yield from requests_of_file(path, formula, answered, ignored)
    else:
        yield from requests_of_folder(path, formula, answered, ignored)


def requests_of_folder(
    folder: Path, formula: str | None, answered: Answered, ignored: Set[Modality] = IGNORED
) -> Iterator[Request]:
    """A record of each sub-folder, under its name, and each record of every file beside them, by their names.

    Raises:
        DataError: the folder is empty or cannot be read.
    """
    entries = visible(folder)
    if not entries:
        raise DataError("the folder is empty", path=folder)
    for entry in entries:
        if not entry.is_dir():
            yield from requests_of_file(entry, formula, answered, ignored)
        elif not answered(entry.name):
            try:
                yield request_of_sources(entry.name, sources_in(entry), formula, unknown_files=True)
            except (DataError, OSError) as error:
                yield _unreadable(entry, error)


def sources_in(folder: Path) -> list[Source]:
    """Sources of a record's folder: its files, and the Bruker experiments in it or in a folder in it."""
    if is_experiment(folder):
        return [Source(folder)]
    entries = visible(folder)
    bruker = [Source(folder)] if looks_like_bruker(Head(folder, "", is_folder=True)) else []
    return bruker + [Source(one) for one in entries if not (one.is_dir() and one.name.isdecimal() and bruker)]


def sources_of(paths: Iterable[Path]) -> list[Source]:
    """Sources of one record that is made of these files, a folder standing for all in it.

    Raises:
        DataError: a folder cannot be read.
    """
    return [one for path in paths for one in (sources_in(path) if path.is_dir() else [Source(path)])]


def files_apart(paths: Sequence[Path]) -> list[Path]:
    """The files, those in folders too, of which each gives records of its own; none where a manifest or
    sub-folders say which files belong together."""
    files: list[Path] = []
    for path in paths:
        try:
            head = read_head(path)
            if not head.is_folder or is_experiment(path):
                found = [] if not head.is_folder and looks_like_manifest(head) else [path]
            else:
                found = visible(path)
                if any(entry.is_dir() or entry.name == MANIFEST for entry in found):
                    found = []
        except DataError:
            found = [path]
        if not found:
            return []
        files += found
    return files


def is_experiment(folder: Path) -> bool:
    """Whether a folder is one Bruker experiment."""
    return any((folder / name).exists() for name in _EXPERIMENT)


def visible(folder: Path) -> list[Path]:
    """What lies in a folder, in the order of the names, without hidden files.

    Raises:
        DataError: the folder cannot be read.
    """
    with readable(folder):
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def looks_like_manifest(head: Head) -> bool:
    """By its first line: `id` and a column of files."""
    columns = _columns(head.text.partition("\n")[0].partition("\r")[0])
    return ID in columns and not SPECTRA.keys().isdisjoint(columns)


def _columns(line: str) -> list[str]:
    try:
        return [cell.strip().lower() for cell in next(csv.reader([line]), [])]
    except csv.Error:
        return []


def requests_of_manifest(
    path: Path, formula: str | None, answered: Answered, settings: FormatSettings = DEFAULT_SETTINGS
) -> Iterator[Request]:
    """A record of each row; a row that cannot be used is a request with an error. `formula` must agree with the
    rows' own; rows that were answered are left out. `settings` are those of the readers.

    Raises:
        DataError: the file cannot be read, or its columns are not those of a manifest.
    """
    lines = (line.text for line in read_lines(path))
    first = next(lines, "")
    columns = _columns(first)
    known = [ID, *SPECTRA, FORMULA, SMILES]
    wrong = next((name for name in columns if name not in known or columns.count(name) > 1), None)
    if wrong is not None:
        how = "there twice" if wrong in known else "unknown"
        raise DataError(f"the column {one_line(wrong, 40)!r} is {how} (known: {', '.join(known)})", path=path)
    seen: set[str] = set()
    rows_read = 0
    try:
        for number, cells in enumerate(csv.reader(lines), 1):
            if not any(cell.strip() for cell in cells):
                continue
            rows_read += 1
            row = {name: cell.strip() for name, cell in zip(columns, cells)}
            name = row.get(ID) or f"{path.name}:{number}"
            if answered(name):
                seen.add(name)
                continue
            where = f"{path}, row {number}"
            if len(cells) != len(columns):
                fault = f"{len(cells)} cells, expected {len(columns)} as in the first line"
            elif not row[ID]:
                fault = "the id is missing"
            elif name in seen:
                fault = f"the id {one_line(name, 60)!r} is there twice"
            else:
                seen.add(name)
                yield _row_request(name, path, row, formula, where, settings)
                continue
            yield Request(name, error=f"{where}: {fault}")
    except csv.Error as error:
        raise DataError(f"is not a CSV after row {number}: {one_line(error)}", path=path) from None
    if not rows_read:
        raise DataError("the manifest has no row", path=path)


def _row_request(
    name: str, path: Path, row: dict[str, str], formula: str | None, where: str, settings: FormatSettings
) -> Request:
    sources = []
    for column, modality in SPECTRA.items():
        cell = row.get(column, "")
        texts = cell.split(";") if modality is Modality.MS else [cell]
        sources += [Source(path.parent / text.strip(), modality) for text in texts if text.strip()]
    if not sources:
        return Request(name, error=f"{where}: names no file")
    stated = Part(where, (), row.get(SMILES) or None, row.get(FORMULA) or None)
    return request_of_sources(name, sources, formula, stated=stated, settings=settings)
