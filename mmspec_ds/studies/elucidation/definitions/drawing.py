"""Figures of studies as PNG."""

import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from PIL import Image

from mmspec_ds.studies.plan import FigureFile, Row, Table, Value

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


Panels = Mapping[str, Mapping[str, str]]
"""For each panel of `rows_figure`, by the words at its axis, the columns that it shows: names and keys."""

ACCURACY: Panels = {"accuracy, %": {"Top-1": "top_1", "Top-10": "top_10"}}


def rows_figure(name: str, table: Table, panels: Panels = ACCURACY) -> list[FigureFile]:
    """The rows of a table as points, one below the other, with their spread over seeds; no figure where nothing
    was measured.

    Args:
        name: of the file.
        table: whose rows; those without a figure of ours are left out.
        panels: which columns, side by side.
    """
    keys = [key for columns in panels.values() for key in columns.values()]
    rows = [row for row in table.rows if any(_point(row, key) is not None for key in keys)]
    if not rows:
        return []
    often = Counter(row.name for row in rows)
    labels = [f"{row.name}, {row.group}" if often[row.name] > 1 else row.name for row in rows]

    def fill(axes: Sequence[Sequence[Axes]]) -> None:
        for panel, (words, columns) in zip(axes[0], panels.items()):
            for number, (label, key) in enumerate(columns.items()):
                beside = 0.2 * (number - (len(columns) - 1) / 2)  # so that no bar hides another
                _points(panel, rows, key, beside, label=label, color=COLOURS[number])
            panel.set_ylim(len(rows) - 0.4, -0.6)  # the first row is above
            panel.set_yticks(range(len(rows)), labels if panel is axes[0][0] else [""] * len(rows))
            panel.set_xlim(0, 1.05 * panel.get_xlim()[1])
            panel.grid(axis="x", color="#e3e6ea", linewidth=0.6)
            panel.set_xlabel(words)
            if len(columns) > 1:
                panel.legend(fontsize=7, frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)

    size = (2.8 + 2.6 * len(panels), 1.0 + 0.24 * len(rows))
    spread = "mean and, where there are several seeds, one standard deviation over seeds."
    return [FigureFile(name, draw(size, 1, len(panels), fill), f'"{table.title}": {spread}')]


def _points(axes: Axes, rows: Sequence[Row], key: str, beside: float, **style: str) -> None:
    found = [(at + beside, point) for at, row in enumerate(rows) if (point := _point(row, key)) is not None]
    if found:
        places, points = zip(*found)
        axes.errorbar([one.mean for one in points], places, xerr=[one.sd or 0.0 for one in points],
                      linestyle="none", marker="o", markersize=4, capsize=2, **style)  # fmt: skip


def _point(row: Row, key: str) -> Value | None:
    entry = row.entries.get(key)
    return entry if isinstance(entry, Value) else None


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
