"""`mmspec explain`."""

import argparse
from pathlib import Path

from mmspec_ds.cli.common import (
    MODEL,
    Commands,
    add_command,
    add_spectra,
    check_formula,
    check_writable,
    positive,
)


def add(commands: Commands) -> None:
    command = add_command(
        commands,
        _explain,
        "say why a model proposes its structures for one molecule: signals, atoms, spectra, experts",
        "mmspec explain starter proton.jdx carbon.csv --formula C9H8O4 --png why.png --html why.html",
    )
    command.add_argument("model", metavar="MODEL", help=MODEL)
    command.add_argument(
        "files", type=Path, nargs="*", default=[], metavar="FILE", help="spectra of one molecule"
    )
    command.add_argument("--formula", help="molecular formula")
    command.add_argument("--top", type=positive, default=3, help="candidates that are explained (default: 3)")
    command.add_argument("--png", type=Path, metavar="FILE", help="draw the answer there")
    command.add_argument("--html", type=Path, metavar="FILE", help="write the answer there, as one page")
    command.set_defaults(usage=command.error)
    command.when_chosen = add_spectra


def _explain(options: argparse.Namespace) -> int:
    from mmspec_ds.api import load, read
    from mmspec_ds.readers.batches import SPECTRA

    named = {name: paths for name in SPECTRA if (paths := getattr(options, name))}
    if not options.files and not named:
        options.usage("expected the files of one molecule")
    check_formula(options.formula)
    check_writable(options.png)
    check_writable(options.html)
    measured = read(*options.files, formula=options.formula, **named)
    explanation = load(options.model).explain(measured, top=options.top)
    print(explanation)
    if options.png is not None:
        explanation.save_png(options.png)
    if options.html is not None:
        explanation.save_html(options.html)
    return 0
