"""Peak lists as they are written, made into those that records hold.

The rules, in this order:
- A peak that is not two finite numbers spoils the spectrum.
- Peaks of zero or negative intensity (empty points of a profile, over-corrected baselines) are left out.
- One of the others with an m/z outside (0, 100 000] spoils the spectrum.
- Peaks are sorted by m/z; equal m/z are one peak, their intensities added.
- Intensities are scaled to a base peak of 100, as the benchmark has them.
- Of more than `max_peaks` peaks the strongest are kept; of equal ones those of lower m/z.
"""

from array import array
from collections.abc import Sequence

import numpy as np

from mmspec_ds.readers.part import RecordFault, one_line
from mmspec_ds.spectra.records import FloatArray

HIGHEST_MZ = 100_000.0
MOST_PEAKS_READ = 5_000_000
"""A spectrum with more is refused; the largest profile spectra have about a million points."""
BASE_PEAK = 100.0


class PeakList:
    """Peaks while they are read, line by line: 16 bytes each."""

    def __init__(self) -> None:
        self.mz, self.intensity = array("d"), array("d")

    def __len__(self) -> int:
        return len(self.mz)

    def add(self, words: Sequence[str], line: int | None = None) -> None:
        """A peak of its m/z and intensity as written; further words are annotations.

        Raises:
            RecordFault: there are no two numbers, or there are too many peaks.
        """
        try:
            mz, intensity = float(words[0]), float(words[1])
            if "_" in words[0] or "_" in words[1]:  # Python's own way to write a million
                raise ValueError
        except (ValueError, IndexError):
            shown = one_line(" ".join(words), 60)
            raise RecordFault(f"peak {shown!r} is not m/z and intensity", line=line) from None
        if len(self.mz) >= MOST_PEAKS_READ:
            raise RecordFault(f"more than {MOST_PEAKS_READ:,} peaks", line=line)
        self.mz.append(mz)
        self.intensity.append(intensity)

    def arrays(self) -> tuple[FloatArray, FloatArray]:
        """m/z and intensity, [peaks] each."""
        return np.array(self.mz, dtype=np.float64), np.array(self.intensity, dtype=np.float64)


def clean_peaks(
    mz: FloatArray, intensity: FloatArray, max_peaks: int
) -> tuple[FloatArray, FloatArray, list[str]]:
    """The peaks by the rules above, and a remark for each rule that changed something.

    Raises:
        RecordFault: no usable peak, or one that spoils the spectrum; names it, counted from 0.
    """
    _check_finite(mz, intensity)
    remarks = []
    highest = intensity.max()
    if highest <= 0:
        raise RecordFault("no peak has an intensity above zero")
    intensity = intensity / highest
    positive = intensity > 0  # of what is left by the division: 1e-320 of 1e6 is nothing
    if not positive.all():
        remarks.append(f"{_counted((~positive).sum(), 'peak')} of no or negative intensity left out")
        mz, intensity = mz[positive], intensity[positive]
    _check_mz(mz)
    order = np.argsort(mz, kind="stable")
    mz, intensity = mz[order], intensity[order]
    starts = np.flatnonzero(np.diff(mz, prepend=-np.inf))
    if len(starts) < len(mz):
        remarks.append(
            f"{_counted(len(mz) - len(starts), 'peak')} of an m/z that was there already added to it"
        )
        mz, intensity = mz[starts], np.add.reduceat(intensity, starts)
    if len(mz) > max_peaks:
        remarks.append(f"the {max_peaks:,} strongest of {len(mz):,} peaks kept")
        strongest = np.sort(np.lexsort((mz, -intensity))[:max_peaks])
        mz, intensity = mz[strongest], intensity[strongest]
    return mz, intensity / intensity.max() * BASE_PEAK, remarks


def _check_finite(mz: FloatArray, intensity: FloatArray) -> None:
    if len(mz) != len(intensity):
        raise RecordFault(f"{len(mz):,} m/z values and {len(intensity):,} intensities, expected as many")
    if not len(mz):
        raise RecordFault("no peaks")
    for name, values in (("m/z", mz), ("intensity", intensity)):
        finite = np.isfinite(values)
        if not finite.all():
            place = int(np.argmin(finite))
            raise RecordFault(f"{name} of peak {place} is {values[place]}, expected a finite number")


def _check_mz(mz: FloatArray) -> None:
    wrong = (mz <= 0) | (mz > HIGHEST_MZ)
    if wrong.any():
        place = int(np.argmax(wrong))
        raise RecordFault(
            f"m/z of peak {place} is {mz[place]:g}, expected above 0 and at most {HIGHEST_MZ:,.0f}"
        )


def local_maxima(mz: FloatArray, intensity: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The peaks of a profile spectrum: points higher than the one before and not lower than the one after, each
    at the top of the parabola through the logarithms of the three, which is exact for a Gaussian peak."""
    if len(mz) < 3 or not (np.diff(mz) >= 0).all():
        return mz, intensity
    points = np.clip(intensity, 0.0, None)
    tops = 1 + np.flatnonzero((points[1:-1] > points[:-2]) & (points[1:-1] >= points[2:]))
    if not len(tops):
        return mz, intensity
    with np.errstate(divide="ignore"):
        before, top, after = (np.log(points[tops + step]) for step in (-1, 0, 1))
    bend = before - 2 * top + after
    bent = np.isfinite(bend) & (bend < 0)  # beside a point of zero the peak is left where it is
    shift = np.zeros(len(tops))
    shift[bent] = 0.5 * (before - after)[bent] / bend[bent]
    return mz[tops] + shift * (mz[tops + 1] - mz[tops - 1]) / 2, points[tops]


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
