"""From a continuous NMR spectrum to the multiplets or lines of a record.

1H: lines are picked, gathered into groups by their distance, fitted, named to first order, integrated and set
to whole hydrogens. 13C: lines are picked, and that is all.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mmspec_ds.readers.picking.curve import Lines, NMRCurve
from mmspec_ds.readers.picking.first_order import MULTIPLET, explain
from mmspec_ds.readers.picking.hydrogens import Counted, Neighbours, count_hydrogens
from mmspec_ds.readers.picking.line_fit import fit_lines
from mmspec_ds.readers.picking.line_peaks import Picked, pick_lines
from mmspec_ds.readers.picking.pick_settings import MultipletSettings, NMRProcessingSettings
from mmspec_ds.spectra.records import CarbonNMR, FloatArray, HydrogenNMR, Multiplet

_EDGE_WIDTHS = 2.0
"""The range of a multiplet ends at least so many line widths beyond its outer lines."""

_DEEP = 0.1  # of the highest line: a phased 1H spectrum does not go below its baseline
_TABLE_WIDTH_HZ = 1.0
"""Of the lines of a table that gives none."""


@dataclass(frozen=True, slots=True)
class Group:
    """Lines start to end - 1 and the points that are integrated, low to high - 1, both of the whole curve."""

    start: int
    end: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class PickedHydrogen:
    """What was made of a 1H curve: the spectrum, the lines under it, and remarks for the user."""

    spectrum: HydrogenNMR
    picked: Picked
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PickedCarbon:
    """What was made of a 13C curve."""

    spectrum: CarbonNMR
    picked: Picked
    remarks: tuple[str, ...]


def pick_carbon(curve: NMRCurve, settings: NMRProcessingSettings) -> PickedCarbon:
    """The lines of a 13C curve, from high to low shift.

    Raises:
        ValueError: there is no line, or the curve is noise.
    """
    picked = pick_lines(curve, settings.peaks, settings.exclusion)
    if len(picked.lines) == 0:
        raise ValueError("every line lies where the solvent or the reference shows")
    shifts = tuple(float(hz) / curve.frequency_mhz for hz in picked.lines.hz[::-1])
    return PickedCarbon(CarbonNMR(shifts), picked, _remarks(curve, picked, _counted(len(shifts), "line")))


def pick_hydrogen(curve: NMRCurve, settings: NMRProcessingSettings) -> PickedHydrogen:
    """The multiplets of a 1H curve, from high to low shift.

    Raises:
        ValueError: there is no line, or the curve is noise.
    """
    picked = pick_lines(curve, settings.peaks, settings.exclusion)
    if len(picked.lines) == 0:
        raise ValueError("every line lies where the solvent or the reference shows")
    groups = group_lines(curve, picked.lines, settings.multiplets)
    areas = np.array([_area(picked, group) for group in groups])
    positive = areas > 0
    groups, areas = [g for g, keep in zip(groups, positive) if keep], areas[positive]
    if not groups:
        raise ValueError("no group of lines has a positive integral")
    spans = [(group.start, group.end) for group in groups]
    between = [_neighbours(picked.lines, *pair, settings.multiplets) for pair in pairwise(spans)]
    counted = count_hydrogens(areas, between, settings.multiplets)
    multiplets = [
        _multiplet(curve, picked, groups[one.first : one.last + 1], one.hydrogens, settings.multiplets)
        for one in counted.signals
    ]
    multiplets.reverse()
    what = f"{_counted(len(multiplets), 'multiplet')} of {_counted(len(picked.lines), 'line')}"
    remarks = _remarks(curve, picked, what)
    return PickedHydrogen(HydrogenNMR(tuple(multiplets)), picked, remarks + _integral_remarks(counted))


def multiplets_of_peaks(
    ppm: FloatArray, heights: FloatArray, mhz: float, settings: MultipletSettings
) -> tuple[HydrogenNMR, tuple[str, ...]]:
    """The multiplets of a table of single 1H lines, in any order, and remarks: grouped and named as picked
    lines are; the heights stand for areas, since lines of one spectrum are of about one width."""
    order = np.argsort(ppm, kind="stable")
    lines = Lines(ppm[order] * mhz, heights[order], np.full(len(ppm), _TABLE_WIDTH_HZ))
    spans = _spans(lines, settings)
    areas = np.array([lines.height[start:end].sum() for start, end in spans])
    between = [_neighbours(lines, *pair, settings) for pair in pairwise(spans)]
    counted = count_hydrogens(areas, between, settings)
    multiplets = [
        _named(lines.part(spans[one.first][0], spans[one.last][1]), mhz, one.hydrogens, settings)
        for one in reversed(counted.signals)
    ]
    what = f"{_counted(len(multiplets), 'multiplet')} made of {_counted(len(lines), 'line')}"
    return HydrogenNMR(tuple(multiplets)), (what, *_integral_remarks(counted))


def group_lines(curve: NMRCurve, lines: Lines, settings: MultipletSettings) -> list[Group]:
    """Lines nearer than `grouping_hz` together, with the points to integrate: `margin_hz` beyond the outer
    lines, at most to the middle between two groups."""
    groups = []
    for start, end in _spans(lines, settings):
        low, high = lines.hz[start] - settings.margin_hz, lines.hz[end - 1] + settings.margin_hz
        if start:
            low = max(low, (lines.hz[start - 1] + lines.hz[start]) / 2)
        if end < len(lines):
            high = min(high, (lines.hz[end - 1] + lines.hz[end]) / 2)
        points = np.searchsorted(curve.ppm * curve.frequency_mhz, [low, high])
        groups.append(Group(start, end, int(points[0]), int(points[1])))
    return groups


def _spans(lines: Lines, settings: MultipletSettings) -> list[tuple[int, int]]:
    gaps = np.diff(lines.hz)
    starts = [0, *(int(place) + 1 for place in np.flatnonzero(gaps > settings.grouping_hz))]
    return list(zip(starts, [*starts[1:], len(lines)]))


def _area(picked: Picked, group: Group) -> float:
    """The sum of the levelled curve over a group's points; excluded regions count nothing."""
    inside = slice(group.low, group.high)
    return float(picked.levelled[inside][~picked.in_excluded[inside]].sum())


