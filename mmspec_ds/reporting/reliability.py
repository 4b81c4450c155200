"""Figures of whether the stated probabilities of a model come true."""

from collections.abc import Iterator, Mapping
from typing import Any

from mmspec_ds.reporting.charts import Axes, Drawing, Panel, Theme, legend
from mmspec_ds.reporting.run_folder import RunFolder
from mmspec_ds.verification.calibration import CALIBRATION

STATEMENTS = {"first": "the first candidate is right", "listed": "the right one is among the candidates"}
LARGEST_DOT = 150.0
"""Area, in points squared, of the dot for all statements."""


def reliability_drawings(folder: RunFolder) -> list[Drawing]:
    """Return a diagram for the calibration of a model, and one for each of its evaluations that has stated
    probabilities."""
    return [
        Drawing(
            f"reliability_{number}",
            f"the share that is right over the stated probability, {title}",
            (Panel(title, _diagram(checks), 2.6),),
            across="stated probability",
            until=1.0,
        )
        for number, (title, checks) in enumerate(_checks(folder), start=1)
    ]


def _checks(folder: RunFolder) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if folder.calibration.checks:
        yield f"share that is right, {CALIBRATION}", folder.calibration.checks
    for file, rows in folder.evaluations.items():
        for result in rows.values():
            if "confidence" in result:
                yield f"share that is right, {file}", result["confidence"]


def _diagram(checks: Mapping[str, Any]) -> Any:
    def draw(axes: Axes, theme: Theme) -> None:
        axes.plot((0, 1), (0, 1), color=theme.pale, linewidth=1, linestyle="--")
        for colour, (name, statement) in zip(theme.curves, STATEMENTS.items()):
            if name not in checks:
                continue
            bins = checks[name]["bins"]
            stated, true = ([one[key] for one in bins] for key in ("stated", "true"))
            axes.plot(
                stated, true, color=colour, linewidth=1, label=f"{statement}: error {checks[name]['error']:.3f}"
            )
            sizes = [10 + LARGEST_DOT * one["count"] / checks[name]["n"] for one in bins]
            axes.scatter(stated, true, s=sizes, color=colour, alpha=0.7, linewidth=0)
        axes.set_ylim(0, 1.05)
        legend(axes, theme)

    return draw
