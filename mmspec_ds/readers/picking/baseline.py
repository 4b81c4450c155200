"""Noise and baseline of a curve, by statistics that signals do not disturb."""

import numpy as np

from mmspec_ds.readers.picking.curve import BoolArray
from mmspec_ds.spectra.records import FloatArray

_TIMES = (32.0, 16.0, 8.0, 4.0)  # times the noise, round by round: what is farther off is signal
_LEAST_FREE = 0.2  # of a window; a window with less baseline has no knot
_EXACT = 1e-12  # of the widest spread: the rounding error of a piece that is a straight line
_NOISELESS = 1e-6  # of the highest value: simulated curves have no noise, and no threshold without this floor


def estimate_noise(values: FloatArray, segments: int, quiet: float = 0.25) -> float:
    """The standard deviation of the noise: of `segments` pieces, each less its straight line, the median of the
    quietest share. Pieces that some programs set to exactly zero do not count; zero if all are."""
    pieces = [piece for piece in np.array_split(values, segments) if len(piece) >= 8]
    if not pieces:
        return float(np.std(values))
    spreads = sorted(_spread_around_a_line(piece) for piece in pieces)
    measured = [spread for spread in spreads if spread > _EXACT * spreads[-1]]
    return float(np.median(measured[: max(1, int(quiet * len(measured)))])) if measured else 0.0


def _spread_around_a_line(values: FloatArray) -> float:
    places = np.arange(len(values), dtype=np.float64)
    places -= places.mean()
    slope = float(places @ values) / float(places @ places)
    return float(np.std(values - slope * places))


def subtract_baseline(values: FloatArray, noise: float, window: int) -> FloatArray:
    """The curve less straight lines between the medians of what is no signal, one a window of points.

    It starts at the lower quartile of each window. Rounds follow: each takes for signal what lies farther from
    the last baseline than some times the noise, fewer times from round to round so that a slope within a window
    is not taken for signal, and its neighbours within a 64th of a window, because the feet of a line are no
    baseline.
    """
    window = max(8, min(window, len(values)))
    floor = max(noise, _NOISELESS * float(np.abs(values).max(initial=0.0)))
    baseline = _through_knots(values, None, window)
    for times in _TIMES:
        signal = _widened(np.abs(values - baseline) > times * floor, window // 64)
        baseline = _through_knots(values, ~signal, window)
    return values - baseline


def _through_knots(values: FloatArray, free: BoolArray | None, window: int) -> FloatArray:
    """Straight lines through the medians of the free points of each window, or the lower quartiles of all of
    them; beyond the first and last knot they go on straight."""
    places, levels = [], []
    for start in range(0, len(values), window):
        piece = values[start : start + window]
        if free is None:
            places.append(start + len(piece) / 2)
            levels.append(float(np.percentile(piece, 25)))
        elif (chosen := free[start : start + window]).sum() >= _LEAST_FREE * len(piece):
            places.append(start + float(np.flatnonzero(chosen).mean()))
            levels.append(float(np.median(piece[chosen])))
    if not places:
        return np.full(len(values), float(np.median(values)))
    if len(places) > 1:
        for end, near, next_one in ((0.0, 0, 1), (len(values) - 1.0, -1, -2)):
            slope = (levels[near] - levels[next_one]) / (places[near] - places[next_one])
            level = levels[near] + slope * (end - places[near])
            place = 0 if near == 0 else len(places)
            places.insert(place, end)
            levels.insert(place, level)
    return np.interp(np.arange(len(values)), places, levels)


def _widened(mask: BoolArray, reach: int) -> BoolArray:
    if reach < 1 or not mask.any():
        return mask
    counts = np.concatenate([[0], np.cumsum(mask)])
    places = np.arange(len(mask))
    inside: BoolArray = (
        counts[np.minimum(places + reach + 1, len(mask))] > counts[np.maximum(places - reach, 0)]
    )
    return inside
