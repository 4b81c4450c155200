"""`mmspec chat`."""

import argparse
import json
import math
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from mmspec_ds.cli.common import (
    ALIGNMENT,
    Command,
    Commands,
    add_command,
    add_spectra,
    check_formula,
    check_writable,
    positive,
    whole,
)
from mmspec_ds.cli.records import name_of_sources, named_sources
from mmspec_ds.errors import DataError

if TYPE_CHECKING:
    from mmspec_ds.systems.alignment.dialogue import Dialogue, Reply
    from mmspec_ds.systems.alignment.subjects import Subject


def add(commands: Commands) -> None:
    command = add_command(
        commands,
        _chat,
        "ask a model about spectra, molecules, proteins and cells in words",
        'mmspec chat runs/alignment --c-nmr carbon.csv --ask "Does it contain a carboxylic acid?"',
    )
    command.add_argument("model", type=Path, metavar="MODEL", help=ALIGNMENT)
    _add_objects(command)
    _add_questions(command)
    _add_decoding(command)
    command.set_defaults(usage=command.error)
    command.when_chosen = add_spectra


def _add_objects(command: Command) -> None:
    command.add_argument(
        "--spectrum",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a sample: a file of spectra of any format that `mmspec inspect` reads, or a folder of files of"
        " one sample; given again: another sample",
    )
    command.add_argument(
        "--formula", help="of the sample; the model is not told, its answers are checked by it"
    )
    command.add_argument(
        "--molecule", action="append", default=[], metavar="SMILES", help="a molecule; may be given again"
    )
    command.add_argument(
        "--protein",
        action="append",
        default=[],
        metavar="FASTA",
        help="proteins of a FASTA file, or the letters of one; may be given again",
    )
    command.add_argument("--cells", type=Path, metavar="FILE", help="cells, as h5ad or NPZ")
    command.add_argument(
        "--cell",
        action="append",
        default=[],
        metavar="NAME",
        help="the cell of --cells, by its name or its number from 0; may be given again",
    )
    command.add_argument(
        "--infer",
        metavar="MODEL",
        help="a model that proposes structures, such as `starter`: answers about a sample whose structure is"
        " not known are checked by its first proposal",
    )


def _add_questions(command: Command) -> None:
    command.add_argument(
        "--ask",
        action="append",
        default=[],
        metavar="QUESTION",
        help="ask this and end; given again: the next question of the dialogue (default: questions are typed)",
    )
    command.add_argument(
        "--questions",
        type=Path,
        metavar="JSONL",
        help="questions of a file, a line of JSON each, see docs/chat.md",
    )
    command.add_argument("--out", type=Path, metavar="JSONL", help="write answers there instead of printing")
    command.add_argument(
        "--resume", action="store_true", help="go on with the file of --out: leave out what it answers"
    )
    command.add_argument("--json", action="store_true", help="print each answer of --ask as a line of JSON")
    command.add_argument(
        "--choices", type=_choices, default=(), metavar="A,B", help="the only answers that are possible"
    )
    command.add_argument(
        "--history",
        type=whole,
        default=0,
        metavar="N",
        help="earlier questions that the model reads before a new one (default: 0, each by itself)",
    )


def _add_decoding(command: Command) -> None:
    command.add_argument(
        "--temperature",
        type=_temperature,
        default=0.0,
        help="draw the words; 0 takes the likeliest (default: 0)",
    )
    command.add_argument(
        "--top-p",
        type=_share,
        default=0.95,
        help="draw among the likeliest of this probability (default: 0.95)",
    )
    command.add_argument("--seed", type=whole, default=0, help="of the draws (default: 0)")
    command.add_argument(
        "--max-tokens", type=positive, default=128, help="most tokens of an answer (default: 128)"
    )
    command.add_argument(
        "--language-model",
        type=Path,
        metavar="DIR",
        help="folder of the language model (default: that of the training)",
    )


def _chat(options: argparse.Namespace) -> int:
    _check(options)
    from mmspec_ds.systems.alignment.decoding import Decoding
    from mmspec_ds.systems.alignment.dialogue import Dialogue

    subjects = list(_subjects(options))  # a slip in their names is told before the models are loaded
    from mmspec_ds.systems.alignment.trained import load_alignment

    model = load_alignment(options.model, options.language_model)
    if options.infer is not None:
        subjects = _with_proposals(subjects, options.infer)
    for one in subjects:
        for remark in one.remarks:
            print(f"mmspec: {one.name}: {remark}", file=sys.stderr)
    decoding = Decoding(options.max_tokens, options.temperature, options.top_p, options.seed)
    dialogue = Dialogue(model, subjects, decoding, options.history)
    if options.questions is not None:
        from mmspec_ds.cli.chat_batch import answer_file

        return answer_file(
            dialogue, options.questions, options.out, resume=options.resume, choices=options.choices
        )
    if options.ask:
        return _ask(dialogue, options)
    from mmspec_ds.cli.chat_loop import Conversation

    return Conversation(dialogue, options.choices).run()


