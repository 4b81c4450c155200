"""Cell types of many cells, chosen from a list of types by how likely a model finds each as the answer.

Axes: N cells, C types.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.readers.cell_table import CellTable
from mmspec_ds.systems.alignment.object_files import Cells
from mmspec_ds.systems.alignment.objects import Object
from mmspec_ds.systems.alignment.prompt import Prompt, PromptTooLong
from mmspec_ds.systems.alignment.questions.cell_tasks import MARKERS
from mmspec_ds.systems.alignment.questions.cell_types import CellType
from mmspec_ds.systems.alignment.questions.marker_lists import ListedType, written_types
from mmspec_ds.systems.alignment.questions.wording import NOUN, worded

PIECE = 64
"""Cells that are scored together."""

FloatArray = npt.NDArray[np.float32]


class Scoring(Protocol):
    """What annotation needs of a model; `trained.Trained` has it."""

    def score_choices(
        self,
        prompts: Sequence[Prompt],
        objects: Sequence[Sequence[Object]],
        choices: Sequence[str] | Sequence[Sequence[str]],
    ) -> npt.NDArray[np.float64]:
        """See `trained.Trained.score_choices`."""
        ...


@dataclass(frozen=True)
class Annotation:
    """The types of cells.

    Attributes:
        types: all that were offered.
        scores: of each cell the probabilities of the types among those offered, [N, C]; a row sums to 1.
        prompt: the question as it was put first.
    """

    types: tuple[str, ...]
    scores: FloatArray
    prompt: str

    @property
    def best(self) -> npt.NDArray[np.int64]:
        """The number of the likeliest type of each cell, [N]; the first of equal ones."""
        return self.scores.argmax(axis=1)

    def names(self, least: float = 0.0, otherwise: str = "unassigned") -> list[str]:
        """The likeliest type of each cell; `otherwise` where its score is below `least`."""
        top = self.scores.max(axis=1)
        return [self.types[place] if score >= least else otherwise for place, score in zip(self.best, top)]


def annotate(
    model: Scoring,
    table: CellTable,
    types: Sequence[CellType],
    *,
    markers: bool = True,
    orders: int = 1,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Annotation:
    """The types of all cells of a table.

    Args:
        model: scores the types as answers to a question about each cell.
        table: the cells.
        types: to choose from, with their marker genes.
        markers: name marker genes in the question, so that types can be told that the model never saw.
        orders: how many orders of the types are asked with; scores are averaged. The first is that of `types`.
        seed: of the other orders.
        progress: called with the number of cells that are done.

    Raises:
        ConfigError: fewer than two types, one of them twice, or without marker genes where these are to be
            named.
        DataError: the model does not know cells or cannot read one, or the question is too long for it.
    """
    _check(types, markers=markers)
    random = np.random.default_rng(seed)
    arranged = [np.arange(len(types)), *(random.permutation(len(types)) for _ in range(orders - 1))]
    prompts = [question([types[int(at)] for at in order], markers=markers) for order in arranged]
    names = [one.name for one in types]
    cells = Cells(table)
    scores = np.zeros((len(cells), len(types)), dtype=np.float32)
    for start in range(0, len(cells), PIECE):
        some = cells[start : start + PIECE]
        for prompt in prompts:
            try:
                found = model.score_choices([prompt] * len(some), [[one] for one in some], names)
            except PromptTooLong as error:
                told = error.message.removeprefix("question 0: ")
                raise DataError(f"{len(types)} types make {told}: expected fewer types") from None
            scores[start : start + len(some)] += _shares(found) / len(prompts)
        if progress is not None:
            progress(start + len(some))
    return Annotation(tuple(names), scores, prompts[0])


def question(types: Sequence[CellType], *, markers: bool) -> str:
    """What is asked of each cell: its type out of these, in the first wording of training."""
    cell = NOUN["cell"]
    if not markers:
        return worded("cell type", 0, object=cell, types=", ".join(one.name for one in types))
    told = written_types(ListedType(one.name, ", ".join(one.markers[:MARKERS])) for one in types)
    return worded("cell type by markers", 0, object=cell, types_with_markers=told)


def _check(types: Sequence[CellType], *, markers: bool) -> None:
    names = [one.name for one in types]
    if len(names) < 2:
        raise ConfigError(f"{len(names)} types of cells to choose from: expected two or more")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"the type {twice!r} is there twice")
    bare = next((one.name for one in types if markers and not one.markers), None)
    if bare is not None:
        raise ConfigError(f"the type {bare!r} has no marker genes: expected some, or --no-markers")


def _shares(logs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Probabilities that sum to 1 in each row, from logarithms that need not."""
    powers = np.exp(logs - logs.max(axis=1, keepdims=True))
    found: npt.NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return found
