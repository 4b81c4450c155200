"""Helpers shared by the commands."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmspec_ds.errors import DataError

Commands = Any  # argparse keeps the type of add_subparsers() private

MODEL = "folder of a trained run or an export, or `starter`, the model that comes with the package"
ALIGNMENT = "folder of a trained run or an export of alignment"
"""What commands say of their model: one that proposes structures, or one that answers in words."""


class Command(argparse.ArgumentParser):
    """The parser of one command; `when_chosen` adds the options for which a room must be imported."""

    when_chosen: "Callable[[Command], None] | None" = None

    def parse_known_args(self, *arguments: Any, **named: Any) -> Any:
        """Parse known arguments after the command has added its options."""
        add, self.when_chosen = self.when_chosen, None
        if add is not None:
            add(self)
        return super().parse_known_args(*arguments, **named)


def add_command(
    commands: Commands, run: Callable[[argparse.Namespace], int], what: str, example: str
) -> Command:
    command: Command = commands.add_parser(
        run.__name__.removeprefix("_"),
        help=what,
        description=what[:1].upper() + what[1:] + ".",
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(command=run)
    return command


def add_spectra(command: Command) -> None:
    """Add an option for each kind of spectrum, which gives the list of its files."""
    from mmspec_ds.readers.batches import SPECTRA
    from mmspec_ds.spectra.registry import REGISTRY

    for name, modality in SPECTRA.items():
        command.add_argument(
            f"--{name.replace('_', '-')}",
            type=Path,
            action="append",
            metavar="FILE",
            help=f"{REGISTRY[modality].label} of one record{', may be given again' if name == 'msms' else ''}",
        )


def check_writable(path: Path | None) -> None:
    """Refuse an output file that cannot be written, before the work starts."""
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


def whole(text: str) -> int:
    number = int(text) if text.isdecimal() and len(text) < 10 else -1
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number, 0 or more")
    return number


def positives(text: str) -> tuple[int, ...]:
    return tuple(positive(part) for part in text.split(","))
