"""Chemical shifts looked up by the surroundings of an atom."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from mmspec_ds.simulator.environments import Surroundings

STEP_PPM = {"C": 0.01, "H": 0.001}
"""Resolution of the shipped medians."""
PRIOR_COUNT = 0.5
"""Weight, in observations, of the next coarser prediction when a median is blended into it."""
SPREAD_PRIOR_COUNT = 3.0
"""The same for spreads, which few observations say little about."""
SPREAD_STEPS = 5
"""Spreads are stored in steps of this many of STEP_PPM, at most 255: 0.05 to 12.75 ppm for 13C."""


@dataclass(frozen=True)
class ShiftTable:
    """Median shift and spread (ppm) and number of observations of each environment of one nucleus.

    A spread is half the distance between the 16th and the 84th percentile, the standard deviation of a normal
    distribution. `coarse` maps the coarse names to median and spread, for atoms without a known key.
    """

    median_ppm: Mapping[int, float]
    spread_ppm: Mapping[int, float]
    count: Mapping[int, int]
    coarse: Mapping[str, tuple[float, float]]
    _nearest: dict[str, tuple[float, float]] = field(default_factory=dict, compare=False, repr=False)

    def predict(self, around: Surroundings, atoms: Sequence[int]) -> list[float]:
        """Shift in ppm of each of `atoms`."""
        return [shift for shift, _ in self.predict_with_spread(around, atoms)]

    def predict_with_spread(self, around: Surroundings, atoms: Sequence[int]) -> list[tuple[float, float]]:
        """Shift of each of `atoms` and the standard deviation that it may be off by, in ppm.

        The shift starts at the median of the coarse environment and moves towards that of each wider one by
        n / (n + PRIOR_COUNT), where n is its number of observations: one odd observation of a large environment
        does not outweigh hundreds of a smaller one. The spread moves likewise with n - 1, because a single
        observation has no spread.
        """
        predicted = []
        for atom in atoms:
            shift, spread = self._coarse_shift(around.names[atom])
            for key in around.keys[atom][1:]:
                count = self.count.get(key, 0)
                if not count:
                    break
                shift += (self.median_ppm[key] - shift) * count / (count + PRIOR_COUNT)
                spread += (self.spread_ppm[key] - spread) * (count - 1) / (count - 1 + SPREAD_PRIOR_COUNT)
            predicted.append((shift, spread))
        return predicted

    def _coarse_shift(self, name: str) -> tuple[float, float]:
        known = self.coarse.get(name)
        if known is not None:
            return known
        if name not in self._nearest:
            nearest = min(self.coarse, key=lambda other: (_distance(name, other), other))
            self._nearest[name] = self.coarse[nearest]
        return self._nearest[name]


@cache
def load_tables() -> Mapping[str, ShiftTable]:
    """The tables that the project ships, by nucleus (`C`, `H`); read once per process."""
    return read_tables(Path(__file__).with_name("tables") / "shifts.npz")


def read_tables(path: Path) -> dict[str, ShiftTable]:
    """Tables by nucleus from a file of `tools/fit_shifts.py`."""
    tables = {}
    with np.load(path, allow_pickle=False) as stored:
        for nucleus, step in STEP_PPM.items():
            keys = _unpack_keys(stored[f"{nucleus}_keys"])
            medians = (np.cumsum(stored[f"{nucleus}_median"], dtype=np.int64) * step).tolist()
            spreads = (stored[f"{nucleus}_spread"] * (step * SPREAD_STEPS)).tolist()
            names = stored[f"{nucleus}_coarse_names"].tobytes().decode().split("\n")
            coarse = (stored[f"{nucleus}_coarse"] * step).tolist()
            coarse_spreads = (stored[f"{nucleus}_coarse_spread"] * (step * SPREAD_STEPS)).tolist()
            tables[nucleus] = ShiftTable(
                dict(zip(keys, medians)),
                dict(zip(keys, spreads)),
                dict(zip(keys, stored[f"{nucleus}_count"].tolist())),
                dict(zip(names, zip(coarse, coarse_spreads))),
            )
    return tables


def _unpack_keys(packed: np.ndarray) -> list[int]:
    wide = np.zeros((len(packed), 8), dtype=np.uint8)
    wide[:, 2:] = packed
    return wide.view(">u8").ravel().tolist()


def _distance(name: str, other: str) -> int:
    """Dissimilarity of two coarse names: element 100, hybridisation 20, a hydrogen 4, a neighbour 3."""
    element, hybrid, hydrogens, *around = name.split()
    element_2, hybrid_2, hydrogens_2, *around_2 = other.split()
    apart = 100 * (element != element_2) + 20 * (hybrid != hybrid_2)
    apart += 4 * abs(int(hydrogens[1:]) - int(hydrogens_2[1:]))
    left = list(around_2)
    for neighbour in around:
        if neighbour in left:
            left.remove(neighbour)
        else:
            apart += 3
    return apart + 3 * len(left)
