"""Mirror plots: a measured spectrum above, one of a library below, and the molecule of the latter beside them.

Axes: P peaks of one of the two.
"""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mmspec_ds.files import replacing_output
from mmspec_ds.molecules.depiction import Style, structure_png

INK, PALE, GRID = "#1f2328", "#656d76", "#e4e7eb"
QUERY, LIBRARY, ALONE = "#0b66c3", "#c2410c", "#b4bac2"
"""Colours of equal peaks above and below, and of peaks that only one of the two has."""

_SIZE, _DPI = (10.0, 5.2), 130
_LABELS = 7
_SEEN = 0.01
"""Of the largest peak; smaller ones cannot be seen and have no label."""
_LONGEST = 52


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two spectra.

    Attributes:
        name: what it is called.
        mz, intensity: [P] of its peaks.
        equal: [P] whether the other side has the peak too.
        precursor_mz: marked on the axis; None where there is none.
    """

    name: str
    mz: npt.NDArray[np.float64]
    intensity: npt.NDArray[np.float64]
    equal: npt.NDArray[np.bool_]
    precursor_mz: float | None = None


def file_name(number: int, name: str) -> str:
    """The name of a file for the query of this number, from 0, and name."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._")[:80]
    return f"{number + 1:04d}-{safe or 'query'}.png"


def draw_mirror(path: Path, above: Side, below: Side, smiles: str | None, caption: Sequence[str]) -> None:
    """Draw two spectra against each other, as a PNG of 1300 x 676 pixels.

    Args:
        path: of the picture.
        above, below: the query and the entry of the library.
        smiles: of the molecule of the entry.
        caption: lines below the molecule.

    Raises:
        DataError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE, dpi=_DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0.065, 0.11, 0.64, 0.80))
    ends = [*above.mz, *below.mz, *(side.precursor_mz or 0.0 for side in (above, below))]
    low, high = min([one for one in ends if one > 0], default=0.0), max(ends, default=100.0)
    margin = 0.04 * (high - low) + 2
    axes.set_xlim(low - margin, high + margin)
    axes.set_ylim(-1.22, 1.22)
    _sticks(axes, above, QUERY, 1)
    _sticks(axes, below, LIBRARY, -1)
    axes.axhline(0, color=INK, linewidth=0.8)
    _decorate(axes, above, below)
    _molecule(figure, smiles, below.name, caption)
    picture = io.BytesIO()
    canvas.print_png(picture)
    with replacing_output(path) as partial:
        partial.write_bytes(picture.getvalue())


def _sticks(axes: Any, side: Side, colour: str, sign: int) -> None:
    """The peaks as sticks, the largest with their m/z where there is room."""
    if not len(side.mz):
        return
    height = sign * side.intensity / side.intensity.max()
    for equal, shade, width in ((False, ALONE, 1.1), (True, colour, 1.5)):
        chosen = side.equal == equal
        axes.vlines(side.mz[chosen], 0, height[chosen], color=shade, linewidth=width)
    if side.precursor_mz:
        axes.plot([side.precursor_mz], [sign * 1.16], marker="v" if sign > 0 else "^", color=PALE, markersize=5)
    left, right = axes.get_xlim()
    labelled: list[float] = []
    for place in np.argsort(-side.intensity, kind="stable"):
        mz = float(side.mz[place])
        if len(labelled) == _LABELS or abs(height[place]) < _SEEN:
            break
        if any(abs(mz - other) < 0.085 * (right - left) for other in labelled):
            continue
        labelled.append(mz)
        axes.annotate(
            f"{mz:.4f}" if mz % 1 else f"{mz:.0f}",
            (mz, height[place]),
            xytext=(0, 3 * sign),
            textcoords="offset points",
            ha="center",
            va="bottom" if sign > 0 else "top",
            fontsize=8,
            color=INK if side.equal[place] else PALE,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.8},
        )


def _decorate(axes: Any, above: Side, below: Side) -> None:
    axes.set_xlabel("m/z", color=INK, fontsize=10)
    axes.set_ylabel("share of the largest peak", color=INK, fontsize=10)
    axes.set_yticks([-1, -0.5, 0, 0.5, 1], ["1", "0.5", "0", "0.5", "1"])
    axes.tick_params(colors=PALE, labelsize=9, length=3)
    axes.grid(axis="y", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    for name, spine in axes.spines.items():
        spine.set_visible(name in ("left", "bottom"))
        spine.set_color(PALE)
    for who, side, colour, x, y in (
        ("query", above, QUERY, 0, 1.015),
        ("library", below, LIBRARY, 0.01, 0.015),
    ):
        text = f"{who}: {_short(side.name)}   {int(side.equal.sum())} of {len(side.mz)} peaks equal"
        axes.text(x, y, _plain(text), transform=axes.transAxes, va="bottom", fontsize=9, color=colour)


def _molecule(figure: Any, smiles: str | None, name: str, caption: Sequence[str]) -> None:
    """The structure at the right, its name and the caption below it."""
    import matplotlib.image

    png = structure_png(smiles, 540, 420, Style(bond=44.0)) if smiles else None
    frame = figure.add_axes((0.725, 0.45, 0.265, 0.46))
    frame.axis("off")
    if png is None:
        frame.text(0.5, 0.5, "structure not known", ha="center", va="center", color=PALE, fontsize=10)
    else:
        frame.imshow(matplotlib.image.imread(io.BytesIO(png)), interpolation="antialiased")
    figure.text(0.735, 0.40, _plain(_short(name, 34)), fontsize=10, color=INK, va="top", weight="bold")
    for line, text in enumerate(caption):
        figure.text(0.735, 0.35 - 0.036 * line, _plain(text), fontsize=9, color=INK, va="top")


def _short(text: str, most: int = _LONGEST) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."


def _plain(text: str) -> str:
    """Text that matplotlib does not take for mathematics, without characters that have no width."""
    return "".join(letter for letter in text if letter.isprintable()).replace("$", r"\$")
