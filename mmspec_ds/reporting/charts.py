"""Figures of a report, drawn with matplotlib for light and for dark pages, readable from a width of 400."""

import colorsys
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from mmspec_ds.moe.expert_settings import ExpertSettings
from mmspec_ds.moe.routing_tables import FAMILIES

Axes = Any
"""matplotlib.axes.Axes"""

WIDTH, DPI = 4.9, 200
_LEFT, _RIGHT, _TOP, _BOTTOM, BETWEEN = 0.62, 0.12, 0.30, 0.46, 0.42
"""Inches around the axes, and between the axes of a figure."""
_HUES = {"shared": 212, "interaction": 280}
_HUES_SERVING = (150, 32, 95, 350)


@dataclass(frozen=True)
class Theme:
    """The colours of letters, grid lines and curves."""

    ink: str
    pale: str
    grid: str
    curves: tuple[str, ...]
    lightness: tuple[float, float]


LIGHT = Theme(
    ink="#1f2328",
    pale="#656d76",
    grid="#e4e7eb",
    curves=("#0b66c3", "#c2410c", "#15803d", "#7e22ce", "#a16207", "#0f766e", "#be185d", "#4b5563"),
    lightness=(0.34, 0.72),
)
DARK = Theme(
    ink="#e6edf3",
    pale="#9198a1",
    grid="#30363d",
    curves=("#58a6ff", "#ffa657", "#56d364", "#d2a8ff", "#e3b341", "#39c5cf", "#ff7bb0", "#b1bac4"),
    lightness=(0.42, 0.78),
)


@dataclass(frozen=True)
class Panel:
    """One plot of a figure: its title, the function that draws it, and its height in inches."""

    title: str
    draw: Callable[[Axes, Theme], None]
    height: float = 1.7


@dataclass(frozen=True)
class Drawing:
    """What a figure shows: panels above each other on one horizontal axis.

    Attributes:
        name: of its file.
        words: a description for screen readers.
        panels: from top to bottom.
        across: the name of their common axis.
        until: its end; that of the run without.
        span: both ends of the axis, in place of 0 and `until`; a falling axis has the larger one first.
        left: inches on the left for the names of a vertical axis.
    """

    name: str
    words: str
    panels: tuple[Panel, ...]
    across: str = "step"
    until: float | None = None
    span: tuple[float, float] | None = None
    left: float = _LEFT

    def for_page(self, last_step: int) -> dict[str, Any]:
        """Return the name, the words, and the figure as PNG for light and for dark pages."""
        pictures = {"light": self.png(LIGHT, last_step), "dark": self.png(DARK, last_step)}
        return {"name": self.name, "words": self.words, **pictures}

    def png(self, theme: Theme, last_step: int) -> bytes:
        """Return the figure as PNG on a transparent background; an axis of steps ends at `last_step`."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        between = BETWEEN * (len(self.panels) - 1)
        height = sum(panel.height for panel in self.panels) + _TOP + _BOTTOM + between
        figure = Figure(figsize=(WIDTH, height), dpi=DPI)
        FigureCanvasAgg(figure)
        top = height - _TOP
        for number, panel in enumerate(self.panels, 1):
            place = (self.left, top - panel.height, WIDTH - self.left - _RIGHT, panel.height)
            axes = figure.add_axes((place[0] / WIDTH, place[1] / height, place[2] / WIDTH, place[3] / height))
            _dress(axes, theme, panel.title, self.across if number == len(self.panels) else None)
            panel.draw(axes, theme)
            axes.set_xlim(*(self.span or (0, 1.01 * (last_step if self.until is None else self.until))))
            top -= panel.height + BETWEEN
        out = io.BytesIO()
        figure.savefig(out, format="png", transparent=True)
        return _small(out.getvalue())


def smoothed(values: Sequence[float]) -> list[float]:
    """Return the mean over a window around each point: a twentieth of the curve, less at its ends."""
    half = len(values) // 40
    return [float(np.mean(values[max(0, at - half) : at + half + 1])) for at in range(len(values))]


def expert_colours(experts: Sequence[ExpertSettings], theme: Theme) -> list[str]:
    """Return the colour of each expert as #rrggbb: a hue for its family or group of modalities, and a lightness
    within it."""
    groups = list(dict.fromkeys(one.modalities for one in experts if one.family == "modality"))
    kinds = [(one.family, one.modalities) for one in experts]
    dark, light = theme.lightness
    colours = []
    for at, (family, modalities) in enumerate(kinds):
        hue = _HUES_SERVING[groups.index(modalities) % len(_HUES_SERVING)] if modalities else _HUES[family]
        alike = [number for number, other in enumerate(kinds) if other == (family, modalities)]
        share = alike.index(at) / max(len(alike) - 1, 1)
        rgb = colorsys.hls_to_rgb(hue / 360, dark + (light - dark) * share, 0.58)
        colours.append("#" + "".join(f"{round(255 * part):02x}" for part in rgb))
    return colours


def by_family(experts: Sequence[ExpertSettings]) -> list[int]:
    """Return the numbers of the experts, sorted by family."""
    kinds = [(FAMILIES.index(one.family), one.modalities) for one in experts]
    return sorted(range(len(experts)), key=lambda number: (*kinds[number], number))


def _dress(axes: Axes, theme: Theme, title: str, across: str | None) -> None:
    axes.set_facecolor("none")
    axes.set_title(title, loc="left", fontsize=10, color=theme.ink, pad=5)
    axes.tick_params(colors=theme.pale, labelsize=9, length=3, width=0.7, labelbottom=across is not None)
    axes.grid(visible=True, color=theme.grid, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.margins(x=0.01)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(theme.grid)
    axes.locator_params(axis="y", nbins=4)
    if across is not None:
        axes.set_xlabel(across, fontsize=9, color=theme.pale, labelpad=2)


def legend(axes: Axes, theme: Theme, columns: int = 1) -> None:
    """Add the names of the curves, without a frame."""
    axes.legend(frameon=False, fontsize=8.5, labelcolor=theme.ink, ncols=columns, handlelength=1.4)


def _small(png: bytes) -> bytes:
    """Return the picture with a palette of 128 colours, a third of the size."""
    image = Image.open(io.BytesIO(png)).quantize(128, method=Image.Quantize.FASTOCTREE)
    out = io.BytesIO()
    image.save(out, format="png", optimize=True)
    return out.getvalue()
