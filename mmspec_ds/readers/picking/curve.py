"""A continuous NMR spectrum, and the lines that were picked from it."""

from dataclasses import dataclass
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
        """From one point to the next."""
        return float(self.ppm[1] - self.ppm[0]) * self.frequency_mhz


@dataclass(frozen=True, slots=True)
class Lines:
    """Picked lines in rising order, all [n]: position in Hz, height over the baseline, width at half height in
    Hz."""

    hz: FloatArray
    height: FloatArray
    width_hz: FloatArray

    def __len__(self) -> int:
        return len(self.hz)

    def where(self, keep: BoolArray) -> "Lines":
        """Those for which `keep` is true."""
        return Lines(self.hz[keep], self.height[keep], self.width_hz[keep])

    def part(self, start: int, end: int) -> "Lines":
        """Lines start to end - 1."""
        return Lines(self.hz[start:end], self.height[start:end], self.width_hz[start:end])