def _check(options: argparse.Namespace) -> None:
    """Refuse what cannot be meant, before the work starts."""
    if options.questions is not None and options.ask:
        options.usage("expected --ask or --questions, not both")
    if options.out is not None and options.questions is None and not options.ask:
        options.usage("--out needs --questions or --ask")
    if options.resume and (options.out is None or options.questions is None):
        options.usage("--resume needs --questions and --out")
    if options.cell and options.cells is None:
        options.usage("--cell needs --cells")
    sources = named_sources(options)
    if options.formula is not None and not sources and not options.spectrum:
        options.usage("--formula is of a sample: expected --spectrum or the like")
    if options.formula is not None and len(options.spectrum) + bool(sources) > 1:
        options.usage("--formula is of one sample: expected one --spectrum")
    check_formula(options.formula)
    cells = [options.cells] if options.cells is not None else []
    questions = [options.questions] if options.questions is not None else []
    for path in chain(options.spectrum, (one.path for one in sources), cells, questions):
        if not path.exists():
            raise DataError("there is no such file", path=path)
    check_writable(options.out)


def _subjects(options: argparse.Namespace) -> "Iterator[Subject]":
    """The objects: samples, molecules, proteins, cells."""
    from mmspec_ds.readers.requests import request_of_sources
    from mmspec_ds.systems.alignment.subjects import (
        cell_subjects,
        molecule_subject,
        protein_subjects,
        sample_subject,
        spectrum_subject,
    )

    for path in options.spectrum:
        yield sample_subject(path, options.formula)
    sources = named_sources(options)
    if sources:
        request = request_of_sources(name_of_sources(sources), sources, options.formula)
        yield spectrum_subject(request, formula_given=options.formula is not None)
    yield from map(molecule_subject, options.molecule)
    yield from chain.from_iterable(map(protein_subjects, options.protein))
    if options.cells is not None:
        yield from cell_subjects(options.cells, options.cell)


def _with_proposals(subjects: "list[Subject]", name: str) -> "list[Subject]":
    """The subjects; samples of unknown structure with the first structure that a model proposes for them."""
    from dataclasses import replace

    from mmspec_ds.api import load
    from mmspec_ds.spectra.records import Record

    model = load(name)
    found = []
    for one in subjects:
        if one.kind == "spectrum" and one.known.smiles is None:
            assert isinstance(one.object, Record)
            record = replace(one.object, formula=one.known.formula)
            try:
                candidates = model.predict(record, top=1).candidates
                remark = "" if candidates else f"{name} proposes no structure"
            except DataError as error:
                candidates, remark = (), f"{name} proposes no structure: {error}"
            if remark:
                one = replace(one, remarks=(*one.remarks, remark))
            else:
                one = one.inferred(candidates[0].smiles, name, candidates[0].confidence)
        found.append(one)
    return found


def _ask(dialogue: "Dialogue", options: argparse.Namespace) -> int:
    """The questions of the command line, one after the other."""
    from mmspec_ds.cli.chat_loop import show
    from mmspec_ds.files import replacing_output

    if options.out is not None:
        replies = [dialogue.ask(one, choices=options.choices) for one in options.ask]
        with replacing_output(options.out) as partial:
            partial.write_text("".join(_json_line(one) + "\n" for one in replies), encoding="utf-8")
        return 0
    for question in options.ask:
        if options.json:
            print(_json_line(dialogue.ask(question, choices=options.choices)), flush=True)
        else:
            show(dialogue, question, options.choices)
    return 0


def _json_line(reply: "Reply") -> str:
    return json.dumps(reply.to_json(), ensure_ascii=False)


def _choices(text: str) -> tuple[str, ...]:
    parts = tuple(part.strip() for part in text.split(","))
    if len(parts) < 2 or not all(parts) or len(set(parts)) < len(parts):
        raise argparse.ArgumentTypeError(f"{text!r}: expected two different answers or more, parted by commas")
    return parts


def _temperature(text: str) -> float:
    return _number(text, 0.0, 100.0)


def _share(text: str) -> float:
    return _number(text, 1e-6, 1.0)


def _number(text: str, low: float, high: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not low <= number <= high:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number from {low:g} to {high:g}")
    return number
