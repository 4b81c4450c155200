"""Drawings of spectra on axes of matplotlib: what the definition of each modality says, and measured curves.

Nothing here imports matplotlib but `plot_panels`, when it is called.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mmspec_ds.errors import DataError
from mmspec_ds.files import replacing_output
from mmspec_ds.readers.part import Part, Trace
from mmspec_ds.spectra.modalities.definition import Drawing
from mmspec_ds.spectra.records import FloatArray, HydrogenNMR, Spectrum
from mmspec_ds.spectra.registry import REGISTRY

Axes = Any
"""matplotlib.axes.Axes"""

PANELS = 12
"""Spectra in one drawing."""
LABELLED_PEAKS = 6
"""Sticks that get their position written, the highest ones."""
GROUP_COLOURS = ("black", "tab:green", "tab:red", "tab:blue", "tab:purple")
"""Colours of 0, 1, 2, 3, and more attached hydrogens; UNKNOWN_COLOUR where they are not known."""
UNKNOWN_COLOUR = "0.6"

_MARGIN = 0.04  # of the picked range, shown on both sides of it
_HEADROOM = 1.45  # height of the axes over the highest picked line: labels are above it


class Panel(NamedTuple):
    """A spectrum in a drawing: its title, and what draws it on empty axes."""

    title: str
    draw: Callable[[Axes], None]


def plot_panels(panels: Sequence[Panel], path: Path) -> int:
    """Draw the first spectra, at most 12, into a PNG, which appears whole or not at all.

    Returns:
        The number of spectra drawn.

    Raises:
        DataError: there is nothing to draw, or the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = panels[:PANELS]
    if not panels:
        raise DataError("nothing to draw: no spectrum could be read", path=path)
    columns = 1 if len(panels) <= 3 else 2
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(7.0 * columns, 2.6 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    for place, panel in enumerate(panels, 1):
        axes = figure.add_subplot(rows, columns, place)
        panel.draw(axes)
        axes.set_title(panel.title, fontsize=8, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
    with replacing_output(path) as partial:
        figure.savefig(partial, format="png", dpi=110)
    return len(panels)


def draw(spectrum: Spectrum, part: Part, axes: Axes) -> None:
    """Draw one spectrum of a part on empty axes, with the measured curve and what was picked from it, if
    any."""
    drawing = REGISTRY[spectrum.modality].drawing(spectrum)
    axes.set(xlabel=drawing.x_label, ylabel=drawing.y_label)
    if drawing.form == "curve":
        _draw_curve(drawing, part.trace, axes)
    elif drawing.form == "points":
        _draw_points(drawing, axes)
    elif part.trace is not None:
        _draw_picked_curve(part.trace, axes)
        if isinstance(spectrum, HydrogenNMR):
            _label_multiplets(spectrum, part.trace, axes)
    else:
        _draw_sticks(drawing, axes)
    if "x" in drawing.reverse and not axes.xaxis_inverted():
        axes.invert_xaxis()
    if "y" in drawing.reverse:
        axes.invert_yaxis()


def _draw_sticks(drawing: Drawing, axes: Axes) -> None:
    """Sticks coloured by group, the highest labelled with their position, a dashed line at the precursor."""
    for name, colour, members in _groups(drawing):
        axes.vlines(drawing.x[members], 0.0, drawing.y[members], linewidth=1.2, color=colour, label=name)
    axes.axhline(0.0, color="black", linewidth=0.6)
    if not drawing.y_label:
        axes.set(yticks=(), ylim=(0.0, 1.15 * float(drawing.y.max())))
    if drawing.marker is not None:
        place, name = drawing.marker
        axes.axvline(place, color="tab:red", linestyle="--", linewidth=0.8, label=name)
    if drawing.label_format:
        shown = [*drawing.x, *([drawing.marker[0]] if drawing.marker else [])]
        for place in _labelled(drawing.x, drawing.y, max(shown) - min(shown)):
            text = drawing.label_format.format(drawing.x[place])
            axes.annotate(text, (drawing.x[place], drawing.y[place]), (0, 2), **_LABEL)
        axes.margins(x=0.07)
        axes.set_ylim(0, 1.15 * float(drawing.y.max()))
    _draw_legend(axes)


def _draw_curve(drawing: Drawing, trace: Trace | None, axes: Axes) -> None:
    """The curve as it was read, over the thin curve that was measured."""
    if trace is not None:
        axes.plot(trace.axis, trace.values, linewidth=0.5, color="0.6", label="measured")
    axes.plot(drawing.x, drawing.y, linewidth=0.9, label="as read" if trace is not None else None)
    axes.set_xlim(drawing.x.min(), drawing.x.max())
    _draw_legend(axes)


def _draw_points(drawing: Drawing, axes: Axes) -> None:
    """Points coloured by group, as large as their weight; those of negative weight are hollow."""
    weight = np.ones(len(drawing.x)) if drawing.weight is None else drawing.weight
    size = 12.0 + 60.0 * np.abs(weight) / max(float(np.abs(weight).max()), 1e-12)
    for name, colour, members in _groups(drawing):
        for sign, face in ((1, colour), (-1, "none")):
            chosen = members & (np.where(weight < 0, -1, 1) == sign)
            if chosen.any():
                style = {"facecolors": face, "edgecolors": colour, "linewidths": 0.9, "alpha": 0.85}
                axes.scatter(drawing.x[chosen], drawing.y[chosen], size[chosen], label=name, **style)
                name = None
    axes.grid(linewidth=0.4, color="0.9")
    axes.margins(0.12)
    _draw_legend(axes)


_LABEL = {"textcoords": "offset points", "ha": "center", "fontsize": 7}


def _groups(drawing: Drawing) -> list[tuple[str | None, str, npt.NDArray[np.bool_]]]:
    """Name, colour and members of each group, the largest number of hydrogens first; one group without a name
    where nothing is known."""
    groups = drawing.groups
    if not any(group is not None for group in groups):
        return [(None, "tab:blue", np.ones(len(drawing.x), dtype=bool))]
    numbers = sorted({group for group in groups if group is not None}, reverse=True)
    found: list[tuple[str | None, str, npt.NDArray[np.bool_]]] = []
    for number in numbers:
        name = dict(enumerate(drawing.group_names)).get(number, f"{number} H")
        colour = GROUP_COLOURS[min(number, len(GROUP_COLOURS) - 1)]
        found.append((name, colour, np.array([group == number for group in groups])))
    unknown = np.array([group is None for group in groups])
    return [*found, *([("unknown", UNKNOWN_COLOUR, unknown)] if unknown.any() else [])]


def _draw_legend(axes: Axes) -> None:
    """A legend above the axes, where it covers no label."""
    handles, names = axes.get_legend_handles_labels()
    if handles:
        place = {"loc": "lower right", "bbox_to_anchor": (1.0, 0.98), "ncols": len(names)}
        axes.legend(**place, fontsize=7, frameon=False, handletextpad=0.4, columnspacing=1.0)


def _labelled(x: FloatArray, y: FloatArray, span: float) -> list[int]:
    """The highest sticks, without those whose label would cover that of a higher one; `span` is that of the
    axis."""
    room, height = 0.1 * max(span, 1.0), 0.12 * float(y.max())
    chosen: list[int] = []
    for place in np.argsort(-y, kind="stable")[: 4 * LABELLED_PEAKS]:
        near = (abs(x[place] - x[one]) < room and abs(y[place] - y[one]) < height for one in chosen)
        if len(chosen) < LABELLED_PEAKS and not any(near):
            chosen.append(int(place))
    return chosen


def _draw_picked_curve(trace: Trace, axes: Axes) -> None:
    """The curve with a red tick under every picked line. It shows the range and the height of the picked lines;
    a solvent line that is ten times higher is cut off."""
    picked = trace.picked if trace.picked is not None else np.empty(0)
    low, high = float(trace.axis[0]), float(trace.axis[-1])
    if len(picked):
        room = max(_MARGIN * float(np.ptp(picked)), 0.2)
        low, high = max(low, float(picked.min()) - room), min(high, float(picked.max()) + room)
    shown = (trace.axis >= low) & (trace.axis <= high)
    values = trace.values - float(np.median(trace.values))
    top = _highest_picked(trace) or float(values[shown].max())
    axes.plot(trace.axis[shown], values[shown], linewidth=0.6)
    axes.vlines(picked, -0.07 * top, -0.02 * top, color="tab:red", linewidth=0.7)
    bottom = min(-0.1 * top, 1.1 * max(float(values[shown].min()), -_HEADROOM * top))
    axes.set(xlim=(high, low), ylim=(bottom, _HEADROOM * top), yticks=(), ylabel="")


def _label_multiplets(spectrum: HydrogenNMR, trace: Trace, axes: Axes) -> None:
    """Over each multiplet its range as a bar, its name and its hydrogens."""
    height = 1.04 * _highest_picked(trace)
    for multiplet in spectrum.multiplets:
        axes.hlines(height, multiplet.min_ppm, multiplet.max_ppm, color="tab:red", linewidth=1.2)
        text = f"{multiplet.centroid_ppm:.2f} {multiplet.category} {multiplet.hydrogens}H"
        style = {**_LABEL, "va": "bottom", "rotation": 90, "fontsize": 6}
        axes.annotate(text, (multiplet.centroid_ppm, height), (0, 3), **style)


def _highest_picked(trace: Trace) -> float:
    """Height of the highest picked line over the median of the curve; zero where nothing was picked."""
    if trace.picked is None or not len(trace.picked):
        return 0.0
    places = np.clip(np.searchsorted(trace.axis, trace.picked), 0, len(trace.axis) - 1)
    return float(np.abs(trace.values[places] - np.median(trace.values)).max())
