"""Cell types by their marker genes as a question names them, without anything learnt."""

import re
from collections.abc import Sequence

import numpy as np

from mmspec_ds.systems.alignment.answering.methods import Answers
from mmspec_ds.systems.alignment.objects import Cell, Example


class HighestMarkers:
    """The type whose marker genes, those in brackets behind its name, have the highest mean logarithm in the
    cell, of those that the cell's file has; 0 where it has none of them."""

    name = "highest marker genes"

    def answers(self, examples: Sequence[Example]) -> Answers:
        """Types of cells; none to questions that do not name markers of all choices."""
        return [_highest(one) for one in examples]


def _highest(one: Example) -> str | None:
    if len(one.objects) != 1 or not isinstance(one.objects[0], Cell) or not one.choices:
        return None
    values = dict(zip(one.objects[0].genes, one.objects[0].values.tolist()))
    means = []
    for choice in one.choices:
        told = re.search(rf"(?<!\w){re.escape(choice)} \(([^)]*)\)", one.prompt)
        if told is None:
            return None
        known = [values[gene] for gene in told[1].split(", ") if gene in values]
        means.append(float(np.mean(known)) if known else 0.0)
    return one.choices[int(np.argmax(means))]
