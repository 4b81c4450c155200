"""Prompts as tokens with places for the vectors of objects. Neither tokenizer nor embedding table is changed.

Axes: L positions of a prompt.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import numpy as np

from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.settings import nearest
from mmspec_ds.spectra.packed import IntArray
from mmspec_ds.systems.alignment.objects import PLACEHOLDERS, Kind

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Role: TypeAlias = Literal["system", "user", "assistant"]

SOFT = -1
"""Stands among the ids of a prompt where a vector goes."""

_KINDS = {placeholder: kind for kind, placeholder in PLACEHOLDERS.items()}
_PLACEHOLDER = re.compile("|".join(map(re.escape, _KINDS)))


class PromptTooLong(DataError):
    """A prompt of more tokens than a model is given; a dialogue may leave out its beginning."""


class Turn(NamedTuple):
    """What one side said in a dialogue."""

    role: Role
    text: str


Prompt: TypeAlias = str | Sequence[Turn]
"""A question, or a dialogue that ends with one."""


@dataclass(frozen=True)
class ChatFormat:
    """How a model that was trained for dialogues expects them.

    A template would be a program that comes with a model, so these are written down here, and which one a model
    knows is told by its vocabulary.

    Attributes:
        marks: tokens of the vocabulary that stand for themselves, of which none may be missing.
        openings: what stands before a turn, by its role.
        closing: what stands after one.
        stop: what ends an answer: a mark, or the first token of a text.
        space: what stands between the opening of an answer and its text.
    """

    marks: tuple[str, ...]
    openings: Mapping[Role, str]
    closing: str
    stop: str
    space: str = ""


FORMATS = {
    "chatml": ChatFormat(
        ("<|im_start|>", "<|im_end|>"),
        {role: f"<|im_start|>{role}\n" for role in ("system", "user", "assistant")},
        "<|im_end|>\n",
        "<|im_end|>",
    ),
    "llama3": ChatFormat(
        ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        {role: f"<|start_header_id|>{role}<|end_header_id|>\n\n" for role in ("system", "user", "assistant")},
        "<|eot_id|>",
        "<|eot_id|>",
    ),
    "gemma": ChatFormat(
        ("<start_of_turn>", "<end_of_turn>"),
        {
            "system": "<start_of_turn>user\n",
            "user": "<start_of_turn>user\n",
            "assistant": "<start_of_turn>model\n",
        },
        "<end_of_turn>\n",
        "<end_of_turn>",
    ),
    "plain": ChatFormat((), {"system": "", "user": "Question: ", "assistant": "Answer:"}, "\n", "\n", " "),
}
"""By name; the first one whose marks a vocabulary holds is that of a model."""


def find_format(tokenizer: "Tokenizer") -> str:
    """The name of the format that a model knows by the tokens of its vocabulary."""
    return next(name for name, one in FORMATS.items() if not _missing(tokenizer, one))


def _missing(tokenizer: "Tokenizer", chat: ChatFormat) -> list[str]:
    return [mark for mark in chat.marks if tokenizer.token_to_id(mark) is None]


@dataclass(frozen=True)
class TokenRow:
    """A prompt or a dialogue, with or without answers.

    Attributes:
        ids: int64 [L], `SOFT` where a vector of an object goes.
        kinds: of the objects, in the order of their places.
        answers: the positions of each answer, its end included: from, and up to. Between two answers there is a
            token at least that is of neither.
        questions: of each object the positions of the turn that it stands in: from, and up to.
    """

    ids: IntArray
    kinds: tuple[Kind, ...]
    answers: tuple[tuple[int, int], ...] = ()
    questions: tuple[tuple[int, int], ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def answer(self) -> int:
        """Where the first answer begins; L without one."""
        return self.answers[0][0] if self.answers else len(self)


def joined_rows(rows: Sequence[TokenRow]) -> TokenRow:
    """A dialogue: a question with its answer, then those that `PromptWriter.write_later` wrote."""
    starts = np.cumsum([0, *map(len, rows)]).tolist()
    answers = [(at + first, at + end) for at, row in zip(starts, rows) for first, end in row.answers]
    questions = [(at + first, at + end) for at, row in zip(starts, rows) for first, end in row.questions]
    kinds = tuple(kind for row in rows for kind in row.kinds)
    return TokenRow(np.concatenate([row.ids for row in rows]), kinds, tuple(answers), tuple(questions))


class _Slot(NamedTuple):
    """The place of an object."""

    kind: Kind


class _Seam(Enum):
    """Where a turn begins and the one before ends, and the end of a prompt."""

    TURN = "turn"
    END = "end"


_Atom: TypeAlias = str | int | _Slot | _Seam
"""A piece of a prompt: text, the id of a mark, the place of an object, or a seam."""


class PromptWriter:
    """Writes prompts as tokens.

    Args:
        tokenizer: of the language model. What looks like a special token in a text is text.
        soft_tokens: places for an object of each kind.
        chat: name in `FORMATS`; "auto" is the one that the vocabulary tells.
        system: what the dialogue begins with; nothing where it is empty.
        first: ids that every text of the model begins with.
        end: the model's own end of a text, if it has one.
        longest: most tokens of a prompt with its answer.

    Raises:
        ConfigError: an unknown format, or one that the vocabulary lacks tokens of.
    """

    def __init__(
        self,
        tokenizer: "Tokenizer",
        soft_tokens: Mapping[Kind, int],
        *,
        chat: str = "auto",
        system: str = "",
        first: Sequence[int] = (),
        end: int | None = None,
        longest: int = 2048,
    ) -> None:
        name = find_format(tokenizer) if chat == "auto" else chat
        if name not in FORMATS:
            raise ConfigError(f"language.format: unknown {name!r}; {nearest(name, FORMATS, 'formats')}")
        self.chat, self.system, self.longest = FORMATS[name], system, longest
        missing = _missing(tokenizer, self.chat)
        if missing:
            raise ConfigError(
                f"language.format is {name!r}, but the vocabulary of the model has no {missing[0]}"
            )
        self._tokenizer, self._soft, self._first = tokenizer, soft_tokens, list(first)
        found = ((mark, tokenizer.token_to_id(mark)) for mark in self.chat.marks)
        self._marks = {mark: number for mark, number in found if number is not None}
        tokenizer.encode_special_tokens = True  # from here on a mark in a text is text
        self._mark = re.compile(f"({'|'.join(map(re.escape, self._marks))})")
        stop = [self._marks[self.chat.stop]] if self.chat.stop in self._marks else self.text_ids(self.chat.stop)
        self.stop_ids = tuple(dict.fromkeys([*stop[:1], *([] if end is None else [end])]))

    def text_ids(self, text: str) -> list[int]:
        """The ids of a plain text."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids) if text else []

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))

    def answer_ids(self, answer: str) -> list[int]:
        """The ids of an answer, its end included."""
        return [*self.text_ids(self.chat.space + answer), *self.stop_ids[:1]]

    def write(self, prompt: Prompt, answer: str | None = None) -> TokenRow:
        """A prompt as tokens, up to where the answer begins, or with the answer and its end.

        A placeholder of an object counts in what the user or the system says, not in what the model said.

        Raises:
            DataError: a kind of objects that the model does not know.
            PromptTooLong: a prompt of more tokens than `longest`.
        """
        turns = [Turn("user", prompt)] if isinstance(prompt, str) else list(prompt)
        if self.system:
            turns = [Turn("system", self.system), *turns]
        atoms: list[_Atom] = []
        for turn in turns:
            own = turn.role == "assistant"
            atoms.append(_Seam.TURN)
            atoms += self._marked(self.chat.openings[turn.role] + (self.chat.space if own else ""))
            atoms += [turn.text] if own else _pieces(turn.text)
            atoms += self._marked(self.chat.closing)
        return self._row(
            [*atoms, _Seam.TURN, *self._marked(self.chat.openings["assistant"])], answer, self._first
        )

    def write_later(self, prompt: str, answer: str) -> TokenRow:
        """A question with its answer as they go on a dialogue, from the end of the answer before them on.

        Raises:
            DataError, PromptTooLong: see `write`.
        """
        # The answer before ends with the mark that closes its turn: what follows that mark is to be written.
        before = self._marked(self.chat.closing.removeprefix(self.chat.stop) + self.chat.openings["user"])
        closing, after = self._marked(self.chat.closing), self._marked(self.chat.openings["assistant"])
        return self._row([*before, *_pieces(prompt), *closing, _Seam.TURN, *after], answer)

    def _row(self, atoms: Sequence[_Atom], answer: str | None, first: Sequence[int] = ()) -> TokenRow:
        ids, kinds, questions = self._joined(atoms, first)
        start = len(ids)
        if answer is not None:
            ids = [*ids, *self.answer_ids(answer)]
        if len(ids) > self.longest:
            raise PromptTooLong(f"a prompt of {len(ids):,} tokens: expected at most {self.longest:,}")
        answers = () if answer is None else ((start, len(ids)),)
        return TokenRow(np.array(ids, dtype=np.int64), kinds, answers, questions)

    def _marked(self, text: str) -> list[_Atom]:
        """A piece of the format: its marks as ids, and what stands between them."""
        pieces = self._mark.split(text) if self._marks else [text]
        found: list[_Atom] = []
        for piece in pieces:
            mark = self._marks.get(piece)
            found.append(piece if mark is None else mark)
        return found

    def _joined(
        self, atoms: Sequence[_Atom], first: Sequence[int]
    ) -> tuple[list[int], tuple[Kind, ...], tuple[tuple[int, int], ...]]:
        """Ids after those that a text begins with, the kinds of the objects, and where the turn of each begins
        and ends."""
        ids, kinds, text = list(first), list[Kind](), ""
        begins, ends, turn_of = [len(ids)], list[int](), list[int]()
        for atom in [*atoms, _Seam.END]:
            if isinstance(atom, str):
                text += atom
                continue
            before = self.text_ids(text)
            if isinstance(atom, _Seam):
                ends.append(len(ids) + len(before))
                begins.append(ends[-1])
            if atom is _Seam.TURN:
                continue  # what stands on both its sides is one text for the tokenizer
            ids += before
            text = ""
            if isinstance(atom, int):
                ids.append(atom)
            elif isinstance(atom, _Slot) and atom.kind not in self._soft:
                known = ", ".join(self._soft) or "nothing"
                raise DataError(
                    f"the prompt names a {atom.kind}: the model was trained with {known}, expected such"
                )
            elif isinstance(atom, _Slot):
                kinds.append(atom.kind)
                turn_of.append(len(ends))
                ids += [SOFT] * self._soft[atom.kind]
        return ids, tuple(kinds), tuple((begins[turn], ends[turn]) for turn in turn_of)


def _pieces(text: str) -> list[_Atom]:
    """Text and places of objects. A space before an object goes: what follows a space begins with it in the
    vocabularies of language models, and an object has no such form."""
    found: list[_Atom] = []
    at = 0
    for match in _PLACEHOLDER.finditer(text):
        found += [text[at : match.start()].removesuffix(" "), _Slot(_KINDS[match[0]])]
        at = match.end()
    return [*found, text[at:]]
