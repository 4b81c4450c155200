"""Noise and baseline of a curve, by statistics that signals do not disturb."""

import numpy as np

from mmspec_ds.spectra.processing.curve import BoolArray
from mmspec_ds.spectra.records import FloatArray

_ROUNDS = 4
_SIGNAL = 4.0  # times the noise: what is no longer baseline
_LEAST_FREE = 0.2  # of a window; a window with less baseline has no knot
_NOISELESS = 1e-6  # of the highest value: simulated curves have no noise, and no threshold without this floor


def estimate_noise(values: FloatArray, segments: int) -> float:
    """The standard deviation of the noise: of `segments` pieces, each less its straight line, the median of the
    quietest quarter. Zero for a curve with that many pieces of nothing."""
    pieces = [piece for piece in np.array_split(values, segments) if len(piece) >= 8]
    if not pieces:
        return float(np.std(values))
    spreads = sorted(_spread_around_a_line(piece) for piece in pieces)
    return float(np.median(spreads[: max(1, len(spreads) // 4)]))


def _spread_around_a_line(values: FloatArray) -> float:
    places = np.arange(len(values), dtype=np.float64)
    places -= places.mean()
    slope = float(places @ values) / float(places @ places)
    return float(np.std(values - slope * places))


def subtract_baseline(values: FloatArray, noise: float, window: int) -> FloatArray:
    """The curve less straight lines between the medians of what is no signal, one a window of points.

    Four rounds: each takes for signal what lies over the last baseline by more than four times the noise, and
    its neighbours within a 64th of a window, because the feet of a line are no baseline.
    """
    window = max(8, min(window, len(values)))
    floor = max(noise, _NOISELESS * float(np.abs(values).max(initial=0.0)))
    baseline = np.full(len(values), float(np.median(values)))
    for _ in range(_ROUNDS):
        signal = _widened(np.abs(values - baseline) > _SIGNAL * floor, window // 64)
        baseline = _through_medians(values, ~signal, window, baseline)
    return values - baseline


def _through_medians(values: FloatArray, free: BoolArray, window: int, last: FloatArray) -> FloatArray:
    places, levels = [], []
    for start in range(0, len(values), window):
        chosen = free[start : start + window]
        if chosen.sum() >= _LEAST_FREE * len(chosen):
            places.append(start + float(np.flatnonzero(chosen).mean()))
            levels.append(float(np.median(values[start : start + window][chosen])))
    return np.interp(np.arange(len(values)), places, levels) if places else last


def _widened(mask: BoolArray, reach: int) -> BoolArray:
    if reach < 1 or not mask.any():
        return mask
    counts = np.concatenate([[0], np.cumsum(mask)])
    places = np.arange(len(mask))
    inside: BoolArray = (
        counts[np.minimum(places + reach + 1, len(mask))] > counts[np.maximum(places - reach, 0)]
    )
    return inside
