"""Figures of how well the classes of a cohort are told apart: ROC curves, areas, calibration, control.

Axes in the names of arrays: N samples, G points of a grid.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mmspec_ds.evaluation.roc import roc_points
from mmspec_ds.reporting.charts import Axes, Drawing, Panel, Theme, legend
from mmspec_ds.reporting.cohort_words import ALONE, main_method
from mmspec_ds.systems.fusion.cohort.cohort import Cohort
from mmspec_ds.systems.fusion.cohort.cohort_result import CohortResult, Comparison

FloatArray = npt.NDArray[np.float64]

DRAWS = 500
"""Resamples of patients for the band of a ROC curve."""
_GRID = np.linspace(0, 1, 101)
_NAMES_LEFT = 1.5


def comparison_drawings(
    cohort: Cohort, result: CohortResult, comparison: Comparison, slug: str
) -> list[Drawing]:
    """The figures of one comparison: ROC curves, areas, calibration, and the control with shuffled labels."""
    name = comparison.name
    lows = [result.scores[name][method].area.low for method in result.methods]
    found = [
        Drawing(
            f"{slug}_roc",
            f"ROC curves of held-out samples, {name}",
            (Panel(f"ROC curve: {name}", _roc(cohort, result, comparison), 3.3),),
            across="share of controls taken for cases",
            until=1.0,
        ),
        Drawing(
            f"{slug}_areas",
            f"area under the ROC curve of each method with its 95 % interval, {name}",
            (
                Panel(
                    "area under the ROC curve, 95 % interval", _areas(result, name), 0.3 * len(result.methods)
                ),
            ),
            across="area; 0.5 is chance",
            span=(min(0.3, *lows), 1.01),
            left=_NAMES_LEFT,
        ),
        Drawing(
            f"{slug}_calibration",
            f"the share of cases over the stated probability, {name}",
            (Panel("share of cases over the stated probability", _calibration(result, name), 2.6),),
            across="stated probability",
            until=1.0,
        ),
    ]
    permuted = result.controls.permuted.get(name, {})
    if permuted:
        shown = [one for one in result.methods if one in permuted]
        found.append(
            Drawing(
                f"{slug}_control",
                f"areas with shuffled labels and with the true ones, {name}",
                (
                    Panel(
                        "areas: shuffled labels (dots), true ones (bars)",
                        _control(result, name, shown),
                        0.3 * len(shown),
                    ),
                ),
                across="area; 0.5 is chance",
                span=(0.0, 1.01),
                left=_NAMES_LEFT,
            )
        )
    return found


def _roc(cohort: Cohort, result: CohortResult, comparison: Comparison) -> Any:
    shown = [
        one for one in result.methods if one.endswith(ALONE) or one in ("concatenated", main_method(result))
    ]

    def draw(axes: Axes, theme: Theme) -> None:
        chosen_N = comparison.among(result.label_N) & result.judged_N
        is_case_N = result.label_N[chosen_N] == comparison.cases
        axes.plot((0, 1), (0, 1), color=theme.pale, linewidth=1, linestyle="--")
        for colour, method in zip(theme.curves, sorted(shown, key=lambda one: one != main_method(result))):
            score_N = comparison.score(result.probability[method])[chosen_N]
            points = roc_points(score_N, is_case_N)
            area = result.scores[comparison.name][method].area
            label = f"{method.replace('_', ' ')} {area.auc:.2f} ({area.low:.2f} to {area.high:.2f})"
            axes.plot(points.false_positive, points.true_positive, color=colour, linewidth=1.4, label=label)
            if method == main_method(result):
                low_G, high_G = roc_band(score_N, is_case_N, cohort.group_N[chosen_N])
                axes.fill_between(_GRID, low_G, high_G, color=colour, alpha=0.15, linewidth=0)
        axes.set_ylim(0, 1.02)
        axes.set_ylabel("share of cases found", fontsize=9, color=theme.pale)
        axes.legend(frameon=False, fontsize=7.5, labelcolor=theme.ink, handlelength=1.4, loc="lower right")

    return draw


def roc_band(
    score_N: FloatArray, is_case_N: npt.NDArray[np.bool_], group_N: npt.NDArray[np.int64], seed: int = 0
) -> tuple[FloatArray, FloatArray]:
    """The pointwise 95 % interval of a ROC curve: percentiles over resamples of patients.

    Returns:
        The low and the high share of cases found at each of 101 shares of controls from 0 to 1.
    """
    random = np.random.default_rng(seed)
    groups, place_N = np.unique(group_N, return_inverse=True)
    members = [np.flatnonzero(place_N == at) for at in range(len(groups))]
    found = []
    for _ in range(DRAWS):
        drawn = np.concatenate([members[at] for at in random.integers(0, len(groups), len(groups))])
        if 0 < is_case_N[drawn].sum() < len(drawn):
            points = roc_points(score_N[drawn], is_case_N[drawn])
            found.append(np.interp(_GRID, points.false_positive, points.true_positive))
    low_G, high_G = np.percentile(found, (2.5, 97.5), axis=0) if found else (np.zeros(101), np.ones(101))
    return np.asarray(low_G), np.asarray(high_G)


def _areas(result: CohortResult, comparison: str) -> Any:
    def draw(axes: Axes, theme: Theme) -> None:
        axes.axvline(0.5, color=theme.pale, linewidth=1, linestyle="--")
        for row, method in enumerate(result.methods):
            area = result.scores[comparison][method].area
            colour = theme.curves[0] if method == main_method(result) else theme.pale
            axes.plot((area.low, area.high), (row, row), color=colour, linewidth=1.6)
            axes.plot((area.auc,), (row,), "o", color=colour, markersize=4.5)
        _name_rows(axes, theme, result.methods)

    return draw


def _control(result: CohortResult, comparison: str, methods: Sequence[str]) -> Any:
    def draw(axes: Axes, theme: Theme) -> None:
        axes.axvline(0.5, color=theme.pale, linewidth=1, linestyle="--")
        for row, method in enumerate(methods):
            values = result.controls.permuted[comparison][method]
            axes.plot(
                values, [row] * len(values), "o", color=theme.pale, markersize=3, alpha=0.6, markeredgewidth=0
            )
            found = result.scores[comparison][method].mean
            axes.plot((found, found), (row - 0.35, row + 0.35), color=theme.curves[0], linewidth=2)
        _name_rows(axes, theme, methods)

    return draw


def _name_rows(axes: Axes, theme: Theme, names: Sequence[str]) -> None:
    axes.set_yticks(
        range(len(names)), [name.replace("_", " ") for name in names], fontsize=8.5, color=theme.ink
    )
    axes.set_ylim(len(names) - 0.4, -0.6)


def _calibration(result: CohortResult, comparison: str) -> Any:
    def draw(axes: Axes, theme: Theme) -> None:
        axes.plot((0, 1), (0, 1), color=theme.pale, linewidth=1, linestyle="--")
        shown = dict.fromkeys((main_method(result), *(one for one in result.methods if one.endswith(ALONE))))
        for colour, method in zip(theme.curves, shown):
            found = result.scores[comparison][method].calibration
            stated, true = [one.stated for one in found.bins], [one.true for one in found.bins]
            label = f"{method.replace('_', ' ')}: error {found.error:.3f}"
            axes.plot(stated, true, color=colour, linewidth=1, label=label)
            sizes = [8 + 150 * one.count / found.n for one in found.bins]
            axes.scatter(stated, true, s=sizes, color=colour, alpha=0.7, linewidth=0)
        axes.set_ylim(0, 1.05)
        legend(axes, theme)

    return draw
