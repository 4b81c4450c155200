"""Cells as the expression of a panel of genes, which is fitted on some cells: the plain baseline.

Axes: N cells, G genes of a cell, P genes of the panel.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from mmspec_ds.errors import DataError
from mmspec_ds.readers.cell_table import PER, CellTable
from mmspec_ds.readers.cells import read_cells
from mmspec_ds.settings import Settings
from mmspec_ds.systems.alignment.encoders.checks import all_of
from mmspec_ds.systems.alignment.encoders.folder import read_encoder, write_encoder
from mmspec_ds.systems.alignment.objects import Cell, Kind, Object

LEAST_SHARED = 0.1
"""The share of a panel that a cell must have."""
_SPREAD = 0.1
"""Added to the standard deviation of each gene, so that those that hardly vary do not outweigh the others."""

FloatArray = NDArray[np.float32]


class GenesOptions(Settings):
    """Which panel.

    Attributes:
        path: a folder that `mmspec fit genes` made.
    """

    path: Path


class GenesFit(Settings):
    """How a panel is fitted.

    Attributes:
        most: genes of the panel at most.
        shared_with: files of other cells, whose genes the panel's must be as well. Their values are not looked
            at.
    """

    most: Annotated[int, Field(gt=0)] = 2000
    shared_with: tuple[Path, ...] = ()

    def fit(self, files: Sequence[Path], folder: Path, progress: Callable[[float], None]) -> str:
        """Fit a panel on the cells of files, write it, and say in words what it is.

        Raises:
            DataError: a file cannot be read, or the panel not be made or written.
        """
        tables = [read_cells(path) for path in files]
        others = [read_cells(path).genes for path in self.shared_with]
        count = fit_genes(tables, folder, shared_with=others, most=self.most)
        return f"{count:,} genes of {sum(map(len, tables)):,} cells"


class GenesEncoder:
    """One vector for a cell: for each gene of the panel the logarithm of 1 + its expression, scaled within the
    panel (see `on_panel`), less the mean of the cells that the panel was fitted on, over 0.1 + their standard
    deviation. A gene that the cell's file lacks is at the mean. See `ObjectEncoder`."""

    Options = GenesOptions
    name = "genes"
    kind: Kind = "cell"
    vectors = 1

    def __init__(self, options: GenesOptions) -> None:
        stored = read_encoder(options.path, self.name)
        self.genes: tuple[str, ...] = tuple(stored.about["genes"])
        parts = ("mean", "scale", "shares")
        self._mean, self._scale, self._shares = (stored.tensors[name].numpy() for name in parts)
        self.width = len(self.genes)
        self.folder = options.path
        self.identity: Mapping[str, Any] = {"encoder": self.name, "panel": stored.checksum}

    def encode(self, objects: Sequence[Object]) -> FloatArray:
        """See `ObjectEncoder`; [N, 1, P]."""
        cells = all_of(objects, Cell, self.name)
        values, present = on_panel(cells, self.genes, self.name, self._shares)
        return np.where(present, (values - self._mean) / self._scale, 0).astype(np.float32)[:, None]


def on_panel(
    cells: Sequence[Cell], panel: Sequence[str], encoder: str, shares: NDArray[Any] | None = None
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """The logarithms of 1 + the expression of each gene of a panel, [N, P], 0 where the cell has no such gene;
    and where it has one, [N, P].

    Args:
        cells: of any files.
        panel: the genes.
        encoder: its name, for messages.
        shares: of the genes in the panel's expression in other cells, [P], with a sum of 1. The genes that a
            cell has sum up to 10,000 of the shares of these genes; without shares to 10,000.

    Raises:
        DataError: a cell has less than a tenth of the panel's genes.
    """
    values = np.zeros((len(cells), len(panel)), dtype=np.float32)
    present = np.zeros(values.shape, dtype=np.bool_)
    places: dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
    for at, cell in enumerate(cells):
        if id(cell.genes) not in places:  # the cells of a file share them
            places[id(cell.genes)] = _shared(cell.genes, panel)
        theirs, ours = places[id(cell.genes)]
        if len(ours) < LEAST_SHARED * len(panel):
            raise DataError(
                f"cell {cell.name!r} has {len(ours)} of the {len(panel)} genes of encoder {encoder}, such as"
                f" {panel[0]}; its own are such as {cell.genes[0] if cell.genes else 'none'}: expected a tenth,"
                " by their symbols"
            )
        linear = np.expm1(cell.values[theirs].astype(np.float64))
        total = PER * (1.0 if shares is None else float(shares[ours].sum()))
        values[at, ours] = np.log1p(linear * (total / max(linear.sum(), 1e-9)))
        present[at, ours] = True
    return values, present


def fit_genes(
    tables: Sequence[CellTable], folder: Path, *, shared_with: Sequence[Collection[str]] = (), most: int = 2000
) -> int:
    """Fit a panel and write it.

    The genes are those that all tables have, in the order of the first one; of more than `most` those whose
    values vary most. Means and standard deviations are of the cells of the tables.

    Args:
        tables: the cells to fit on.
        folder: to be made.
        shared_with: names of genes of other cells, of which the panel's must be as well.
        most: genes of the panel at most.

    Returns:
        The number of genes.

    Raises:
        DataError: no gene is shared, or the folder cannot be written.
    """
    panel = panel_of([table.genes for table in tables], shared_with)
    values = np.concatenate([panel_values(table, panel) for table in tables])
    if len(panel) > most:
        chosen = np.sort(np.argsort(-values.std(0), kind="stable")[:most])
        panel = tuple(panel[at] for at in chosen)
        values = np.concatenate([panel_values(table, panel) for table in tables])
    shares = np.expm1(values).mean(0)
    tensors = {
        "shares": torch.from_numpy((shares / shares.sum()).astype(np.float32)),
        "mean": torch.from_numpy(values.mean(0).astype(np.float32)),
        "scale": torch.from_numpy((values.std(0) + _SPREAD).astype(np.float32)),
    }
    write_encoder(folder, GenesEncoder.name, {"genes": list(panel), "cells": len(values)}, tensors)
    return len(panel)


def panel_of(genes: Sequence[Sequence[str]], shared_with: Sequence[Collection[str]] = ()) -> tuple[str, ...]:
    """The genes that are in all lists, in the order of the first one.

    Raises:
        DataError: there is none.
    """
    others = [frozenset(one) for one in (*genes[1:], *shared_with)]
    panel = tuple(gene for gene in genes[0] if all(gene in other for other in others))
    if not panel:
        raise DataError("no gene is named alike in all files of cells: expected the same symbols")
    return panel


def panel_values(table: CellTable, panel: Sequence[str]) -> NDArray[np.float64]:
    """The logarithms of `on_panel`, [N, P] float64, for the cells of a table that has all genes of the panel.

    Raises:
        KeyError: the table lacks a gene.
    """
    place = {gene: at for at, gene in enumerate(table.genes)}
    linear = np.expm1(table.values[:, [place[gene] for gene in panel]].toarray().astype(np.float64))
    return np.log1p(linear * (PER / np.maximum(linear.sum(1, keepdims=True), 1e-9)))


def _shared(theirs: Sequence[str], panel: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The places of the genes of both lists in each of them."""
    place = {gene: at for at, gene in enumerate(theirs)}
    pairs = [(place[gene], at) for at, gene in enumerate(panel) if gene in place]
    both = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]
