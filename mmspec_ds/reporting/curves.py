"""The curves of a report, drawn by matplotlib, once for light paper and once for dark.

Sizes are chosen so that letters can be read on a page of 400 pixels as well as of 1,280.
"""

import colorsys
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from mmspec_ds.moe.experts import physical_order
from mmspec_ds.moe.settings import ExpertSettings
from mmspec_ds.reporting.folder import RunFolder, Series
from mmspec_ds.spectra.registry import REGISTRY
from mmspec_ds.training.monitor.routing import FAMILIES

Axes = Any
"""matplotlib.axes.Axes"""

WIDTH, DPI = 4.9, 200
_LEFT, _RIGHT, _TOP, _BOTTOM, _BETWEEN = 0.62, 0.12, 0.30, 0.46, 0.42  # inches
_HUES = {"shared": 212, "interaction": 280}
_HUES_SERVING = (150, 32, 95, 350)


@dataclass(frozen=True)
class Theme:
    """The colours of a page: of letters, of lines between, and of curves."""

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
    """One of the axes of a figure: what it is of, and what draws it."""

    title: str
    draw: Callable[[Axes, Theme], None]
    height: float = 1.7


@dataclass(frozen=True)
class Drawing:
    """A figure by a name for its file, words for who cannot see it, and its panels from top to bottom."""

    name: str
    words: str
    panels: tuple[Panel, ...]

    def png(self, theme: Theme) -> bytes:
        """The figure on a transparent ground."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        between = _BETWEEN * (len(self.panels) - 1)
        height = sum(panel.height for panel in self.panels) + _TOP + _BOTTOM + between
        figure = Figure(figsize=(WIDTH, height), dpi=DPI)
        FigureCanvasAgg(figure)
        top = height - _TOP
        for number, panel in enumerate(self.panels, 1):
            place = (_LEFT, top - panel.height, WIDTH - _LEFT - _RIGHT, panel.height)
            axes = figure.add_axes((place[0] / WIDTH, place[1] / height, place[2] / WIDTH, place[3] / height))
            _dress(axes, theme, panel.title, last=number == len(self.panels))
            panel.draw(axes, theme)
            top -= panel.height + _BETWEEN
        out = io.BytesIO()
        figure.savefig(out, format="png", transparent=True)
        return _small(out.getvalue())


def drawings(folder: RunFolder) -> dict[str, list[Drawing]]:
    """All that a run gives, by the section of the report."""
    learning = [_losses(folder), _schedules(folder)]
    if folder.tags("auxiliary/"):
        learning.append(_auxiliary(folder))
    learning.append(_gradient(folder))
    routing = [_loads(folder), _entropy(folder)] if folder.run.moe is not None else []
    return {"learning": learning, "routing": routing, "resources": [_rates(folder)]}


def _losses(folder: RunFolder) -> Drawing:
    def draw(axes: Axes, theme: Theme) -> None:
        steps, values = folder.series("loss/train")
        axes.plot(steps, values, color=theme.curves[0], alpha=0.3, linewidth=0.8)
        axes.plot(steps, smoothed(values), color=theme.curves[0], linewidth=1.5, label="training, smoothed")
        at, losses = folder.series("loss/validation", "validation")
        axes.plot(
            at, losses, color=theme.curves[1], marker="o", markersize=4, linewidth=1.5, label="validation"
        )
        if folder.best is not None:
            step, loss = folder.best
            axes.annotate(f"{loss:.3f}", (step, loss), (0, 7), textcoords="offset points", ha="right",
                          color=theme.curves[1], fontsize=9)  # fmt: skip
        axes.set_ylim(bottom=0 if min(values) >= 0 else None)
        _legend(axes, theme)

    words = "training and validation loss over the steps"
    return Drawing("loss", words, (Panel("task loss per target token (nats)", draw, 2.6),))


def _schedules(folder: RunFolder) -> Drawing:
    names = {
        "schedule/learning_rate": "learning rate",
        "schedule/lambda": "λ, weight of balance and entropy",
        "schedule/tau": "τ, temperature of the router",
    }
    known = [tag for tag in names if folder.series(tag)[0]]
    height = 2.6 if len(known) == 1 else (2.6 - _BETWEEN * (len(known) - 1)) / len(known)
    panels = tuple(
        Panel(names[tag], _line(folder.series(tag), at), height=max(height, 0.62))
        for at, tag in enumerate(known)
    )
    return Drawing("schedules", "the schedules over the steps", panels)


def _auxiliary(folder: RunFolder) -> Drawing:
    def draw(axes: Axes, theme: Theme) -> None:
        for colour, tag in zip(theme.curves, folder.tags("auxiliary/")):
            steps, values = folder.series(tag)
            axes.plot(steps, smoothed(values), color=colour, linewidth=1.4, label=tag.partition("/")[2])
        _legend(axes, theme)

    title = "auxiliary losses, unweighted, smoothed"
    return Drawing("auxiliary", "the auxiliary losses over the steps", (Panel(title, draw, 2.3),))


def _gradient(folder: RunFolder) -> Drawing:
    def draw(axes: Axes, theme: Theme) -> None:
        from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

        steps, values = folder.series("gradient/norm")
        axes.plot(steps, values, color=theme.curves[3], alpha=0.3, linewidth=0.8)
        axes.plot(steps, smoothed(values), color=theme.curves[3], linewidth=1.5, label="smoothed")
        limit = folder.run.training.gradient_clipping
        if limit:
            axes.axhline(limit, color=theme.pale, linewidth=1, linestyle="--", label=f"clipped to {limit:g}")
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        _legend(axes, theme)

    title = "norm of the gradient before clipping"
    return Drawing("gradient", "the norm of the gradient over the steps", (Panel(title, draw, 2.3),))


def _loads(folder: RunFolder) -> Drawing:
    assert folder.run.moe is not None
    experts = physical_order(folder.run.moe.experts)

    def panel(name: str) -> Callable[[Axes, Theme], None]:
        def draw(axes: Axes, theme: Theme) -> None:
            series = [folder.series(f"load_{name}/expert_{number}") for number in range(len(experts))]
            colours, order = expert_colours(experts, theme), by_family(experts)
            values = [smoothed(series[number][1]) for number in order]
            axes.stackplot(series[0][0], values, colors=[colours[number] for number in order], linewidth=0)
            axes.set_ylim(0, 1)
            axes.set_yticks((0, 0.5, 1))
            axes.grid(visible=False)

        return draw

    known = [
        m for m in folder.run.data.chosen_modalities() if folder.series(f"load_{m.name.lower()}/expert_0")[0]
    ]
    panels = tuple(
        Panel(f"{REGISTRY[m].label} tokens: share of each expert", panel(m.name.lower()), 0.95) for m in known
    )
    return Drawing("load", "how the load of each modality is shared by the experts, over the steps", panels)


def _entropy(folder: RunFolder) -> Drawing:
    assert folder.run.moe is not None
    experts = len(folder.run.moe.experts)

    def per_modality(beginning: str, kind: str = "train", marker: str = "") -> Callable[[Axes, Theme], None]:
        def draw(axes: Axes, theme: Theme) -> None:
            for colour, tag in zip(theme.curves, folder.tags(beginning, kind)):
                steps, values = folder.series(tag, kind)
                shown = values if marker else smoothed(values)
                axes.plot(
                    steps, shown, color=colour, linewidth=1.4, marker=marker, markersize=3.5, label=_label(tag)
                )
            if beginning == "entropy/":
                axes.axhline(np.log(experts), color=theme.pale, linestyle="--", linewidth=1)
                axes.set_ylim(0, np.log(experts) * 1.12)
            if beginning == "conflict/":
                axes.axhline(0, color=theme.pale, linewidth=1)
            _legend(axes, theme, columns=2)

        return draw

    title = f"entropy of a token's router (nats); dashed: ln {experts}"
    panels = [Panel(title, per_modality("entropy/"), 1.7)]
    if any(value > 0 for tag in folder.tags("dropped/") for value in folder.series(tag)[1]):
        panels.append(Panel("fraction dropped by capacity", per_modality("dropped/"), 1.3))
    if folder.tags("conflict/", "conflict"):
        title = "cosine between the modalities' gradients"
        panels.append(Panel(title, per_modality("conflict/", "conflict", "o"), 2.0))
    return Drawing("entropy", "entropy, dropped tokens and conflict of gradients over the steps", tuple(panels))


def _rates(folder: RunFolder) -> Drawing:
    names = {
        "throughput/tokens_per_second": "tokens per second",
        "throughput/samples_per_second": "samples per second",
        "resources/gigaflops_per_second": "GFLOP per second",
    }
    known = [tag for tag in names if folder.series(tag)[0]]
    panels = tuple(
        Panel(names[tag], _line(folder.series(tag), at, from_zero=True), 1.0) for at, tag in enumerate(known)
    )
    return Drawing("throughput", "throughput over the steps", panels)


def smoothed(values: Sequence[float]) -> list[float]:
    """The mean over a window around each point, a twentieth of the curve wide and narrower at its ends."""
    half = len(values) // 40
    return [float(np.mean(values[max(0, at - half) : at + half + 1])) for at in range(len(values))]


def expert_colours(experts: Sequence[ExpertSettings], theme: Theme) -> list[str]:
    """A hue for each family, and for each group of modalities that experts serve; within it a lightness for
    each expert. As #rrggbb."""
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
    """The experts' numbers, family after family."""
    kinds = [(FAMILIES.index(one.family), one.modalities) for one in experts]
    return sorted(range(len(experts)), key=lambda number: (*kinds[number], number))


