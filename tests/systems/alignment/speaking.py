"""A model that gives prepared answers and remembers what it was asked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mmspec_ds.errors import DataError
from mmspec_ds.systems.alignment.decoding import GREEDY, Decoding
from mmspec_ds.systems.alignment.objects import Object, kind_of, placeholders_in
from mmspec_ds.systems.alignment.prompt import Prompt, PromptTooLong, Turn


@dataclass
class Asked:
    """One prompt, as turns, with its objects and how it was to be answered."""

    turns: list[Turn]
    objects: list[Object]
    choices: Sequence[str]
    decoding: Decoding


@dataclass
class Speaking:
    """Answers from a list, over and over; refuses dialogues of more turns than `most`."""

    answers: Sequence[str] = ("yes",)
    most: int = 100
    asked: list[Asked] = field(default_factory=list)

    def answer(
        self,
        prompts: Sequence[Prompt],
        objects: Sequence[Sequence[Object]],
        *,
        decoding: Decoding = GREEDY,
        choices: Sequence[Sequence[str]] | None = None,
        stream: Callable[[int, str], None] | None = None,
    ) -> list[str]:
        """The next answers; "fault" in a prompt is an error, as an object that cannot be read."""
        found = []
        for at, (prompt, given) in enumerate(zip(prompts, objects)):
            turns = [Turn("user", prompt)] if isinstance(prompt, str) else list(prompt)
            kinds = [kind for turn in turns if turn.role == "user" for kind in placeholders_in(turn.text)]
            assert kinds == [kind_of(one) for one in given]
            if len(turns) > self.most:
                raise PromptTooLong(f"question {at}: a prompt of {len(turns)} turns")
            if "fault" in turns[-1].text:
                raise DataError(f"question {at}: nothing that the encoder reads")
            own = () if choices is None else choices[at]
            self.asked.append(Asked(turns, list(given), own, decoding))
            found.append(own[0] if own else self.answers[(len(self.asked) - 1) % len(self.answers)])
            if stream is not None:
                for word in found[-1].split(" "):
                    stream(at, word + " ")
        return found

    def score_choices(
        self, prompts: Sequence[Prompt], objects: Sequence[Sequence[Object]], choices: Sequence[Any]
    ) -> npt.NDArray[np.float64]:
        """The number of letters "a" in a choice."""
        self.asked += [
            Asked([Turn("user", str(one))], list(given), choices, GREEDY)
            for one, given in zip(prompts, objects)
        ]
        return np.array([[float(one.count("a")) for one in choices] for _ in prompts])
