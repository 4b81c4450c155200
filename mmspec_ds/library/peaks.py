"""Peaks of many mass spectra in flat arrays, and how they are cleaned before they are compared.

Axes: N spectra, P peaks of all of them together.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from mmspec_ds.settings import Settings

Floats = npt.NDArray[Any]
"""Of float32 or float64."""
Indices = npt.NDArray[Any]
"""Of whole numbers."""


class PeakSettings(Settings):
    """How mass spectra are cleaned and which of their peaks are equal.

    Attributes:
        tolerance_da: two peaks are equal when their m/z differ by no more than this.
        tolerance_ppm: if set, the tolerance in parts per million of the m/z instead.
        whole_numbers: m/z are rounded to whole numbers first, for spectra of electron ionisation, of which many
            were measured no better.
        noise: peaks below this share of the largest are left out.
        most_peaks: only so many of the most intense peaks are kept.
    """

    tolerance_da: float = Field(default=0.02, gt=0, le=0.5)
    tolerance_ppm: float | None = Field(default=None, gt=0, le=500)
    whole_numbers: bool = False
    noise: float = Field(default=0.01, ge=0, lt=1)
    most_peaks: int | None = Field(default=None, gt=0)

    def tolerance(self, mz: Floats) -> Floats:
        """The tolerance in Da at each of these m/z, in their shape; one in ppm rises with the m/z."""
        if self.tolerance_ppm is None or self.whole_numbers:
            return np.full_like(mz, self.tolerance_da)
        return mz * (self.tolerance_ppm * 1e-6)


@dataclass(frozen=True, slots=True)
class Peaks:
    """The peaks of N spectra, one spectrum after the other.

    Attributes:
        mz: [P] m/z, rising within a spectrum once it is cleaned.
        intensity: [P] on any scale; of sum 1 within a spectrum once it is cleaned.
        offsets: [N + 1] spectrum i has the peaks offsets[i] to offsets[i + 1] - 1.
    """

    mz: Floats
    intensity: Floats
    offsets: Indices

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def counts(self) -> Indices:
        """[N] the number of peaks of each spectrum."""
        return np.diff(self.offsets)

    @property
    def rows(self) -> Indices:
        """[P] the spectrum of each peak."""
        return np.repeat(np.arange(len(self)), self.counts)

    def spectrum(self, row: int) -> tuple[Floats, Floats]:
        """The m/z and the intensity of one spectrum, [p] each, views of the flat arrays."""
        part = slice(self.offsets[row], self.offsets[row + 1])
        return self.mz[part], self.intensity[part]

    def places(self, rows: Indices) -> Indices:
        """Where the peaks of these rows lie in the flat arrays: int64, row after row, one for each."""
        starts = self.offsets[rows]
        counts = self.offsets[np.asarray(rows) + 1] - starts
        before = np.cumsum(counts) - counts
        return np.repeat(starts - before, counts) + np.arange(counts.sum())

    def take(self, rows: Indices) -> "Peaks":
        """The spectra of these rows, in this order."""
        places = self.places(rows)
        counts = self.offsets[np.asarray(rows) + 1] - self.offsets[rows]
        offsets = np.concatenate([[0], np.cumsum(counts)])
        return Peaks(self.mz[places], self.intensity[places], offsets)

    def cleaned(self, settings: PeakSettings) -> "Peaks":
        """The spectra without noise, their close peaks merged, sorted and scaled to a sum of 1.

        As in Li et al. 2021 (Nature Methods 18, 1524) and its package `ms_entropy`: peaks that are closer than
        twice the tolerance become one, at their mean m/z weighted by intensity, so that a peak can be equal to
        no more than one peak of another spectrum. A spectrum without a usable peak has none.
        """
        mz, intensity = np.asarray(self.mz, np.float64), np.asarray(self.intensity, np.float64)
        if settings.whole_numbers:
            mz = np.floor(mz + 0.5)
        usable = np.isfinite(mz) & np.isfinite(intensity) & (mz > 0) & (intensity > 0)
        rows, mz, intensity = self.rows[usable], mz[usable], intensity[usable]
        rows, mz, intensity = _sorted(rows, mz, intensity)
        rows, mz, intensity = _merged(rows, mz, intensity, settings)
        rows, mz, intensity = _without_noise(rows, mz, intensity, len(self), settings)
        sums = np.bincount(rows, weights=intensity, minlength=len(self))
        offsets = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(self)))])
        return Peaks(mz, intensity / sums[rows], offsets)


def peaks_of(spectra: Iterable[tuple[Floats, Floats]]) -> Peaks:
    """The flat arrays of spectra that are given as m/z and intensity."""
    pairs = list(spectra)
    offsets = np.concatenate([[0], np.cumsum([len(mz) for mz, _ in pairs], dtype=np.int64)])
    nothing = np.zeros(0)
    return Peaks(
        np.concatenate([nothing, *(mz for mz, _ in pairs)]),
        np.concatenate([nothing, *(intensity for _, intensity in pairs)]),
        offsets,
    )


def _sorted(rows: Indices, mz: Floats, intensity: Floats) -> tuple[Indices, Floats, Floats]:
    if not np.any((np.diff(mz) < 0) & (rows[1:] == rows[:-1])):  # as most files have them
        return rows, mz, intensity
    order = np.lexsort((mz, rows))
    return rows[order], mz[order], intensity[order]


def _without_noise(
    rows: Indices, mz: Floats, intensity: Floats, spectra: int, settings: PeakSettings
) -> tuple[Indices, Floats, Floats]:
    first = np.flatnonzero(np.diff(rows, prepend=-1))
    largest = np.zeros(spectra)
    if len(first):
        largest[rows[first]] = np.maximum.reduceat(intensity, first)
    kept = intensity >= settings.noise * largest[rows]
    if settings.most_peaks is not None:
        order = np.lexsort((-intensity, rows))
        starts = np.searchsorted(rows, np.arange(spectra))
        rank = np.empty(len(rows), dtype=np.int64)
        rank[order] = np.arange(len(rows)) - starts[rows]
        kept &= rank < settings.most_peaks
    return rows[kept], mz[kept], intensity[kept]


def _merged(
    rows: Indices, mz: Floats, intensity: Floats, settings: PeakSettings
) -> tuple[Indices, Floats, Floats]:
    """Merge close peaks until none is left; spectra that have none are not changed."""
    while True:
        gap = np.diff(mz)
        reach = 2 * settings.tolerance(mz[1:])
        same = rows[1:] == rows[:-1]
        crowded = np.zeros(rows[-1] + 1 if len(rows) else 0, dtype=bool)
        crowded[rows[1:][same & (gap < reach)]] = True
        if not crowded.any():
            return rows, mz, intensity
        linked = same & (gap <= reach) & crowded[rows[1:]]
        rows, mz, intensity = _merge_once(rows, mz, intensity, linked, settings)


def _merge_once(
    rows: Indices, mz: Floats, intensity: Floats, linked: npt.NDArray[np.bool_], settings: PeakSettings
) -> tuple[Indices, Floats, Floats]:
    """Let the most intense peak of each chain of close peaks take those in its reach, then the next one.

    `linked` [P - 1] says which neighbours are within reach. A chain of one or two peaks needs no loop.
    """
    first = np.flatnonzero(np.concatenate([[True], ~linked]))  # of each chain
    length = np.diff(first, append=len(rows))
    taker = np.repeat(first, length)
    left, right = _reach(mz, settings)
    for start, count in zip(first[length > 2].tolist(), length[length > 2].tolist()):
        part = slice(start, start + count)
        taker[part] = start + _takers(mz[part], intensity[part], left[part], right[part])
    total = np.bincount(taker, weights=intensity, minlength=len(rows))
    moment = np.bincount(taker, weights=intensity * mz, minlength=len(rows))
    kept = np.flatnonzero(total)
    return _sorted(rows[kept], moment[kept] / total[kept], total[kept])


def _reach(mz: Floats, settings: PeakSettings) -> tuple[Floats, Floats]:
    """The lowest and the highest m/z that each peak takes: twice the tolerance of the heavier peak away."""
    reach = 2 * settings.tolerance(mz)
    if settings.tolerance_ppm is None or settings.whole_numbers:
        return mz - reach, mz + reach
    return mz - reach, mz / (1 - 2e-6 * settings.tolerance_ppm)


def _takers(mz: Floats, intensity: Floats, left: Floats, right: Floats) -> Indices:
    """The peak into which each peak of a chain is merged, by its place in the chain."""
    taker = np.full(len(mz), -1)
    for peak in np.argsort(intensity, kind="stable")[::-1]:
        if taker[peak] < 0:
            taker[(taker < 0) & (mz >= left[peak]) & (mz <= right[peak])] = peak
    return taker
