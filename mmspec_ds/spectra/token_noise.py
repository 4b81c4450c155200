"""What noise on tokens is made of: random numbers for a batch, and peaks that are missing, false or moved.

Axes: N rows (samples), T items (tokens) of all rows end to end.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from pydantic import ConfigDict, Field

from mmspec_ds.settings import Settings
from mmspec_ds.spectra.columns import Array, BoolArray
from mmspec_ds.spectra.packed import IntArray, offsets_of, places
from mmspec_ds.spectra.records import FloatArray

UIntArray = npt.NDArray[np.uint64]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FACTORS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31))
_CALL_BITS = 32  # items of a row that one call can tell apart


class TokenNoise(Settings):
    """The noise of one modality in `training.augment`."""

    model_config = ConfigDict(allow_inf_nan=False)

    missing: float = Field(default=0.0, ge=0, le=1, description="probability that a sample lacks the modality")


class PeakNoise(TokenNoise):
    """The noise of peaks, lines or multiplets."""

    missing_peak: float = Field(default=0.0, ge=0, lt=1, description="probability that a peak is missing")
    false_peak: float = Field(
        default=0.0, ge=0, le=1, description="probability that there is a false peak for a true one"
    )


def _normal(uniform: FloatArray) -> FloatArray:
    """Numbers of the standard normal distribution at these shares of it, in their order."""
    from scipy.special import ndtri  # slow to import, and of use in training alone

    normal: FloatArray = ndtri(uniform)
    return normal


class Draws:
    """Random numbers for rows, by the generator SplitMix64 (Steele, Lea and Flood 2014) used as a hash.

    What a row gets depends on its key and on the calls before, not on the other rows: the noise of a sample is
    the same in whatever batch and on whatever rank it is.
    """

    def __init__(self, key_N: UIntArray) -> None:
        self._key_N, self._calls = key_N, 0

    @classmethod
    def of(cls, rows_N: IntArray, *numbers: int) -> Self:
        """Keys of row numbers and of further numbers from 0 to 2^63, such as a seed and a step."""
        key = np.zeros(1, dtype=np.uint64)
        for number in numbers:
            key = _mixed(key + _STEP * (np.array([number], dtype=np.uint64) + np.uint64(1)))
        return cls(_mixed(key + _STEP * (rows_N.astype(np.uint64) + np.uint64(1))))

    def rows(self) -> FloatArray:
        """A number between 0 and 1 for each row, [N]."""
        return self._uniform(self._key_N, np.zeros(1, dtype=np.uint64))

    def items(self, counts_N: IntArray) -> FloatArray:
        """A number between 0 and 1 for each of `counts_N` items of each row, [T]."""
        return self._uniform(np.repeat(self._key_N, counts_N), places(counts_N).astype(np.uint64))

    def normal_rows(self) -> FloatArray:
        """A number of the standard normal distribution for each row, [N]."""
        return _normal(self.rows())

    def normal_items(self, counts_N: IntArray) -> FloatArray:
        """A number of the standard normal distribution for each item, [T]."""
        return _normal(self.items(counts_N))

    def lost(self, probability: float, counts_N: IntArray) -> BoolArray:
        """True with `probability` for all items of a row together, [T]."""
        return np.repeat(self.rows() < probability, counts_N)

    def _uniform(self, keys: UIntArray, place: UIntArray) -> FloatArray:
        self._calls += 1
        counter = place + np.uint64(self._calls << _CALL_BITS)
        bits = _mixed(keys + _STEP * counter) >> np.uint64(11)
        return (bits.astype(np.float64) + 0.5) * 2.0**-53


@dataclass(frozen=True)
class NoisyPeaks:
    """The peaks that are left and the false ones, row by row.

    Attributes:
        counts_N: of each row.
        source_T: the place of each among the true peaks; a false one stands after the true one it came with.
        false_T: whether it is false.
    """

    counts_N: IntArray
    source_T: IntArray
    false_T: BoolArray

    @classmethod
    def of(cls, counts_N: IntArray, noise: PeakNoise, draws: Draws) -> Self:
        """Leave out and add peaks; one true peak of each row always stays."""
        kept_T = kept_items(counts_N, noise.missing_peak, draws.items(counts_N))
        added_T = draws.items(counts_N) < noise.false_peak
        copies_T = kept_T.astype(np.int64) + added_T
        source_T = np.repeat(np.arange(len(copies_T)), copies_T)
        last_T = places(copies_T) == copies_T[source_T] - 1
        row_T = np.repeat(np.arange(len(counts_N)), counts_N)
        counts = np.bincount(row_T, weights=copies_T, minlength=len(counts_N)).astype(np.int64)
        return cls(counts, source_T, added_T[source_T] & last_T)

    def moved(self, values_T: Array, spread: float, between: tuple[float, float], draws: Draws) -> FloatArray:
        """Values with normal errors of a standard deviation `spread`; those of false peaks are drawn evenly
        `between` two limits."""
        errors_T = spread * draws.normal_items(self.counts_N)
        low, high = between
        return np.where(self.false_T, low + (high - low) * draws.items(self.counts_N), values_T + errors_T)


def kept_items(counts_N: IntArray, missing: float, chance_T: FloatArray) -> BoolArray:
    """Items whose number in `chance_T`, from 0 to 1, is not below `missing`, and the one with the largest of
    each row, [T]."""
    largest_N = np.zeros(len(counts_N))
    filled_N = counts_N > 0
    if filled_N.any():
        largest_N[filled_N] = np.maximum.reduceat(chance_T, offsets_of(counts_N)[:-1][filled_N])
    return (chance_T >= missing) | (chance_T == np.repeat(largest_N, counts_N))


def _mixed(values: UIntArray) -> UIntArray:
    """The output function of SplitMix64."""
    values = (values ^ (values >> _SHIFTS[0])) * _FACTORS[0]
    values = (values ^ (values >> _SHIFTS[1])) * _FACTORS[1]
    return values ^ (values >> _SHIFTS[2])
