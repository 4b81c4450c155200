"""Genes that are high in the cells of a type against the other types of their study.

Axes: N cells, G genes, K types.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from mmspec_ds.readers.cells import read_cells
from mmspec_ds.systems.alignment.questions.items import Item
from mmspec_ds.systems.alignment.questions.question import CellReference

MOST = 20
"""Genes of a type at most."""

HighGenes = Mapping[str, Mapping[str, Sequence[str]]]
"""By study and type, the highest first."""


def high_genes(items: Sequence[Item]) -> HighGenes:
    """By study and type, the genes whose mean logarithm in the cells of the type is the most above the mean of
    the means of the other types; none that is not above it.

    Args:
        items: cells; none else are looked at.

    Raises:
        DataError: a file cannot be read.
    """
    studies: dict[str, list[Item]] = {}
    for one in items:
        studies.setdefault(one.group, []).append(one)
    return {study: _of_study(some) for study, some in studies.items()}


def _of_study(items: Sequence[Item]) -> dict[str, list[str]]:
    table = read_cells(items[0].source)
    rows: dict[str, list[int]] = {}
    for one in items:
        assert isinstance(one.reference, CellReference)
        rows.setdefault(one.label, []).append(one.reference.row)
    if len(rows) < 2:
        return {label: [] for label in rows}
    mean_KG = np.stack([np.asarray(table.values[some].mean(0)).ravel() for some in rows.values()])
    above_KG = mean_KG - (mean_KG.sum(0) - mean_KG) / (len(rows) - 1)
    order_KG = np.argsort(-above_KG, axis=1, kind="stable")[:, :MOST]
    return {
        label: [table.genes[at] for at in order_G if above_G[at] > 0]
        for label, order_G, above_G in zip(rows, order_KG, above_KG)
    }
