"""What the commands of the command line share."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmspec_ds.errors import DataError

Commands = Any  # argparse keeps the type of add_subparsers() private


def add_command(
    commands: Commands, run: Callable[[argparse.Namespace], int], what: str, example: str
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        run.__name__.removeprefix("_"),
        help=what,
        description=what[:1].upper() + what[1:] + ".",
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(command=run)
    return command


def check_writable(path: Path | None) -> None:
    """Refuse, before work of minutes, a file that cannot be written at its end."""
    if path is None:
        return
    if path.is_dir():
        raise DataError("cannot be written: it is a folder, expected a file", path=path)
    if not path.parent.is_dir():
        raise DataError("cannot be written: its folder does not exist", path=path)


def positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a positive whole number")
    return number
