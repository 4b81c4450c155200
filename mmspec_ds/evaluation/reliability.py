"""Whether stated probabilities come true: reliability diagrams and expected calibration errors."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

BINS = 10


@dataclass(frozen=True)
class ReliabilityBin:
    """Statements of like probability: how many, their mean probability, and the share that came true."""

    count: int
    stated: float
    true: float


@dataclass(frozen=True)
class Reliability:
    """The bins of stated probabilities from 0 to 1, empty ones left out, and the expected calibration error:
    the mean distance between stated and true share, weighted by the counts."""

    bins: tuple[ReliabilityBin, ...]

    @property
    def n(self) -> int:
        """How many probabilities were compared with what came true."""
        return sum(one.count for one in self.bins)

    @property
    def error(self) -> float:
        """The expected calibration error, between 0 and 1."""
        return sum(one.count * abs(one.stated - one.true) for one in self.bins) / self.n

    def to_json(self) -> dict[str, Any]:
        """`n`, `error` and `bins`."""
        return {"n": self.n, "error": self.error, "bins": [asdict(one) for one in self.bins]}


def reliability(stated: Sequence[float], true: Sequence[bool]) -> Reliability:
    """Compare stated probabilities with what was true, in BINS bins of equal width.

    Raises:
        ValueError: nothing was stated, or not as often as it was checked.
    """
    if not stated or len(stated) != len(true):
        raise ValueError(f"{len(stated)} probabilities for {len(true)} outcomes")
    probability, outcome = np.asarray(stated), np.asarray(true, dtype=np.float64)
    place = np.minimum((probability * BINS).astype(np.int64), BINS - 1)
    chosen = [place == number for number in range(BINS)]
    return Reliability(
        tuple(
            ReliabilityBin(int(one.sum()), float(probability[one].mean()), float(outcome[one].mean()))
            for one in chosen
            if one.any()
        )
    )