def _neighbours(
    lines: Lines, first: tuple[int, int], second: tuple[int, int], settings: MultipletSettings
) -> Neighbours:
    """Near: no farther than a coupling goes. Mirrored: as many lines, at the same distances from each other."""
    near = bool(lines.hz[second[0]] - lines.hz[first[1] - 1] <= settings.widest_coupling_hz)
    low, high = lines.part(*first).hz, lines.part(*second).hz
    if not near or len(low) != len(high):
        return Neighbours(near, False)
    apart = np.abs((low - low[0]) - (high - high[0])).max()
    return Neighbours(near, bool(apart < 2 * settings.position_tolerance_hz))


def _multiplet(
    curve: NMRCurve, picked: Picked, groups: list[Group], hydrogens: int, settings: MultipletSettings
) -> Multiplet:
    lines = picked.lines.part(groups[0].start, groups[-1].end)
    if len(lines) <= settings.most_fitted_lines:
        points = slice(groups[0].low, groups[-1].high)
        lines = fit_lines(curve.ppm[points] * curve.frequency_mhz, picked.levelled[points], lines)
    return _named(lines, curve.frequency_mhz, hydrogens, settings)


def _named(lines: Lines, mhz: float, hydrogens: int, settings: MultipletSettings) -> Multiplet:
    width = float(np.median(lines.width_hz))
    pattern = MULTIPLET
    if len(lines) <= settings.most_fitted_lines:
        pattern = explain(lines.hz, lines.height, width, settings)
    edge = max(_EDGE_WIDTHS * width, settings.edge_ppm * mhz)
    centroid = float(lines.hz @ lines.height) / float(lines.height.sum())
    return Multiplet(
        centroid / mhz,
        (float(lines.hz[-1]) + edge) / mhz,
        (float(lines.hz[0]) - edge) / mhz,
        pattern.category,
        hydrogens,
        tuple(round(j, 3) for j in pattern.j_hz),
    )


def _remarks(curve: NMRCurve, picked: Picked, what: str) -> tuple[str, ...]:
    snr = f", noise {picked.noise:.3g}" if picked.noise > 0 else ""
    remarks = [f"{what} picked from a curve of {len(curve.ppm)} points (threshold {picked.threshold:.3g}{snr})"]
    if picked.dropped:
        places = ", ".join(f"{r.reason} {r.low:.2f} to {r.high:.2f} ppm" for r in picked.excluded)
        remarks.append(f"{_counted(picked.dropped, 'line')} left out as not of the sample ({places})")
    depth = -float(picked.levelled[~picked.in_excluded].min(initial=0.0))
    if curve.nucleus == "1H" and depth > _DEEP * float(picked.lines.height.max()):
        remarks.append("the curve goes deep below its baseline: is it phased?")
    if not any(region.reason == "solvent" for region in picked.excluded):
        named = f"{curve.solvent!r} is not known" if curve.solvent else "none is named"
        remarks.append(f"no solvent signal left out: {named}")
    return tuple(remarks)


def _integral_remarks(counted: Counted) -> tuple[str, ...]:
    remarks = [f"integrals are within {counted.distance:.2f} H of whole numbers on average"]
    if counted.impurities:
        left_out = _counted(counted.impurities, "group")
        remarks.append(f"{left_out} of less than a third of a hydrogen left out")
    return tuple(remarks)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
