"""Listed NMR signals of all formats, checked and put into the terms of the records."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mmspec_ds.readers.multiplicities import attached_hydrogens, multiplicity
from mmspec_ds.readers.part import Metadata, Part, RecordFault, Trace, counted, one_line, part_id
from mmspec_ds.readers.picking.curve import Nucleus
from mmspec_ds.readers.picking.first_order import LETTERS
from mmspec_ds.readers.picking.hydrogens import unit_of
from mmspec_ds.readers.picking.nmr import multiplets_of_peaks
from mmspec_ds.readers.picking.pick_settings import MultipletSettings, NMRProcessingSettings
from mmspec_ds.spectra.modalities.c_nmr import SHIFT_LIMITS_PPM as C_SHIFT_PPM
from mmspec_ds.spectra.modalities.h_nmr import LISTED_SPAN_PPM
from mmspec_ds.spectra.modalities.h_nmr import SHIFT_LIMITS_PPM as H_SHIFT_PPM
from mmspec_ds.spectra.records import HSQC, CarbonNMR, FloatArray, HydrogenNMR, Multiplet

BENCHMARK_MHZ = 500.0
"""Field at which the extent of a multiplet is computed where a list gives none: the published sample's doublets
are wider than its singlets by J / 480 MHz, and its curves have the J of its lists at 500 MHz."""
SAME_SHIFT_PPM = 0.0005
"""13C shifts nearer than this are one line that a list repeats for several atoms."""

MOST_LISTED = 5000
"""Signals of a list; more are no list of a molecule."""
_LEAST_RELATIVE = 1e-9


@dataclass(frozen=True, slots=True)
class Reading:
    """A spectrum with remarks, and the curve it was picked from, if any."""

    spectrum: HydrogenNMR | CarbonNMR | HSQC
    remarks: tuple[str, ...] = ()
    trace: Trace | None = None

    def with_remarks(self, remarks: Sequence[str]) -> "Reading":
        """A copy with more remarks before its own."""
        return replace(self, remarks=(*remarks, *self.remarks))

    def part(self, path: Path, number: int, metadata: Metadata, formula: str | None = None) -> Part:
        """The part of a record that holds this spectrum alone."""
        return Part(part_id(path, number), (self.spectrum,), None, formula, metadata, self.remarks, self.trace)


def check_shift(ppm: float, nucleus: Nucleus, line: int | None = None) -> float:
    """Return the shift if it is possible.

    Raises:
        RecordFault: it is not finite, or outside what the reader of the benchmark allows.
    """
    low, high = H_SHIFT_PPM if nucleus == "1H" else C_SHIFT_PPM
    if not low <= ppm <= high:
        raise RecordFault(f"a {nucleus} shift of {ppm:g} ppm, expected {low:g} to {high:g}", line=line)
    return ppm


def carbon_lines(shifts: Sequence[float] | FloatArray, multiplicities: Sequence[str] = ()) -> Reading:
    """A 13C spectrum of listed shifts, from high to low, each once.

    Args:
        shifts: in ppm.
        multiplicities: of each line as written, from which the hydrogens on its carbon are told; empty where
            none are listed.

    Raises:
        RecordFault: there is none, too many, or one is impossible.
    """
    if not 0 < len(shifts) <= MOST_LISTED:
        raise RecordFault(f"{counted(len(shifts), 'shift')} in the list, expected 1 to {MOST_LISTED}")
    attached, remark = attached_hydrogens(multiplicities)
    lines = zip((check_shift(float(shift), "13C") for shift in shifts), attached or [None] * len(shifts))
    kept: list[tuple[float, int | None]] = []
    for shift, hydrogens in sorted(lines, key=lambda line: -line[0]):
        if kept and kept[-1][0] - shift < SAME_SHIFT_PPM:
            kept[-1] = kept[-1][0], _agreed(kept[-1][1], hydrogens)
        else:
            kept.append((shift, hydrogens))
    repeated = len(shifts) - len(kept)
    remarks = [f"{counted(repeated, 'repeated shift')} left out: a line is listed once"] if repeated else []
    remarks += [remark] if remark else []
    known = tuple(hydrogens for _, hydrogens in kept) if attached else ()
    return Reading(CarbonNMR(tuple(shift for shift, _ in kept), known), tuple(remarks))


def _agreed(first: int | None, second: int | None) -> int | None:
    """The count that two atoms of one line agree on, None where they contradict each other."""
    return first if second in (None, first) else second if first is None else None


@dataclass(slots=True)
class ListedSignal:
    """A signal as a list has it; None or empty where the list says nothing.

    Attributes:
        shift: in ppm.
        letters: the multiplicity as written.
        integral: hydrogens or an area of any scale.
        j_hz: couplings.
        edges: in ppm, in any order.
        line: of the file.
        intensity, hz: height and position of a single line.
        dept: the type of a carbon as written.
    """

    shift: float
    letters: str = ""
    integral: float | None = None
    j_hz: Sequence[float] = ()
    edges: tuple[float, float] | None = None
    line: int | None = None
    intensity: float | None = None
    hz: float | None = None
    dept: str = ""


def hydrogen_list(signals: Sequence[ListedSignal]) -> Reading:
    """A 1H spectrum of listed multiplets, from high to low shift, each once.

    Raises:
        RecordFault: a number is impossible or a multiplicity unknown; names the line.
    """
    for signal in signals:
        for shift in (signal.shift, *(signal.edges or ())):
            check_shift(shift, "1H", signal.line)
    remarks: list[str] = []
    multiplets: dict[Multiplet, None] = {}
    for signal, count in zip(signals, _hydrogens(signals, remarks)):
        category = multiplicity(signal.letters) if signal.letters else "m"
        if category is None:
            said = one_line(signal.letters, 30)
            raise RecordFault(f"the multiplicity {said!r} is unknown", line=signal.line)
        try:
            multiplet = listed_multiplet(signal.shift, category, count, signal.j_hz, signal.edges)
        except RecordFault as fault:
            raise RecordFault(fault.reason, line=signal.line) from None
        multiplets[multiplet] = None
    if unnamed := sum(not signal.letters for signal in signals):
        remarks.append(f"{counted(unnamed, 'signal')} without a multiplicity taken for m")
    if repeated := len(signals) - len(multiplets):
        remarks.append(f"{counted(repeated, 'repeated signal')} left out")
    ordered = sorted(multiplets, key=lambda multiplet: -multiplet.centroid_ppm)
    return Reading(HydrogenNMR(tuple(ordered)), tuple(remarks))


def _hydrogens(signals: Sequence[ListedSignal], remarks: list[str]) -> list[int]:
    known = [signal.integral for signal in signals if signal.integral is not None]
    if not known:
        remarks.append("no integrals: one hydrogen taken for every signal")
        return [1] * len(signals)
    counts, remark = whole_hydrogens(known)
    if remark:
        remarks.append(remark)
    if missing := len(signals) - len(known):
        remarks.append(f"{counted(missing, 'signal')} without an integral taken for one hydrogen")
    left = iter(counts)
    return [1 if signal.integral is None else next(left) for signal in signals]


def hydrogen_lines(
    ppm: FloatArray, heights: FloatArray, mhz: float | None, settings: NMRProcessingSettings
) -> Reading:
    """A 1H spectrum of a table of single lines: grouped, named and counted as picked ones are.

    Raises:
        RecordFault: there is none, too many, one is impossible, or no intensity is positive.
    """
    if not 0 < len(ppm) <= settings.peaks.most_lines:
        said = counted(len(ppm), "line")
        raise RecordFault(f"{said} in the table, expected 1 to {settings.peaks.most_lines}")
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
        said = counted(int((~positive).sum()), "line")
        remarks.append(f"{said} of zero or negative intensity left out")
    spectrum, more = multiplets_of_peaks(ppm[positive], relative[positive], mhz, settings)
    return Reading(spectrum, (*remarks, *more))


def listed_multiplet(
    centroid: float,
    category: str,
    hydrogens: int,
    j_hz: Sequence[float],
    edges: tuple[float, float] | None = None,
) -> Multiplet:
    """A multiplet of a list; without edges, they are computed from its couplings at 500 MHz.

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
        half = (_extent_hz(category, j_hz) / BENCHMARK_MHZ + LISTED_SPAN_PPM) / 2
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
        remark = "" if exact else "integrals rounded to whole hydrogens"
        return [max(1, round(one)) for one in integrals], remark
    return scaled_hydrogens(integrals)


def scaled_hydrogens(integrals: Sequence[float]) -> tuple[list[int], str]:
    """Integrals of any scale as counts of hydrogens, none left out, and the remark that says so.

    Raises:
        RecordFault: an integral is not finite and positive.
    """
    _check_integrals(integrals)
    areas = np.array(integrals, dtype=np.float64)
    unit = unit_of(areas, MultipletSettings())
    counts = [min(200, max(1, round(float(area) / unit))) for area in areas]
    return counts, f"integrals divided by {unit:.3g} and rounded to whole hydrogens"


def _check_integrals(integrals: Sequence[float]) -> None:
    for integral in integrals:
        if not 1e-30 < integral < 1e30:
            raise RecordFault(f"an integral of {integral:g}, expected a positive number")
