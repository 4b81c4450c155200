"""How every kernel is launched, for each class of device. The one place to tune.

`python -m mmspec_kernels.compile_check` compiles each entry for its device and refuses spills. No autotuner: it
needs a driver at import of the kernels, and a choice that depends on timing noise makes runs differ.
"""

from dataclasses import dataclass, replace
from typing import Literal

Target = Literal["sm_80", "sm_90", "sm_100", "gfx942", "interpreter"]


@dataclass(frozen=True)
class Step:
    """The inner loop of one matrix product: its step, the warps of a program, the depth of the pipeline."""

    inner: int
    warps: int
    stages: int


@dataclass(frozen=True)
class Tile:
    """A whole tile: rows, columns and the inner loop."""

    rows: int
    columns: int
    step: Step


@dataclass(frozen=True)
class Launch:
    """All launches of one expert FFN.

    The four products over rows share a tile schedule, so they share `rows`; `wide` is the columns of a tile of
    [rows, F], `narrow` of a tile of [rows, D]. `group` row tiles walk one column tile of the weights together.
    `programs` is the number of persistent programs per multiprocessor. The gradient of hidden values takes a
    wide tile in `hidden_parts` parts.
    """

    rows: int
    wide: int
    narrow: int
    group: int
    programs: int
    hidden_parts: int
    first: Step
    second: Step
    hidden_gradient: Step
    input_gradient: Step
    first_weight: Tile
    second_weight: Tile


def _uniform(rows: int, columns: int, step: Step, weight: Tile, programs: int) -> Launch:
    parts = 2 if columns == 128 else 1
    return Launch(rows, columns, columns, 8, programs, parts, step, step, step, step, weight, weight)


_MANY_ROWS: dict[Target, Launch] = {
    "sm_80": _uniform(128, 128, Step(32, 8, 3), Tile(128, 128, Step(32, 8, 3)), 1),
    "sm_90": _uniform(128, 128, Step(64, 8, 3), Tile(128, 128, Step(64, 8, 3)), 1),
    "sm_100": _uniform(128, 128, Step(64, 8, 3), Tile(128, 128, Step(64, 8, 3)), 1),
    "gfx942": _uniform(128, 128, Step(32, 8, 2), Tile(128, 128, Step(32, 8, 2)), 2),
    "interpreter": _uniform(64, 64, Step(64, 1, 1), Tile(64, 64, Step(64, 1, 1)), 1),
}
_FEW_ROWS: dict[Target, Launch] = {
    "sm_80": _uniform(64, 64, Step(64, 4, 3), Tile(64, 64, Step(64, 4, 3)), 2),
    "sm_90": _uniform(64, 64, Step(64, 4, 4), Tile(64, 64, Step(64, 4, 4)), 2),
    "sm_100": _uniform(64, 64, Step(64, 4, 4), Tile(64, 64, Step(64, 4, 4)), 2),
    "gfx942": _uniform(64, 64, Step(32, 4, 2), Tile(64, 64, Step(32, 4, 2)), 2),
    "interpreter": _uniform(64, 64, Step(64, 1, 1), Tile(64, 64, Step(64, 1, 1)), 1),
}

FEW_ROWS_PER_EXPERT = 64
"""Below this mean, as in decoding, a tile of 128 rows would be mostly empty: the weights are what moves."""


def launch_for(target: Target, gated: bool, rows_per_expert: float) -> Launch:
    """The launches of an expert FFN. Gated experts keep two accumulators, so their wide tiles are narrower."""
    launch = (_FEW_ROWS if rows_per_expert < FEW_ROWS_PER_EXPERT else _MANY_ROWS)[target]
    return replace(launch, wide=min(launch.wide, 64), hidden_parts=1) if gated else launch


def shipped() -> list[tuple[Target, bool, Launch]]:
    """Every (target, gated, launch) that a device can meet."""
    return [
        (target, gated, launch_for(target, gated, rows))
        for target in _MANY_ROWS
        if target != "interpreter"
        for gated in (False, True)
        for rows in (float("inf"), 1.0)
    ]
