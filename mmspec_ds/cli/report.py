"""Write a report about a run: `mmspec report`."""

import argparse
from pathlib import Path

from mmspec_ds.cli.common import Commands, add_command, check_writable, positive
from mmspec_ds.progress import ProgressLines


def add(commands: Commands) -> None:
    command = add_command(
        commands,
        _report,
        "write one page of HTML about a run: curves, routing, examples with drawn molecules, environment",
        "mmspec report runs/demo --out demo.html",
    )
    command.add_argument("run", type=Path, metavar="RUN_DIR", help="folder of a run, finished or not")
    command.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="the page (default: RUN_DIR/report.html); pictures go beside it",
    )
    command.add_argument(
        "--data",
        type=Path,
        nargs="+",
        default=(),
        metavar="FILE",
        help="molecules for the examples (default: the files that the run was validated on)",
    )
    command.add_argument(
        "--molecules",
        type=positive,
        default=64,
        metavar="N",
        help="how many of them the model reads to choose examples from (default: 64)",
    )
    command.add_argument("--no-examples", action="store_true", help="leave these out; no model is loaded")


def _report(options: argparse.Namespace) -> int:
    from mmspec_ds.reporting.page import ReportRequest, write_report

    page = options.out or options.run / "report.html"
    if options.run.is_dir():
        check_writable(page)
    ask = 0 if options.no_examples else options.molecules
    request = ReportRequest(options.run, page, tuple(options.data), ask)
    with ProgressLines("reading molecules", ask, unit="molecules") as progress:
        examples = write_report(request, progress.at)
    print(examples.remark)
    print(f"{page}, and its pictures in {request.pictures}")
    return 0
