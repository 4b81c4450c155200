"""`mmspec search`."""

import argparse
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmspec_ds.cli.common import Commands, add_command, check_writable, positive
from mmspec_ds.cli.mirror import draw_mirrors, make_folder
from mmspec_ds.cli.records import add_records, check_records, read_records
from mmspec_ds.progress import ProgressLines

if TYPE_CHECKING:
    from mmspec_ds.library.answers import Answer
    from mmspec_ds.library.entry import Embedder
    from mmspec_ds.library.fusion import Fusion
    from mmspec_ds.library.search import Searcher, SearchSettings
    from mmspec_ds.library.store import Library
    from mmspec_ds.readers.requests import Request


_OF_OTHER_MODELS = re.compile(r"taken as [\d.]+ eV$|the nearest energy of the benchmark$")
"""What readers remark of collision energies for models that know three of them; here they stay as measured."""
_WIDE, _NOT_A_TERMINAL = 120, 120
"""Columns on which all similarities of peaks have room, and the columns of what is not a terminal."""


def add(commands: Commands) -> None:
    command = add_command(
        commands,
        _search,
        "find the molecules of spectra in a library",
        "mmspec search massbank unknowns.mgf --precursor-ppm 10 --out hits.csv",
    )
    command.add_argument("library", type=Path, metavar="LIBRARY", help="folder that `mmspec library` has made")
    add_records(command)
    command.add_argument(
        "--model",
        type=Path,
        action="append",
        default=[],
        metavar="MODEL",
        help="a model with which the library was built, to search its vectors too; may be given again"
        " (default: by peaks alone)",
    )
    window = command.add_mutually_exclusive_group()
    window.add_argument(
        "--precursor-ppm",
        type=_ppm,
        default=10.0,
        metavar="PPM",
        help="compare with entries whose precursor is no further away (default: 10)",
    )
    window.add_argument("--open", action="store_true", help="compare with entries of any precursor")
    command.add_argument("--polarity", action="store_true", help="leave out entries of the other polarity")
    command.add_argument("--top", type=positive, default=10, help="molecules for each query (default: 10)")
    command.add_argument("--min-score", type=float, default=0.0, help="leave out hits of a lower score")
    command.add_argument(
        "--decoys",
        type=_count,
        default=500,
        help="decoy spectra for the false discovery rate; 0 for none (default: 500)",
    )
    command.add_argument(
        "--fusion",
        type=Path,
        metavar="JSON",
        help="weights of the parts of the score (default: fusion.json of the model and those of the package)",
    )
    command.add_argument("--out", type=Path, metavar="FILE", help="write hits: FILE.csv, or lines of JSON")
    command.add_argument("--mirror", type=Path, metavar="DIR", help="draw the first hit of each query there")
    command.set_defaults(formula=None)


def _search(options: argparse.Namespace) -> int:
    check_records(options)
    check_writable(options.out)
    make_folder(options.mirror)
    from mmspec_ds.library.answers import answer_of, answers_file, molecules_of_hits
    from mmspec_ds.library.references import references_of_library
    from mmspec_ds.library.search import Searcher
    from mmspec_ds.library.store import Library

    library = Library.open(options.library)
    embedders = [_embedder(path) for path in options.model]
    library.check_embedders(embedders)
    settings = _settings(options)
    searcher = Searcher(references_of_library(library), settings, library, embedders, _fusions(options))
    requests = _requests(options)
    records = [one.record for one in requests if one.record is not None]
    for notice in _notices(requests, library, searcher):
        print(f"mmspec: {notice}", file=sys.stderr)
    with ProgressLines("searching", unit="queries") as progress:
        found = searcher.search(records, options.top, progress.at)
    molecules = molecules_of_hits(chain.from_iterable(found), library)
    hits_of = iter(found)
    answers: list[dict[str, Any]] = []
    with answers_file(options.out, searcher.part_names) as write:
        for request in requests:
            if request.record is None:
                answers.append({"id": request.id, "error": request.error})
            else:
                hits = [hit for hit in next(hits_of) if hit.score >= options.min_score]
                answers.append(answer_of(request.id, hits, molecules, request.remarks))
            write(answers[-1])
    if options.mirror is not None:
        drawn = draw_mirrors(options.mirror, requests, answers, library, settings)
        print(f"{options.mirror}: {drawn:,} mirror plots")
    return _tell(answers, options, embedders)


def _settings(options: argparse.Namespace) -> "SearchSettings":
    from mmspec_ds.library.search import SearchSettings

    return SearchSettings(
        precursor_ppm=None if options.open else options.precursor_ppm,
        polarity=options.polarity,
        decoys=options.decoys,
    )


def _embedder(path: Path) -> "Embedder":
    from mmspec_ds.systems.retrieval.embedders import load_embedder  # torch, only where a model is named

    return load_embedder(path)


def _fusions(options: argparse.Namespace) -> "Sequence[Fusion]":
    """Those of the file that was named alone; else those of the models and those that come with the package."""
    from mmspec_ds.library.fusion import FUSION, read_fusions, shipped_fusions

    if options.fusion:
        return read_fusions(options.fusion)
    paths = [path / FUSION for path in options.model]
    return (*(one for path in paths if path.is_file() for one in read_fusions(path)), *shipped_fusions())


