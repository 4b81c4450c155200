"""What an alignment learns from: examples as tokens, the vectors of their objects, what the language model
makes of descriptions.

Axes: N examples, X vectors of an object, D width of a vector, M texts of descriptions, W width of the language
model.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.molecules.splits import draw_of
from mmspec_ds.settings import nearest
from mmspec_ds.spectra.packed import IntArray
from mmspec_ds.systems.alignment.batch import FloatArray, Place
from mmspec_ds.systems.alignment.descriptions import describe
from mmspec_ds.systems.alignment.frozen_language import FrozenLanguage
from mmspec_ds.systems.alignment.objects import Example, Kind, Object, kind_of
from mmspec_ds.systems.alignment.prompt import Prompt, PromptTooLong, PromptWriter, TokenRow, joined_rows
from mmspec_ds.systems.alignment.question_reading import MOST_PLACES
from mmspec_ds.systems.alignment.run_settings import AlignmentData, AlignmentRun
from mmspec_ds.systems.alignment.together import Properties, later_prompt, properties_of
from mmspec_ds.trainer.task import Progress

LONGEST_LINE = 4096
"""Characters kept of a line of general text."""


@dataclass(frozen=True)
class ExampleSet:
    """Some examples.

    Attributes:
        rows: the prompts with their answers, N.
        places: the objects of each.
        tasks: the kind of question of each.
        properties: what the answer to each tells of, see `together`.
        later: each as it goes on a dialogue; none where each question is by itself.
        texts: the descriptions, M, each once: the answers of the examples, other possible ones, general text.
        description_N: which of them is the answer of each example.
        states_MW: what the language model makes of each text; of none without the contrastive loss.
        choices_NK: which of them are the possible answers to each example, -1 where there is none.
    """

    rows: tuple[TokenRow, ...]
    places: tuple[tuple[Place, ...], ...]
    tasks: tuple[str, ...]
    texts: tuple[str, ...]
    description_N: IntArray
    states_MW: Tensor
    choices_NK: IntArray
    properties: tuple[Properties, ...] = ()
    later: tuple[TokenRow, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def length_N(self) -> IntArray:
        """Positions of each prompt with its answer."""
        return np.array([len(row) for row in self.rows], dtype=np.int64)

    def dialogue(self, questions: Sequence[int]) -> tuple[TokenRow, tuple[Place, ...]]:
        """Questions about the same objects as one sequence, with the objects of its places."""
        first, *others = questions
        rows = [self.rows[first], *(self.later[at] for at in others)]
        named = [self.places[first], *(self.places[at] for at in others if self.later[at].kinds)]
        return joined_rows(rows), tuple(place for places in named for place in places)


@dataclass(frozen=True)
class AlignmentSets:
    """What a run learns from and is measured on.

    Attributes:
        train, validation: examples.
        vectors: by kind, float32 [objects, X, D].
        remarks: what was left out, with the number of examples.
    """

    train: ExampleSet
    validation: ExampleSet
    vectors: Mapping[Kind, FloatArray]
    remarks: Mapping[str, int] = field(default_factory=dict)

    def train_rows(self, kind: Kind) -> IntArray:
        """The rows of `vectors` that examples to learn from name, each once, in order."""
        rows = {one.row for places in self.train.places for one in places if one.kind == kind}
        return np.array(sorted(rows), dtype=np.int64)


def kinds_of(places: Sequence[Place]) -> str:
    """The kinds of the objects of an example, each once, as "molecule+spectrum"."""
    return "+".join(sorted({one.kind for one in places}))


EncodeObjects = Callable[[Kind, Sequence[Object]], FloatArray]
"""Gives the vectors of objects of a kind."""


def read_examples_of(
    settings: AlignmentData, kinds: Iterable[Kind], read: Callable[[Path], Sequence[Example]]
) -> tuple[list[Example], list[Example], dict[str, int]]:
    """The examples to learn from, those to validate on, and what was left out.

    Args:
        settings: the `data` block.
        kinds: of objects that the run has encoders of; examples about others are left out.
        read: gives the examples of a file.

    Raises:
        ConfigError: no file to learn from is named, or a task that no example is of.
        DataError: a file cannot be read, or a side is empty.
    """
    if not settings.train:
        raise ConfigError("data.train names no file of examples to learn from")
    known, remarks = set(kinds), dict[str, int]()

    seen = set[str]()

    def kept(paths: Sequence[Path]) -> list[Example]:
        found = []
        for one in (example for path in paths for example in read(path)):
            seen.add(one.task)
            unknown = [kind for kind in map(kind_of, one.objects) if kind not in known]
            if settings.tasks and one.task not in settings.tasks:
                continue
            if unknown:
                what = f"examples about a {unknown[0]}, of which the run has no encoder"
                remarks[what] = remarks.get(what, 0) + 1
                continue
            found.append(one)
        return found

    train, validation = kept(settings.train), kept(settings.validation)
    for task in settings.tasks:
        if task not in seen:
            hint = nearest(task, sorted(seen), "tasks of these files")
            raise ConfigError(f"data.tasks: no example is of {task!r}; {hint}")
    if not settings.validation:
        limit = settings.validation_fraction * 2**64
        # Another draw than that by which `mmspec questions` parts its files: by the same one no group of its
        # train.jsonl would be held back.
        draws = [[draw_of(f"held back: {part}", settings.split_seed) for part in _groups(one)] for one in train]
        held = [[draw < limit for draw in own] for own in draws]
        validation = [one for one, parts in zip(train, held) if all(parts)]
        parted = sum(any(parts) and not all(parts) for parts in held)
        if parted:
            remarks["examples about two molecules, one of which is held back for validation"] = parted
        train = [one for one, parts in zip(train, held) if not any(parts)]
    else:
        groups = {part for one in train if one.group for part in _groups(one)}
        shared = sum(bool(one.group) and not groups.isdisjoint(_groups(one)) for one in validation)
        if shared:
            remarks["examples to validate on whose molecule, family or study is also trained on"] = shared
    for side, examples in (("learn from", train), ("validate on", validation)):
        if not examples:
            told = ", ".join(f"{count} {what}" for what, count in remarks.items())
            raise DataError(
                f"no example to {side}: expected some in data.train and data.validation; {told or '-'}"
            )
    rng = np.random.default_rng(settings.split_seed)
    chosen = np.sort(rng.permutation(len(validation))[: settings.validation_most])
    return train, [validation[at] for at in chosen.tolist()], remarks


def _groups(one: Example) -> list[str]:
    """The groups of its objects, which a split must not part: two where it is about two molecules."""
    return one.group.split("+") if one.group else [one.answer]


def make_sets(
    examples: tuple[Sequence[Example], Sequence[Example]],
    prompted: Callable[[Sequence[Example]], Sequence[Prompt]],
    encode: EncodeObjects,
    language: FrozenLanguage,
    writer: PromptWriter,
    run: AlignmentRun,
    remarks: Mapping[str, int] | None = None,
    progress: Progress | None = None,
) -> AlignmentSets:
    """Examples as a run reads them.

    Args:
        examples: to learn from, and to validate on.
        prompted: gives the prompts of examples, with what the run adds to their questions.
        encode: gives the vectors of objects.
        language: frozen.
        writer: of prompts.
        run: its block `data`, and whether descriptions are compared.
        remarks: what was left out before.
        progress: told how many descriptions the language model has read.

    Raises:
        DataError: an object cannot be encoded, or no example is left.
    """
    left, objective = dict(remarks or {}), run.objective
    most = MOST_PLACES if run.projection.compare else 1  # objects that the contrastive loss can tell apart
    numbers: dict[int, Place] = {}  # equal objects of a file are one object; see `read_examples`
    objects: dict[Kind, list[Object]] = {}
    sides = []
    for given in examples:
        rows, places, kept = list[TokenRow](), list[tuple[Place, ...]](), list[Example]()
        for one, prompt in zip(given, prompted(given)):
            if objective.contrastive and not 1 <= len(one.objects) <= most:
                what = f"examples about {len(one.objects)} objects, which the contrastive loss cannot use"
                left[what] = left.get(what, 0) + 1
                continue
            try:
                rows.append(writer.write(prompt, one.answer))
            except PromptTooLong:
                what = "examples longer than language.longest"
                left[what] = left.get(what, 0) + 1
                continue
            kept.append(one)
            for thing in one.objects:
                if id(thing) not in numbers:
                    same = objects.setdefault(kind_of(thing), [])
                    numbers[id(thing)] = Place(kind_of(thing), len(same))
                    same.append(thing)
            places.append(tuple(numbers[id(thing)] for thing in one.objects))
        if not kept:
            raise DataError(f"no example is left: {', '.join(f'{n} {what}' for what, n in left.items())}")
        sides.append((rows, places, kept))
    vectors = {kind: encode(kind, some) for kind, some in objects.items()}
    general = general_texts(run.data.general_text) if objective.contrastive else []
    train, validation = (
        _example_set(rows, places, kept, general, language, writer, run, progress)
        for rows, places, kept in sides
    )
    return AlignmentSets(train, validation, vectors, left)


def _example_set(
    rows: Sequence[TokenRow],
    places: Sequence[tuple[Place, ...]],
    examples: Sequence[Example],
    general: Sequence[str],
    language: FrozenLanguage,
    writer: PromptWriter,
    run: AlignmentRun,
    progress: Progress | None,
) -> ExampleSet:
    numbers: dict[str, int] = {}
    description_N = np.array([numbers.setdefault(one.answer, len(numbers)) for one in examples], dtype=np.int64)
    most = max(len(one.choices) for one in examples) if run.objective.choices else 0
    choices_NK = np.full((len(examples), most), -1, dtype=np.int64)
    for at, one in enumerate(examples if most else ()):
        choices_NK[at, : len(one.choices)] = [numbers.setdefault(text, len(numbers)) for text in one.choices]
    texts = (*numbers, *(text for text in general if text not in numbers))
    states_MW = torch.zeros(0, language.width)
    if run.objective.contrastive:
        states_MW = describe(language, writer, texts, run.objective.layer, run.data.cache, progress)
    together = run.data.questions_together > 1
    return ExampleSet(
        tuple(rows),
        tuple(places),
        tuple(one.task for one in examples),
        texts,
        description_N,
        states_MW,
        choices_NK,
        tuple(map(properties_of, examples)) if together else (),
        tuple(writer.write_later(later_prompt(one), one.answer) for one in examples) if together else (),
    )


def general_texts(paths: Sequence[Path]) -> list[str]:
    """The lines of files of text that hold something, each once.

    Raises:
        DataError: a file cannot be read.
    """
    found: dict[str, None] = {}
    for path in paths:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"cannot be read as text: {error}", path=path) from None
        found |= {line.strip()[:LONGEST_LINE]: None for line in lines if line.strip()}
    return list(found)
