"""What the NMR readers share: curves made even, lists checked and put into the benchmark's terms."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mmspec_ds.readers.part import RecordFault, Trace
from mmspec_ds.readers.picking.curve import NMRCurve, Nucleus
from mmspec_ds.readers.picking.first_order import LETTERS
from mmspec_ds.readers.picking.nmr import multiplets_of_peaks, pick_carbon, pick_hydrogen
from mmspec_ds.readers.picking.pick_settings import NMRProcessingSettings
from mmspec_ds.spectra.modalities.c_nmr import SHIFT_LIMITS_PPM as C_SHIFT_PPM
from mmspec_ds.spectra.modalities.h_nmr import CATEGORY
from mmspec_ds.spectra.modalities.h_nmr import SHIFT_LIMITS_PPM as H_SHIFT_PPM
from mmspec_ds.spectra.records import CarbonNMR, FloatArray, HydrogenNMR, Multiplet

BENCHMARK_MHZ = 500.0
"""Field at which the extent of a multiplet is reckoned where a list gives none: the published sample's doublets
are wider than its singlets by J / 480 MHz, and its curves have the J of its lists at 500 MHz."""
LINE_PPM = 0.034
"""Extent of a singlet, the median of the published sample's."""
SAME_SHIFT_PPM = 0.0005
"""13C shifts nearer than this are one line that a list repeats for several atoms."""

_MOST_LISTED = 5000
_LEAST_RELATIVE = 1e-9
_UNEVEN = 0.02  # of a step: more, and the curve is interpolated to even steps
_WORDS = {
    "singlet": "s",
    "doublet": "d",
    "triplet": "t",
    "quartet": "q",
    "quadruplet": "q",
    "quintet": "p",
    "pentet": "p",
    "quint": "p",
    "quin": "p",
    "pent": "p",
    "qn": "p",
    "sextet": "h",
    "hextet": "h",
    "sext": "h",
    "sxt": "h",
    "hex": "h",
    "septet": "hept",
    "heptet": "hept",
    "sept": "hept",
    "spt": "hept",
    "sep": "hept",
    "multiplet": "m",
}
_BROAD = re.compile(r"\b(broad|br\.?|app(arent)?\.?)(?=\s|$|[a-z)])|\bof\b|[\s.,;:()/-]+")
_LONGEST_WORDS = sorted(_WORDS, key=len, reverse=True)


@dataclass(frozen=True, slots=True)
class Reading:
    """A spectrum with the curve it was picked from, if any, remarks, and metadata of its own."""

    spectrum: HydrogenNMR | CarbonNMR
    trace: Trace | None = None
    remarks: tuple[str, ...] = ()
    metadata: Mapping[str, str | float | int] = field(default_factory=dict)

    def with_remarks(self, remarks: Sequence[str]) -> "Reading":
        """The same with more remarks before its own."""
        return replace(self, remarks=(*remarks, *self.remarks))


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
        raise RecordFault(f"shifts from {low:g} to {high:g} ppm, no {nucleus} spectrum: is the unit right?")
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
    lines = picked.picked.lines.hz / curve.frequency_mhz
    trace = Trace(curve.ppm, curve.intensity, "ppm", lines)
    spectrum, left_out = _plausible(picked.spectrum)
    remarks = (f"{left_out} picked beyond any {curve.nucleus} shift left out",) if left_out else ()
    return Reading(spectrum, trace, picked.remarks + remarks)


def _plausible(spectrum: HydrogenNMR | CarbonNMR) -> tuple[HydrogenNMR | CarbonNMR, int]:
    """The spectrum without what lies beyond the limits of shifts, and how much that is."""
    if isinstance(spectrum, CarbonNMR):
        low, high = C_SHIFT_PPM
        shifts = tuple(shift for shift in spectrum.shifts_ppm if low <= shift <= high)
        kept: HydrogenNMR | CarbonNMR = CarbonNMR(shifts)
        left_out = len(spectrum.shifts_ppm) - len(shifts)
        empty = not shifts
    else:
        low, high = H_SHIFT_PPM
        multiplets = tuple(m for m in spectrum.multiplets if low <= m.min_ppm and m.max_ppm <= high)
        kept = HydrogenNMR(multiplets)
        left_out = len(spectrum.multiplets) - len(multiplets)
        empty = not multiplets
    if empty:
        raise RecordFault(f"every line lies outside {low:g} to {high:g} ppm: are the shifts referenced?")
    return kept, left_out


def check_shift(ppm: float, nucleus: Nucleus, line: int | None = None) -> float:
    """The shift itself.

    Raises:
        RecordFault: it is not finite, or outside what the reader of the benchmark allows.
    """
    low, high = H_SHIFT_PPM if nucleus == "1H" else C_SHIFT_PPM
    if not low <= ppm <= high:
        raise RecordFault(f"a {nucleus} shift of {ppm:g} ppm, expected {low:g} to {high:g}", line=line)
    return ppm


def carbon_lines(shifts: Sequence[float] | FloatArray) -> Reading:
    """A 13C spectrum of listed shifts, from high to low, each once.

    Raises:
        RecordFault: there is none, too many, or one is impossible.
    """
    if not 0 < len(shifts) <= _MOST_LISTED:
        raise RecordFault(f"{len(shifts)} shifts in the list, expected 1 to {_MOST_LISTED}")
    ordered = sorted((check_shift(float(shift), "13C") for shift in shifts), reverse=True)
    kept = [ordered[0]]
    for shift in ordered[1:]:
        if kept[-1] - shift >= SAME_SHIFT_PPM:
            kept.append(shift)
    repeated = len(ordered) - len(kept)
    remarks = (f"{repeated} repeated shifts left out: a line is listed once",) if repeated else ()
    return Reading(CarbonNMR(tuple(kept)), None, remarks)


