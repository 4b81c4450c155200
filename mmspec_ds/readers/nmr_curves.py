"""Continuous NMR spectra: a checked curve with even shifts, and the spectrum picked from it."""

import numpy as np

from mmspec_ds.readers.nmr_lists import Reading
from mmspec_ds.readers.part import RecordFault, Trace
from mmspec_ds.readers.picking.curve import NMRCurve, Nucleus
from mmspec_ds.readers.picking.nmr import pick_carbon, pick_hydrogen
from mmspec_ds.readers.picking.pick_settings import NMRProcessingSettings
from mmspec_ds.spectra.modalities.c_nmr import SHIFT_LIMITS_PPM as C_SHIFT_PPM
from mmspec_ds.spectra.modalities.h_nmr import SHIFT_LIMITS_PPM as H_SHIFT_PPM
from mmspec_ds.spectra.records import CarbonNMR, FloatArray, HydrogenNMR

_UNEVEN = 0.02  # of a step: more, and the curve is interpolated to even steps


def make_curve(ppm: FloatArray, values: FloatArray, nucleus: Nucleus, mhz: float, solvent: str) -> NMRCurve:
    """A curve with rising even shifts; single points without a value are interpolated.

    Raises:
        RecordFault: too few points, more than a tenth of them without a value, all equal, or shifts beyond any
            spectrum of the nucleus.
    """
    finite = np.isfinite(values) & np.isfinite(ppm)
    if finite.sum() < 64:
        raise RecordFault(f"a curve of {int(finite.sum())} points with a value, expected at least 64")
    if finite.mean() < 0.9:
        raise RecordFault(f"{int((~finite).sum())} of {len(values)} points are missing, NaN or infinite")
    largest = float(np.abs(values[finite]).max())
    if largest and not 1e-100 < largest < 1e100:
        raise RecordFault(f"intensities up to {largest:.3g}, expected 1e-100 to 1e100")
    ppm, values = ppm[finite], values[finite]
    order = np.argsort(ppm, kind="stable")
    ppm, values = ppm[order], values[order]
    low, high = float(ppm[0]), float(ppm[-1])
    span = 1000.0 if nucleus == "13C" else 200.0
    if not (abs(low) < 1000 and abs(high) < 1000 and 0 < high - low <= span):
        raise RecordFault(f"shifts from {low:g} to {high:g} ppm, not a {nucleus} spectrum: is the unit right?")
    even = np.linspace(low, high, len(ppm))
    if np.abs(ppm - even).max() > _UNEVEN * float(even[1] - even[0]):
        values = np.interp(even, ppm, values)
    if np.ptp(values) == 0:
        raise RecordFault("all intensities are equal: no spectrum")
    return NMRCurve(even, values, nucleus, mhz, solvent)


def from_curve(curve: NMRCurve, settings: NMRProcessingSettings) -> Reading:
    """The spectrum picked from a curve.

    Raises:
        RecordFault: no line rises over the noise, or too many do.
    """
    try:
        picked = (pick_hydrogen if curve.nucleus == "1H" else pick_carbon)(curve, settings)
    except ValueError as error:
        raise RecordFault(str(error)) from None
    lines = picked.lines.hz / curve.frequency_mhz
    trace = Trace(picked.curve.ppm, picked.curve.intensity, "ppm", lines)
    spectrum, left_out = _plausible(picked.spectrum)
    remarks = (f"{left_out} picked beyond any {curve.nucleus} shift left out",) if left_out else ()
    return Reading(spectrum, picked.remarks + remarks, trace)


def _plausible(spectrum: HydrogenNMR | CarbonNMR) -> tuple[HydrogenNMR | CarbonNMR, int]:
    """The spectrum without what lies beyond the limits of shifts, and how much that is."""
    kept: HydrogenNMR | CarbonNMR
    if isinstance(spectrum, CarbonNMR):
        low, high = C_SHIFT_PPM
        kept = CarbonNMR(tuple(shift for shift in spectrum.shifts_ppm if low <= shift <= high))
        before, after = len(spectrum.shifts_ppm), len(kept.shifts_ppm)
    else:
        low, high = H_SHIFT_PPM
        kept = HydrogenNMR(tuple(m for m in spectrum.multiplets if low <= m.min_ppm and m.max_ppm <= high))
        before, after = len(spectrum.multiplets), len(kept.multiplets)
    if not after:
        raise RecordFault(f"every line lies outside {low:g} to {high:g} ppm: are the shifts referenced?")
    return kept, before - after
