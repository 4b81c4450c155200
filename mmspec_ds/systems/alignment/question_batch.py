"""Many questions from a file, a line of JSON each, answered and checked piece by piece.

    {"id": "a1", "prompt": "Does it contain an ester?", "objects": [{"kind": "molecule", "smiles": "CC(=O)OC"}]}

`prompt` may be called `question`. Objects are written as in the files of `mmspec questions`, whose lines can be
used as they are; without `objects` a question is about those of the dialogue. `choices` are the only answers
that are possible; `answer` is the expected one, and comes back beside the model's.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from mmspec_ds.errors import DataError, UserError
from mmspec_ds.readers.cells import read_cells
from mmspec_ds.readers.fasta import clean_sequence
from mmspec_ds.readers.format_registry import read_file
from mmspec_ds.readers.part import Part, one_line
from mmspec_ds.readers.requests import Request
from mmspec_ds.readers.source import read_lines
from mmspec_ds.settings import nearest
from mmspec_ds.spectra.records import Record
from mmspec_ds.systems.alignment.decoding import GREEDY, Decoding
from mmspec_ds.systems.alignment.dialogue import Answering, Asked, asked_about
from mmspec_ds.systems.alignment.objects import Protein
from mmspec_ds.systems.alignment.questions.question import (
    CellReference,
    MoleculeReference,
    ProteinReference,
    Reference,
    SpectrumReference,
    kind_of_reference,
    reference_of_json,
)
from mmspec_ds.systems.alignment.questions.question_lines import text_of
from mmspec_ds.systems.alignment.subjects import (
    Subject,
    cell_subject,
    molecule_subject,
    protein_subject,
    spectrum_subject,
)

PIECE = 64
"""Questions that are answered together."""
LONGEST_LINE = 1_000_000

_KEYS = ("id", "prompt", "question", "objects", "choices", "answer", "task", "phrasing", "group", "about")
Reply = dict[str, Any]


@dataclass(frozen=True)
class _Line:
    """A line as it was read, or what is wrong with it."""

    id: str
    question: str = ""
    references: tuple[Reference, ...] | None = None
    choices: tuple[str, ...] = ()
    expected: str | None = None
    error: str = ""


def answer_questions(
    model: Answering,
    path: Path,
    subjects: Sequence[Subject] = (),
    decoding: Decoding = GREEDY,
    *,
    choices: Sequence[str] = (),
    answered: Callable[[str], bool] = lambda _: False,
) -> Iterator[Reply]:
    """One reply for each question of a file, in JSON's types.

    Args:
        model: answers.
        path: of the file; the files that it names are looked for from its folder on.
        subjects: what questions without `objects` are about.
        decoding: how answers are written; each question is by itself.
        choices: of questions that state none.
        answered: whether a question was answered before, by its id, and is left out.

    Yields:
        `id`, then the parts of `Reply.to_json`, and `expected` where the line has an answer; or `id` and
        `error`.

    Raises:
        DataError: the file cannot be read, or holds no question.
    """
    lines = (one for one in _read(path) if not answered(one.id))
    while piece := list(islice(lines, PIECE)):
        yield from _answered(model, piece, path.parent, subjects, decoding, tuple(choices))


def _read(path: Path) -> Iterator[_Line]:
    empty = True
    for line in read_lines(path):
        if not line.text.strip():
            continue
        empty = False
        name = f"{path.name}:{line.number}"
        try:
            yield _line_of(line.text, name)
        except ValueError as error:
            yield _Line(name, error=f"{path}: line {line.number}: {one_line(error)}")
    if empty:
        raise DataError("holds no question: expected one a line, in JSON", path=path)


def _line_of(text: str, name: str) -> _Line:
    """The question of a line.

    Raises:
        ValueError: it is none; says what was expected.
    """
    if len(text) > LONGEST_LINE:
        raise ValueError(f"has {len(text):,} letters, expected at most {LONGEST_LINE:,}")
    try:
        content = json.loads(text)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"is a JSON {type(content).__name__}, expected an object with a prompt")
    unknown = next((key for key in content if key not in _KEYS), None)
    if unknown is not None:
        raise ValueError(f"unknown key {one_line(unknown, 40)!r}; {nearest(unknown, _KEYS)}")
    if ("prompt" in content) == ("question" in content):
        raise ValueError("expected a prompt, or a question, and not both")
    return _Line(
        id=text_of(content, "id") if "id" in content else name,
        question=text_of(content, "prompt" if "prompt" in content else "question"),
        references=_references(content),
        choices=_texts(content.get("choices", [])),
        expected=text_of(content, "answer") if "answer" in content else None,
    )


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) and one.strip() for one in value):
        raise ValueError("choices is no list of texts")
    if len(set(value)) < len(value) or len(value) == 1:
        raise ValueError("choices has one answer, or one twice: expected two different ones or more")
    return tuple(value)


def _references(content: Mapping[str, Any]) -> tuple[Reference, ...] | None:
    if "objects" not in content:
        return None
    objects = content["objects"]
    if not isinstance(objects, list) or not all(isinstance(one, dict) for one in objects):
        raise ValueError("objects is no list of objects")
    found = []
    for one in objects:
        alone = {"record": 0} if one.get("kind") == "spectrum" and "record" not in one else {}
        found.append(reference_of_json({**one, **alone}))
    return tuple(found)


def _answered(
    model: Answering,
    piece: Sequence[_Line],
    folder: Path,
    subjects: Sequence[Subject],
    decoding: Decoding,
    choices: tuple[str, ...],
) -> Iterator[Reply]:
    """The replies of one piece."""
    found = _subjects_of((one for line in piece for one in line.references or ()), folder)
    ready: list[Asked | str] = []
    for line in piece:
        if line.error:
            ready.append(line.error)
            continue
        own = list(subjects) if line.references is None else [found[one] for one in line.references]
        wrong = next((one for one in own if isinstance(one, str)), None)
        try:
            about = [one for one in own if isinstance(one, Subject)]
            ready.append(asked_about(line.question, about) if wrong is None else wrong)
        except DataError as error:
            ready.append(str(error))
    places = [at for at, one in enumerate(ready) if isinstance(one, Asked)]
    asked = [one for one in ready if isinstance(one, Asked)]
    answers = dict(zip(places, _ask(model, asked, [piece[at].choices or choices for at in places], decoding)))
    for at, (line, one) in enumerate(zip(piece, ready)):
        answer = answers.get(at, one)
        if isinstance(answer, str) and isinstance(one, Asked):
            expected = {} if line.expected is None else {"expected": line.expected}
            yield {"id": line.id, **one.reply(answer).to_json(), **expected}
        else:
            yield {"id": line.id, "error": one_line(answer, 400)}


def _ask(
    model: Answering, asked: Sequence[Asked], choices: Sequence[Sequence[str]], decoding: Decoding
) -> list[str | DataError]:
    """The answers; where a question cannot be answered, why. They are asked together, and one by one where one
    of them is at fault."""
    if not asked:
        return []
    objects = [[one.object for one in question.subjects] for question in asked]
    prompts = [question.prompt for question in asked]
    try:
        return list(model.answer(prompts, objects, decoding=decoding, choices=choices))
    except DataError as error:
        if len(asked) == 1:
            return [DataError(error.message.removeprefix("question 0: "), path=error.path)]
    return [answer for one, own in zip(asked, choices) for answer in _ask(model, [one], [own], decoding)]


def _subjects_of(references: Iterable[Reference], folder: Path) -> dict[Reference, Subject | str]:
    """By reference its object, or why there is none; each file of spectra is read once."""
    found: dict[Reference, Subject | str] = {}
    spectra: dict[str, set[int]] = {}
    cells: dict[str, set[int]] = {}
    for one in dict.fromkeys(references):
        if isinstance(one, SpectrumReference):
            spectra.setdefault(one.file, set()).add(one.record)
            continue
        if isinstance(one, CellReference):
            cells.setdefault(one.file, set()).add(one.row)
            continue
        try:
            match one:
                case MoleculeReference():
                    found[one] = molecule_subject(one.smiles)
                case ProteinReference():
                    found[one] = protein_subject(Protein(clean_sequence(one.sequence), one.name))
        except (UserError, ValueError) as error:
            found[one] = f"{kind_of_reference(one)}: {error}"
    for file, numbers in spectra.items():
        records = _records(folder / file, numbers)
        found |= {SpectrumReference(file, number): record for number, record in records.items()}
    for file, rows in cells.items():
        found |= {CellReference(file, row): cell for row, cell in _cells(folder / file, rows).items()}
    return found


def _cells(path: Path, rows: set[int]) -> dict[int, Subject | str]:
    try:
        table = read_cells(path)
    except (UserError, OSError) as error:
        return dict.fromkeys(rows, str(error))
    return {
        row: cell_subject(table, row) if row < len(table) else f"{path}: has no cell {row}, only {len(table):,}"
        for row in rows
    }


def _records(path: Path, numbers: set[int]) -> dict[int, Subject | str]:
    missing = "has no record {} with a spectrum that can be read"
    found: dict[int, Subject | str] = {one: f"{path}: {missing.format(one)}" for one in numbers}
    left = set(numbers)
    try:
        for item in read_file(path):
            number = int(item.id.rpartition(":")[2])
            if number not in left:
                continue
            left.discard(number)
            if isinstance(item, Part):
                record = Record(item.id, item.spectra, item.smiles, item.formula)
                found[number] = spectrum_subject(Request(item.id, record, remarks=item.remarks))
            else:
                found[number] = str(item)
            if not left:
                break
    except (DataError, OSError) as error:
        found |= dict.fromkeys(left, str(error))
    return found
