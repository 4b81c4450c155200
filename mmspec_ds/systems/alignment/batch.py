"""Prompts of a batch as tensors, with the vectors of the objects that they name.

Axes: B prompts, L positions, S soft positions of all prompts, N objects of a kind in prompts, X vectors of an
object, D width of a vector.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mmspec_ds.systems.alignment.objects import KINDS, Kind
from mmspec_ds.systems.alignment.prompt import SOFT, TokenRow

FloatArray = npt.NDArray[np.float32]


class Place(NamedTuple):
    """An object: its kind, and its row among the vectors of that kind."""

    kind: Kind
    row: int


class QuestionWords(NamedTuple):
    """The questions that N objects stand in.

    Attributes:
        ids_NL: int64, the tokens of the turn, with the marks of the format; 0 in the padding.
        mask_NL: bool, True where there is a token.
        place_N: int64, which of the objects of its turn each is, from 0.
        turn_N: int64, the number of its turn, among all turns with objects of a batch, prompt by prompt.
    """

    ids_NL: Tensor
    mask_NL: Tensor
    place_N: Tensor
    turn_N: Tensor

    def mapped(self, change: Callable[[Tensor], Tensor]) -> "QuestionWords":
        """The same with every tensor changed."""
        return QuestionWords(*map(change, self))


def question_words(rows: Sequence[TokenRow], asked: Sequence[tuple[int, int]]) -> QuestionWords:
    """The questions of some objects.

    Args:
        rows: prompts.
        asked: of each object the number of its prompt, and its own among the objects of that prompt.
    """
    words, places, turns = list[npt.NDArray[np.int64]](), list[int](), list[int]()
    spans = [list(dict.fromkeys(row.questions)) for row in rows]
    first_turn = np.cumsum([0, *map(len, spans)])
    for at, number in asked:
        row, span = rows[at], rows[at].questions[number]
        ids = row.ids[slice(*span)]
        words.append(ids[ids != SOFT])
        places.append(row.questions[:number].count(span))
        turns.append(int(first_turn[at]) + spans[at].index(span))
    ids_NL = np.zeros((len(words), max(map(len, words), default=0)), dtype=np.int64)
    mask_NL = np.zeros(ids_NL.shape, dtype=bool)
    for at, one in enumerate(words):
        ids_NL[at, : len(one)] = one
        mask_NL[at, : len(one)] = True
    numbers = (torch.tensor(one, dtype=torch.int64) for one in (places, turns))
    return QuestionWords(torch.from_numpy(ids_NL), torch.from_numpy(mask_NL), *numbers)


class AskedObjects(NamedTuple):
    """The objects that some prompts name, kind by kind in the order of the prompts.

    Attributes:
        vectors: by kind, [N, X, D].
        words: by kind, of the questions that these objects stand in.
    """

    vectors: Mapping[Kind, Tensor]
    words: Mapping[Kind, QuestionWords]

    def mapped(self, change: Callable[[Tensor], Tensor]) -> "AskedObjects":
        """The same with every tensor changed."""
        return AskedObjects(
            {kind: change(one) for kind, one in self.vectors.items()},
            {kind: one.mapped(change) for kind, one in self.words.items()},
        )


def asked_objects(
    rows: Sequence[TokenRow], objects: Sequence[Sequence[Place]], vectors: Mapping[Kind, FloatArray]
) -> AskedObjects:
    """The objects of some prompts.

    Args:
        rows: the prompts.
        objects: those of each prompt, in the order of its places.
        vectors: by kind, float32 [objects, X, D].
    """
    chosen, words = dict[Kind, Tensor](), dict[Kind, QuestionWords]()
    named = [(at, number, one) for at, places in enumerate(objects) for number, one in enumerate(places)]
    for kind in KINDS:
        own = [(at, number, one.row) for at, number, one in named if one.kind == kind]
        if own:
            of_own = vectors[kind][[row for _, _, row in own]]
            chosen[kind] = torch.from_numpy(np.ascontiguousarray(of_own, dtype=np.float32))
            words[kind] = question_words(rows, [(at, number) for at, number, _ in own])
    return AskedObjects(chosen, words)


@dataclass(frozen=True)
class PromptBatch:
    """Some prompts.

    Attributes:
        ids_BL: int64; `SOFT` where a vector goes, 0 in the padding.
        mask_BL: bool, True where there is a token or a vector.
        answer_BL: bool, True where there is a token of an answer.
        objects: that the prompts name.
        source_S: int64; for each soft position, in the order of prompts and places, the soft token that goes
            there among those of all objects, kind by kind.
        left: whether the padding stands before the prompts, so that all end at the same place.
    """

    ids_BL: Tensor
    mask_BL: Tensor
    answer_BL: Tensor
    objects: AskedObjects
    source_S: Tensor
    left: bool = False

    def mapped(self, change: Callable[[Tensor], Tensor]) -> "PromptBatch":
        """The same with every tensor changed, such as moved to a device."""
        return replace(
            self,
            ids_BL=change(self.ids_BL),
            mask_BL=change(self.mask_BL),
            answer_BL=change(self.answer_BL),
            objects=self.objects.mapped(change),
            source_S=change(self.source_S),
        )

    @property
    def positions_BL(self) -> Tensor:
        """Places of the tokens in their prompts, from 0, int64; padding in front has place 0, and behind a
        prompt that of its last token."""
        return (self.mask_BL.long().cumsum(1) - 1).clamp_min(0)


def make_batch(
    rows: Sequence[TokenRow],
    objects: Sequence[Sequence[Place]],
    vectors: Mapping[Kind, FloatArray],
    soft_tokens: Mapping[Kind, int],
    *,
    left: bool = False,
    read: int = 0,
) -> PromptBatch:
    """The batch of some prompts.

    Args:
        rows: the prompts.
        objects: those of each prompt, in the order of its places.
        vectors: by kind, float32 [objects, X, D].
        soft_tokens: places of an object, by kind.
        left: put the padding before the prompts.
        read: positions at the beginning of each prompt that are left out, since they were read before; no place
            of an object is among them, and of its question they still count.
    """
    longest = max(map(len, rows), default=read) - read
    ids = np.zeros((len(rows), longest), dtype=np.int64)
    mask, answer = np.zeros(ids.shape, dtype=bool), np.zeros(ids.shape, dtype=bool)
    for at, row in enumerate(rows):
        shift = longest - len(row) if left else -read
        ids[at, shift + read : shift + len(row)] = row.ids[read:]
        mask[at, shift + read : shift + len(row)] = True
        for first_of_answer, end in row.answers:
            answer[at, shift + first_of_answer : shift + end] = True
    first: dict[tuple[int, int], int] = {}
    total = 0
    named = [(at, number, one) for at, places in enumerate(objects) for number, one in enumerate(places)]
    for at, number, one in sorted(named, key=lambda of: KINDS.index(of[2].kind)):
        first[at, number] = total
        total += soft_tokens[one.kind]
    source = [
        position
        for at, number, one in named
        for position in range(first[at, number], first[at, number] + soft_tokens[one.kind])
    ]
    assert len(source) == int((ids == SOFT).sum())  # the caller gives each place its object
    return PromptBatch(
        torch.from_numpy(ids),
        torch.from_numpy(mask),
        torch.from_numpy(answer),
        asked_objects(rows, objects, vectors),
        torch.tensor(source, dtype=torch.int64),
        left,
    )
