"""Which molecules are trained on, which are validated on and which are kept for the test.

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
"""The parts of a set; a row's number is its place here."""

SplitRule = Literal["inchikey", "scaffold", "benchmark"]
SplitArray = npt.NDArray[np.uint8]
DrawArray = npt.NDArray[np.uint64]

BENCHMARK_SEED = 3245
_BENCHMARK_TEST, _BENCHMARK_VALIDATION = 0.1, 0.05


class SplitSettings(Settings):
    """How a set is divided. `validation` and `test` are shares of the molecules; the benchmark has its own."""

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
        """What keeps molecules together."""
        groupings: dict[SplitRule, Grouping] = {"inchikey": "skeleton", "scaffold": "scaffold"}
        return groupings.get(self.rule, "none")


def draw_of(group: str, seed: int) -> int:
    """A number in [0, 2^64) that belongs to a group and a seed: with the shares of the splits it decides the
    group's side, whatever else is in the set."""
    return int.from_bytes(sha256(f"{seed}:{group}".encode()).digest()[:8], "big")


def assign_splits(settings: SplitSettings, draw_N: DrawArray) -> SplitArray:
    """The split of each row, from the draws of their groups.

    inchikey: a group's draw decides, as in `SpectraDataset.split_by_block`: with a test share of 0, the same
        molecules are held back as from the same files unprepared.
    scaffold: likewise, but a scaffold with more rows than half of the smaller share goes to train: benzene
        alone is a tenth of many sets, and would be all of a test set or none of it. The draws of the others
        are stretched so that the shares come out.
    benchmark: without groups; of all rows a random tenth for the test, then a twentieth of the rest for
        validation, each by a permutation from the seed (Alberts et al. 2024, as their script has scikit-learn
        do it).
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
    """A share of the rows, rounded up, and the others, both in the order of the permutation."""
    order = np.random.RandomState(seed).permutation(len(rows))
    size = ceil(share * len(rows))
    return rows[order[:size]], rows[order[size:]]
