"""How much a cell expresses the genes that a prompt names, in words behind them: "CD3D high, LYZ none".

So markers can be read of a type that no training knew, whatever genes the encoder of cells has.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mmspec_ds.systems.alignment.objects import Cell, Example, Object
from mmspec_ds.systems.alignment.prompt import Prompt, Turn

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
    file lacks."""
    place = {gene: at for at, gene in enumerate(cell.genes)}

    def told(match: re.Match[str]) -> str:
        symbol = match[0]
        return f"{symbol} {level(cell, place[symbol])}" if symbol in place else symbol

    return _SYMBOL.sub(told, text)


def level_prompts(prompts: Sequence[Prompt], objects: Sequence[Sequence[Object]]) -> list[Prompt]:
    """Prompts about one cell with the levels of the genes that their questions name; others as they are.

    Args:
        prompts: questions or dialogues.
        objects: of each.
    """
    found = list(prompts)
    for at, given in enumerate(objects):
        cells = [one for one in given if isinstance(one, Cell)]
        if len(cells) == 1:
            found[at] = _prompt(prompts[at], cells[0])
    return found


def level_examples(examples: Sequence[Example]) -> list[Example]:
    """Examples with such prompts."""
    prompts = level_prompts([one.prompt for one in examples], [one.objects for one in examples])
    return [replace(one, prompt=str(prompt)) for one, prompt in zip(examples, prompts)]


def _prompt(prompt: Prompt, cell: Cell) -> Prompt:
    if isinstance(prompt, str):
        return with_levels(prompt, cell)
    return [one if one.role == "assistant" else Turn(one.role, with_levels(one.text, cell)) for one in prompt]
