"""Divide the molecules of a data set into training, validation and test splits.

Axes: N rows.
"""

from hashlib import sha256
from math import ceil
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from mmspec_ds.molecules.identity import Grouping
from mmspec_ds.settings import Settings

SPLITS = ("train", "validation", "test")
"""Names of the splits; a row stores the index of its split."""

SplitRule = Literal["inchikey", "scaffold", "benchmark"]
SplitArray = npt.NDArray[np.uint8]
DrawArray = npt.NDArray[np.uint64]

BENCHMARK_SEED = 3245
_BENCHMARK_TEST, _BENCHMARK_VALIDATION = 0.1, 0.05


class SplitSettings(Settings):
    """How to divide a data set. `validation` and `test` are shares of the molecules; the benchmark's rule has
    fixed shares."""

    rule: SplitRule = "inchikey"
    seed: int = Field(0, ge=0)
    validation: float = Field(0.05, ge=0, lt=1)
    test: float = Field(0.1, ge=0, lt=1)

    @model_validator(mode="after")
    def _leaves_something(self) -> Self:
        if self.validation + self.test >= 1:
            raise ValueError(f"validation {self.validation} and test {self.test} leave nothing to train on")
        return self

    @property
    def grouping(self) -> Grouping:
        """The grouping of molecules that must be in the same split."""
        groupings: dict[SplitRule, Grouping] = {"inchikey": "skeleton", "scaffold": "scaffold"}
        return groupings.get(self.rule, "none")


def draw_of(group: str, seed: int) -> int:
    """A number in [0, 2^64) from a group's name and a seed. It decides the split of the group, independently of
    the other molecules."""
    return int.from_bytes(sha256(f"{seed}:{group}".encode()).digest()[:8], "big")


def assign_splits(settings: SplitSettings, draw_N: DrawArray) -> SplitArray:
    """The split of each row, uint8 [N], from the draws of their groups.

    inchikey: by the group's draw, as in `SpectraDataset.split_by_block`. With a test share of 0 the same
        molecules are held back as from the same files unprepared.
    scaffold: by the group's draw, but a scaffold with more rows than half of the smaller share goes to train:
        benzene alone is a tenth of many sets, and would fill a test set or be missing from it. The thresholds
        of the others are raised so that the shares are met.
    benchmark: without groups. A random tenth of all rows is the test split, a twentieth of the rest the
        validation split, each by a permutation from the seed (Alberts et al. 2024, whose script uses
        scikit-learn).
    """
    if settings.rule == "benchmark":
        return _as_the_benchmark(len(draw_N), settings.seed)
    share_N = draw_N.astype(np.float64) / 2.0**64
    stretch = 1.0
    if settings.rule == "scaffold":
        large_N = _is_large(draw_N, settings)
        share_N[large_N] = 1.0
        stretch = len(draw_N) / max(1, int(np.count_nonzero(~large_N)))
    split_N = np.zeros(len(draw_N), dtype=np.uint8)
    split_N[share_N < min(1.0, stretch * (settings.validation + settings.test))] = SPLITS.index("test")
    split_N[share_N < min(1.0, stretch * settings.validation)] = SPLITS.index("validation")
    return split_N


def _is_large(draw_N: DrawArray, settings: SplitSettings) -> npt.NDArray[np.bool_]:
    group_N: npt.NDArray[np.int64]
    _, group_N, counts = np.unique(draw_N, return_inverse=True, return_counts=True)
    smaller: float = min((share for share in (settings.validation, settings.test) if share > 0), default=1.0)
    large: npt.NDArray[np.bool_] = counts > max(1.0, 0.5 * smaller * len(draw_N))
    return large[group_N]


def _as_the_benchmark(total: int, seed: int) -> SplitArray:
    split = np.zeros(total, dtype=np.uint8)
    test, rest = _cut(np.arange(total), _BENCHMARK_TEST, seed)
    validation, _ = _cut(rest, _BENCHMARK_VALIDATION, seed)
    split[test], split[validation] = SPLITS.index("test"), SPLITS.index("validation")
    return split


def _cut(
    rows: npt.NDArray[np.int64], share: float, seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """A random share of the rows, rounded up, and the remaining rows."""
    order = np.random.RandomState(seed).permutation(len(rows))
    size = ceil(share * len(rows))
    return rows[order[:size]], rows[order[size:]]
