"""`mmspec rank`."""

import argparse
import csv
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mmspec_ds.cli.common import MODEL, Commands, add_command, check_writable, positive
from mmspec_ds.cli.records import RecordsApart, add_one_molecule, add_records, check_records, read_records
from mmspec_ds.errors import DataError
from mmspec_ds.progress import ProgressLines

if TYPE_CHECKING:
    from mmspec_ds.systems.elucidation.rank_files import Answer

PASSES = {"c_nmr": "the 13C spectrum", "h_nmr": "the 1H spectrum", "model": "the model"}
COLUMNS = ("id", "rank", "smiles", "name", "score", "share", "log_probability")


def add(commands: Commands) -> None:
    command = add_command(
        commands,
        _rank,
        "order suspected structures by how well they agree with measured spectra",
        "mmspec rank none --candidates suspects.smi --c-nmr carbon.csv --formula C9H8O4",
    )
    command.add_argument("model", metavar="MODEL", help=f"{MODEL}; `none`: by predicted spectra alone")
    add_records(command)
    add_one_molecule(command)
    command.add_argument("--formula", help="molecular formula; candidates of another one are left out")
    command.add_argument(
        "--candidates",
        type=Path,
        action="append",
        default=[],
        metavar="LIST",
        help="a SMILES and perhaps a name a line, or a table (CSV, parquet) with a column smiles; may be gzip,"
        " of any length, given again",
    )
    command.add_argument("--isomers-of", metavar="FORMULA", help="rank all isomers of a small formula")
    command.add_argument(
        "--precursor-ppm",
        type=float,
        default=10.0,
        metavar="PPM",
        help="without a formula, candidates must have the mass of the MS/MS precursor to within this"
        " (default: 10)",
    )
    command.add_argument("--top", type=positive, default=10, help="candidates to print (default: 10)")
    command.add_argument(
        "--keep",
        type=positive,
        default=500,
        help="of a longer list, candidates that are judged by everything after a first pass (default: 500)",
    )
    command.add_argument("--out", type=Path, metavar="FILE", help="write those too: FILE.csv, or lines of JSON")


def _rank(options: argparse.Namespace) -> int:
    if not options.candidates and options.isomers_of is None:
        options.usage("expected --candidates LIST or --isomers-of FORMULA")
    check_records(options)
    options.formula = options.formula or options.isomers_of
    check_writable(options.out)
    for path in options.candidates:
        if not path.is_file():
            raise DataError("there is no such file", path=path)
    from mmspec_ds.systems.elucidation.rank_files import Suspects, rank_requests
    from mmspec_ds.systems.elucidation.trained import load_model

    trained = None if options.model == "none" else load_model(options.model)
    suspects = Suspects(tuple(options.candidates), _isomers(options.isomers_of), options.precursor_ppm)
    errors, answered, apart = [], 0, RecordsApart(options)
    with _written(options.out) as write, ProgressLines("ranking", unit="candidates") as progress:
        requests = apart.watched(read_records(options, lambda _: False))
        for answer in rank_requests(requests, suspects, trained, keep=options.keep, progress=progress.at):
            write(answer)
            if "error" in answer:
                errors.append(f"{answer['id']}: {answer['error']}")
            else:
                answered += 1
                _print(answer, options.top)
    apart.tell()
    for error in errors:
        print(f"mmspec: {error}", file=sys.stderr)
    return 0 if answered else 1


def _isomers(formula: str | None) -> tuple[str, ...]:
    from mmspec_ds.simulator.isomers import isomers_of

    try:
        return () if formula is None else tuple(isomers_of(formula))
    except ValueError as error:
        raise DataError(f"--isomers-of {formula}: {error}") from None


def _print(answer: "Answer", top: int) -> None:
    """The best candidates as a table, and what was left out."""
    from rich.console import Console
    from rich.table import Table

    candidates = answer["candidates"]
    parts = list(candidates[0]["parts"])
    has_model = any(one["log_probability"] is not None for one in candidates)
    table = Table(title=answer["id"], title_justify="left", box=None)
    for head in ("rank", "share", "score", *parts, *(["model"] if has_model else [])):
        table.add_column(head, justify="right")
    for head in ("SMILES", "name"):
        table.add_column(head, overflow="fold")
    for one in candidates[:top]:
        numbers = [one["score"], *(one["parts"][name] for name in parts)]
        numbers += [one["log_probability"]] if has_model else []
        cells = ("-" if number is None else f"{number:.1f}" for number in numbers)
        table.add_row(str(one["rank"]), f"{one['share']:.1%}", *cells, one["smiles"], one["name"])
    console = Console()
    console.print(table, markup=False, highlight=False)
    left_out = ", ".join(f"{count:,} {reason}" for reason, count in answer["left_out"].items())
    told = f"{answer['read']:,} candidates read, {answer['judged']:,} ranked"
    told += f"; left out: {left_out}" if left_out else ""
    if answer["first_pass"]:
        told += f"; the best {len(candidates):,} by {PASSES[answer['first_pass']]} were judged by everything"
    for line in (told, *answer["remarks"]):
        console.print(line, soft_wrap=True, markup=False, highlight=False)


@contextmanager
def _written(path: Path | None) -> "Iterator[Callable[[Answer], object]]":
    """What writes an answer into a file that appears when all are there; nothing where there is no path."""
    from mmspec_ds.files import replacing
    from mmspec_ds.readers.batches import SPECTRA
    from mmspec_ds.spectra.registry import REGISTRY

    if path is None:
        yield lambda answer: None
        return
    with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        if path.suffix != ".csv":
            yield lambda answer: file.write(json.dumps(answer) + "\n")
            return
        names = [REGISTRY[modality].name for modality in SPECTRA.values()]
        rows = csv.DictWriter(file, [*COLUMNS, *names], extrasaction="ignore", lineterminator="\n")
        rows.writeheader()
        yield lambda answer: rows.writerows(
            {"id": answer["id"], **one, **one["parts"]} for one in answer.get("candidates", [])
        )
