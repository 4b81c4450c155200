"""Cell types by their marker genes as a question names them, without anything learnt."""

from collections.abc import Sequence

import numpy as np

from mmspec_ds.systems.alignment.answering.methods import Answers
from mmspec_ds.systems.alignment.objects import Cell, Example
from mmspec_ds.systems.alignment.questions.marker_lists import read_marker_list


class HighestMarkers:
    """The type whose marker genes, those in brackets behind its name, have the highest mean logarithm in the
    cell, of those that the cell's file has; 0 where it has none of them."""

    name = "highest marker genes"

    def answers(self, examples: Sequence[Example]) -> Answers:
        """Types of cells; none to questions that do not name markers of all choices."""
        return [_highest(one) for one in examples]


def _highest(one: Example) -> str | None:
    listed = read_marker_list(one.prompt)
    if listed is None or len(one.objects) != 1 or not isinstance(one.objects[0], Cell) or not one.choices:
        return None
    values = dict(zip(one.objects[0].genes, one.objects[0].values.tolist()))
    genes_of = dict(listed.types)
    if not genes_of.keys() >= set(one.choices):
        return None
    known = [[values[gene] for gene in genes_of[name].split(", ") if gene in values] for name in one.choices]
    means = [float(np.mean(some)) if some else 0.0 for some in known]
    return one.choices[int(np.argmax(means))]
