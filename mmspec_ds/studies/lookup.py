"""Figures deep in the results of a study, for its tables."""

from collections.abc import Sequence
from typing import Any

from mmspec_ds.studies.plan import Cell, Results, Value
from mmspec_ds.studies.results import mean_of

NOTHING = "–"
"""Stands in a table where there is nothing to measure: no entry would say that a cell was not run."""


def scaled(value: Value | None, factor: float) -> Value | None:
    """The value multiplied by a factor, mean and standard deviation; None stays None."""
    if value is None:
        return None
    return Value(value.mean * factor, None if value.sd is None else value.sd * factor, value.n)


def over_seeds(results: Results, cell: Cell, measure: str, path: Sequence[str | int]) -> Value | None:
    """The mean over seeds of a figure at a path of keys and places in a measure's result; None where no seed
    has it."""
    found = [pick(results.of(one, measure), path) for one in results.alike(cell)]
    return mean_of([float(one) for one in found if isinstance(one, int | float)])


def pick(content: Any, path: Sequence[str | int]) -> Any:
    """What stands at a path in nested dictionaries and lists; None where the way ends before."""
    for key in path:
        try:
            content = content[key]
        except (KeyError, IndexError, TypeError):
            return None
    return content


def first_result(results: Results, cell: Cell, measure: str) -> dict[str, Any] | None:
    """The result of the lowest seed that has one."""
    found = (results.of(one, measure) for one in results.alike(cell))
    return next((one for one in found if one is not None), None)
