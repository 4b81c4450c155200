"""Build a library of spectra, add to it, and see what it holds: `mmspec library build`, `add` and `info`."""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmspec_ds.cli.common import Command, Commands, add_command
from mmspec_ds.errors import DataError, UserError
from mmspec_ds.progress import ProgressLines

if TYPE_CHECKING:
    from mmspec_ds.library.build import Added
    from mmspec_ds.library.entries import EntryReport
    from mmspec_ds.library.entry import Embedder, Entry
    from mmspec_ds.readers.part import Rejected

_REASONS = 5
"""Of those why records are passed over, the most frequent, that are told."""


def add(commands: Commands) -> None:
    command: Command = commands.add_parser(
        "library",
        help="build a library of spectra, add to it, see what it holds",
        description="Build a library of spectra, add to it, see what it holds. `mmspec search` searches it.",
        epilog="example:\n  mmspec library build massbank.msp --out massbank",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = command.add_subparsers(required=True, metavar="ACTION", parser_class=Command)
    build = add_command(
        actions,
        _build,
        "make a new library of the spectra of files",
        "mmspec library build massbank.msp own/*.mgf --out lab --model runs/retrieval",
    )
    _add_files(build)
    build.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the new library")
    more = add_command(
        actions,
        _add,
        "append the spectra of files to a library, all or, when it is stopped, none of them",
        "mmspec library add lab new.mgf --model runs/retrieval",
    )
    more.add_argument("library", type=Path, metavar="LIBRARY", help="folder of the library")
    _add_files(more)
    info = add_command(
        actions, _info, "show what a library holds, and check its files", "mmspec library info lab --check"
    )
    info.add_argument("library", type=Path, metavar="LIBRARY", help="folder of the library")
    info.add_argument("--check", action="store_true", help="read every byte and compare the checksums")


def _add_files(command: Command) -> None:
    command.add_argument(
        "files",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="of any format that `mmspec inspect` reads; a manifest; a folder, each folder in which is one"
        " entry; or another library, whose entries are taken over",
    )
    command.add_argument(
        "--model",
        type=Path,
        action="append",
        default=[],
        metavar="MODEL",
        help="a trained run or an export of the retrieval system, whose vectors are stored; may be given again"
        " (default: none, the library is searched by peaks)",
    )
    command.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="only records whose files say so, such as role=library; may be given again",
    )


def _build(options: argparse.Namespace) -> int:
    from mmspec_ds.library.build import build_library

    return _append(options, options.out, build_library)


def _add(options: argparse.Namespace) -> int:
    from mmspec_ds.library.build import add_to_library

    return _append(options, options.library, add_to_library)


def _append(options: argparse.Namespace, folder: Path, work: Any) -> int:
    """Read the files into a library and tell what became of their records."""
    from mmspec_ds.library.entries import EntryReport

    where, report = dict(_condition(text) for text in options.where), EntryReport()
    for path in options.files:
        if not path.exists():
            raise DataError("there is no such file", path=path)
    embedders = [_embedder(path) for path in options.model]
    with ProgressLines("reading", unit="records", last_line=True) as progress:
        added = work(folder, _entries(options.files, where, report), embedders, progress.at)
    _tell(folder, added, report)
    return 0


def _entries(
    paths: Sequence[Path], where: Mapping[str, str], report: "EntryReport"
) -> "Iterator[Entry | Rejected]":
    """The entries of files, and of libraries, which may stand for their files."""
    from mmspec_ds.library.entries import matches, read_entries
    from mmspec_ds.library.layout import is_library
    from mmspec_ds.library.store import Library

    for path in paths:
        if is_library(path):
            for entry in Library.open(path).all_entries():
                if matches(entry.metadata, where):
                    yield entry
                else:
                    report.unwanted += 1
        else:
            yield from read_entries([path], where, report=report)


def _condition(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise UserError(f"--where {text}: expected FIELD=VALUE, such as role=library")
    return name, value


def _embedder(path: Path) -> "Embedder":
    from mmspec_ds.systems.retrieval.embedders import load_embedder

    return load_embedder(path)


def _tell(folder: Path, added: "Added", report: "EntryReport") -> None:
    print(f"{folder}: {added.entries:,} {'entry' if added.entries == 1 else 'entries'} added")
    counts = (
        (added.without_structure, "without a structure"),
        (added.duplicates, "duplicates left out: same molecule, same conditions, same peaks"),
        (report.unwanted, "left out, which are not what --where asks for"),
        *((count, f"passed over: {reason}") for reason, count in report.passed_over.most_common(_REASONS)),
        (added.rejected, "left out for a fault"),
    )
    for count, what in counts:
        if count:
            print(f"  {count:,} {what}")
    for name, count in added.blank.items():
        print(f"  {count:,} that the model {name!r} cannot read, whose vectors are 0")
    for line in added.examples:
        print(f"mmspec: {line}", file=sys.stderr)


def _info(options: argparse.Namespace) -> int:
    from mmspec_ds.library.store import Library
    from mmspec_ds.library.summary import summary_lines

    library = Library.open(options.library)
    if options.check:
        faults = library.faults()
        for line in faults[1:]:
            print(f"mmspec: {line}", file=sys.stderr)
        if faults:
            raise DataError(faults[0])
    print("\n".join(summary_lines(library)))
    for name in library.embedders:
        if notice := library.index(name).notice:
            print(f"mmspec: {notice}", file=sys.stderr)
    if options.check:
        print("  every file is as it was written")
    return 0
