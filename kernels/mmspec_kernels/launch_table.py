"""The launch parameters of every kernel, for each class of device.

`tools/compile_kernels.py` compiles each entry for its device and refuses spills. An autotuner would need a
driver at import and would make runs differ by timing noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

Target = Literal["sm_80", "sm_90", "sm_100", "gfx942", "interpreter"]


@dataclass(frozen=True)
class Step:
    """The inner loop of a matrix product: its step, warps of a program, stages of the pipeline."""

    inner: int
    warps: int
    stages: int


@dataclass(frozen=True)
class Tile:
    """A tile of a matrix product: rows, columns and the inner loop."""

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

SORT_BLOCK, SCAN_BLOCK, TILE_CHUNK = 128, 64, 256
"""Pairs sorted by one program, lines of counts scanned at once, tiles written at once."""

ROUTE_TOKENS, ROUTE_FEATURES = 32, 64
"""Tokens routed by one program and the step along D. With 64 tokens on 4 warps sm_90 takes a stack frame."""

COMBINE_TOKENS, COMBINE_FEATURES, COMBINE_POOLS, PAIR_BLOCK, PAIR_FEATURES = 32, 128, 32, 64, 64
"""Tokens, features and pools combined by one program; pairs whose scores are differentiated, and the step along
D."""

FEW_ROWS_PER_EXPERT = 64
"""Below this mean, as in decoding, tiles of 128 rows would be mostly empty."""

LARGEST_TILE = 128
"""Columns of the largest tile: sizes that are its multiples need no masks."""


def is_even(d_model: int, widths: Sequence[int]) -> bool:
    """Whether all sizes are whole tiles, so that no masks are needed."""
    return all(size % LARGEST_TILE == 0 for size in (d_model, *widths))


def launch_for(target: Target, gated: bool, rows_per_expert: float, even: bool) -> Launch:
    """The launches of an expert FFN. Gated experts keep two accumulators, so their wide tiles are narrower."""
    launch = (_FEW_ROWS if rows_per_expert < FEW_ROWS_PER_EXPERT else _MANY_ROWS)[target]
    if not even:
        # The masks of a large tile spill on sm_100.
        launch = replace(launch, second_weight=_FEW_ROWS[target].second_weight)
    if not gated:
        return launch
    # Four warps hold the gradient of half a gated tile, eight that of a whole one.
    return replace(launch, wide=64, hidden_parts=2 if launch.hidden_gradient.warps == 4 else 1)
