"""One picture of why a structure fits a record, for a notebook or a slide."""

import io
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mmspec_ds.figures.heat_maps import is_dark, written
from mmspec_ds.files import replacing_output
from mmspec_ds.molecules.depiction import Style, atom_labels, structure_png
from mmspec_ds.reporting.charts import LIGHT, Axes
from mmspec_ds.reporting.explanation import (
    COLOURS,
    GRADES,
    NUCLEI,
    PEAKS,
    ExplainedCandidate,
    Explanation,
    coloured,
    fragments_title,
    grade,
    heading,
    label_of,
    labels_of,
    of_nucleus,
    shift,
    strongest,
    summary,
)
from mmspec_ds.verification.assignment import SignalMatch
from mmspec_ds.verification.fragment_peaks import PeakMatch

WIDTH, DPI = 11.0, 130
_STRUCTURES, _SPECTRUM, _PEAKS, _READING = 2.2, 2.6, 2.0, 2.3
"""Heights of the rows in inches."""
_LINE = 110
"""Letters of the heading in a line."""
_SHOWN, _TANDEM = 3, 2
"""Candidates and MS/MS spectra that are drawn."""
_BOND = 90.0
"""Pixels; structures are drawn larger than they are shown."""
_LABEL = 0.022
"""Least distance of two labels, as a share of the axis."""
_UNEXPLAINED = LIGHT.ink
_PREDICTED = "#8b95a1"


def save_figure(explanation: Explanation, path: Path) -> None:
    """Draw into a PNG, which appears whole or not at all.

    Raises:
        DataError: the file cannot be written.
    """
    with replacing_output(path) as partial:
        partial.write_bytes(figure_png(explanation))


def figure_png(explanation: Explanation) -> bytes:
    """The picture: the candidates; atoms and signals of the first one, in the colours of their errors; what
    each spectrum adds, and which experts read it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    first = explanation.candidates[:1]
    spectra = [(one, name) for one in first for name in NUCLEI if of_nucleus(one.matches, name)]
    tandem = [found for one in first for found in one.fragments.items()][:_TANDEM]
    heights = [_STRUCTURES, *([_SPECTRUM] * len(spectra)), *([_PEAKS] * len(tandem)), _READING]
    head = textwrap.fill(_plain(heading(explanation)), _LINE)
    height = sum(heights) + 0.2 * (head.count("\n") + 2)
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(head, x=0.01, ha="left", fontsize=12, color=LIGHT.ink)
    rows = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    _draw_candidates(rows[0], explanation.candidates[:_SHOWN])
    for row, (candidate, name) in zip(rows[1:], spectra):
        _draw_spectrum(row, candidate, name)
    for row, (label, peaks) in zip(rows[1 + len(spectra) :], tandem):
        _draw_peaks(row, label, peaks)
    _draw_reading(rows[-1], explanation)
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()


def _draw_candidates(row: Any, candidates: Sequence[ExplainedCandidate]) -> None:
    columns = row.subplots(1, _SHOWN)
    for axes in columns:
        axes.axis("off")
    for number, (axes, one) in enumerate(zip(columns, candidates), 1):
        _draw_structure(axes, one.smiles, (840, 400), Style(_BOND))
        axes.set_title(f"{number}.  {summary(one)}", fontsize=10, color=LIGHT.ink)
        axes.text(
            0.5, -0.02, _plain(_short(one.smiles)), transform=axes.transAxes, ha="center", va="top", fontsize=8,
            color=LIGHT.pale,
        )  # fmt: skip


def _draw_structure(axes: Axes, smiles: str, size: tuple[int, int], style: Style) -> None:
    png = structure_png(smiles, *size, style)
    if png is not None:
        axes.imshow(Image.open(io.BytesIO(png)))
    axes.axis("off")


def _draw_spectrum(row: Any, candidate: ExplainedCandidate, modality: str) -> None:
    """The structure with observed shifts, and the observed signals over the predicted ones."""
    structure, axes = row.subplots(1, 2, width_ratios=(1, 2.1))
    _draw_structure(structure, candidate.smiles, (800, 580), coloured(candidate.matches, modality, _BOND))
    found = of_nucleus(candidate.matches, modality)
    places = [ppm for one in found for ppm in (one.observed_ppm, one.predicted_ppm) if ppm is not None]
    margin = 0.06 * (max(places) - min(places)) or 1.0
    axes.set_xlim(max(places) + margin, min(places) - margin)
    axes.set_ylim(-2.3, 1.9)
    axes.axhline(0, color=LIGHT.ink, linewidth=0.8)
    for one in found:
        _draw_match(axes, one)
    labels = atom_labels(candidate.smiles)
    _draw_labels(axes, {(one.observed_ppm, shift(one.observed_ppm, modality)) for one in found}, 1)
    _draw_labels(axes, {(one.predicted_ppm, labels_of(one, labels)) for one in found}, -1)
    _dress(axes, f"{NUCLEI[modality][0]}, observed over predicted", "ppm")
    axes.set_yticks([])
    shown = sorted({at for one in found if (at := grade(one)) is not None})
    handles = [axes.plot([], [], linewidth=4, color=_colour(at), label=GRADES[at])[0] for at in shown]
    if any(grade(one) is None for one in found):
        handles += axes.plot([], [], linewidth=1.5, linestyle=":", color=_UNEXPLAINED, label="not explained")
    axes.legend(
        handles=handles, loc="lower right", bbox_to_anchor=(1, 1), ncols=len(handles), frameon=False, fontsize=8
    )


def _draw_match(axes: Axes, match: SignalMatch) -> None:
    at = grade(match)
    if match.observed_ppm is not None:
        style = {"color": _UNEXPLAINED, "linewidth": 1.5, "linestyle": ":"}
        if at is not None:
            style = {"color": _colour(at), "linewidth": 2.6}
        axes.plot([match.observed_ppm] * 2, [0.06, 0.9], solid_capstyle="butt", **style)
    if match.predicted_ppm is not None:
        colour = _colour(3) if match.observed_ppm is None else _PREDICTED
        axes.plot([match.predicted_ppm] * 2, [-0.9, -0.06], color=colour, linewidth=1.8, solid_capstyle="butt")
    if match.observed_ppm is not None and match.predicted_ppm is not None:
        axes.plot([match.observed_ppm, match.predicted_ppm], [0.06, -0.06], color=LIGHT.pale, linewidth=0.6)


def _dress(axes: Axes, title: str, unit: str) -> None:
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xlabel(unit, fontsize=9, color=LIGHT.pale, labelpad=1)
    axes.tick_params(colors=LIGHT.pale, labelsize=8)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _draw_labels(axes: Axes, labels: Iterable[tuple[float | None, str]], side: int) -> None:
    """Upright labels beyond the sticks, moved apart where signals crowd."""
    known = sorted((ppm, text) for ppm, text in labels if ppm is not None)
    high, low = axes.get_xlim()
    for (ppm, text), place in zip(known, spread([one for one, _ in known], _LABEL * (high - low))):
        axes.plot([ppm, place], [side * 0.93, side * 1.1], color=LIGHT.grid, linewidth=0.8)
        axes.text(
            place, side * 1.14, text, rotation=90, ha="center", va="bottom" if side > 0 else "top", fontsize=8,
            color=LIGHT.ink,
        )  # fmt: skip


def _draw_peaks(row: Any, label: str, peaks: Sequence[PeakMatch]) -> None:
    """An MS/MS spectrum; peaks that a fragment explains are green, and the strongest ones have its formula."""
    axes = row.subplots()
    for one in peaks:
        colour = _UNEXPLAINED if one.ion is None else _colour(0)
        axes.plot([one.mz] * 2, [0, one.intensity], color=colour, linewidth=2.0, solid_capstyle="butt")
    axes.margins(x=0.04)
    axes.set_ylim(0, 230)
    named = strongest(peaks, PEAKS)
    low, high = axes.get_xlim()
    places = spread([one.mz for one in named], 0.016 * (high - low))
    for one, place in zip(named, places):
        axes.plot([one.mz, place], [one.intensity + 3, 116], color=LIGHT.grid, linewidth=0.8)
        text = f"{one.mz:.4f}" if one.ion is None else one.ion
        axes.text(place, 119, text, rotation=90, ha="center", va="bottom", fontsize=8, color=LIGHT.ink)
    _dress(axes, fragments_title(label, peaks), "m/z")
    axes.set_yticks([0, 100])


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Rising places moved apart to be at least `gap` from each other, by least squares (pooling of adjacent
    violators): a crowd stays around its middle."""
    blocks: list[tuple[float, int]] = []
    for number, place in enumerate(places):
        total, count = place - gap * number, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / count:
            before, more = blocks.pop()
            total, count = total + before, count + more
        blocks.append((total, count))
    level = [total / count for total, count in blocks for _ in range(count)]
    return [one + gap * number for number, one in enumerate(level)]


