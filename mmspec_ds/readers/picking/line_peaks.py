"""Lines of an NMR curve: baseline off, maxima over the noise, their positions between the points."""

from dataclasses import dataclass

import numpy as np

from mmspec_ds.readers.picking.baseline import estimate_noise, subtract_baseline
from mmspec_ds.readers.picking.curve import BoolArray, Lines, NMRCurve
from mmspec_ds.readers.picking.line_fit import fit_and_integrate
from mmspec_ds.readers.picking.pick_settings import PeakPickingSettings
from mmspec_ds.spectra.records import FloatArray

_STEEPEST = 16
"""Widths of a line, in which its saddle is looked for: the feet of a neighbour need no farther look."""
_LEAST_SPREAD = 0.5  # points; a narrower Gaussian changes nothing
_QUIET, _CARBON_QUIET = 0.25, 0.75
"""Share of the pieces of a curve that may be noise alone: 13C lines cover little of it."""
_NEGATIVE = 0.25
"""A 13C spectrum with a negative line of that share of the highest has negative lines, not just noise."""
_NARROW_FACTOR = 3.5
"""Such a line rises so many times over the noise under the narrow Gaussian too."""
_SAME_SPREADS = 3.0
"""A line found under the wide Gaussian is new if no other lies within so many of its standard deviations."""
_NEIGHBOUR_HZ = 20.0
"""Where wiggles and spinning sidebands of a strong line are looked for."""


@dataclass(frozen=True, slots=True)
class Picked:
    """The lines found in a curve.

    Attributes:
        lines: all of them, in rising order.
        levelled: the curve without its baseline, [n].
        noise: standard deviation, in the curve's scale.
        threshold: lowest height of a line.
    """

    lines: Lines
    levelled: FloatArray
    noise: float
    threshold: float


def pick_lines(curve: NMRCurve, settings: PeakPickingSettings, foreign: BoolArray) -> Picked:
    """All lines of a curve that rise over the threshold and over the saddles beside them.

    The threshold is a multiple of the noise or a share of the highest point that is not foreign, whichever is
    more. 1H lines are fitted. 13C lines may be negative where strong ones are (APT, DEPT); the multiple follows
    from how many noise peaks may be taken for lines, and weak broad lines are sought under a wide Gaussian too.

    Args:
        curve: to pick from.
        settings: thresholds.
        foreign: points where the solvent, water or the reference may show, [n].

    Raises:
        ValueError: there is no line, or there are more than `most_lines`.
    """
    window = round(settings.baseline_window_hz / curve.step_hz)
    raw_noise = estimate_noise(curve.intensity, settings.noise_segments)
    levelled = subtract_baseline(curve.intensity, raw_noise, window)
    if curve.nucleus == "1H":
        lines, noise, threshold = _under(levelled, curve, settings, foreign, settings.smoothing_hz)
        lines = lines.take(_beside_no_stronger(lines, settings.least_beside))
        lines = fit_and_integrate(curve.ppm * curve.frequency_mhz, levelled, lines, settings.most_fitted_lines)
        return Picked(lines, levelled, noise, threshold)
    lines, noise, threshold = _under(levelled, curve, settings, foreign, settings.carbon_smoothing_hz)
    wide = settings.carbon_wide_smoothing_hz
    try:
        broad, _, _ = _under(levelled, curve, settings, foreign, wide)
    except ValueError:
        return Picked(lines, levelled, noise, threshold)
    new = np.abs(broad.hz[:, None] - lines.hz).min(axis=1) > _SAME_SPREADS * wide
    narrow = _smoothed(levelled, curve, settings.carbon_smoothing_hz)
    at = np.searchsorted(curve.ppm * curve.frequency_mhz, broad.hz)
    reach = max(1, round(wide / curve.step_hz))
    tops = np.array([np.abs(narrow[max(0, i - reach) : i + reach + 1]).max() for i in at])
    new &= tops > _NARROW_FACTOR * noise
    ends = curve.ppm[[0, -1]] * curve.frequency_mhz  # where the baseline is no more than a guess
    new &= np.abs(broad.hz[:, None] - ends).min(axis=1) > settings.baseline_window_hz
    joined = Lines.joined([lines, broad.take(new)])
    return Picked(joined.take(np.argsort(joined.hz).tolist()), levelled, noise, threshold)


