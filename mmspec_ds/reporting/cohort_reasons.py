"""Figures of why: what each table contributed to each sample of a cohort, and the features that matter.

Axes in the names of arrays: N samples, M blocks, C classes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mmspec_ds.reporting.charts import Axes, Drawing, Panel, Theme, legend
from mmspec_ds.reporting.cohort_words import main_method, speaks_for
from mmspec_ds.systems.fusion.cohort.cohort_result import CohortResult, Marker

FloatArray = npt.NDArray[np.float64]

_LABELLED = 6
"""Features named in a figure of coefficients over positions."""
_LISTED = 20
_NAMES_LEFT = 1.7


def sample_drawings(result: CohortResult, slug: str) -> list[Drawing]:
    """What each block contributed to each sample, with its weights; nothing for a single block."""
    found = result.contributions
    if found is None:
        return []
    probability_NC = result.probability[main_method(result)]
    order = np.lexsort((-probability_NC[:, 0], result.label_N))
    panels = (
        Panel("contribution to the predicted class, nats", _bars(result, found.head_NM[order], order), 1.7),
        Panel("weight of each table", _bars(result, found.weight_NM[order], order, named=False), 1.1),
        Panel(f"probability of {result.classes[0]}", _probabilities(result, probability_NC, order), 1.3),
    )
    words = "contribution and weight of each table for each sample, and its probability"
    return [Drawing(f"{slug}_contributions", words, panels, across="sample, by class", until=float(len(order)))]


def marker_drawings(result: CohortResult, slug: str) -> list[Drawing]:
    """The features that matter of each block: over their positions, or listed where they have none."""
    found = []
    for block in result.blocks:
        markers = [one for one in result.markers if one.block == block]
        title = f"{block}: change of log odds for one standard deviation"
        placed = [one for one in markers if one.position is not None]
        if len(placed) > len(markers) / 2:
            positions = [one.position for one in placed if one.position is not None]
            margin = 0.06 * (max(positions) - min(positions)) or 0.1
            low, high = min(positions) - margin, max(positions) + margin
            unit = placed[0].unit or ""
            found.append(
                Drawing(
                    f"{slug}_features_{block}",
                    f"coefficients of the features of {block} that matter, over their {unit}",
                    (
                        Panel(
                            title,
                            _stems(placed, result),
                            2.2,
                        ),
                    ),
                    across="chemical shift, ppm" if unit == "ppm" else unit,
                    span=(high, low) if unit == "ppm" else (low, high),
                )
            )
        elif markers:
            shown = markers[:_LISTED]
            most = max(abs(one.coefficient) for one in shown) or 1.0
            found.append(
                Drawing(
                    f"{slug}_features_{block}",
                    f"coefficients of the features of {block} that matter",
                    (
                        Panel(
                            title,
                            _list(shown),
                            0.22 * len(shown),
                        ),
                    ),
                    across="coefficient",
                    span=(-1.1 * most, 1.1 * most),
                    left=_NAMES_LEFT,
                )
            )
    return found


def _bars(
    result: CohortResult, values_NM: FloatArray, order: npt.NDArray[np.int64], *, named: bool = True
) -> Any:
    def draw(axes: Axes, theme: Theme) -> None:
        across = np.arange(len(order)) + 0.5
        above_N, below_N = np.zeros(len(order)), np.zeros(len(order))
        for colour, name, value_N in zip(theme.curves, result.blocks, values_NM.T):
            base_N = np.where(value_N >= 0, above_N, below_N)
            axes.bar(across, value_N, bottom=base_N, width=1.0, color=colour, label=name, linewidth=0)
            above_N, below_N = above_N + np.maximum(value_N, 0), below_N + np.minimum(value_N, 0)
        _part_classes(axes, theme, result, order)
        if named:
            legend(axes, theme, columns=len(result.blocks))

    return draw


def _probabilities(result: CohortResult, probability_NC: FloatArray, order: npt.NDArray[np.int64]) -> Any:
    def draw(axes: Axes, theme: Theme) -> None:
        for label, name in enumerate(result.classes):
            at = np.flatnonzero(result.label_N[order] == label)
            axes.plot(
                at + 0.5,
                probability_NC[order][at, 0],
                "o",
                color=theme.curves[label % 8],
                markersize=2.6,
                label=name,
            )
        axes.axhline(0.5, color=theme.pale, linewidth=0.8, linestyle="--")
        axes.set_ylim(0, 1.02)
        _part_classes(axes, theme, result, order)
        legend(axes, theme, columns=len(result.classes))

    return draw


def _part_classes(axes: Axes, theme: Theme, result: CohortResult, order: npt.NDArray[np.int64]) -> None:
    for at in np.flatnonzero(np.diff(result.label_N[order])):
        axes.axvline(at + 1, color=theme.pale, linewidth=0.8)


def _stems(markers: Sequence[Marker], result: CohortResult) -> Any:
    def draw(axes: Axes, theme: Theme) -> None:
        classes = list(result.classes)
        axes.axhline(0, color=theme.pale, linewidth=0.8)
        for at, name in enumerate(classes):
            some = [one for one in markers if one.toward == name or len(classes) == 2]
            some = [one for one in some if speaks_for(one, result) == name]
            axes.vlines(
                [one.position for one in some],
                0,
                [one.coefficient for one in some],
                color=theme.curves[at % 8],
                linewidth=1.3,
                label=f"more of it speaks for {name}",
            )
        for one in _apart(markers):
            axes.annotate(
                f"{one.position:.3f}" if one.unit == "ppm" else _short(one.feature.partition(" (")[0], 18),
                (one.position, one.coefficient),
                fontsize=6.5,
                color=theme.ink,
                ha="center",
                va="bottom" if one.coefficient >= 0 else "top",
            )
        axes.margins(y=0.25)
        axes.legend(frameon=False, fontsize=7.5, labelcolor=theme.ink, handlelength=1.2, loc="best")

    return draw


def _apart(markers: Sequence[Marker]) -> list[Marker]:
    """The first features whose names do not stand on each other."""
    positions = [one.position for one in markers if one.position is not None]
    wide = 0.1 if markers[0].unit == "ppm" else 0.2  # numbers are shorter than names
    least = wide * (max(positions) - min(positions))
    shown: list[Marker] = []
    for one in markers:
        if one.position is None or len(shown) == _LABELLED:
            continue
        alike = (other for other in shown if (other.coefficient >= 0) == (one.coefficient >= 0))
        if all(abs(one.position - (other.position or 0.0)) > least for other in alike):
            shown.append(one)
    return shown


def _list(markers: Sequence[Marker]) -> Any:
    def draw(axes: Axes, theme: Theme) -> None:
        for row, one in enumerate(markers):
            axes.barh(row, one.coefficient, color=theme.curves[0 if one.coefficient >= 0 else 1], height=0.7)
        axes.axvline(0, color=theme.pale, linewidth=0.8)
        names = [_short(one.feature, 24) for one in markers]
        axes.set_yticks(range(len(names)), names, fontsize=7, color=theme.ink)
        axes.set_ylim(len(names) - 0.4, -0.6)

    return draw


def _short(name: str, most: int) -> str:
    return name if len(name) <= most else f"{name[: most - 3]}..."
