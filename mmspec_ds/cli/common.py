"""Helpers shared by the commands."""

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from mmspec_ds.errors import DataError

Commands = Any  # argparse keeps the type of add_subparsers() private

MODEL = "folder of a trained run or an export, or `starter`, the model that comes with the package"
ALIGNMENT = "folder of a trained run or an export of alignment"
"""What commands say of their model: one that proposes structures, or one that answers in words."""

_OPTION = re.compile(r"--[A-Za-z][\w-]*")


class Parser(argparse.ArgumentParser):
    """A parser that names the nearest command where one is unknown."""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if isinstance(action.choices, Mapping) and value not in action.choices:  # those of add_subparsers
            from mmspec_ds.settings import nearest

            listed = f"`{self.prog} --help` lists them"
            hint = nearest(value, action.choices, otherwise=listed)
            self.error(f"{value!r} is no {str(action.metavar).lower()}: {hint}")
        super()._check_value(action, value)


class Command(Parser):
    """The parser of one command, which names the nearest option where one is unknown; `when_chosen` adds the
    options for which a room must be imported."""

    when_chosen: "Callable[[Command], None] | None" = None

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse known arguments after the command has added its options."""
        add, self.when_chosen = self.when_chosen, None
        if add is not None:
            add(self)
        if self._subparsers is None:  # otherwise options are those of the parsers below
            self._check_options(args or ())
        return super().parse_known_args(args, namespace)

    def _check_options(self, arguments: Sequence[str]) -> None:
        """Refuse an unknown option before anything else is said; a beginning of a name stands for it."""
        known = [name for name in self._option_string_actions if name.startswith("--")]
        for text in takewhile(lambda one: one != "--", arguments):
            name = text.partition("=")[0]
            if _OPTION.fullmatch(name) and not any(one.startswith(name) for one in known):
                from mmspec_ds.settings import nearest

                hint = nearest(name, known, otherwise="expected one of those above")
                self.error(f"unknown option {name}: {hint}")


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
    command.set_defaults(command=run, refuse=command.error)
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


def check_formula(formula: str | None) -> None:
    """Refuse a --formula that is no molecular formula, before the work starts."""
    from mmspec_ds.readers.assembly import check_formula as check

    if formula:
        check(formula, "--formula")


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
