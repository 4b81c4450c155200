"""Figures of studies as PNG."""

import io
from collections.abc import Callable, Sequence
from typing import Any

from PIL import Image

Axes = Any
"""matplotlib's `Axes`."""

COLOURS = ("#3f6fb5", "#d9822b", "#3a8f5d", "#b0413e", "#7a5ea8", "#5b8c9c", "#9a7b4f", "#c06c9b")
INK, PALE = "#222831", "#6e7681"
DOTS_PER_INCH = 150


def draw(
    size: tuple[float, float], rows: int, columns: int, fill: Callable[[Sequence[Sequence[Axes]]], None]
) -> bytes:
    """A figure of panels as PNG.

    Args:
        size: width and height in inches.
        rows, columns: of panels.
        fill: draws into them, [rows][columns].
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(size, dpi=DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False)
    fill([list(row) for row in panels])
    for axes in panels.flat:  # afterwards, as a new title would have its own size
        _plain(axes)
    stored = io.BytesIO()
    figure.savefig(stored, format="png")
    return stored.getvalue()


def as_png(image: Image.Image) -> bytes:
    """A picture as PNG."""
    stored = io.BytesIO()
    image.save(stored, format="PNG")
    return stored.getvalue()


def _plain(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(PALE)
    axes.tick_params(which="both", colors=PALE, labelsize=8)
    axes.title.set_fontsize(9)
    axes.title.set_color(INK)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_fontsize(8)
        label.set_color(PALE)


def logarithmic(axes: Axes) -> None:
    """Give a panel a logarithmic x axis with a plain number at 1, 2 and 5 times each power of ten."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
