"""Drawings of spectra on axes of matplotlib, one function for each kind of spectrum.

Nothing here imports matplotlib: whoever makes the figure gives the axes. A new kind is an entry in DRAWINGS.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from mmspec_ds.readers.curve_drawing import draw_picked_curve, label_multiplets
from mmspec_ds.readers.part import ADDUCT, PRECURSOR_MZ, Part
from mmspec_ds.spectra.records import CarbonNMR, HydrogenNMR, Infrared, Spectrum, TandemMS

Axes = Any
"""matplotlib.axes.Axes"""

LABELLED_PEAKS = 6
"""Peaks of a mass spectrum that get their m/z written, the strongest ones."""


def draw_tandem_ms(spectrum: TandemMS, part: Part, axes: Axes) -> None:
    """Stems over m/z in per cent of the base peak, the strongest labelled, the precursor as a dashed line."""
    relative = 100.0 * spectrum.intensity / spectrum.intensity.max()
    _stems(axes, spectrum.mz, relative)
    precursor = part.metadata.get(PRECURSOR_MZ)
    shown = [*spectrum.mz, float(precursor)] if precursor is not None else [*spectrum.mz]
    for place in _labelled(spectrum.mz, relative, max(shown) - min(shown)):
        axes.annotate(
            f"{spectrum.mz[place]:.4f}",
            (spectrum.mz[place], relative[place]),
            (0, 2),
            textcoords="offset points",
            ha="center",
            fontsize=7,
        )
    if precursor is not None:
        name = str(part.metadata.get(ADDUCT, "precursor"))
        axes.axvline(float(precursor), color="tab:red", linestyle="--", linewidth=0.8, label=name)
        # Above the axes: inside, it would lie on some label.
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, 0.98), fontsize=7, frameon=False)
    axes.margins(x=0.07)
    axes.set(xlabel="m/z", ylabel="relative intensity (%)", ylim=(0, 115))


def draw_h_nmr(spectrum: HydrogenNMR, part: Part, axes: Axes) -> None:
    """The curve with what was picked from it, where there is one; else stems at the centroids, as high as the
    count of hydrogens."""
    if part.trace is not None:
        draw_picked_curve(part.trace, axes)
        label_multiplets(spectrum, part.trace, axes)
        axes.set(xlabel="1H shift (ppm)", yticks=())
        return
    shifts = np.array([one.centroid_ppm for one in spectrum.multiplets])
    _stems(axes, shifts, np.array([float(one.hydrogens) for one in spectrum.multiplets]))
    axes.set(xlabel="1H shift (ppm)", ylabel="hydrogens")
    axes.invert_xaxis()


def draw_c_nmr(spectrum: CarbonNMR, part: Part, axes: Axes) -> None:
    """The curve with what was picked from it, where there is one; else stems of one height at the shifts."""
    if part.trace is not None:
        draw_picked_curve(part.trace, axes)
        axes.set(xlabel="13C shift (ppm)", yticks=())
        return
    _stems(axes, np.array(spectrum.shifts_ppm), np.ones(len(spectrum.shifts_ppm)))
    axes.set(xlabel="13C shift (ppm)", yticks=())
    axes.invert_xaxis()


def draw_ir(spectrum: Infrared, part: Part, axes: Axes) -> None:
    """The curve from high to low wavenumber, as IR spectra are printed; behind it, thin, as it was measured."""
    if part.trace is not None:
        axes.plot(part.trace.axis, part.trace.values, linewidth=0.5, color="0.6", label="measured")
    wavenumbers = np.linspace(spectrum.start_cm1, spectrum.stop_cm1, len(spectrum.absorbance))
    axes.plot(wavenumbers, spectrum.absorbance, linewidth=0.9, label="as read")
    if part.trace is not None:
        axes.legend(loc="upper left", fontsize=7, frameon=False)
    axes.set(xlabel="wavenumber (cm-1)", ylabel="absorbance")
    axes.set_xlim(max(wavenumbers[0], wavenumbers[-1]), min(wavenumbers[0], wavenumbers[-1]))


DRAWINGS: Mapping[type, Callable[[Any, Part, Axes], None]] = {
    HydrogenNMR: draw_h_nmr,
    CarbonNMR: draw_c_nmr,
    Infrared: draw_ir,
    TandemMS: draw_tandem_ms,
}
"""By the kind of spectrum: draws it, with what its part knows, on empty axes."""


def draw(spectrum: Spectrum, part: Part, axes: Axes) -> None:
    """One spectrum of a part on empty axes."""
    DRAWINGS[type(spectrum)](spectrum, part, axes)


def _labelled(mz: npt.NDArray[np.float64], relative: npt.NDArray[np.float64], span: float) -> list[int]:
    """The strongest peaks, less those whose label would lie on a stronger one's; `span` is that of the axis."""
    room, height = 0.1 * max(span, 1.0), 12.0
    chosen: list[int] = []
    for place in np.argsort(-relative, kind="stable")[: 4 * LABELLED_PEAKS]:
        near = (
            abs(mz[place] - mz[one]) < room and abs(relative[place] - relative[one]) < height for one in chosen
        )
        if len(chosen) < LABELLED_PEAKS and not any(near):
            chosen.append(int(place))
    return chosen


def _stems(axes: Axes, places: npt.NDArray[np.float64], heights: npt.NDArray[np.float64]) -> None:
    axes.vlines(places, 0.0, heights, linewidth=1.0)
    axes.axhline(0.0, color="black", linewidth=0.6)
