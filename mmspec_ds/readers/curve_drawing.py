"""Drawings of continuous NMR spectra with what was picked from them, so that a chemist sees what was missed."""

from typing import Any

import numpy as np

from mmspec_ds.readers.part import Trace
from mmspec_ds.spectra.records import HydrogenNMR

Axes = Any
"""matplotlib.axes.Axes"""

_MARGIN = 0.04  # of the picked range, shown on both sides of it
_ROOM = 1.45  # height of the axes over the highest picked line: labels stand above it


def draw_picked_curve(trace: Trace, axes: Axes) -> None:
    """The curve from high to low shift, a red tick under every picked line; as much of it as has lines, and as
    high as the highest picked one: a solvent ten times higher is cut off."""
    picked = trace.picked if trace.picked is not None else np.empty(0)
    low, high = float(trace.axis[0]), float(trace.axis[-1])
    if len(picked):
        room = max(_MARGIN * float(np.ptp(picked)), 0.2)
        low, high = max(low, float(picked.min()) - room), min(high, float(picked.max()) + room)
    shown = (trace.axis >= low) & (trace.axis <= high)
    values = trace.values - float(np.median(trace.values))
    top = highest_picked(trace) or float(values[shown].max())
    axes.plot(trace.axis[shown], values[shown], linewidth=0.6)
    axes.vlines(picked, -0.07 * top, -0.02 * top, color="tab:red", linewidth=0.7)
    bottom = min(-0.1 * top, 1.1 * max(float(values[shown].min()), -_ROOM * top))
    axes.set(xlim=(high, low), ylim=(bottom, _ROOM * top))


def label_multiplets(spectrum: HydrogenNMR, trace: Trace, axes: Axes) -> None:
    """Over each multiplet its range as a bar, its name and its hydrogens."""
    top = highest_picked(trace)
    for multiplet in spectrum.multiplets:
        axes.hlines(1.04 * top, multiplet.min_ppm, multiplet.max_ppm, color="tab:red", linewidth=1.2)
        axes.annotate(
            f"{multiplet.centroid_ppm:.2f} {multiplet.category} {multiplet.hydrogens}H",
            (multiplet.centroid_ppm, 1.04 * top),
            (0, 3),
            textcoords="offset points",
            ha="center",
            va="bottom",
            rotation=90,
            fontsize=6,
        )


def highest_picked(trace: Trace) -> float:
    """Height of the highest picked line over the median of the curve; zero where nothing was picked."""
    if trace.picked is None or not len(trace.picked):
        return 0.0
    places = np.clip(np.searchsorted(trace.axis, trace.picked), 0, len(trace.axis) - 1)
    return float(np.abs(trace.values[places] - np.median(trace.values)).max())
