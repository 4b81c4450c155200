"""IR curves as instruments give them, on the benchmark's grid: units understood, transmittance turned over.

Rules, each of which leaves a remark where it guesses:
- Transmittance is per cent if its 99th percentile is over 2, whatever it is called.
- Without a unit, values whose median lies in the upper half of their range are a transmittance: its baseline is
  at the top and its bands point down.
- Without a unit, an axis up to 60 is in micrometers, one from 1900 to over 7000 in nanometers, else in cm-1.
- Below and above the measured range the grid has the lowest measured absorbance, as `compression.resample_ir`.
"""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mmspec_ds.readers.part import RecordFault, counted
from mmspec_ds.readers.picking.pick_settings import InfraredProcessingSettings
from mmspec_ds.spectra.records import FloatArray, Infrared

AxisUnit = Literal["cm-1", "um", "nm"]
Ordinate = Literal["absorbance", "transmittance", "per cent transmittance"]

_AXIS_UNITS: dict[AxisUnit, re.Pattern[str]] = {
    "um": re.compile(r"micro ?met(er|re)|micron|\bum\b|[µμ]m"),
    "nm": re.compile(r"nano ?met(er|re)|\bnm\b"),
    "cm-1": re.compile(r"1 ?/ ?cm|cm ?\^?\(?[-−⁻] ?[1¹]|reciprocal cent|wave ?numbers?|cm\*\*-1|kayser"),
}
_OF_THIS_KIND = re.compile(r"base 10|absorption coefficient|absorptivity|extinction|epsilon")
_UNREADABLE = re.compile(r"reflect|kubelka|emi(ssion|ttance)|raman|arbitrary|counts|interferogram")


@dataclass(frozen=True, slots=True)
class OnGrid:
    """The spectrum, the measured curve in cm-1 and absorbance for a drawing, and what was done to it."""

    spectrum: Infrared
    wavenumber_cm1: FloatArray
    absorbance: FloatArray
    remarks: tuple[str, ...]


def axis_unit(text: str) -> AxisUnit | None:
    """The unit that a label names: "1/CM", "MICROMETERS", "Wavenumber (cm-1)"; None if none is named."""
    lower = text.lower()
    return next((unit for unit, pattern in _AXIS_UNITS.items() if pattern.search(lower)), None)


def ordinate(text: str) -> Ordinate | None:
    """What a label says of the values: "ABSORBANCE", "%T", "Transmittance [%]"; None if it says nothing.

    Raises:
        RecordFault: it names something that is no absorbance and cannot be turned into it.
    """
    lower = " ".join(text.lower().split())
    per_cent = "%" in lower or "percent" in lower or "per cent" in lower
    if "trans" in lower or re.fullmatch(r"%? ?t ?(\[?\(?%\)?\]?)?", lower):
        return "per cent transmittance" if per_cent else "transmittance"
    if "absorb" in lower or re.fullmatch(r"a|abs?\.?|a\.?u\.?|o\.?d\.?", lower) or _OF_THIS_KIND.search(lower):
        return "absorbance"
    if found := _UNREADABLE.search(lower):
        if found.group() in ("arbitrary", "counts"):
            return None
        raise RecordFault(f"the values are {text.strip()!r}, expected absorbance or transmittance")
    return None


