"""Lorentzian lines of one common width fitted to a group: places and heights free of their neighbours' feet."""

import numpy as np

from mmspec_ds.readers.picking.curve import Lines
from mmspec_ds.spectra.records import FloatArray

_EVALUATIONS = 40
_POINTS = 2000  # of a group at most; more are thinned out, the fit is as good


def fit_lines(hz: FloatArray, values: FloatArray, lines: Lines) -> Lines:
    """The lines after a least-squares fit of all places, all heights and one width.

    A fit that wanders (a line more than its width from where it was picked, or a negative height) is not
    believed, and the picked lines are returned.

    Args:
        hz: places of the points of the group, rising, [n].
        values: the levelled curve there, [n].
        lines: what was picked.
    """
    from scipy.optimize import least_squares

    thin = max(1, len(hz) // _POINTS)
    hz, values = hz[::thin], values[::thin]
    count = len(lines)
    if len(hz) < 2 * count + 3:
        return lines
    scale = float(lines.height.max())
    width = float(np.median(lines.width_hz))
    start = np.concatenate([lines.hz, lines.height / scale, [width]])
    target = values / scale

    def residuals(parameters: FloatArray) -> FloatArray:
        return np.asarray(_lorentzians(hz, parameters, count)[0].sum(axis=1) - target)

    def jacobian(parameters: FloatArray) -> FloatArray:
        _, distances, squares = _lorentzians(hz, parameters, count)
        heights, fitted = parameters[count : 2 * count], parameters[-1]
        unit = squares / (squares + distances**2)
        by_place = 2 * heights * unit**2 * distances / squares
        by_width = (2 * heights * unit**2 * distances**2 / (squares * fitted)).sum(axis=1)
        return np.column_stack([by_place, unit, by_width])

    result = least_squares(residuals, start, jac=jacobian, method="lm", max_nfev=_EVALUATIONS)
    places, heights, fitted = result.x[:count], result.x[count : 2 * count], abs(float(result.x[-1]))
    believed = (
        np.isfinite(result.x).all()
        and (heights > 0).all()
        and (np.diff(places) > 0).all()
        and np.abs(places - lines.hz).max() < max(width, 1.0)
        and 0.2 * width < fitted < 5 * width
    )
    return Lines(places, heights * scale, np.full(count, fitted)) if believed else lines


def _lorentzians(
    hz: FloatArray, parameters: FloatArray, count: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Values of each line [n, lines], distances from its place, and the square of half the width."""
    places, heights, width = parameters[:count], parameters[count : 2 * count], parameters[-1]
    distances = hz[:, None] - places
    squares = np.asarray((width / 2) ** 2)
    return heights * squares / (squares + distances**2), distances, squares
