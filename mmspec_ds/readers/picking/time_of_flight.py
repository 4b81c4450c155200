"""From a MALDI-TOF curve to its peaks: square root, smoothing, baseline, normalisation, local maxima.

The order of the steps is that of common practice (Gibb and Strimmer, Bioinformatics 2012, 28, 2270). Windows
are in points: time, in which the curve is even, is what sets the width of a line.
"""

from dataclasses import dataclass

import numpy as np
from pydantic import Field
from scipy.signal import find_peaks, savgol_filter

from mmspec_ds.settings import Settings
from mmspec_ds.spectra.records import FloatArray

_OF_DEVIATION = 1.4826
"""Standard deviation of a normal distribution, in median deviations from the median."""


class FlightPickingSettings(Settings):
    """How peaks are picked from a curve of a time of flight."""

    smoothing_points: int = Field(
        default=21, ge=5, description="window of the cubic Savitzky-Golay filter; about a line's width at 2 ns"
    )
    baseline_points: int = Field(
        default=100, ge=1, description="half the widest window of the baseline: lines are narrower"
    )
    noise_factor: float = Field(
        default=6.0,
        gt=0,
        description="lowest height of a peak over the noise; 20,000 points of noise alone have 2 such peaks"
        " in the mean, 24 for a factor of 5 and 285 for 3",
    )
    noise_prominence: float = Field(
        default=4.0, gt=0, description="how far a peak rises over the saddles beside it, over the noise"
    )


DEFAULT_PICKING = FlightPickingSettings()
_FLAT = 1e-9
"""Of the highest value: what rounding leaves of a straight line."""


@dataclass(frozen=True, slots=True)
class FlightPeaks:
    """Peaks of a curve.

    Attributes:
        mz, height: of each peak, float64 [k], m/z rising. Heights are of the prepared curve.
        prepared: the curve they were picked from, float64 [n]: square roots of counts, smoothed, less the
            baseline, over their mean.
        noise: of that curve.
    """

    mz: FloatArray
    height: FloatArray
    prepared: FloatArray
    noise: float


def pick_flight_peaks(
    mz: FloatArray, counts: FloatArray, settings: FlightPickingSettings = DEFAULT_PICKING
) -> FlightPeaks:
    """The peaks of a curve of n points, even in time.

    Heights are in units of the mean of the prepared curve: its total current is the same in every spectrum. The
    m/z of a peak is that of the parabola's top through its highest point and the two beside it. A curve of
    fewer points than the filter's window has no peaks.
    """
    if len(mz) <= settings.smoothing_points:
        return FlightPeaks(np.empty(0), np.empty(0), np.zeros(len(mz)), 0.0)
    window = settings.smoothing_points // 2 * 2 + 1
    smooth = savgol_filter(np.sqrt(counts.clip(0)), window, polyorder=3)
    prepared = (smooth - snip_baseline(smooth, settings.baseline_points)).clip(0)
    total = float(prepared.mean())
    if total <= _FLAT * float(np.abs(smooth).max()):
        return FlightPeaks(np.empty(0), np.empty(0), prepared, 0.0)
    prepared = prepared / total
    noise = _OF_DEVIATION * float(np.median(np.abs(prepared - np.median(prepared))))
    places, _ = find_peaks(
        prepared, height=settings.noise_factor * noise, prominence=settings.noise_prominence * noise
    )
    before, at, after = (prepared[places + step] for step in (-1, 0, 1))
    bend = before - 2 * at + after
    offset = np.divide((before - after) / 2, bend, out=np.zeros(len(places)), where=bend < 0)
    exact = np.interp(places + offset, np.arange(len(mz)), mz)
    return FlightPeaks(exact, at, prepared, noise)


def snip_baseline(values: FloatArray, reach: int) -> FloatArray:
    """The baseline of a curve, by clipping of peaks (SNIP: Ryan et al., Nucl. Instrum. Meth. B 1988, 34, 396;
    with shrinking windows: Morhac, Nucl. Instrum. Meth. A 2009, 600, 478).

    Each point becomes the mean of the two that lie `reach` points before and behind it where that is less, then
    of those at `reach` - 1, and so on to 1. A straight line stays as it is; points nearer to an end than the
    window does not change are left.
    """
    baseline = np.array(values, dtype=np.float64)
    for step in range(min(reach, (len(baseline) - 1) // 2), 0, -1):
        middle = (baseline[: -2 * step] + baseline[2 * step :]) / 2
        baseline[step:-step] = np.minimum(baseline[step:-step], middle)
    return baseline
