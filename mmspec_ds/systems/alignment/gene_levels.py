"""How much a cell expresses the genes that a prompt names, in words behind them: "CD3D high, LYZ none"; and
whose list of marker genes it expresses most, in a sentence.

So markers can be read of a type that no training knew, whatever genes the encoder of cells has.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmspec_ds.systems.alignment.objects import Cell, Object
from mmspec_ds.systems.alignment.prompt import Prompt, Turn
from mmspec_ds.systems.alignment.questions.marker_lists import read_marker_list

LEVELS = ("none", "low", "high")
"""Not expressed; up to the median of what the cell expresses, as logarithms; above it."""

_SYMBOL = re.compile(
    r"(?<![\w.-])[A-Za-z][\w.-]*\w(?=[,;:)?]|[.]?$|[.]\s| (?:of|and|or|in|high)\b)", re.MULTILINE
)
"""What may be the symbol of a gene, by what follows: the "CD14" of "CD14 monocyte" is none."""


def level(cell: Cell, gene: int) -> str:
    """The level of one gene of a cell, by its place."""
    expressed = cell.values[cell.values > 0]
    value = float(cell.values[gene])
    return LEVELS[0 if value <= 0 else 1 if value <= float(np.median(expressed)) else 2]


def with_levels(text: str, cell: Cell) -> str:
    """A text in which the level in a cell stands behind each gene that is named, but for those that the cell's
    file lacks. Where a question lists types with marker genes, these alone are read, not the names."""
    place = {gene: at for at, gene in enumerate(cell.genes)}

    def told(match: re.Match[str]) -> str:
        symbol = match[0]
        return f"{symbol} {level(cell, place[symbol])}" if symbol in place else symbol

    listed = read_marker_list(text)
    if listed is None:
        return _SYMBOL.sub(told, text)
    return listed.with_genes(lambda genes: _SYMBOL.sub(told, genes))


def highest_markers(question: str, cell: Cell) -> str:
    """A sentence that names the type whose marker genes have the highest mean in a cell, over those genes that
    the cell's file has; of equal ones the first. Empty where a question does not list types with marker genes,
    see `marker_lists`, or the file has genes of fewer than two of them."""
    listed = read_marker_list(question)
    place = {gene: at for at, gene in enumerate(cell.genes)}
    means: dict[str, float] = {}
    for name, genes in listed.types if listed is not None else ():
        known = [float(cell.values[place[gene]]) for gene in genes.split(", ") if gene in place]
        if known:
            means.setdefault(name, float(np.mean(known)))
    if len(means) < 2:
        return ""
    return f"Its highest marker genes are those of {max(means, key=means.__getitem__)}."


@dataclass(frozen=True)
class GeneWords:
    """What is written into prompts about one cell.

    Attributes:
        levels: behind each gene its level, see `with_levels`.
        highest: at the end whose marker genes it expresses most, see `highest_markers`.
    """

    levels: bool
    highest: bool

    def prompts(self, prompts: Sequence[Prompt], objects: Sequence[Sequence[Object]]) -> list[Prompt]:
        """Prompts about one cell with these words in the user's turns; others as they are.

        Args:
            prompts: questions or dialogues.
            objects: of each.
        """
        found = list(prompts)
        for at, given in enumerate(objects):
            cells = [one for one in given if isinstance(one, Cell)]
            if len(cells) == 1:
                found[at] = self._prompt(prompts[at], cells[0])
        return found

    def _prompt(self, prompt: Prompt, cell: Cell) -> Prompt:
        if isinstance(prompt, str):
            return self._text(prompt, cell)
        return [
            one if one.role == "assistant" else Turn(one.role, self._text(one.text, cell)) for one in prompt
        ]

    def _text(self, text: str, cell: Cell) -> str:
        told = with_levels(text, cell) if self.levels else text
        sentence = highest_markers(text, cell) if self.highest else ""
        return f"{told} {sentence}" if sentence else told
