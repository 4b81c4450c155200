"""Every command that the documentation shows is one that the program takes: commands, options, settings,
scripts and targets. Nothing is run."""

import argparse
import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import pytest

from mmspec_ds.cli import _parsed, make_parser
from mmspec_ds.systems.run_file import find_run_file, load_run

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "examples/*.md", "benchmarks/*.md", "mmspec_ds/models/*/README.md")
    for path in ROOT.glob(pattern)
    if path.name not in ("LOG.md", "CHANGELOG.md")  # what was, not what is
)
ELLIPSIS = "..."
TAKES_SETTINGS = {"train", "profile", "plan"}


class Shown(NamedTuple):
    """A command line of a page, in words, without its comment."""

    page: str
    words: list[str]


def blocks(text: str) -> Iterator[str]:
    """The lines of indented and fenced blocks, those that end with a backslash joined."""
    fenced, pending = False, ""
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
            continue
        if not fenced and not line.startswith("    "):
            pending = ""
            continue
        pending += line.strip().removeprefix("$ ")
        if pending.endswith("\\"):
            pending = pending[:-1]
            continue
        yield pending
        pending = ""


def shown() -> Iterator[Shown]:
    """All command lines of the blocks of all pages."""
    for page in PAGES:
        for line in blocks(page.read_text(encoding="utf-8")):
            first = line.split(maxsplit=1)[0] if line else ""
            if re.fullmatch(
                r"(\.venv/bin/)?mmspec|python|deepspeed|make|(launch|tools)/\S+|[A-Z_]+=\S*", first
            ):
                words = shlex.split(line, comments=True)
                while re.fullmatch(r"[A-Z_]+=\S*", words[0]):  # the environment
                    words = words[1:]
                yield Shown(str(page.relative_to(ROOT)), words)


COMMANDS = list(shown())


def ours(words: list[str]) -> list[str] | None:
    """The arguments of `mmspec` in a command line that starts it, directly or by a launcher."""
    if Path(words[0]).name == "mmspec":
        return words[1:]
    if "mmspec_ds" in words:
        return words[words.index("mmspec_ds") + 1 :]
    return None


def of_program(one: Shown) -> bool:
    return ours(one.words) is not None


def name_of(one: Shown) -> str:
    return f"{one.page}: {' '.join(one.words)}"


def test_pages_show_commands() -> None:
    assert len(COMMANDS) > 60
    assert {"README.md", "docs/simulator.md", "examples/README.md"} <= {one.page for one in COMMANDS}


@pytest.mark.parametrize("one", [one for one in COMMANDS if of_program(one)], ids=name_of)
def test_the_program_takes_it(one: Shown) -> None:
    arguments = [word for word in ours(one.words) or [] if word != ELLIPSIS]
    options = _parsed(arguments)  # ends the process where it is wrong usage
    if arguments[0] not in TAKES_SETTINGS:
        return
    for attribute in ("run", "against"):
        run = getattr(options, attribute, None)
        first = run[0] if isinstance(run, list) else run
        if first is not None and find_run_file(Path(first)).is_file():
            others = run[1:] if isinstance(run, list) else options.overrides
            load_run(Path(first), [str(other) for other in others])


class _Parsed(Exception):
    """A script has read its options."""


@pytest.mark.parametrize(
    "one", [one for one in COMMANDS if one.words[0] == "python" and not of_program(one)], ids=name_of
)
def test_a_script_takes_it(one: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    script, *arguments = [word for word in one.words[1:] if word != ELLIPSIS]
    for name in ("parse_args", "parse_intermixed_args"):
        parse = getattr(argparse.ArgumentParser, name)

        def stop(self: Any, *given: Any, parse: Any = parse, **named: Any) -> NoReturn:
            parse(self, *given, **named)
            raise _Parsed

        monkeypatch.setattr(argparse.ArgumentParser, name, stop)
    if script == "benchmarks/run.py" and arguments:
        registry = runpy.run_path(str(ROOT / script), run_name="registry")["REGISTRY"]
        script, arguments = f"benchmarks/{registry[arguments[0]].script}", arguments[1:]
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    for folder in ("benchmarks", "tools", "", "kernels"):
        monkeypatch.syspath_prepend(str(ROOT / folder))
    if script == "benchmarks/run.py":  # it lists the benchmarks
        runpy.run_path(str(ROOT / script), run_name="__main__")
        return
    with pytest.raises(_Parsed):
        runpy.run_path(str(ROOT / script), run_name="__main__")


@pytest.mark.parametrize(
    "one", [one for one in COMMANDS if one.words[0] == "make" or "/" in one.words[0]], ids=name_of
)
def test_a_target_or_script_is_there(one: Shown) -> None:
    first, *rest = one.words
    if first == "make":
        assert re.search(rf"^{rest[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    elif not first.startswith(".venv/"):
        assert (ROOT / first).stat().st_mode & 0o100


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_in_the_text_exist(page: Path) -> None:
    """Commands within sentences may be parts of one; their options are real."""
    parser = make_parser()
    choices = next(iter(parser._subparsers._group_actions)).choices  # type: ignore[union-attr]
    assert isinstance(choices, dict)
    text = re.sub(r"^    .*$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for inline in re.findall(r"`mmspec ([^`]+)`", text):
        words = inline.split()
        assert words[0] in choices or words[0] == "COMMAND" or words[0].startswith("-"), inline
        if words[0] in choices:
            known = command_help(choices[words[0]], words)
            for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", inline):
                assert option in known, inline


def command_help(command: argparse.ArgumentParser, words: list[str]) -> str:
    """The help of a command, or of the part of one that these words name, with all of its options."""
    add = getattr(command, "when_chosen", None)
    if add is not None:
        command.when_chosen = None  # type: ignore[attr-defined]
        add(command)
    told = command.format_help()
    for action in command._actions:
        if isinstance(action.choices, dict) and len(words) > 1 and words[1] in action.choices:
            told += command_help(action.choices[words[1]], words[1:])
    return told
