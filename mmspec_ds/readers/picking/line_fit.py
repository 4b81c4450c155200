"""Lorentzian lines fitted to a curve, and their areas."""

from dataclasses import replace

import numpy as np

from mmspec_ds.readers.picking.curve import BoolArray, Lines
from mmspec_ds.spectra.records import FloatArray

ISLAND_HZ = 25.0
"""Lines farther apart than this are fitted and integrated by themselves."""

_EVALUATIONS = 40
_POINTS = 1500  # of an island at most; more are thinned out, the fit is as good
_BROAD = 2.5  # times the median width: such a line may have a width of its own
_BETTER = 0.7  # such a width must lower the sum of squares to this share
_MARGIN_HZ, _MARGIN_WIDTHS = 10.0, 6.0  # fitted and integrated beyond the outer lines
_LEAST_SCALE, _MOST_SCALE = 0.6, 1.8  # of an integral over the area of the fitted lines


def fit_and_integrate(hz: FloatArray, levelled: FloatArray, lines: Lines, most_fitted: int) -> Lines:
    """The lines after a fit of each island, with areas that add up to the integral of the curve.

    The integral of an island is the sum of its points, plus the feet of its own lines beyond them, less the
    feet of other islands in them, both taken from the fitted lines.

    Args:
        hz: positions of the points, rising and even, [n].
        levelled: the curve without its baseline, [n].
        lines: as picked, areas unused.
        most_fitted: an island of more lines is integrated with the lines as they were picked.
    """
    islands = lines.islands(ISLAND_HZ)
    typical = float(np.median(lines.width_hz))
    fitted, windows = [], []
    for start, end in islands:
        island = lines.take(slice(start, end))
        margin = max(_MARGIN_HZ, _MARGIN_WIDTHS * float(island.width_hz.max()))
        low, high = island.hz[0] - margin, island.hz[-1] + margin
        if start:
            low = max(low, (lines.hz[start - 1] + lines.hz[start]) / 2)
        if end < len(lines):
            high = min(high, (lines.hz[end - 1] + lines.hz[end]) / 2)
        first, last = (int(i) for i in np.searchsorted(hz, [low, high]))
        if len(island) <= most_fitted:
            island = _fitted(hz[first:last], levelled[first:last], island, typical)
        fitted.append(island)
        windows.append((first, last))
    joined = Lines.joined(fitted)
    area = np.pi / 2 * joined.height * joined.width_hz
    for (start, end), (first, last) in zip(islands, windows):
        if last - first < 2:
            continue
        step = hz[1] - hz[0]
        inside = _share_within(joined, hz[first] - step / 2, hz[last - 1] + step / 2) * area
        own, others = inside[start:end].sum(), inside.sum() - inside[start:end].sum()
        scale = (float(levelled[first:last].sum()) * step - others) / own
        area[start:end] *= np.clip(scale, _LEAST_SCALE, _MOST_SCALE)
    return replace(joined, area=area)


def _share_within(lines: Lines, low: float, high: float) -> FloatArray:
    """Share of each Lorentzian line's area between two positions."""
    half = lines.width_hz / 2
    share: FloatArray = (np.arctan((high - lines.hz) / half) - np.arctan((low - lines.hz) / half)) / np.pi
    return share


def _fitted(hz: FloatArray, values: FloatArray, lines: Lines, typical: float) -> Lines:
    """The lines after a fit with one width, or with one more for each broad line where that is better.

    A fit in which a line moves by more than its width or has no positive height is not believed: the picked
    lines are returned.
    """
    broad = lines.width_hz > _BROAD * typical
    tried = [np.zeros(len(lines), dtype=np.bool_), broad] if broad.any() else [broad]
    best, least = lines, np.inf
    for own_width in tried:
        fitted, error = _fit(hz, values, lines, own_width)
        if error < _BETTER * least:
            best, least = fitted, error
    return best


def _fit(hz: FloatArray, values: FloatArray, lines: Lines, broad: BoolArray) -> tuple[Lines, float]:
    """Least squares of all positions and heights, one width for all lines but the broad ones; and its sum of
    squares, infinite where it is not believed."""
    from scipy.optimize import least_squares

    thin = max(1, len(hz) // _POINTS)
    hz, values = hz[::thin], values[::thin]
    count = len(lines)
    sharp = float(np.median(lines.width_hz[~broad])) if not broad.all() else 1.0
    member = np.where(broad, np.cumsum(broad), 0)  # index of each line's width
    widths = np.concatenate([[sharp], lines.width_hz[broad]])
    if len(hz) < 2 * count + len(widths) + 2:
        return lines, np.inf
    scale = float(lines.height.max())
    start = np.concatenate([lines.hz, lines.height / scale, np.log(widths)])
    belongs = np.eye(len(widths))[member]
    target = values / scale

    def shapes(parameters: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        half = np.exp(np.clip(parameters[2 * count :], -10, 10))[member] / 2
        distances = (hz[:, None] - parameters[:count]) / half
        return 1 / (1 + distances**2), distances, half

    def residuals(parameters: FloatArray) -> FloatArray:
        return np.asarray(shapes(parameters)[0] @ parameters[count : 2 * count] - target)

    def jacobian(parameters: FloatArray) -> FloatArray:
        unit, distances, half = shapes(parameters)
        slope = 2 * parameters[count : 2 * count] * unit**2 * distances
        return np.column_stack([slope / half, unit, (slope * distances) @ belongs])

    result = least_squares(residuals, start, jac=jacobian, method="lm", max_nfev=_EVALUATIONS)
    places, heights = result.x[:count], result.x[count : 2 * count]
    found = np.exp(np.clip(result.x[2 * count :], -10, 10))[member]
    believed = (
        np.isfinite(result.x).all()
        and (heights > 0).all()
        and (np.diff(places) > 0).all()
        and (np.abs(places - lines.hz) < np.maximum(lines.width_hz, 1.0)).all()
        and (found < 5 * float(lines.width_hz.max())).all()
    )
    if not believed:
        return lines, np.inf
    return Lines(places, heights * scale, found, lines.area), float(result.cost)