def _line(series: Series, number: int, *, from_zero: bool = False) -> Callable[[Axes, Theme], None]:
    def draw(axes: Axes, theme: Theme) -> None:
        axes.plot(*series, color=theme.curves[number], linewidth=1.4)
        if from_zero:
            axes.set_ylim(bottom=0)

    return draw


def _label(tag: str) -> str:
    """The modalities of a tag as they are written in tables."""
    text = tag.partition("/")[2]
    places = {modality: f"_{text}_".find(f"_{modality.name.lower()}_") for modality in REGISTRY}
    named = sorted((place, modality) for modality, place in places.items() if place >= 0)
    return " · ".join(REGISTRY[modality].label for _, modality in named)


def _dress(axes: Axes, theme: Theme, title: str, *, last: bool) -> None:
    axes.set_facecolor("none")
    axes.set_title(title, loc="left", fontsize=10, color=theme.ink, pad=5)
    axes.tick_params(colors=theme.pale, labelsize=9, length=3, width=0.7, labelbottom=last)
    axes.grid(visible=True, color=theme.grid, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.margins(x=0.01)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(theme.grid)
    axes.locator_params(axis="y", nbins=4)
    if last:
        axes.set_xlabel("step", fontsize=9, color=theme.pale, labelpad=2)


def _legend(axes: Axes, theme: Theme, columns: int = 1) -> None:
    axes.legend(frameon=False, fontsize=8.5, labelcolor=theme.ink, ncols=columns, handlelength=1.4)


def _small(png: bytes) -> bytes:
    """The same picture with a palette of 128 colours: a third of the bytes."""
    image = Image.open(io.BytesIO(png)).quantize(128, method=Image.Quantize.FASTOCTREE)
    out = io.BytesIO()
    image.save(out, format="png", optimize=True)
    return out.getvalue()