def to_grid(
    axis: FloatArray,
    values: FloatArray,
    unit: AxisUnit | None,
    kind: Ordinate | None,
    settings: InfraredProcessingSettings,
) -> OnGrid:
    """Absorbance on the even grid of the settings, by linear interpolation (the benchmark's own way).

    Args:
        axis: places in `unit`, any order, [n].
        values: there, [n]; NaN is left out.
        unit: of the axis, None to guess.
        kind: of the values, None to guess.

    Raises:
        RecordFault: too few points, all of one value, places that are not positive, or too little of the grid
            measured.
    """
    remarks: list[str] = []
    axis, values = _finite(axis, values, remarks)
    if unit is None:
        unit = _guess_unit(axis)
        remarks.append(f"the axis has no unit: {unit} guessed from its range {axis.min():g} to {axis.max():g}")
    if axis.min() <= 0:
        raise RecordFault(f"the axis has a value of {axis.min():g} {unit}, expected positive ones")
    if unit != "cm-1":
        axis = (1e4 if unit == "um" else 1e7) / axis
        remarks.append(f"axis turned from {unit} into cm-1")
    absorbance = _absorbance(values, kind, settings, remarks)
    axis, absorbance = _sorted(axis, absorbance, remarks)
    low, high = float(axis[0]), float(axis[-1])
    grid = np.linspace(settings.lowest_cm1, settings.highest_cm1, settings.points)
    share = float(np.mean((grid >= low) & (grid <= high)))
    if share < settings.least_share:
        raise RecordFault(
            f"measured from {low:g} to {high:g} cm-1, {share:.0%} of {settings.lowest_cm1:g} to"
            f" {settings.highest_cm1:g}: expected at least {settings.least_share:.0%} (is the unit right?)"
        )
    inside = (axis >= settings.lowest_cm1) & (axis <= settings.highest_cm1)
    if inside.sum() < 2 or np.ptp(absorbance[inside]) <= 0:
        raise RecordFault("all values between the ends of the grid are equal: no spectrum")
    floor = float(absorbance[inside].min())
    resampled = np.interp(grid, axis, absorbance, left=floor, right=floor)
    remarks.append(
        f"absorbance at {settings.points} points from {settings.lowest_cm1:g} to {settings.highest_cm1:g} cm-1,"
        f" interpolated from {len(axis)} points between {low:g} and {high:g} cm-1"
    )
    if share < 1:
        remarks.append(f"{1 - share:.0%} of the grid lies outside and has the lowest absorbance, {floor:.3g}")
    spectrum = Infrared(resampled, settings.lowest_cm1, settings.highest_cm1)
    return OnGrid(spectrum, axis, absorbance, tuple(remarks))


def _finite(axis: FloatArray, values: FloatArray, remarks: list[str]) -> tuple[FloatArray, FloatArray]:
    finite = np.isfinite(axis) & np.isfinite(values)
    missing = int((~finite).sum())
    if finite.sum() < 10:
        raise RecordFault(f"{int(finite.sum())} points with a value, expected at least 10")
    if missing > 0.1 * len(axis):
        raise RecordFault(f"{missing} of {len(axis)} points are missing, NaN or infinite, more than a tenth")
    if missing:
        remarks.append(f"{counted(missing, 'point')} without a value interpolated")
    return axis[finite], values[finite]


def _guess_unit(axis: FloatArray) -> AxisUnit:
    low, high = float(axis.min()), float(axis.max())
    if high <= 60:
        return "um"
    return "nm" if low >= 1900 and high > 7000 else "cm-1"


def _absorbance(
    values: FloatArray, kind: Ordinate | None, settings: InfraredProcessingSettings, remarks: list[str]
) -> FloatArray:
    low, high = np.percentile(values, [1, 99])
    if kind is None:
        upside_down = float(np.median(values)) > (low + high) / 2
        kind = "transmittance" if upside_down else "absorbance"
        remarks.append(
            f"the values have no unit: {kind} guessed, for their baseline is at the "
            + ("top" if upside_down else "bottom")
        )
    if kind == "absorbance":
        return values
    per_cent = high > 2
    if kind == "per cent transmittance" and not per_cent:
        remarks.append("called per cent, but taken for a transmittance between 0 and 1")
    transmittance = values / 100 if per_cent else values
    low_ones = int((transmittance < settings.least_transmittance).sum())
    if low_ones == len(values):
        raise RecordFault("no transmittance is positive")
    if low_ones:
        remarks.append(
            f"{counted(low_ones, 'transmittance')} under {settings.least_transmittance:g} taken for it"
            f" (absorbance {-np.log10(settings.least_transmittance):.2g})"
        )
    remarks.append(f"absorbance is -log10 of the transmittance{' in per cent' if per_cent else ''}")
    return -np.log10(np.maximum(transmittance, settings.least_transmittance))


def _sorted(axis: FloatArray, values: FloatArray, remarks: list[str]) -> tuple[FloatArray, FloatArray]:
    """Rising places, each once; values at equal places averaged."""
    steps = np.diff(axis)
    if not ((steps > 0).all() or (steps < 0).all()):
        remarks.append("points sorted by wavenumber")
    order = np.argsort(axis, kind="stable")
    axis, values = axis[order], values[order]
    starts = np.flatnonzero(np.diff(axis, prepend=-np.inf) > 0)
    if len(starts) < len(axis):
        remarks.append(f"{len(axis) - len(starts)} points at places that were there already averaged")
        counts = np.diff(np.append(starts, len(axis)))
        values = np.add.reduceat(values, starts) / counts
        axis = axis[starts]
    return axis, values
