"""A dialogue about objects: a question in words is put to a model, and what it answers is checked.

dialogue = Dialogue(load_alignment("runs/qa"), [molecule_subject("CC(=O)Oc1ccccc1C(=O)O")])
print(dialogue.ask("Does it contain an ester?"))
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from mmspec_ds.errors import DataError
from mmspec_ds.systems.alignment.addressing import addressed
from mmspec_ds.systems.alignment.checking import Checked, check_answer, check_pair
from mmspec_ds.systems.alignment.claims import asks_adduct
from mmspec_ds.systems.alignment.decoding import GREEDY, Decoding
from mmspec_ds.systems.alignment.objects import Object
from mmspec_ds.systems.alignment.prompt import Prompt, PromptTooLong, Turn
from mmspec_ds.systems.alignment.questions.examples_file import without_adducts
from mmspec_ds.systems.alignment.subjects import Subject

Stream = Callable[[str], None]
"""Given the text that an answer goes on with."""


class Answering(Protocol):
    """What a dialogue needs of a model; `trained.Trained` has it."""

    def answer(
        self,
        prompts: Sequence[Prompt],
        objects: Sequence[Sequence[Object]],
        *,
        decoding: Decoding = GREEDY,
        choices: Sequence[Sequence[str]] | None = None,
        stream: Callable[[int, str], None] | None = None,
    ) -> list[str]:
        """See `trained.Trained.answer`."""
        ...


@dataclass(frozen=True)
class Reply:
    """An answer.

    Attributes:
        question: as it was asked.
        prompt: as the model read it.
        names: of the objects that the prompt names, in its order.
        answer: as the model wrote it.
        checked: what of it is right.
        remarks: what was left out on the way.
    """

    question: str
    prompt: str
    names: tuple[str, ...]
    answer: str
    checked: Checked
    remarks: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The reply in JSON's types."""
        return {
            "question": self.question,
            "prompt": self.prompt,
            "objects": list(self.names),
            "answer": self.answer,
            "checks": [one.to_json() for one in self.checked.checks],
            "not_checked": self.checked.reason or None,
            "remarks": list(self.remarks),
        }

    def __str__(self) -> str:
        """The answer and, below it, what of it is right."""
        return "\n".join([self.answer, *self.remarks, *self.checked.lines()])


@dataclass(frozen=True)
class Asked:
    """A question that is ready for the model."""

    question: str
    prompt: str
    subjects: tuple[Subject, ...]

    def reply(self, answer: str, remarks: Sequence[str] = ()) -> Reply:
        """The reply with this answer, checked."""
        names = tuple(one.name for one in self.subjects)
        checked = checked_answer(self.question, answer, self.subjects)
        return Reply(self.question, self.prompt, names, answer, checked, tuple(remarks))


@dataclass
class Dialogue:
    """Questions one after the other, about the same objects.

    Attributes:
        model: answers.
        subjects: what the questions are about; more may be added.
        decoding: how answers are written; where tokens are drawn, each question has a seed of its own, the next
            after that of the question before.
        history: how many earlier questions with their answers the model reads before a new one.
        replies: so far.
    """

    model: Answering
    subjects: list[Subject]
    decoding: Decoding = GREEDY
    history: int = 0
    replies: list[Reply] = field(default_factory=list)
    _earlier: list[tuple[Asked, str]] = field(default_factory=list)

    def ask(self, question: str, *, choices: Sequence[str] = (), stream: Stream | None = None) -> Reply:
        """Ask a question.

        Args:
            question: in words. Objects are named by placeholders ("[MOLECULE]", "[MOLECULE 2]"), by "it", "the
                molecule" and the like, or not at all, see `addressing.addressed`.
            choices: the only answers that are possible; any without.
            stream: is given the answer as it comes.

        Raises:
            DataError: a placeholder that stands for nothing, an object that the model cannot read, or a
                question that is too long.
        """
        asked = asked_about(question, self.subjects)
        earlier = self._earlier[-self.history :] if self.history else []
        remarks = []
        while True:
            try:
                answer = self._answer(earlier, asked, choices, stream)
                break
            except PromptTooLong:
                if not earlier:
                    raise
                earlier = earlier[1:]
                remarks = ["the dialogue is too long for the model: its earliest questions are no longer read"]
        reply = asked.reply(answer, remarks)
        self._earlier.append((asked, answer))
        self.replies.append(reply)
        return reply

    def forget(self) -> None:
        """Begin anew with the same objects: the model reads no earlier question."""
        self._earlier.clear()

    def _answer(
        self,
        earlier: Sequence[tuple[Asked, str]],
        asked: Asked,
        choices: Sequence[str],
        stream: Stream | None,
    ) -> str:
        turns: list[Turn] = []
        objects: list[Object] = []
        for before, answer in earlier:
            turns += [Turn("user", before.prompt), Turn("assistant", answer)]
            objects += [one.object for one in before.subjects]
        objects += [one.object for one in asked.subjects]
        try:
            (found,) = self.model.answer(
                [[*turns, Turn("user", asked.prompt)]],
                [objects],
                decoding=replace(self.decoding, seed=self.decoding.seed + len(self.replies)),
                choices=[list(choices)] if choices else None,
                stream=None if stream is None else lambda _, text: stream(text),
            )
        except DataError as error:
            raise type(error)(error.message.removeprefix("question 0: "), path=error.path) from None
        return found


def asked_about(question: str, subjects: Sequence[Subject]) -> Asked:
    """A question with what it is about. One for the adduct is about spectra without it, as in training.

    Raises:
        DataError: it is empty, or a placeholder stands for nothing.
    """
    prompt, places = addressed(question, [one.kind for one in subjects])
    about = [subjects[place] for place in places]
    if asks_adduct(question):
        about = [replace(one, object=without_adducts(one.object)) for one in about]
    return Asked(question.strip(), prompt, tuple(about))


def checked_answer(question: str, answer: str, subjects: Sequence[Subject]) -> Checked:
    """What of an answer is right, as far as it is about one or two molecules of which something is known."""
    chemical = [one for one in subjects if one.kind in ("spectrum", "molecule")]
    if not subjects or len(chemical) < len(subjects):
        return Checked(reason="only answers about molecules can be checked")
    if len(subjects) == 1:
        return check_answer(question, answer, subjects[0].known)
    if len(subjects) == 2:
        return check_pair(question, answer, subjects[0].known, subjects[1].known)
    return Checked(reason="the question is about more than two objects")
