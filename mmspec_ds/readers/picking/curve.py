"""A continuous NMR spectrum, and the lines picked from it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from mmspec_ds.spectra.records import FloatArray

Nucleus = Literal["1H", "13C"]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class NMRCurve:
    """A processed spectrum of one dimension.

    Attributes:
        ppm: rising and even, [n].
        intensity: the real part, any scale, [n].
        nucleus: observed.
        frequency_mhz: of that nucleus, which turns ppm into Hz.
        solvent: as the file names it, or empty.
    """

    ppm: FloatArray
    intensity: FloatArray
    nucleus: Nucleus
    frequency_mhz: float
    solvent: str = ""

    @property
    def step_hz(self) -> float:
        """Distance of two neighbouring points, in Hz."""
        return float(self.ppm[1] - self.ppm[0]) * self.frequency_mhz

    def moved(self, ppm: float) -> "NMRCurve":
        """The curve with all shifts raised by `ppm`."""
        return replace(self, ppm=self.ppm + ppm)


@dataclass(frozen=True, slots=True)
class Lines:
    """Picked lines in rising order, all [n]: position in Hz, height over the baseline, width at half height in
    Hz, area in height times Hz."""

    hz: FloatArray
    height: FloatArray
    width_hz: FloatArray
    area: FloatArray

    def __len__(self) -> int:
        return len(self.hz)

    def take(self, which: BoolArray | slice | list[int]) -> "Lines":
        """The lines of an index or a mask."""
        return Lines(self.hz[which], self.height[which], self.width_hz[which], self.area[which])

    def islands(self, gap_hz: float) -> list[tuple[int, int]]:
        """Start and end of each run of lines whose neighbours are no farther apart than `gap_hz`."""
        edges = [0, *(int(i) + 1 for i in np.flatnonzero(np.diff(self.hz) > gap_hz)), len(self)]
        return list(pairwise(edges))

    @staticmethod
    def joined(parts: Sequence["Lines"]) -> "Lines":
        """The lines of all parts, in their order."""
        names = Lines.__dataclass_fields__
        return Lines(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
