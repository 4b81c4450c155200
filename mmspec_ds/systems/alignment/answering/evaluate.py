"""All methods on the same questions."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from mmspec_ds.systems.alignment.answering.captions import WrittenDescriptions
from mmspec_ds.systems.alignment.answering.highest_markers import HighestMarkers
from mmspec_ds.systems.alignment.answering.language_answers import AlignmentAnswers, TextAnswers, Told
from mmspec_ds.systems.alignment.answering.methods import (
    Answers,
    ConstantList,
    Majority,
    Method,
    NearestDescription,
    Shuffled,
    SimilarSentences,
    kind_of_question,
)
from mmspec_ds.systems.alignment.answering.regressions import CELL_TYPE_TASKS, SCALES, GeneRegression
from mmspec_ds.systems.alignment.objects import Example
from mmspec_ds.systems.alignment.questions.examples_file import read_examples
from mmspec_ds.systems.alignment.questions.question_lines import read_questions
from mmspec_ds.systems.alignment.trained import Trained

TRAIN = "train.jsonl"
"""The training questions, beside those of the test, unless another file is named."""


@dataclass(frozen=True)
class Asked:
    """What is compared.

    Attributes:
        train: examples that methods may learn from; none of the test's groups is among them.
        test: the questions.
        written: descriptions that others wrote.
        shots: of the language model that reads text: how many examples it is shown; empty for none at all.
        free: let models write whatever they will, also where the possible answers are known.
        seed: of shuffling, of the examples that are shown, and of the bootstrap.
    """

    train: Sequence[Example]
    test: Sequence[Example]
    written: Sequence[WrittenDescriptions] = ()
    shots: Sequence[int] = (0, 3)
    free: bool = False
    seed: int = 0


def read_asked(paths: Sequence[Path], examples: Path | None, limit: int | None) -> Asked:
    """The questions of files, and the examples to learn from.

    Args:
        paths: of questions.
        examples: the training questions; None takes `train.jsonl` beside the first file, where there is one.
        limit: at most so many questions of each kind, the first of them.

    Raises:
        DataError: a file cannot be used.
    """
    test = [one for path in paths for one in read_examples(path)]
    beside = paths[0].parent / TRAIN
    if examples is None and beside.is_file() and beside.resolve() not in [path.resolve() for path in paths]:
        examples = beside
    train = read_examples(examples) if examples is not None else []
    return Asked(train, limited(test, limit))


def limited(examples: Sequence[Example], limit: int | None) -> list[Example]:
    """At most `limit` questions of each kind, the first of them, and for cells of each study."""
    counts: dict[str, int] = {}
    found = []
    for one in examples:
        study = one.group if one.task.startswith("cell") else ""
        name = f"{kind_of_question(one)} {study}"
        counts[name] = counts.get(name, 0) + 1
        if limit is None or counts[name] <= limit:
            found.append(one)
    return found


def shared_groups(asked: Asked) -> int:
    """Questions of the test one of whose molecules or proteins is also trained on."""
    return _shared({group for one in asked.train for group in one.group.split("+") if group}, asked)


def _shared(groups: Set[str], asked: Asked) -> int:
    return sum(not groups.isdisjoint(one.group.split("+")) for one in asked.test)


def trained_types(asked: Asked) -> frozenset[str]:
    """The types of cells that the training questions ask for."""
    return frozenset(one.answer for one in asked.train if one.task in CELL_TYPE_TASKS)


def plain_methods(asked: Asked) -> list[Method]:
    """The methods that need neither a trained model nor an encoder."""
    methods: list[Method] = [Majority(trained_types(asked)), ConstantList(), HighestMarkers()]
    if asked.train:
        methods += [NearestDescription(asked.train), SimilarSentences(asked.train)]
        genes = [GeneRegression(asked.train, scale) for scale in SCALES]
        methods += [one for one in genes if one.labels]
    return [*methods, *asked.written]


def model_methods(asked: Asked, models: Mapping[str, Trained], told: Told) -> list[Method]:
    """What is asked of trained models: with the objects, with those of other questions, and of their language
    models, each once, which read the objects as text. A model that learnt by the contrastive loss alone is
    asked for the descriptions that it puts together of known ones, if it does that.

    Args:
        asked: the questions.
        models: by their names in tables.
        told: shows progress.
    """
    methods: list[Method] = []
    languages: dict[tuple[object, ...], tuple[str, Trained]] = {}
    for name, trained in models.items():
        if trained.run.objective.autoregressive or trained.similar is not None:
            aligned = AlignmentAnswers(trained, name, free=asked.free, told=told)
            methods += [aligned, Shuffled(aligned, asked.seed)]
        if trained.run.objective.autoregressive:
            language = trained.run.language
            key = (trained.model.language.identity, language.format, language.system, trained.writer.longest)
            languages.setdefault(key, (name, trained))
    for name, trained in languages.values():
        of = name if len(languages) > 1 else ""
        for shots in asked.shots:
            methods.append(
                TextAnswers(trained, asked.train, shots, of=of, seed=asked.seed, free=asked.free, told=told)
            )
    return methods


def learnt_groups(trained: Trained, asked: Asked) -> tuple[int, list[Path]]:
    """How many questions of the test are about molecules, proteins or studies that a model itself learnt from,
    and which files of its training are not there any more. An export does not name its files.

    Raises:
        DataError: a file cannot be read.
    """
    files = trained.run.data.train
    missing = [path for path in files if not path.is_file()]
    tasks = trained.run.data.tasks
    questions = (one for path in files if path not in missing for one in read_questions(path))
    learnt = (one for one in questions if not tasks or one.task in tasks)
    return _shared({group for one in learnt for group in one.group.split("+") if group}, asked), missing


def all_answers(methods: Sequence[Method], asked: Asked) -> dict[str, Answers]:
    """The answers of each method by its name."""
    return {one.name: one.answers(asked.test) for one in methods}
