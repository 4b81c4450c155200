"""`mmspec predict`."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mmspec_ds.cli.common import MODEL, Commands, add_command, check_writable, positive
from mmspec_ds.cli.records import RecordsApart, add_one_molecule, add_records, check_records, read_records
from mmspec_ds.progress import ProgressLines

if TYPE_CHECKING:
    from mmspec_ds.readers.requests import Answered
    from mmspec_ds.systems.elucidation.predict_files import Answer


def add(commands: Commands) -> None:
    command = add_command(
        commands,
        _predict,
        "propose structures for records of spectra, one JSON line each",
        "mmspec predict runs/demo --h-nmr proton.jdx --c-nmr carbon.csv --msms unknown.mgf --formula C9H8O4",
    )
    command.add_argument("model", metavar="MODEL", help=MODEL)
    add_records(command)
    add_one_molecule(command)
    command.add_argument("--formula", help="molecular formula; read by models that were trained with it")
    command.add_argument("--top", type=positive, default=10, help="candidates for each record (default: 10)")
    command.add_argument("--beam", type=positive, help="beam width (default: 50, or as --top)")
    command.add_argument(
        "--no-verify",
        dest="verify",
        action="store_false",
        help="rank by the model alone, not by the spectra that are predicted for the candidates as well",
    )
    command.add_argument(
        "--constrain",
        choices=("none", "grammar", "composition"),
        default="composition",
        help="what is searched: molecules of the formula or of the mass by the precursors, as far as these are"
        " known (default); all molecules; or any text, of which the molecules are kept",
    )
    command.add_argument(
        "--precursor-ppm",
        type=float,
        default=10.0,
        metavar="PPM",
        help="how far the mass of a candidate may be from that of the precursors (default: 10)",
    )
    command.add_argument("--out", type=Path, metavar="JSONL", help="write there instead of printing")
    command.add_argument(
        "--resume", action="store_true", help="go on with the file of --out: leave out what it answers"
    )


def _predict(options: argparse.Namespace) -> int:
    if options.resume and options.out is None:
        options.usage("--resume needs --out")
    check_records(options)
    check_writable(options.out)
    from mmspec_ds.api import load
    from mmspec_ds.readers.requests import nothing_answered
    from mmspec_ds.systems.elucidation.predict import BEAM
    from mmspec_ds.systems.elucidation.predict_files import Asked

    asked = Asked(
        top=options.top,
        beam=max(options.beam or BEAM, options.top),
        verified=options.verify,
        constrain=options.constrain,
        precursor_ppm=options.precursor_ppm,
    )
    model = load(options.model)
    apart = RecordsApart(options)

    def answers(answered: "Answered") -> "Iterator[Answer]":
        records = read_records(options, answered, model.trained.encoding.modalities)
        return model.answers(apart.watched(records), asked)

    tally = _Tally()
    if options.out is None:
        for answer in answers(nothing_answered):
            print(json.dumps(answer), flush=True)
            tally.add(answer)
    else:
        _write(answers, options.out, options.resume, tally)
    apart.tell()
    if tally.all and tally.failed == tally.all:
        others = f" (and {tally.all - 1} more without an answer)" if tally.all > 1 else ""
        print(f"mmspec: {tally.first_error}{others}", file=sys.stderr)
        return 1
    return 0


def _write(
    answers: "Callable[[Answered], Iterator[Answer]]", path: Path, resume: bool, tally: "_Tally"
) -> None:
    """All answers into a file, with a bar on a terminal and a line now and then elsewhere."""
    from mmspec_ds.systems.elucidation.answers import AnswersFile

    with AnswersFile(path, resume=resume) as file, ProgressLines("predicting") as progress:
        for answer in answers(file.answered):
            file.write(answer)
            tally.add(answer)
            progress.at(tally.all, status=str(tally), line=f"predicting: {tally}")
        before = f", {file.kept} answered before" if file.kept else ""
    print(f"{path}: {tally}{before}")


@dataclass
class _Tally:
    """How many records were answered, how many without candidates, and why the first one was."""

    all: int = 0
    failed: int = 0
    first_error: str = ""

    def __str__(self) -> str:
        return f"{self.all} records, {self.failed} without an answer"

    def add(self, answer: "Answer") -> None:
        self.all += 1
        if "error" in answer:
            self.first_error = self.first_error or answer["error"]
            self.failed += 1
