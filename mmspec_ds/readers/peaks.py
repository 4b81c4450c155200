"""Peak lists as files write them, made into those that records hold.

The rules, in this order:
- A row is m/z and intensity. More numbers than the format allows, or a first column that counts 1, 2, 3, ...,
  spoil the spectrum.
- A decimal comma is read as a point where the m/z have it too and no number has a point, with a remark.
- A peak that is not two finite numbers spoils the spectrum.
- Peaks of zero or negative intensity (empty points of a profile, over-corrected baselines) are left out.
- One of the others with an m/z outside (0, 100 000] spoils the spectrum.
- Peaks are sorted by m/z; equal m/z are one peak, their intensities added.
- Intensities are scaled to a base peak of 100, as the benchmark has them.
- Of more than `max_peaks` peaks the strongest are kept; of equal ones those of lower m/z.
"""

import re
from array import array
from collections.abc import Sequence

import numpy as np

from mmspec_ds.readers.part import RecordFault, one_line
from mmspec_ds.spectra.records import FloatArray

HIGHEST_MZ = 100_000.0
MOST_PEAKS_READ = 5_000_000
"""A spectrum with more is refused; the largest profile spectra have about a million points."""
BASE_PEAK = 100.0
DECIMAL_COMMA = "decimal commas read as decimal points"

_COMMA_INSIDE = re.compile(r"[-+]?\d+,\d+(?:[eE][-+]?\d+)?")


class PeakList:
    """Peaks collected row by row, 16 bytes each."""

    def __init__(self) -> None:
        self.mz, self.intensity = array("d"), array("d")
        self._points = False
        self._commas = [False, False]
        """Whether m/z and intensities have decimal commas."""

    def __len__(self) -> int:
        return len(self.mz)

    def add(self, words: Sequence[str], line: int | None = None, further: int = 0) -> None:
        """Add a peak of its m/z and intensity as written. What follows is an annotation, but for at most
        `further` more numbers.

        Raises:
            RecordFault: there are not two numbers, there are more than expected, or there are too many peaks.
        """
        try:
            mz, intensity = self._number(words[0], 0), self._number(words[1], 1)
        except (ValueError, IndexError):
            hint = " (a decimal comma?)" if any("," in word for word in words) else ""
            raise RecordFault(f"peak {_shown(words)} is not m/z and intensity{hint}", line=line) from None
        if len(words) > 2 + further and all(map(is_number, words[2 : 3 + further])):
            raise RecordFault(f"peak {_shown(words)} has more than {2 + further} numbers in a row", line=line)
        if len(self.mz) >= MOST_PEAKS_READ:
            raise RecordFault(f"more than {MOST_PEAKS_READ:,} peaks", line=line)
        self.mz.append(mz)
        self.intensity.append(intensity)

    def _number(self, word: str, column: int) -> float:
        self._commas[column] |= "," in word
        self._points |= "." in word
        return decimal_number(word)

    def arrays(self) -> tuple[FloatArray, FloatArray]:
        """m/z and intensity, [peaks] each.

        Raises:
            RecordFault: commas that may be decimal marks or may part thousands.
        """
        if any(self._commas) and (self._points or not self._commas[0]):
            raise RecordFault("numbers with decimal commas and others with points, expected one decimal mark")
        return np.array(self.mz, dtype=np.float64), np.array(self.intensity, dtype=np.float64)

    @property
    def remarks(self) -> list[str]:
        """What was assumed while the peaks were read."""
        return [DECIMAL_COMMA] if any(self._commas) else []


def decimal_number(word: str) -> float:
    """The number that a word is, with a decimal point or a decimal comma.

    Raises:
        ValueError: it is something else.
    """
    if "_" in word:  # Python's own way to write a million
        raise ValueError
    return float(word.replace(",", ".") if _COMMA_INSIDE.fullmatch(word) else word)


def is_number(word: str) -> bool:
    """Whether a word is a number, with a decimal point or a decimal comma."""
    try:
        decimal_number(word)
    except ValueError:
        return False
    return True


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
        remarks.append(f"{_counted((~positive).sum())} of zero or negative intensity left out")
        mz, intensity = mz[positive], intensity[positive]
    wrong = (mz <= 0) | (mz > HIGHEST_MZ)
    if wrong.any():
        place = int(np.argmax(wrong))
        raise RecordFault(
            f"m/z of peak {place} is {mz[place]:g}, expected above 0 and at most {HIGHEST_MZ:,.0f}"
        )
    if not (mz[1:] > mz[:-1]).all():
        order = np.argsort(mz, kind="stable")
        mz, intensity = mz[order], intensity[order]
        starts = np.flatnonzero(np.diff(mz, prepend=-np.inf))
        if len(starts) < len(mz):
            remarks.append(f"{_counted(len(mz) - len(starts))} added to another one of the same m/z")
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
    if len(mz) > 1 and mz[0] == 1.0 and np.array_equal(mz, np.arange(1.0, len(mz) + 1)):
        raise RecordFault("the m/z are 1, 2, 3, ...: a column that counts the rows")


def local_maxima(mz: FloatArray, intensity: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The peaks of a profile spectrum: points higher than the one before and not lower than the one after. Each
    is placed at the top of the parabola through the logarithms of the three: exact for a Gaussian peak."""
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


def _shown(words: Sequence[str]) -> str:
    return repr(one_line(" ".join(words), 60))


def _counted(count: int) -> str:
    return f"{count:,} peak{'' if count == 1 else 's'}"
