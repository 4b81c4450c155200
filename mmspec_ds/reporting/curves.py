"""Figures of a run, by section of the report: mostly curves over its steps."""

from collections.abc import Callable, Mapping

import numpy as np

from mmspec_ds.moe.experts import physical_order
from mmspec_ds.reporting.charts import (
    BETWEEN,
    Axes,
    Drawing,
    Panel,
    Theme,
    by_family,
    expert_colours,
    legend,
    smoothed,
)
from mmspec_ds.reporting.reliability import reliability_drawings
from mmspec_ds.reporting.run_folder import RunFolder, Series
from mmspec_ds.spectra.registry import REGISTRY


def drawings(folder: RunFolder) -> dict[str, list[Drawing]]:
    """Return the figures of a run by section of the report."""
    learning = [_losses(folder), _schedules(folder)]
    if folder.tags("auxiliary/"):
        learning.append(_auxiliary(folder))
    learning.append(_gradient(folder))
    routing = [_loads(folder), _entropy(folder)] if folder.run.moe is not None else []
    return {
        "learning": learning,
        "evaluation": reliability_drawings(folder),
        "routing": routing,
        "resources": [_rates(folder)],
    }


def _losses(folder: RunFolder) -> Drawing:
    def draw(axes: Axes, theme: Theme) -> None:
        training = folder.series("loss/train")
        _raw_and_smoothed(axes, theme, training, 0, "training, smoothed")
        at, losses = folder.series("loss/validation", "validation")
        axes.plot(
            at, losses, color=theme.curves[1], marker="o", markersize=4, linewidth=1.5, label="validation"
        )
        if folder.best is not None:
            step, loss = folder.best
            axes.annotate(f"{loss:.3f}", (step, loss), (0, 7), textcoords="offset points", ha="right",
                          color=theme.curves[1], fontsize=9)  # fmt: skip
        axes.set_ylim(bottom=0 if min(training[1]) >= 0 else None)
        legend(axes, theme)

    words = "training and validation loss over the steps"
    return Drawing("loss", words, (Panel("task loss per target token (nats)", draw, 2.6),))


def _schedules(folder: RunFolder) -> Drawing:
    names = {
        "schedule/learning_rate": "learning rate",
        "schedule/lambda": "λ, weight of balance and entropy",
        "schedule/tau": "τ, temperature of the router",
    }
    count = max(1, sum(bool(folder.series(tag)[0]) for tag in names))
    panels = _lines(folder, names, max((2.6 - BETWEEN * (count - 1)) / count, 0.62))
    return Drawing("schedules", "the schedules over the steps", panels)


def _auxiliary(folder: RunFolder) -> Drawing:
    def draw(axes: Axes, theme: Theme) -> None:
        _curves(folder, axes, theme, "auxiliary/")
        legend(axes, theme)

    title = "auxiliary losses, unweighted, smoothed"
    return Drawing("auxiliary", "the auxiliary losses over the steps", (Panel(title, draw, 2.3),))


def _gradient(folder: RunFolder) -> Drawing:
    def draw(axes: Axes, theme: Theme) -> None:
        from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

        _raw_and_smoothed(axes, theme, folder.series("gradient/norm"), 3, "smoothed")
        limit = folder.run.training.gradient_clipping
        if limit:
            axes.axhline(limit, color=theme.pale, linewidth=1, linestyle="--", label=f"clipped to {limit:g}")
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        legend(axes, theme)

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
    return Drawing("load", "how the experts share the load of each modality, over the steps", panels)


def _entropy(folder: RunFolder) -> Drawing:
    assert folder.run.moe is not None
    experts = len(folder.run.moe.experts)

    def per_modality(beginning: str, kind: str = "train", marker: str = "") -> Callable[[Axes, Theme], None]:
        def draw(axes: Axes, theme: Theme) -> None:
            _curves(folder, axes, theme, beginning, kind, marker)
            if beginning == "entropy/":
                axes.axhline(np.log(experts), color=theme.pale, linestyle="--", linewidth=1)
                axes.set_ylim(0, np.log(experts) * 1.12)
            if beginning == "conflict/":
                axes.axhline(0, color=theme.pale, linewidth=1)
            legend(axes, theme, columns=2)

        return draw

    title = f"entropy of a token's router (nats); dashed: ln {experts}"
    panels = [Panel(title, per_modality("entropy/"), 1.7)]
    if any(value > 0 for tag in folder.tags("dropped/") for value in folder.series(tag)[1]):
        panels.append(Panel("fraction dropped by capacity", per_modality("dropped/"), 1.3))
    if folder.tags("conflict/", "conflict"):
        title = "cosine between the modalities' gradients"
        panels.append(Panel(title, per_modality("conflict/", "conflict", "o"), 2.0))
    return Drawing("entropy", "entropy, dropped tokens and gradient conflict over the steps", tuple(panels))


def _rates(folder: RunFolder) -> Drawing:
    names = {
        "throughput/tokens_per_second": "tokens per second",
        "throughput/samples_per_second": "samples per second",
        "resources/gigaflops_per_second": "GFLOP per second",
    }
    panels = _lines(folder, names, 1.0, from_zero=True)
    return Drawing("throughput", "throughput over the steps", panels)


def _lines(
    folder: RunFolder, titles: Mapping[str, str], height: float, *, from_zero: bool = False
) -> tuple[Panel, ...]:
    """A panel with one curve for each tag that the run has; `titles` are by tag."""

    def curve(number: int, series: Series) -> Callable[[Axes, Theme], None]:
        def draw(axes: Axes, theme: Theme) -> None:
            axes.plot(*series, color=theme.curves[number], linewidth=1.4)
            if from_zero:
                axes.set_ylim(bottom=0)

        return draw

    known = [tag for tag in titles if folder.series(tag)[0]]
    return tuple(Panel(titles[tag], curve(at, folder.series(tag)), height) for at, tag in enumerate(known))


def _curves(
    folder: RunFolder, axes: Axes, theme: Theme, beginning: str, kind: str = "train", marker: str = ""
) -> None:
    """Draw a curve for each tag with this beginning: smoothed, or point by point with a marker."""
    for colour, tag in zip(theme.curves, folder.tags(beginning, kind)):
        steps, values = folder.series(tag, kind)
        shown = values if marker else smoothed(values)
        axes.plot(steps, shown, color=colour, linewidth=1.4, marker=marker, markersize=3.5, label=_label(tag))


def _raw_and_smoothed(axes: Axes, theme: Theme, series: Series, number: int, label: str) -> None:
    steps, values = series
    axes.plot(steps, values, color=theme.curves[number], alpha=0.3, linewidth=0.8)
    axes.plot(steps, smoothed(values), color=theme.curves[number], linewidth=1.5, label=label)


def _label(tag: str) -> str:
    """Return the labels of the modalities in a tag, or its own name where it has none."""
    text = tag.partition("/")[2]
    places = {modality: f"_{text}_".find(f"_{modality.name.lower()}_") for modality in REGISTRY}
    named = sorted((place, modality) for modality, place in places.items() if place >= 0)
    return " · ".join(REGISTRY[modality].label for _, modality in named) or text
