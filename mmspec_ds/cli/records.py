"""The records that a command is asked about: all of some files, or one that is named file by file."""

import argparse
import sys
from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from mmspec_ds.cli.common import Command, add_spectra, check_formula
from mmspec_ds.errors import DataError

if TYPE_CHECKING:
    from mmspec_ds.readers.requests import Answered, Request, Source
    from mmspec_ds.spectra.records import Modality, Record


def add_records(command: Command) -> None:
    """Add FILE... and, once the command is chosen, an option for each kind of spectrum."""
    command.add_argument(
        "files",
        type=Path,
        nargs="*",
        default=[],
        metavar="FILE",
        help="every record of files of any format that `mmspec inspect` reads; of a folder, every sub-folder;"
        " of a manifest (CSV of id, h_nmr, c_nmr, ir, msms, hsqc, ei, formula), every row",
    )
    command.set_defaults(usage=command.error, one_molecule=False)
    command.when_chosen = add_spectra


def add_one_molecule(command: Command) -> None:
    """Add --one-molecule, which makes one record of all FILE...."""
    command.add_argument(
        "--one-molecule",
        action="store_true",
        help="all files are spectra of one molecule: one record (default: each record of each file is one)",
    )


def check_records(options: argparse.Namespace) -> None:
    """Refuse options that name no record, or files that are not there, before the work starts. A slip of the
    pen is told at once; inside a batch it is a line of its own."""
    spectra = _named(options)
    given = [bool(options.files), any(spectra.values())]
    if not any(given) or (all(given) and not options.one_molecule):
        names = ", ".join(f"--{name.replace('_', '-')}" for name in spectra)
        options.usage(f"expected either FILE... or spectra of one record ({names})")
    check_formula(options.formula)
    for path in (*options.files, *chain.from_iterable(spectra.values())):
        if not path.exists():
            raise DataError("there is no such file", path=path)


def read_records(
    options: argparse.Namespace, answered: "Answered", reads: "Collection[Modality]" = ()
) -> "Iterator[Request]":
    """One record from the files named by kind of spectrum, and with `options.one_molecule` from all files; else
    the records of all files; without those that were answered. `options.formula` is that of every record;
    `reads` are the kinds that a model was trained with."""
    from mmspec_ds.readers.batches import read_requests, sources_of
    from mmspec_ds.readers.requests import IGNORED, request_of_sources

    if options.files and not options.one_molecule:
        yield from read_requests(options.files, options.formula, answered, IGNORED.difference(reads))
        return
    sources = sources_of(options.files) + named_sources(options)
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


class RecordsApart:
    """The records of several files, each of which is answered by itself though they could be of one molecule.

    Args:
        options: of a command with `add_records` and `add_one_molecule`.
    """

    _MOST = 20
    """Records of one molecule; more are a batch."""

    def __init__(self, options: argparse.Namespace) -> None:
        from mmspec_ds.readers.batches import files_apart

        few = not options.one_molecule and len(options.files) <= self._MOST
        self._files = files_apart(options.files) if few else []
        self._records: list[Record] = []
        self._count = 0

    def watched(self, requests: "Iterator[Request]") -> "Iterator[Request]":
        """The requests as they are; a few of their records are kept for `tell`."""
        for request in requests:
            self._count += 1
            if request.record is not None and len(self._files) > 1 and len(self._records) <= self._MOST:
                self._records.append(request.record)
            yield request

    def tell(self) -> None:
        """Say in a line on stderr that --one-molecule combines the files, if their spectra are of several kinds
        and do not contradict each other."""
        if self._could_be_one():
            print(
                f"mmspec: {len(self._files)} files, {self._count} records, each answered by itself: add"
                " --one-molecule if they are spectra of one molecule",
                file=sys.stderr,
            )

    def _could_be_one(self) -> bool:
        from mmspec_ds.readers.assembly import assemble
        from mmspec_ds.readers.part import Part

        kinds = {spectrum.modality for record in self._records for spectrum in record.spectra}
        if not 1 < len(self._records) <= self._MOST or len(kinds) < 2:
            return False
        try:
            assemble(Part(one.id, one.spectra, one.smiles, one.formula) for one in self._records)
        except DataError:
            return False
        return True
