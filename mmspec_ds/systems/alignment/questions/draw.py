"""What all tasks share: random choices from a seed, wordings by the side of a split, balanced answers."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

from mmspec_ds.systems.alignment.questions.items import Item
from mmspec_ds.systems.alignment.questions.question import Question, kind_of_reference
from mmspec_ds.systems.alignment.questions.wording import WORDINGS, of_object, trained_wordings, worded

Side = Literal["train", "validation", "test"]
YES_NO = ("yes", "no")
T = TypeVar("T")


@dataclass(frozen=True)
class Draw:
    """Random choices for the questions of one task on one side of a split.

    Attributes:
        task: its name in `WORDINGS`.
        side: in the test every wording is used, elsewhere those that are not held out.
        random: the generator.
    """

    task: str
    side: Side
    random: np.random.Generator

    def ask(
        self, items: Sequence[Item], answer: str, choices: Sequence[str] = (), about: str = "", **values: str
    ) -> Question:
        """A question about one object or two, in a wording that is drawn.

        Args:
            items: the objects, in the order of the sentence that names `{object}`, or `{first}` and `{second}`.
            answer: the right one.
            choices: all that are possible.
            about: what is asked for, beside the objects.
            values: what else the wording names, `a_group` for `{a group}`.
        """
        count = len(WORDINGS[self.task]) if self.side == "test" else trained_wordings(self.task)
        number = int(self.random.integers(count))
        nouns = [of_object(kind_of_reference(one.reference), self.task) for one in items]
        named = {"object": nouns[0]} if len(nouns) == 1 else dict(zip(("first", "second"), nouns))
        return Question(
            prompt=worded(self.task, number, **values, **named),
            references=tuple(one.reference for one in items),
            answer=answer,
            task=self.task,
            choices=tuple(choices),
            phrasing=number,
            group="+".join(dict.fromkeys(one.group for one in items)),
            about=about,
        )

    def some(self, items: Sequence[T], count: int) -> list[T]:
        """At most `count` of some things, none twice, in random order."""
        chosen = self.random.permutation(len(items))[:count]
        return [items[int(place)] for place in chosen]

    def one(self, items: Sequence[T]) -> T:
        """One of the things given, each as likely."""
        return items[int(self.random.integers(len(items)))]

    def balanced(
        self, items: Sequence[Item], value: Callable[[Item], Hashable], count: int
    ) -> list[tuple[Item, Hashable]]:
        """At most `count` items with their values, each value equally often: as often as the rarest allows."""
        by_value: dict[Hashable, list[Item]] = defaultdict(list)
        for one in items:
            by_value[value(one)].append(one)
        if len(by_value) < 2:
            return []
        each = min(count // len(by_value), *(len(found) for found in by_value.values()))
        chosen = [(one, name) for name, found in by_value.items() for one in self.some(found, each)]
        return self.some(chosen, len(chosen))


def yes_no(holds: bool) -> str:
    """The answer to a question of yes or no."""
    return "yes" if holds else "no"
