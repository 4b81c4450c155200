"""A dialogue on a terminal: questions are typed, answers appear as they are written."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from mmspec_ds.errors import DataError, UserError
from mmspec_ds.files import replacing_output
from mmspec_ds.readers.part import one_line
from mmspec_ds.systems.alignment.addressing import placeholder_of
from mmspec_ds.systems.alignment.dialogue import Dialogue, Reply
from mmspec_ds.systems.alignment.subjects import Subject, molecule_subject, protein_subjects, sample_subject

COMMANDS = {
    "/help": "this list",
    "/objects": "what may be asked about, and how a question names it",
    "/spectrum FILE": "add a sample, a file or a folder of its files",
    "/molecule SMILES": "add a molecule",
    "/protein FASTA": "add the proteins of a file, or one by its letters",
    "/history": "the questions and answers so far",
    "/forget": "begin anew with the same objects: the model reads no earlier question",
    "/save FILE": "write the questions and answers as lines of JSON",
    "/quit": "end; so does the end of the input (Ctrl-D)",
}


def show(dialogue: Dialogue, question: str, choices: Sequence[str] = ()) -> Reply:
    """Ask a question; print its answer as it comes, then what of it is right.

    Raises:
        DataError: as `Dialogue.ask`.
    """
    answered = False

    def stream(text: str) -> None:
        nonlocal answered
        answered = True
        print(_printable(text), end="", flush=True)

    try:
        reply = dialogue.ask(question, choices=choices, stream=stream)
    finally:
        if answered:
            print()
    if not reply.answer:
        print("(an empty answer)")
    for line in (*reply.remarks, *reply.checked.lines()):
        print(f"  {one_line(line, 400)}")
    return reply


class Conversation:
    """Reads questions and commands until the input ends.

    Args:
        dialogue: with its model and objects.
        choices: the only answers that are possible; any without.
    """

    def __init__(self, dialogue: Dialogue, choices: Sequence[str] = ()) -> None:
        self._dialogue, self._choices = dialogue, choices

    def run(self) -> int:
        """Put typed questions to the model until the input ends. Returns the exit status, 0."""
        if sys.stdin.isatty():
            self._objects()
            print("Ask a question, or /help.")
        while True:
            try:
                line = self._read()
            except (EOFError, KeyboardInterrupt):
                if sys.stdin.isatty():
                    print()
                return 0
            if line in ("/quit", "/exit"):
                return 0
            if line:
                self._take(line)

    def _read(self) -> str:
        """A line, without readline's own prompt where nobody types.

        Raises:
            EOFError: the input has ended.
        """
        return input("> " if sys.stdin.isatty() else "").strip()

    def _take(self, line: str) -> None:
        """Do what a line says; what is wrong with it is told, and the dialogue goes on."""
        try:
            if line.startswith("/"):
                self._command(*(line.split(maxsplit=1) if " " in line else (line, "")))
            else:
                show(self._dialogue, line, self._choices)
        except UserError as error:
            print(f"mmspec: {' '.join(str(error).split())}", file=sys.stderr)
        except KeyboardInterrupt:
            print("  (stopped)")

    def _command(self, name: str, rest: str) -> None:
        match name:
            case "/help":
                width = max(map(len, COMMANDS))
                for command, what in COMMANDS.items():
                    print(f"  {command:{width}}  {what}")
            case "/objects":
                self._objects()
            case "/spectrum" | "/molecule" | "/protein":
                self._add(name, rest)
            case "/history":
                for reply in self._dialogue.replies:
                    print(f"> {one_line(reply.question, 2000)}\n{_printable(reply.answer)}")
            case "/forget":
                self._dialogue.forget()
                print("  earlier questions are no longer read")
            case "/save":
                self._save(rest)
            case _:
                raise DataError(f"{one_line(name, 40)} is no command: /help lists them")

    def _add(self, name: str, rest: str) -> None:
        if not rest:
            raise DataError(
                f"{name} names nothing: expected {next(one for one in COMMANDS if one.startswith(name))}"
            )
        if name == "/spectrum":
            path = Path(rest)
            if not path.exists():
                raise DataError("there is no such file", path=path)
            new = [sample_subject(path, None)]
        else:
            new = [molecule_subject(rest)] if name == "/molecule" else protein_subjects(rest)
        self._dialogue.subjects += new
        for one in new:
            for remark in one.remarks:
                print(f"  {one_line(remark, 400)}")
        self._objects()

    def _objects(self) -> None:
        subjects = self._dialogue.subjects
        kinds = [one.kind for one in subjects]
        for place, one in enumerate(subjects):
            print(f"  {placeholder_of(kinds, place)}  {one.name}: {_told(one)}")
        if not subjects:
            print("  no object: questions are answered from the language model alone")

    def _save(self, rest: str) -> None:
        if not rest:
            raise DataError("/save names no file: expected /save FILE")
        lines = [json.dumps(one.to_json(), ensure_ascii=False) for one in self._dialogue.replies]
        with replacing_output(Path(rest)) as partial:
            partial.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        print(f"  {rest}: {len(lines)} questions with their answers")


def _told(one: Subject) -> str:
    return one_line("; ".join(one.details), 300)


def _printable(text: str) -> str:
    """An answer without what would move the cursor: a model may write any character."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "\ufffd" for letter in text)
