"""What answers questions, and the answers that need no learning."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Protocol

import numpy as np

from mmspec_ds.molecules.fingerprints import morgan_fingerprints, tanimoto_similarities
from mmspec_ds.systems.alignment.claims import groups_listed
from mmspec_ds.systems.alignment.neighbours import Described, identity_of
from mmspec_ds.systems.alignment.objects import Example, Molecule, kind_of
from mmspec_ds.systems.alignment.questions.structure_tasks import listed_groups
from mmspec_ds.systems.alignment.run_settings import NeighbourSettings
from mmspec_ds.systems.alignment.similar_descriptions import SimilarDescriptions

DESCRIPTION = "description"
"""The task whose answers are compared by BLEU."""

GROUP_LIST = "functional groups"
"""The task whose answers list functional groups, and are compared by the groups that they name."""

Answers = list[str | None]
"""An answer to each question; None where a method has none."""


class Method(Protocol):
    """Something that answers questions.

    Attributes:
        name: in tables.
    """

    name: str

    def answers(self, examples: Sequence[Example]) -> Answers:
        """An answer to each; the right one is not looked at."""
        ...


def kind_of_question(one: Example) -> str:
    """The task and the kinds of its objects, in the order of their names: "rings, molecule"."""
    return f"{one.task}, {' and '.join(sorted({kind_of(thing) for thing in one.objects}))}"


def is_of_cell(one: Example) -> bool:
    """Whether a question is about a cell."""
    return bool(one.objects) and kind_of(one.objects[0]) == "cell"


def title_of(one: Example, trained_types: Collection[str]) -> str:
    """With which questions one is scored: those of its kind; for cells of its study, and apart for types that
    were not trained on.

    Args:
        one: the question.
        trained_types: of cells; empty where nothing was trained on.
    """
    name = kind_of_question(one)
    if not is_of_cell(one):
        return name
    known = one.about or one.answer
    new = trained_types and known not in trained_types and one.task != DESCRIPTION
    return f"{name}, {one.group}{', types not trained on' if new else ''}"


class Majority:
    """The most frequent right answer of the questions that are scored together: no constant answer can be
    better. The answers that are counted are those of the test itself.

    Args:
        trained_types: see `title_of`.
    """

    name = "majority"

    def __init__(self, trained_types: Collection[str] = ()) -> None:
        self._trained_types = trained_types

    def answers(self, examples: Sequence[Example]) -> Answers:
        """The same answer to all questions of a title; none where answers are free text."""
        titles = [title_of(one, self._trained_types) for one in examples]
        counts: dict[str, Counter[str]] = {}
        for one, title in zip(examples, titles):
            counts.setdefault(title, Counter())[one.answer] += 1
        best = {title: found.most_common(1)[0][0] for title, found in counts.items()}
        return [None if one.task == DESCRIPTION else best[title] for one, title in zip(examples, titles)]


class ConstantList:
    """The list of functional groups with the best micro F1 of all constant answers: the groups that the most
    molecules of the test itself have, as many as that takes."""

    name = "best constant list"

    def answers(self, examples: Sequence[Example]) -> Answers:
        """The same list to all questions for a list that are about one kind of objects; none to others."""
        lists: dict[str, list[frozenset[str]]] = {}
        for one in examples:
            if one.task == GROUP_LIST:
                lists.setdefault(kind_of_question(one), []).append(groups_listed(one.answer))
        best = {kind: listed_groups(_best_constant(found)) for kind, found in lists.items()}
        return [best[kind_of_question(one)] if one.task == GROUP_LIST else None for one in examples]


def _best_constant(truths: Sequence[frozenset[str]]) -> frozenset[str]:
    """The groups that, named in answer to each, give the best micro F1: these are the most frequent ones."""
    counts = Counter(sorted(name for one in truths for name in one)).most_common()
    total, hits = sum(count for _, count in counts), 0
    best, chosen = 0.0, 0
    for number, (_, count) in enumerate(counts, 1):
        hits += count
        score = 2 * hits / (number * len(truths) + total)
        if score > best:
            best, chosen = score, number
    return frozenset(name for name, _ in counts[:chosen])


class NearestDescription:
    """The description of the most similar molecule that is trained on (Morgan fingerprints, Tanimoto).

    Args:
        train: examples; those of descriptions of one molecule are used.
    """

    name = "nearest molecule's description"

    def __init__(self, train: Sequence[Example]) -> None:
        known = {smiles: one.answer for one in train if (smiles := _described(one))}
        self._texts = list(known.values())
        self._prints = morgan_fingerprints(list(known))

    def answers(self, examples: Sequence[Example]) -> Answers:
        """Descriptions of molecules; none to other questions."""
        asked = {at: smiles for at, one in enumerate(examples) if (smiles := _described(one))}
        found: Answers = [None] * len(examples)
        if not asked or not self._texts:
            return found
        nearest = tanimoto_similarities(morgan_fingerprints(list(asked.values())), self._prints).argmax(1)
        for at, near in zip(asked, nearest):
            found[at] = self._texts[int(near)]
        return found


class SimilarSentences:
    """The sentences of the descriptions of several similar molecules that are trained on, see
    `SimilarDescriptions`; no model compares the molecule with them.

    Args:
        train: examples; those of descriptions of one molecule are used.
    """

    name = "similar molecules' sentences"

    def __init__(self, train: Sequence[Example]) -> None:
        known = {smiles: one.answer for one in train if (smiles := _described(one))}
        self._known = [
            Described(smiles, identity.group, text)
            for smiles, text in known.items()
            if (identity := identity_of(smiles)) is not None
        ]

    def answers(self, examples: Sequence[Example]) -> Answers:
        """Descriptions of molecules; none to other questions."""
        asked = {at: smiles for at, one in enumerate(examples) if (smiles := _described(one))}
        found: Answers = [None] * len(examples)
        if asked and self._known:
            made = SimilarDescriptions(self._known, NeighbourSettings(place="answer"))
            for at, text in zip(asked, made.answers(list(asked.values()))):
                found[at] = text
        return found


def _described(one: Example) -> str:
    """The SMILES of the one molecule that is to be described; empty for another question."""
    if one.task != DESCRIPTION or len(one.objects) != 1 or not isinstance(one.objects[0], Molecule):
        return ""
    return one.objects[0].smiles


class Shuffled:
    """A method that is asked about other objects: each question gets those of another one with the same kinds
    of objects. What is right all the same is not read from the objects.

    Args:
        method: that answers.
        seed: of the order.
    """

    def __init__(self, method: Method, seed: int = 0) -> None:
        self.name, self._method, self._seed = f"{method.name}, objects shuffled", method, seed

    def answers(self, examples: Sequence[Example]) -> Answers:
        """The answers with the objects of other questions."""
        return self._method.answers(shuffled(examples, self._seed))


def shuffled(examples: Sequence[Example], seed: int) -> list[Example]:
    """The questions with each other's objects, within a kind of question and the same order of kinds: none
    keeps its own, unless more than half of them are about the same."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for at, one in enumerate(examples):
        groups.setdefault((one.task, *map(kind_of, one.objects)), []).append(at)
    found = list(examples)
    rng = np.random.default_rng(seed)
    for places in groups.values():
        about: dict[tuple[int, ...], list[int]] = {}
        for at in rng.permutation(places).tolist():
            about.setdefault(tuple(map(id, examples[at].objects)), []).append(at)
        order = [at for some in about.values() for at in some]
        most = max(map(len, about.values()))  # so far on, each question is about something else
        for at, other in zip(order, np.roll(order, most)):
            one = examples[at]
            found[at] = Example(
                one.prompt,
                examples[int(other)].objects,
                one.answer,
                one.task,
                one.choices,
                one.phrasing,
                one.group,
                one.about,
            )
    return found