def hydrogen_lines(
    ppm: FloatArray, heights: FloatArray, mhz: float | None, settings: NMRProcessingSettings
) -> Reading:
    """A 1H spectrum of a table of single lines: grouped, named and counted as picked ones are.

    Raises:
        RecordFault: there is none, too many, one is impossible, or no intensity is positive.
    """
    if not 0 < len(ppm) <= settings.peaks.most_lines:
        raise RecordFault(f"{len(ppm)} lines in the table, expected 1 to {settings.peaks.most_lines}")
    if not np.isfinite(heights).all():
        raise RecordFault("an intensity is missing, NaN or infinite")
    for shift in ppm:
        check_shift(float(shift), "1H")
    remarks = []
    if mhz is None or not 1 <= mhz <= 2000:
        mhz = BENCHMARK_MHZ
        remarks.append(f"no observe frequency: {mhz:g} MHz taken, so J may be wrong")
    highest = float(heights.max())
    if not 1e-100 < highest < 1e100:
        raise RecordFault(f"the highest intensity is {highest:.3g}, expected 1e-100 to 1e100")
    relative = heights / highest
    positive = relative > _LEAST_RELATIVE
    if not positive.all():
        remarks.append(f"{int((~positive).sum())} lines of zero or negative intensity left out")
    spectrum, more = multiplets_of_peaks(ppm[positive], relative[positive], mhz, settings.multiplets)
    return Reading(spectrum, None, (*remarks, *more))


def multiplicity(text: str) -> str | None:
    """The benchmark's letters for a multiplicity as reports write it: "br s" is s, "quint." is p, "dt" is dt,
    "doublet of triplets" is dt; None if it cannot be read."""
    if len(text) > 80:
        return None
    rest = _BROAD.sub(" ", f" {text.lower()} ").replace(" ", "")
    letters = ""
    while rest:
        word = next((one for one in _LONGEST_WORDS if rest.startswith(one)), None)
        if word is not None:
            letters += _WORDS[word]
            rest = rest[len(word) :].removeprefix("s") if len(word) > 5 else rest[len(word) :]
        elif rest.startswith("hept"):
            letters, rest = letters + "hept", rest[4:]
        elif rest[0] in "sdtqphm":
            letters, rest = letters + rest[0], rest[1:]
        elif rest[0] == "b" and not letters:  # "bs", "bd"
            rest = rest[1:]
        else:
            return None
    if "m" in letters:
        return "m"
    return letters if CATEGORY.fullmatch(letters) else None


def listed_multiplet(
    centroid: float,
    category: str,
    hydrogens: int,
    j_hz: Sequence[float],
    edges: tuple[float, float] | None = None,
) -> Multiplet:
    """A multiplet of a list; without edges, they are reckoned from its couplings at 500 MHz.

    Raises:
        RecordFault: a number is impossible.
    """
    check_shift(centroid, "1H")
    if not 0 <= hydrogens <= 200:
        raise RecordFault(f"{hydrogens} hydrogens in one multiplet, expected 0 to 200")
    for coupling in j_hz:
        if not (0 < coupling < 400):
            raise RecordFault(f"a coupling constant of {coupling:g} Hz, expected 0 to 400")
    if edges is None:
        half = (_extent_hz(category, j_hz) / BENCHMARK_MHZ + LINE_PPM) / 2
        edges = centroid - half, centroid + half
    low, high = sorted(edges)
    check_shift(low, "1H")
    check_shift(high, "1H")
    return Multiplet(centroid, high, low, category, hydrogens, tuple(sorted(j_hz)))


def _extent_hz(category: str, j_hz: Sequence[float]) -> float:
    """From the first to the last line: every J times its partners, the letters by falling J."""
    counts = [LETTERS.index(letter) for letter in re.findall(r"hept|[sdtqph]", category)]
    falling = sorted(j_hz, reverse=True)
    if len(counts) != len(falling):
        counts = [1] * len(falling)
    return sum(count * coupling for count, coupling in zip(counts, falling))


def whole_hydrogens(integrals: Sequence[float]) -> tuple[list[int], str]:
    """Integrals of a list as counts of hydrogens, and a remark if they had to be rounded or scaled.

    Integrals that all lie within 0.25 of a whole number from 1 on are hydrogens already; others are divided by
    the unit that `processing.hydrogens` finds.

    Raises:
        RecordFault: an integral is not finite and positive.
    """
    _check_integrals(integrals)
    if all(abs(one - max(1, round(one))) <= 0.25 and one <= 200 for one in integrals):
        exact = all(math.isclose(one, round(one), abs_tol=0.01) for one in integrals)
        return [
            max(1, round(one)) for one in integrals
        ], "" if exact else "integrals rounded to whole hydrogens"
    return scaled_hydrogens(integrals)


def scaled_hydrogens(integrals: Sequence[float]) -> tuple[list[int], str]:
    """Integrals of any scale as counts of hydrogens, none left out, and the remark that says so.

    Raises:
        RecordFault: an integral is not finite and positive.
    """
    _check_integrals(integrals)
    from mmspec_ds.readers.picking.hydrogens import Neighbours, count_hydrogens
    from mmspec_ds.readers.picking.pick_settings import MultipletSettings

    areas = np.array(integrals, dtype=np.float64)
    unit = count_hydrogens(areas, [Neighbours(False, False)] * (len(areas) - 1), MultipletSettings()).unit
    counts = [min(200, max(1, round(float(area) / unit))) for area in areas]
    return counts, f"integrals divided by {unit:.3g} and rounded to whole hydrogens"


def _check_integrals(integrals: Sequence[float]) -> None:
    for integral in integrals:
        if not 1e-30 < integral < 1e30:
            raise RecordFault(f"an integral of {integral:g}, expected a positive number")
