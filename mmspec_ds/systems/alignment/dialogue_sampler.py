"""Which questions come into a dialogue, and which dialogues into a batch.

Axes: N questions, G questions of a global batch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mmspec_ds.spectra.packed import IntArray
from mmspec_ds.systems.alignment.together import Properties, comes_last, may_join

BATCHES_AT_ONCE = 64
"""Batches whose dialogues are sorted by length together."""

Dialogue = tuple[int, ...]
"""The numbers of its questions, in their order."""


@dataclass(frozen=True)
class DialogueSampler:
    """Batches of exactly `size` questions, in dialogues about one object (or the same objects in the same
    order). In a round each question comes at most once; those that do not fill a last batch are left out,
    others in each round. A dialogue that a batch has no room for is cut: its rest is a dialogue of the next.

    Attributes:
        object_N: a number; questions with equal ones are about the same.
        properties: N, what the answer to each tells of, see `together`.
        first_N: tokens of each question with its answer where it begins a dialogue.
        later_N: tokens of each where it goes on one.
        most: questions of a dialogue.
        longest: tokens of a dialogue.
        size: questions of a global batch, G.
        seed: of the run.

    Raises:
        ValueError: a round does not fill one batch.
    """

    object_N: IntArray
    properties: Sequence[Properties]
    first_N: IntArray
    later_N: IntArray
    most: int
    longest: int
    size: int
    seed: int

    def __post_init__(self) -> None:
        if len(self) < 1:
            raise ValueError(
                f"a batch of {self.size} examples is more than there are, {len(self.object_N)}: expected a"
                " smaller training.batch_size"
            )

    def __len__(self) -> int:
        """Batches of a round."""
        return len(self.object_N) // self.size

    def tokens(self, dialogue: Dialogue) -> int:
        """Tokens of a dialogue."""
        return int(self.first_N[dialogue[0]] + self.later_N[list(dialogue[1:])].sum())

    def round(self, number: int) -> list[list[Dialogue]]:
        """The batches of a round: dialogues, the shortest first."""
        rng = np.random.default_rng((self.seed, number))
        dialogues = self._dialogues(rng)
        drawn = [dialogues[at] for at in rng.permutation(len(dialogues)).tolist()]
        kept = next(_cut(drawn, len(self) * self.size))
        batches: list[list[Dialogue]] = []
        for some in _cut(kept, self.size * BATCHES_AT_ONCE):
            batches += _cut(sorted(some, key=self.tokens), self.size)
        return [batches[at] for at in rng.permutation(len(batches)).tolist()]

    def _dialogues(self, rng: np.random.Generator) -> list[Dialogue]:
        """All questions, each in the first dialogue about its object that may have it."""
        by_object: dict[int, list[_Open]] = {}
        for at in rng.permutation(len(self.object_N)).tolist():
            most = int(max(self.first_N[at], self.later_N[at]))  # whatever place it will have
            own = by_object.setdefault(int(self.object_N[at]), [])
            for one in own:
                fits = len(one.questions) < self.most and one.tokens + most <= self.longest
                if fits and may_join(self.properties[at], one.told):
                    one.add(at, self.properties[at], most)
                    break
            else:
                own.append(_Open([at], self.properties[at], most))
        found = [one.questions for own in by_object.values() for one in own]
        return [tuple(sorted(one, key=lambda at: comes_last(self.properties[at]))) for one in found]


@dataclass
class _Open:
    """A dialogue that grows: its questions, what their answers tell of, and its tokens at most."""

    questions: list[int]
    told: Properties
    tokens: int

    def add(self, question: int, told: Properties, tokens: int) -> None:
        self.questions.append(question)
        self.told |= told
        self.tokens += tokens


def _cut(dialogues: Sequence[Dialogue], size: int) -> Iterator[list[Dialogue]]:
    """The dialogues in groups of exactly `size` questions, but the last one."""
    group: list[Dialogue] = []
    room = size
    for whole in dialogues:
        rest = whole
        while rest:
            part, rest = rest[:room], rest[room:]
            group.append(part)
            room -= len(part)
            if not room:
                yield group
                group, room = [], size
    if group:
        yield group
