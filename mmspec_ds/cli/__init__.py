"""The command line, `mmspec COMMAND`: a module for each command, which adds its options and runs it.

Exit status: 0 done, 1 a fault in data or run (one line on stderr), 2 wrong usage, 143 stopped on request.
Rooms are imported by the command that needs them, so that `--help` is there at once.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mmspec_ds.cli import (
    annotate,
    calibrate,
    chat,
    cohort,
    evaluate,
    explain,
    export,
    fit,
    inspect,
    library,
    plan,
    predict,
    prepare,
    profile,
    questions,
    rank,
    report,
    search,
    simulate,
    study,
    train,
    unpack,
    upcycle,
)
from mmspec_ds.cli.common import Command, Parser
from mmspec_ds.errors import UserError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = _parsed(arguments)
    try:
        status: int = options.command(options)
    except UserError as error:
        print(f"mmspec: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader of our output has left; the interpreter must not write to it again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        print(f"mmspec: {error.filename or 'input or output'}: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("mmspec: interrupted", file=sys.stderr)
        return 130
    return status


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options; `section.key=value` and files may stand after a flag too, where argparse alone would not
    take them."""
    parser = make_parser()
    if not (sys.argv[1:] if arguments is None else arguments):
        parser.print_help(sys.stderr)  # a newcomer's question, and wrong usage for a script
        sys.exit(2)
    options, rest = parser.parse_known_args(arguments)
    if hasattr(options, "files") and not any(text.startswith("-") for text in rest):
        options.files, rest = [*options.files, *map(Path, rest)], []
    strangers = [text for text in rest if text.startswith("-") or "=" not in text]
    if strangers or (rest and not hasattr(options, "overrides")):
        options.refuse(f"unrecognized arguments: {' '.join(strangers or rest)}")
    if rest:
        options.overrides = [*options.overrides, *rest]
    return options


def make_parser() -> argparse.ArgumentParser:
    """All commands with their options; each `--help` ends with a worked example."""
    parser = Parser(
        prog="mmspec",
        description="Read molecular structures out of spectra.",
        epilog="`mmspec COMMAND --help` tells the options of a command, with an example. To begin:"
        " mmspec predict starter --c-nmr carbon.csv --formula C9H8O4",
    )
    # The deepspeed launcher puts it before the command, unless told --no_local_rank; LOCAL_RANK says the same.
    parser.add_argument("--local_rank", "--local-rank", help=argparse.SUPPRESS)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=Command)
    for command in (
        predict, explain, rank, inspect, evaluate, calibrate, library, search, questions, chat, annotate,
        unpack, fit, simulate, prepare, train, report, cohort, plan, profile, study, upcycle, export,
    ):  # fmt: skip
        command.add(commands)
    return parser
