"""Lines of an NMR curve: baseline off, maxima over the noise, their places between the points, exclusions."""

from dataclasses import dataclass

import numpy as np

from mmspec_ds.readers.picking.baseline import estimate_noise, subtract_baseline
from mmspec_ds.readers.picking.curve import BoolArray, Lines, NMRCurve
from mmspec_ds.readers.picking.pick_settings import ExclusionSettings, PeakPickingSettings
from mmspec_ds.readers.picking.solvents import Solvent, SolventLine, find_solvent
from mmspec_ds.spectra.records import FloatArray

_STEEPEST = 16
"""Widths of a line, in which its saddle is looked for: the feet of a neighbour need no farther look."""


_RUNGS, _RUNG_TOLERANCE = 3, 0.1
_LEAST_SPREAD = 0.5  # points; a narrower Gaussian changes nothing


@dataclass(frozen=True, slots=True)
class Region:
    """From `low` to `high` ppm, left out because of `reason`; lines farther out at distances of `j_hz` go with
    it."""

    low: float
    high: float
    reason: str
    j_hz: float = 0.0


@dataclass(frozen=True, slots=True)
class Picked:
    """The lines of a curve.

    Attributes:
        lines: in rising order, exclusions left out.
        levelled: the curve without its baseline, [n].
        noise: standard deviation, in the curve's scale.
        threshold: lowest height of a line.
        excluded: regions that were left out.
        dropped: number of lines in them.
        in_excluded: for each point of the curve, whether it is in such a region, [n].
    """

    lines: Lines
    levelled: FloatArray
    noise: float
    threshold: float
    excluded: tuple[Region, ...]
    dropped: int
    in_excluded: BoolArray


def pick_lines(curve: NMRCurve, settings: PeakPickingSettings, exclusion: ExclusionSettings) -> Picked:
    """All lines of a curve that rise over the threshold and over the saddles beside them.

    The threshold is `noise_factor` times the noise or a share of the highest line that is not excluded,
    whichever is more. Lines of a 13C spectrum may be negative (APT, DEPT); 1H lines may not.

    Raises:
        ValueError: there is no line, or there are more than `most_lines`.
    """
    hydrogen = curve.nucleus == "1H"
    window = round(settings.baseline_window_hz / curve.step_hz)
    raw_noise = estimate_noise(curve.intensity, settings.noise_segments)
    levelled = subtract_baseline(curve.intensity, raw_noise, window)
    smooth = _smoothed(levelled, curve, settings.smoothing_hz if hydrogen else settings.carbon_smoothing_hz)
    noise = estimate_noise(smooth, settings.noise_segments)
    heights = smooth if hydrogen else np.abs(smooth)
    excluded = excluded_regions(curve, exclusion)
    inside = np.zeros(len(curve.ppm), dtype=np.bool_)
    for region in excluded:
        inside |= (curve.ppm >= region.low) & (curve.ppm <= region.high)
    highest = float(heights[~inside].max(initial=0.0))
    share = settings.relative_height if hydrogen else settings.carbon_relative_height
    threshold = max(settings.noise_factor * noise, share * highest)
    if highest <= threshold or highest <= 0:
        raise ValueError(
            f"no line rises over {settings.noise_factor:g} times the noise"
            if highest > 0
            else "the curve has no line that rises over its baseline"
        )
    distance = settings.minimum_distance_hz if hydrogen else settings.carbon_minimum_distance_hz
    lines = _maxima(heights, curve, threshold, noise, distance, settings)
    places = np.clip(np.searchsorted(curve.ppm, lines.hz / curve.frequency_mhz), 0, len(inside) - 1)
    dropped = inside[places]
    for region in excluded:
        dropped |= _ladder(lines, region, curve.frequency_mhz)
    return Picked(lines.where(~dropped), levelled, noise, threshold, excluded, int(dropped.sum()), inside)


def _ladder(lines: Lines, region: Region, mhz: float) -> BoolArray:
    """Lines of a deuterated carbon that lie outside its region, because the curve is referenced otherwise than
    the table of solvents: one J from a line that belongs to it, again and again, and at least a quarter as
    high."""
    belongs: BoolArray = (lines.hz >= region.low * mhz) & (lines.hz <= region.high * mhz)
    if region.j_hz <= 0 or not belongs.any():
        return belongs
    for _ in range(_RUNGS):
        known = np.flatnonzero(belongs)
        apart = np.abs(lines.hz[:, None] - lines.hz[known])
        steps = np.abs(apart - region.j_hz) < _RUNG_TOLERANCE * region.j_hz
        strong = lines.height[:, None] > 0.25 * lines.height[known]
        belongs = belongs | (steps & strong).any(axis=1)
    return belongs


def _smoothed(values: FloatArray, curve: NMRCurve, spread_hz: float) -> FloatArray:
    """Under a Gaussian narrower than a line: white noise on a curve with many points a line has maxima on every
    foot otherwise."""
    spread = spread_hz / curve.step_hz
    if spread < _LEAST_SPREAD:
        return values
    from scipy.ndimage import gaussian_filter1d

    return np.asarray(gaussian_filter1d(values, spread), dtype=np.float64)


def excluded_regions(curve: NMRCurve, settings: ExclusionSettings) -> tuple[Region, ...]:
    """The regions of solvent, water and TMS; without a known solvent, of TMS alone."""
    hydrogen = curve.nucleus == "1H"
    regions = []
    reference = settings.reference_ppm if hydrogen else settings.carbon_reference_ppm
    if reference > 0:
        regions.append(Region(-reference, reference, "TMS"))
    solvent = find_solvent(settings.solvent or curve.solvent)
    if solvent is not None:
        margin = settings.solvent_margin_hz if hydrogen else settings.carbon_solvent_margin_hz
        for line in solvent.hydrogen if hydrogen else solvent.carbon:
            regions.append(_region(line, margin, curve.frequency_mhz))
        regions += _water(solvent, settings) if hydrogen else []
    return tuple(regions)


def _region(line: SolventLine, margin_hz: float, mhz: float) -> Region:
    half = (line.half_hz + margin_hz) / mhz
    return Region(line.ppm - half, line.ppm + half, "solvent", line.j_hz)


def _water(solvent: Solvent, settings: ExclusionSettings) -> list[Region]:
    if not settings.water or solvent.water_ppm is None:
        return []
    half = settings.water_margin_ppm
    return [Region(solvent.water_ppm - half, solvent.water_ppm + half, "water")]


def _maxima(
    heights: FloatArray,
    curve: NMRCurve,
    threshold: float,
    noise: float,
    distance_hz: float,
    settings: PeakPickingSettings,
) -> Lines:
    from scipy.signal import find_peaks, peak_widths  # slow to import, of use here alone

    places, found = find_peaks(
        heights,
        height=threshold,
        prominence=settings.noise_prominence * noise,
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
    return Lines(hz, heights[places].astype(np.float64), np.maximum(widths, curve.step_hz))


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
