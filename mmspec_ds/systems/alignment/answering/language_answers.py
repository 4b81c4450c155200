"""Answers of language models: a trained alignment, and a language model that reads objects as text."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import numpy as np

from mmspec_ds.language.adapters import adapters_off
from mmspec_ds.systems.alignment.answering.methods import DESCRIPTION, GROUP_LIST, Answers, kind_of_question
from mmspec_ds.systems.alignment.answering.object_text import with_text
from mmspec_ds.systems.alignment.decoding import Decoding
from mmspec_ds.systems.alignment.objects import Example, Object, kind_of
from mmspec_ds.systems.alignment.prompt import Prompt, PromptTooLong, Turn
from mmspec_ds.systems.alignment.trained import Trained

Told = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Given the work and how much of it there is, what shows its progress."""
AT_ONCE = 64
SHORT = 24
"""Most tokens of an answer."""
LONGER = {GROUP_LIST: 64, DESCRIPTION: 160}
"""Those of tasks with longer answers."""
TEXT_ALONE = "language model, objects as text"


class AlignmentAnswers:
    """A trained alignment, which is given the vectors of objects.

    Args:
        trained: the model.
        name: in tables.
        free: let it write whatever it will, also where the possible answers are known.
        told: shows progress.
    """

    def __init__(self, trained: Trained, name: str, *, free: bool = False, told: Told) -> None:
        self.name, self._trained, self._free, self._told = name, trained, free, told

    def answers(self, examples: Sequence[Example]) -> Answers:
        """Answers to the questions about kinds of objects that the model knows and whose text fits into a
        prompt."""
        known = set(self._trained.kinds)
        places = [
            at
            for at, one in enumerate(examples)
            if {kind_of(thing) for thing in one.objects} <= known
            and _fits(self._trained, one.prompt)
            and (self._trained.run.objective.autoregressive or one.task == DESCRIPTION)
        ]
        found: Answers = [None] * len(examples)
        asked = [examples[at] for at in places]
        prompts = [one.prompt for one in asked]
        with self._told(f"asking {self.name}", len(asked)) as progress:
            answers = _answered(self._trained, prompts, asked, self._free, progress, with_objects=True)
        for at, answer in zip(places, answers):
            found[at] = answer
        return found


class TextAnswers:
    """The language model without projections and adapters: objects are text in the prompt.

    Args:
        trained: has the language model.
        train: examples, of which some are shown with their answers.
        shots: how many are shown, of the same kind of question and the same ones in each; 0 for none. What is
            shown is read once.
        of: whose language model it is, where several are compared.
        seed: of their choice.
        free, told: see `AlignmentAnswers`.
    """

    def __init__(
        self,
        trained: Trained,
        train: Sequence[Example],
        shots: int,
        *,
        of: str = "",
        seed: int = 0,
        free: bool = False,
        told: Told,
    ) -> None:
        name = f"{TEXT_ALONE} of {of}" if of else TEXT_ALONE
        self.name = f"{name}, {shots} examples" if shots else name
        self._trained, self._shots, self._seed = trained, shots, seed
        self._free, self._told = free, told
        self._train: dict[str, list[Example]] = {}
        for one in train:
            self._train.setdefault(kind_of_question(one), []).append(one)
        self._shown: dict[str, list[Turn]] = {}

    def answers(self, examples: Sequence[Example]) -> Answers:
        """Answers to all questions of kinds that there are enough examples of to show, and whose text fits into
        a prompt."""
        rng = np.random.default_rng(self._seed)
        prompts = [self._prompt(one, rng) for one in examples]
        places = [
            at
            for at, (one, prompt) in enumerate(zip(examples, prompts))
            if len(self._train.get(kind_of_question(one), ())) >= self._shots and _fits(self._trained, prompt)
        ]
        found: Answers = [None] * len(examples)
        asked, kept = [examples[at] for at in places], [prompts[at] for at in places]
        layers = self._trained.model.language.layers
        with self._told(f"asking the {self.name}", len(asked)) as progress, adapters_off(layers):
            answers = _answered(self._trained, kept, asked, self._free, progress, with_objects=False)
        for at, answer in zip(places, answers):
            found[at] = answer
        return found

    def _prompt(self, one: Example, rng: np.random.Generator) -> Prompt:
        kind = kind_of_question(one)
        if kind not in self._shown:
            known = self._train.get(kind, [])
            chosen = [known[int(place)] for place in rng.permutation(len(known))[: self._shots]]
            self._shown[kind] = [
                turn
                for shown in chosen
                for turn in (
                    Turn("user", with_text(shown.prompt, shown.objects)),
                    Turn("assistant", shown.answer),
                )
            ]
        return [*self._shown[kind], Turn("user", with_text(one.prompt, one.objects))]


def _fits(trained: Trained, prompt: Prompt) -> bool:
    try:
        trained.writer.write(prompt)
    except PromptTooLong:
        return False
    return True


def _answered(
    trained: Trained,
    prompts: Sequence[Prompt],
    examples: Sequence[Example],
    free: bool,
    progress: Callable[[int], None],
    *,
    with_objects: bool,
) -> list[str]:
    answers: list[str] = []
    for start in range(0, len(prompts), AT_ONCE):
        some = examples[start : start + AT_ONCE]
        nothing: list[Sequence[Object]] = [()] * len(some)
        answers += trained.answer(
            prompts[start : start + AT_ONCE],
            [one.objects for one in some] if with_objects else nothing,
            decoding=Decoding(max(LONGER.get(one.task, SHORT) for one in some)),
            choices=None if free else [one.choices for one in some],
        )
        progress(len(answers))
    return answers