def _under(
    levelled: FloatArray, curve: NMRCurve, settings: PeakPickingSettings, foreign: BoolArray, spread_hz: float
) -> tuple[Lines, float, float]:
    """Lines of a smoothed curve, its noise, and the threshold."""
    hydrogen = curve.nucleus == "1H"
    smooth = _smoothed(levelled, curve, spread_hz)
    noise = estimate_noise(smooth, settings.noise_segments, _QUIET if hydrogen else _CARBON_QUIET)
    heights, own = smooth, smooth[~foreign]
    if not hydrogen and -float(own.min(initial=0.0)) > _NEGATIVE * float(own.max(initial=0.0)):
        heights = np.abs(smooth)
    highest = float(heights[~foreign].max(initial=0.0))
    share = settings.relative_height if hydrogen else settings.carbon_relative_height
    factor = settings.noise_factor
    if not hydrogen and noise > 0:
        factor = _noise_factor(smooth, noise, settings)
    threshold = max(factor * noise, share * highest)
    if highest <= threshold or highest <= 0:
        raise ValueError(
            f"no line rises over {factor:.1f} times the noise"
            if highest > 0
            else "the curve has no line that rises over its baseline"
        )
    distance = settings.minimum_distance_hz if hydrogen else settings.carbon_minimum_distance_hz
    rise = settings.noise_prominence if hydrogen else 0.8 * factor
    return _maxima(heights, curve, threshold, rise * noise, distance, settings), noise, threshold


def _noise_factor(smooth: FloatArray, noise: float, settings: PeakPickingSettings) -> float:
    """The height over the noise that so many noise peaks reach as the settings allow.

    Rice (Bell Syst. Tech. J. 1945, 24, 46): noise crosses a level u times its standard deviation upwards
    s' / (2 pi s) exp(-u^2 / 2) times a step, where s' is the standard deviation of its slope.
    """
    slope = estimate_noise(np.diff(smooth), settings.noise_segments, _CARBON_QUIET)
    peaks = len(smooth) * slope / noise / (2 * np.pi)
    return float(np.sqrt(2 * np.log(max(peaks / settings.carbon_false_lines, np.e))))


def _beside_no_stronger(lines: Lines, least: float) -> BoolArray:
    """False for lines lower than a share of the highest one near them: wiggles, sidebands, a bad shim."""
    near = np.abs(lines.hz[:, None] - lines.hz) < _NEIGHBOUR_HZ
    keep: BoolArray = lines.height >= least * np.where(near, lines.height, 0.0).max(axis=1)
    return keep


def _smoothed(values: FloatArray, curve: NMRCurve, spread_hz: float) -> FloatArray:
    """Under a Gaussian narrower than a line: white noise on a curve with many points a line has maxima on every
    foot otherwise."""
    spread = spread_hz / curve.step_hz
    if spread < _LEAST_SPREAD:
        return values
    from scipy.ndimage import gaussian_filter1d

    return np.asarray(gaussian_filter1d(values, spread), dtype=np.float64)


def _maxima(
    heights: FloatArray,
    curve: NMRCurve,
    threshold: float,
    prominence: float,
    distance_hz: float,
    settings: PeakPickingSettings,
) -> Lines:
    from scipy.signal import find_peaks, peak_widths  # slow to import, of use here alone

    places, found = find_peaks(
        heights,
        height=threshold,
        prominence=prominence,
        distance=max(1, round(distance_hz / curve.step_hz)),
        wlen=None if len(heights) < 2 * _STEEPEST else _window(curve),
    )
    kept = found["prominences"] >= settings.relative_prominence * found["peak_heights"]
    places = places[kept]
    if len(places) == 0:
        raise ValueError("no line rises over the threshold")
    if len(places) > settings.most_lines:
        raise ValueError(
            f"{len(places)} lines rise over the threshold, more than {settings.most_lines}: not a spectrum of a"
            " molecule, or not phased"
        )
    widths = peak_widths(heights, places, rel_height=0.5, wlen=_window(curve))[0] * curve.step_hz
    offsets = _offsets(heights, places)
    hz = (curve.ppm[0] * curve.frequency_mhz) + (places + offsets) * curve.step_hz
    tops = heights[places].astype(np.float64)
    return Lines(hz, tops, np.maximum(widths, curve.step_hz), tops)


def _window(curve: NMRCurve) -> int:
    """Points in which the saddles of a line are looked for: 100 Hz, so that a million points stay quick."""
    return max(_STEEPEST, 2 * round(50.0 / curve.step_hz) + 1)


def _offsets(heights: FloatArray, places: np.ndarray) -> FloatArray:
    """How far the top lies from the highest point, in points: that of the parabola through the reciprocals of
    three points, which for a Lorentzian line is exact."""
    left, middle, right = (np.maximum(heights[places + step], 1e-300) for step in (-1, 0, 1))
    low, top, high = 1 / left, 1 / middle, 1 / right
    bend = low - 2 * top + high
    with np.errstate(divide="ignore", invalid="ignore"):
        offset = np.where(bend > 0, 0.5 * (low - high) / bend, 0.0)
    return np.clip(np.nan_to_num(offset), -0.5, 0.5)