def _requests(options: argparse.Namespace) -> "list[Request]":
    """The queries as a library has its entries: with collision energies as they were measured."""
    from mmspec_ds.library.references import as_measured
    from mmspec_ds.readers.requests import nothing_answered
    from mmspec_ds.spectra.records import Modality

    requests = []
    with ProgressLines("reading", unit="queries") as progress:
        for one in read_records(options, nothing_answered, reads=tuple(Modality)):
            record = None if one.record is None else as_measured(one.record)
            remarks = tuple(remark for remark in one.remarks if not _OF_OTHER_MODELS.search(remark))
            requests.append(replace(one, record=record, remarks=remarks))
            progress.at(len(requests))
    return requests


def _notices(requests: "Sequence[Request]", library: "Library", searcher: "Searcher") -> list[str]:
    """What the user should know of a search: names that several queries have, queries with which nothing of the
    library can be compared, scores that are no probabilities, and models that are not used."""
    from mmspec_ds.library.metadata import MASS_SPECTRA
    from mmspec_ds.library.references import conditions_of, mass_spectra
    from mmspec_ds.spectra.registry import REGISTRY

    names = Counter(one.id for one in requests)
    twice = [name for name, count in names.items() if count > 1]
    found = []
    if twice:
        found.append(
            f"{twice[0]} is the name of several queries, from files of the same name (names of this kind:"
            f" {len(twice):,}): the answers are in the order of the files"
        )
    known = set(library.kinds)
    records = [one.record for one in requests if one.record is not None]
    kinds = [{conditions_of(one).kind for one in mass_spectra(record)} for record in records]
    alone = sum(known.isdisjoint(one) for one in kinds)
    if alone and not searcher.embedders:
        found.append(
            f"{alone:,} of {len(records):,} queries have no mass spectrum of a kind that the library has:"
            " without --model they have no hit"
        )
    unfitted = [
        kind for kind in sorted(known.intersection(set().union(*kinds))) if not searcher.is_fitted(kind)
    ]
    if unfitted:
        labels = " and ".join(REGISTRY[MASS_SPECTRA[kind].modality].label for kind in unfitted)
        found.append(
            f"no weights were fitted for {labels} in this search: the parts of the score count equally, and it"
            f" is no probability{_weights_for(searcher.fusions)}"
        )
    used = {one.name for one in searcher.embedders}
    unused = [name for name in library.embedders if name not in used]
    if unused:
        found.append(f"the vectors of {', '.join(unused)} are not used: name --model for them")
    return found


def _weights_for(fusions: "Sequence[Fusion]") -> str:
    """With which models the weights that are there would serve, in brackets; "" where they are of none."""
    from mmspec_ds.library.fusion import models_of

    models = dict.fromkeys(" and ".join(models_of(one.parts)) for one in fusions if models_of(one.parts))
    return f" (there are weights for a search with {', or with '.join(models)})" if models else ""


def _tell(answers: "Sequence[Answer]", options: argparse.Namespace, embedders: "Sequence[Embedder]") -> int:
    """Print tables, or where the hits were written; say what failed. The exit status."""
    failed = [one for one in answers if "error" in one]
    for answer in failed[:20]:
        name, error = answer["id"], answer["error"]
        told = error if name.rpartition(":")[0] in error or name in error else f"{name}: {error}"
        print(f"mmspec: {told}", file=sys.stderr)
    if len(failed) > 20:
        print(f"mmspec: and {len(failed) - 20} more that cannot be read", file=sys.stderr)
    if options.out is None:
        for answer in answers:
            if "error" not in answer:
                _print(answer, [one.name for one in embedders])
    else:
        empty = sum(not one.get("hits") for one in answers) - len(failed)
        told = f"{len(answers):,} queries, {len(failed):,} that cannot be read, {empty:,} without a hit"
        print(f"{options.out}: {told}")
    return 1 if len(failed) == len(answers) else 0


def _print(answer: "Answer", models: Sequence[str]) -> None:
    """The hits of one query as a table, with the similarities of peaks and models; files have all parts."""
    from rich.console import Console
    from rich.table import Table

    from mmspec_ds.library.prepared import ENTROPY, SPECTRAL_PARTS

    console = Console()
    if not console.is_terminal:
        console = Console(width=_NOT_A_TERMINAL)
    hits = answer["hits"]
    if not hits:
        console.print(f"{answer['id']}: no hit", soft_wrap=True, markup=False, highlight=False)
        return
    shown = (*(SPECTRAL_PARTS if console.width >= _WIDE else (ENTROPY,)), *models)
    parts = [name for name in shown if any(hit["parts"].get(name) is not None for hit in hits)]
    table = Table(title=answer["id"], title_justify="left", box=None)
    for head in ("rank", "score", "q", *parts):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("formula", no_wrap=True)
    for head in ("name", "SMILES"):
        table.add_column(head, overflow="fold")
    for hit in hits:
        numbers = [hit["score"], hit["q_value"], *(hit["parts"][name] for name in parts)]
        cells = ("-" if number is None else f"{number:.3f}" for number in numbers)
        texts = (hit["formula"], hit["name"] or hit["accession"] or hit["entry"], hit["smiles"])
        table.add_row(str(hit["rank"]), *cells, *(text or "-" for text in texts))
    console.print(table, markup=False, highlight=False)


def _ppm(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= 1e5:
        raise argparse.ArgumentTypeError(f"{text!r}: expected parts per million above 0")
    return number


def _count(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = -1
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number, 0 or more")
    return number