def _draw_reading(row: Any, explanation: Explanation) -> None:
    """What each spectrum adds to the log probability, and the experts that read its tokens."""
    bars, experts = row.subplots(1, 2, width_ratios=(1, 1.4))
    found, table = explanation.contributions, explanation.routing
    if found is None or not found.parts:
        bars.axis("off")
    else:
        names = [label_of(name) for name in found.parts]
        values = list(found.parts.values())
        colours = [LIGHT.curves[0] if one >= 0 else LIGHT.curves[1] for one in values]
        drawn = bars.barh(range(len(names)), values, color=colours, height=0.6)
        bars.set_yticks(range(len(names)), names)
        bars.bar_label(drawn, fmt="%+.1f", padding=3, fontsize=8, color=LIGHT.ink)
        bars.invert_yaxis()
        bars.margins(x=0.18)
        bars.axvline(0, color=LIGHT.ink, linewidth=0.8)
        title = f"log p of candidate 1: {found.without:.1f} without spectra, {found.complete:.1f} with all"
        bars.set_title(title, loc="left", fontsize=10)
        bars.set_xlabel("nats added (Shapley value)", fontsize=9, color=LIGHT.pale)
        bars.tick_params(labelsize=9, length=0)
        bars.spines[["top", "right", "left"]].set_visible(False)
    if table is None:
        experts.axis("off")
        return
    experts.imshow(table.values_RC, cmap="Blues", vmin=table.low, vmax=table.high, aspect="auto")
    for (y, x), value in np.ndenumerate(table.values_RC):
        ink = "white" if is_dark(table.colour(float(value))) else LIGHT.ink
        experts.text(x, y, written(float(value)), ha="center", va="center", fontsize=8, color=ink)
    experts.set_xticks(range(len(table.columns)), table.columns, fontsize=7)
    experts.set_yticks(range(len(table.rows)), table.rows, fontsize=9)
    experts.tick_params(length=0)
    experts.spines[:].set_visible(False)
    experts.set_title(table.title, loc="left", fontsize=10)


def _colour(at: int) -> tuple[float, float, float]:
    red, green, blue = COLOURS[at]
    return red / 255, green / 255, blue / 255


def _short(text: str, most: int = 52) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."


def _plain(text: str) -> str:
    """Text that matplotlib does not take for mathematics."""
    return text.replace("$", r"\$")
