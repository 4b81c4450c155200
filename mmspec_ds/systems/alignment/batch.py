"""Prompts of a batch as tensors, with the vectors of the objects that they name.

Axes: B prompts, L positions, S soft positions of all prompts, N objects of a kind, X vectors of an object, D
width of a vector.
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


@dataclass(frozen=True)
class PromptBatch:
    """Some prompts.

    Attributes:
        ids_BL: int64; `SOFT` where a vector goes, 0 in the padding.
        mask_BL: bool, True where there is a token or a vector.
        answer_BL: bool, True where there is a token of an answer.
        vectors: by kind, of the objects that the prompts name, each once: [N, X, D].
        source_S: int64; for each soft position, in the order of prompts and places, the soft token that goes
            there among those of all objects, kind by kind.
        left: whether the padding stands before the prompts, so that all end at the same place.
    """

    ids_BL: Tensor
    mask_BL: Tensor
    answer_BL: Tensor
    vectors: Mapping[Kind, Tensor]
    source_S: Tensor
    left: bool = False

    def mapped(self, change: Callable[[Tensor], Tensor]) -> "PromptBatch":
        """The same with every tensor changed, such as moved to a device."""
        return replace(
            self,
            ids_BL=change(self.ids_BL),
            mask_BL=change(self.mask_BL),
            answer_BL=change(self.answer_BL),
            vectors={kind: change(one) for kind, one in self.vectors.items()},
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
) -> PromptBatch:
    """The batch of some prompts.

    Args:
        rows: the prompts.
        objects: those of each prompt, in the order of its places.
        vectors: by kind, float32 [objects, X, D].
        soft_tokens: places of an object, by kind.
        left: put the padding before the prompts.
    """
    longest = max(map(len, rows), default=0)
    ids = np.zeros((len(rows), longest), dtype=np.int64)
    mask, answer = np.zeros(ids.shape, dtype=bool), np.zeros(ids.shape, dtype=bool)
    for at, row in enumerate(rows):
        start = longest - len(row) if left else 0
        ids[at, start : start + len(row)] = row.ids
        mask[at, start : start + len(row)] = True
        for first_of_answer, end in row.answers:
            answer[at, start + first_of_answer : start + end] = True
    chosen: dict[Kind, Tensor] = {}
    first: dict[Place, int] = {}
    total = 0
    for kind in KINDS:
        used = sorted({one.row for places in objects for one in places if one.kind == kind})
        if not used:
            continue
        chosen[kind] = torch.from_numpy(np.ascontiguousarray(vectors[kind][used], dtype=np.float32))
        for number in used:
            first[Place(kind, number)] = total
            total += soft_tokens[kind]
    source = [
        position
        for places in objects
        for one in places
        for position in range(first[one], first[one] + soft_tokens[one.kind])
    ]
    assert len(source) == int((ids == SOFT).sum())  # the caller gives each place its object
    return PromptBatch(
        torch.from_numpy(ids),
        torch.from_numpy(mask),
        torch.from_numpy(answer),
        chosen,
        torch.tensor(source, dtype=torch.int64),
        left,
    )
