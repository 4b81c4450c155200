"""Questions as JSON lines: one a line, with every line checked.

    {"task": "functional group", "prompt": "Does [MOLECULE] contain an ester?", "answer": "yes",
     "choices": ["yes", "no"], "objects": [{"kind": "molecule", "smiles": "CC(=O)OC"}], "phrasing": 0,
     "group": "KXKVLQRXCPHEJC"}

`choices`, `phrasing`, `group` and `about` (what is asked for, such as a group's name) may be missing. The
objects are in the order of the placeholders:
`{"kind": "molecule", "smiles"}`, `{"kind": "protein", "sequence", "name"}`, `{"kind": "spectrum", "file",
"record"}` and `{"kind": "cell", "file", "row"}`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from mmspec_ds.errors import DataError
from mmspec_ds.files import replacing_output
from mmspec_ds.molecules.smiles import parse_smiles
from mmspec_ds.readers.fasta import clean_sequence
from mmspec_ds.readers.source import read_lines
from mmspec_ds.systems.alignment.questions.question import (
    MoleculeReference,
    ProteinReference,
    Question,
    json_of_reference,
    reference_of_json,
)

MOST_CHARACTERS = 1_000_000
"""Of a line: a protein of 35,000 amino acids and a description fit thirty times."""

_TEXTS = ("task", "prompt", "answer")
_KEYS = frozenset((*_TEXTS, "choices", "objects", "phrasing", "group", "about"))


def write_questions(path: Path, questions: Iterable[Question]) -> int:
    """Write questions, whole or not at all; the number of them.

    Raises:
        DataError: the file cannot be written.
    """
    count = 0
    with replacing_output(path) as partial, partial.open("w", encoding="utf-8", newline="\n") as file:
        for one in questions:
            file.write(json.dumps(json_of_question(one), ensure_ascii=False) + "\n")
            count += 1
    return count


def json_of_question(one: Question) -> dict[str, Any]:
    """A question in JSON's types."""
    content: dict[str, Any] = {"task": one.task, "prompt": one.prompt, "answer": one.answer}
    if one.choices:
        content["choices"] = list(one.choices)
    content["objects"] = [json_of_reference(reference) for reference in one.references]
    content |= {"phrasing": one.phrasing, "group": one.group}
    return content | ({"about": one.about} if one.about else {})


def read_questions(path: Path) -> Iterator[Question]:
    """The questions of a file, one at a time; empty lines are passed over.

    Raises:
        DataError: the file cannot be read or has no question, or a line is none; names the file and the line,
            counted from 1.
    """
    empty = True
    for line in read_lines(path):
        if not line.text.strip():
            continue
        empty = False
        try:
            yield question_of_line(line.text)
        except ValueError as error:
            raise DataError(f"line {line.number}: {error}", path=path) from None
    if empty:
        raise DataError("no question in the file; expected one a line, in JSON", path=path)


def question_of_line(text: str) -> Question:
    """The question of one line.

    Raises:
        ValueError: the line is none; the message is one line and says what was expected.
    """
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"has {len(text):,} characters, expected at most {MOST_CHARACTERS:,}")
    content = _object_of(text)
    for key in content:
        if key not in _KEYS:
            raise ValueError(f"unknown key {key[:40]!r}; expected {', '.join(sorted(_KEYS))}")
    values = {name: text_of(content, name) for name in _TEXTS}
    if not values["prompt"].strip() or not values["task"].strip():
        raise ValueError("the prompt or the task is empty")
    objects, choices, phrasing = content.get("objects"), content.get("choices", []), content.get("phrasing", 0)
    if not isinstance(objects, list) or not all(isinstance(one, dict) for one in objects):
        raise ValueError("objects is no list of objects")
    if not isinstance(choices, list) or not all(isinstance(one, str) for one in choices):
        raise ValueError("choices is no list of texts")
    if type(phrasing) is not int or not 0 <= phrasing < 10_000:
        raise ValueError("phrasing is no whole number from 0")
    references = tuple(reference_of_json(one) for one in objects)
    for reference in references:
        if isinstance(reference, MoleculeReference):
            _check_smiles(reference.smiles)
        elif isinstance(reference, ProteinReference):
            _check_sequence(reference.sequence)
    group, about = (text_of(content, name) if name in content else "" for name in ("group", "about"))
    return Question(
        values["prompt"], references, values["answer"], values["task"], tuple(choices), phrasing, group, about
    )


def _check_sequence(sequence: str) -> None:
    try:
        clean = clean_sequence(sequence)
    except ValueError as error:
        raise ValueError(f"the sequence of a protein {error}") from None
    if clean != sequence:
        raise ValueError("the sequence of a protein has other characters than capital letters")


@lru_cache(maxsize=100_000)  # a molecule is asked about many times
def _check_smiles(smiles: str) -> None:
    parse_smiles(smiles)


def _object_of(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text, object_pairs_hook=_without_repetition, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {error.msg} at character {error.pos + 1}") from None
    if not isinstance(content, dict):
        raise ValueError(f"is a JSON {type(content).__name__}, expected an object with task, prompt and answer")
    return content


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a key is there twice")
    return content


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def text_of(content: Mapping[str, Any], name: str) -> str:
    """The text at a key of a JSON object.

    Raises:
        ValueError: there is none, or it has no UTF-8; names the key.
    """
    value = content.get(name)
    if not isinstance(value, str):
        raise ValueError(f"{name} is {'missing' if name not in content else 'no text'}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} holds half a character (a lone surrogate)") from None
    return value
