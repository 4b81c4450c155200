"""What was measured on the cells of a study, and means over seeds."""

import json
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmspec_ds.settings import flattened
from mmspec_ds.studies.cells import CellFolder
from mmspec_ds.studies.plan import Budget, Cell, Study, Value

TRAINING = "training"
"""Stands for what is known of the training itself in the place of a measure's name."""


@dataclass(frozen=True)
class StoredResults:
    """The results of a study within a budget, read from the small files of `out`: no model is needed.

    Attributes:
        study, budget: whose results.
        out: the folder of studies.
        cells: the study's cells, each once.
    """

    study: Study
    budget: Budget
    out: Path
    cells: tuple[Cell, ...]
    _folders: dict[str, CellFolder] = field(default_factory=dict, repr=False, compare=False)
    _known: dict[tuple[str, str], dict[str, Any] | None] = field(
        default_factory=dict, repr=False, compare=False
    )
    _faults: dict[str, str | None] = field(default_factory=dict, repr=False, compare=False)

    def fault(self, cell: Cell) -> str | None:
        """Why the folder of a cell is not taken for it, in one line: it was trained with other settings."""
        folder = self.folder(cell)
        if folder.path.name not in self._faults:
            self._faults[folder.path.name] = folder.fault(cell, self.budget)
        return self._faults[folder.path.name]

    def of(self, cell: Cell, measure: str) -> dict[str, Any] | None:
        """The result of a measure of a cell; None where it was not made, or the cell has a `fault`."""
        if self.fault(cell) is not None:
            return None
        folder = self.folder(cell)
        key = (folder.path.name, measure)
        if key not in self._known:
            found = folder.result() if measure == TRAINING else folder.measure(measure, self.budget)
            self._known[key] = found
        return self._known[key]

    def training(self, cell: Cell) -> dict[str, Any] | None:
        """What is known of a cell's training, as `training_result` returns it; None if it was not trained."""
        return self.of(cell, TRAINING)

    def folder(self, cell: Cell) -> CellFolder:
        """The folder of a cell."""
        key = _name(cell, seed=True)
        if key not in self._folders:
            self._folders[key] = CellFolder.of(self.out, cell, self.budget)
        return self._folders[key]

    def alike(self, cell: Cell) -> tuple[Cell, ...]:
        """The study's cells that differ from this one in the seed alone, itself included, by seed."""
        name = _name(cell, seed=False)
        return tuple(sorted((c for c in self.cells if _name(c, seed=False) == name), key=lambda one: one.seed))

    def values(self, cells: Iterable[Cell], measure: str, key: str) -> list[float]:
        """The figure `key` (dotted, for a nested one) of a measure of each of some cells that have it; the
        measure "training" stands for `training`."""
        found = []
        for cell in cells:
            value = dict(flattened(self.of(cell, measure) or {})).get(key)
            if isinstance(value, int | float) and math.isfinite(value):
                found.append(float(value))
        return found

    def value(self, cell: Cell, measure: str, key: str) -> Value | None:
        """A figure over the seeds of a cell; None where no seed has it."""
        return mean_of(self.values(self.alike(cell), measure, key))

    def missing(self) -> list[Cell]:
        """The cells of which something is missing."""
        return [c for c in self.cells if any(self.of(c, m) is None for m in _wanted(c))]


def mean_of(values: Sequence[float]) -> Value | None:
    """Mean and standard deviation (with n - 1) of some figures; None of none."""
    if not values:
        return None
    sd = statistics.stdev(values) if len(values) > 1 else None
    return Value(statistics.fmean(values), sd, len(values))


def _wanted(cell: Cell) -> tuple[str, ...]:
    return (TRAINING, *cell.measures) if cell.trains else cell.measures


def _name(cell: Cell, *, seed: bool) -> str:
    """All that a cell says but its measures, with or without its seed."""
    start = None if cell.start_from is None else _name(cell.start_from, seed=seed)
    said = [cell.base, dict(cell.overrides), cell.data, start, cell.trains, cell.seed if seed else None]
    return json.dumps(said, sort_keys=True, default=str)
