"""The records that a command is asked about: all of some files, or one that is named file by file."""

import argparse
from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from mmspec_ds.cli.common import Command, add_spectra
from mmspec_ds.errors import DataError

if TYPE_CHECKING:
    from mmspec_ds.readers.requests import Answered, Request, Source
    from mmspec_ds.spectra.records import Modality


def add_records(command: Command) -> None:
    """Add FILE... and, once the command is chosen, an option for each kind of spectrum."""
    command.add_argument(
        "files",
        type=Path,
        nargs="*",
        metavar="FILE",
        help="every record of files of any format that `mmspec inspect` reads; of a folder, every sub-folder;"
        " of a manifest (CSV of id, h_nmr, c_nmr, ir, msms, hsqc, ei, formula), every row",
    )
    command.set_defaults(usage=command.error)
    command.when_chosen = add_spectra


def check_records(options: argparse.Namespace) -> None:
    """Refuse options that name no record, or files that are not there, before the work starts. A slip of the
    pen is told at once; inside a batch it is a line of its own."""
    spectra = _named(options)
    if bool(options.files) == any(spectra.values()):
        names = ", ".join(f"--{name.replace('_', '-')}" for name in spectra)
        options.usage(f"expected either FILE... or spectra of one record ({names})")
    for path in (*options.files, *chain.from_iterable(spectra.values())):
        if not path.exists():
            raise DataError("there is no such file", path=path)


def read_records(
    options: argparse.Namespace, answered: "Answered", reads: "Collection[Modality]" = ()
) -> "Iterator[Request]":
    """One record from the files named by kind of spectrum, or the records of all files, without those that
    were answered. `options.formula` is that of every record; `reads` are the kinds that a model was trained
    with."""
    from mmspec_ds.readers.batches import read_requests
    from mmspec_ds.readers.requests import IGNORED, request_of_sources

    if options.files:
        yield from read_requests(options.files, options.formula, answered, IGNORED.difference(reads))
        return
    sources = named_sources(options)
    name = name_of_sources(sources)
    if not answered(name):
        yield request_of_sources(name, sources, options.formula)


def named_sources(options: argparse.Namespace) -> "list[Source]":
    """The files of one record that options name by their kind of spectrum."""
    from mmspec_ds.readers.batches import SPECTRA
    from mmspec_ds.readers.requests import Source

    return [Source(path, SPECTRA[name]) for name, paths in _named(options).items() for path in paths]


def name_of_sources(sources: "Sequence[Source]") -> str:
    """The name of a record that is made of several files."""
    return "+".join(dict.fromkeys(source.path.name for source in sources))


def _named(options: argparse.Namespace) -> dict[str, list[Path]]:
    """The files of each option for a kind of spectrum."""
    from mmspec_ds.readers.batches import SPECTRA

    return {name: getattr(options, name) or [] for name in SPECTRA}
