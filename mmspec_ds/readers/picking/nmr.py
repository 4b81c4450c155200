"""From a continuous NMR spectrum to the multiplets or lines of a record.

1H: lines are picked and fitted, foreign signals found, and the lines cut into signals with their hydrogens and
first-order names at the least cost (`hydrogens`). 13C: lines are picked, foreign ones left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmspec_ds.molecules.formula import parse_formula
from mmspec_ds.readers.part import counted
from mmspec_ds.readers.picking.candidates import make_candidates
from mmspec_ds.readers.picking.curve import Lines, NMRCurve
from mmspec_ds.readers.picking.foreign import Place, covered, find_offset, foreign_carbon, foreign_places
from mmspec_ds.readers.picking.hydrogens import Counted, FormulaHydrogens, Signal, count_hydrogens
from mmspec_ds.readers.picking.line_peaks import Picked, pick_lines
from mmspec_ds.readers.picking.mirrored import even_out_mirrored
from mmspec_ds.readers.picking.pick_settings import MultipletSettings, NMRProcessingSettings
from mmspec_ds.spectra.records import CarbonNMR, FloatArray, HydrogenNMR, Multiplet

_EDGE_WIDTHS = 2.0
"""The range of a multiplet ends at least so many line widths beyond its outer lines."""
_DEEP = 0.1  # of the highest line: a phased 1H spectrum does not go below its baseline
_TABLE_WIDTH_HZ = 1.0
"""Width of the lines of a table that gives none."""
_SURE = 5.0
"""Weaker 13C lines than so many times the noise are told of."""
_HETEROATOMS = ("O", "N", "S", "P")


@dataclass(frozen=True, slots=True)
class PickedSpectrum:
    """What was made of a curve.

    Attributes:
        spectrum: multiplets of 1H or lines of 13C.
        curve: what was read, its axis put right.
        lines: of the sample.
        foreign_ppm: lines left out as solvent, water or reference, falling.
        remarks: for the user.
    """

    spectrum: HydrogenNMR | CarbonNMR
    curve: NMRCurve
    lines: Lines
    foreign_ppm: tuple[float, ...]
    remarks: tuple[str, ...]


def pick_carbon(curve: NMRCurve, settings: NMRProcessingSettings) -> PickedSpectrum:
    """The lines of a 13C curve, from high to low shift.

    Raises:
        ValueError: there is no line, or the curve is noise.
    """
    places = foreign_places(curve, settings.exclusion)
    picked = pick_lines(curve, settings.peaks, covered(curve, places))
    foreign = foreign_carbon(picked.lines, places, curve.frequency_mhz)
    lines = picked.lines.take(~foreign)
    if len(lines) == 0:
        raise ValueError("every line lies where the solvent or the reference shows")
    shifts = tuple(float(hz) / curve.frequency_mhz for hz in lines.hz[::-1])
    remarks = [_picked_remark(curve, picked, counted(len(shifts), "line"))]
    left_out = tuple(float(hz) / curve.frequency_mhz for hz in picked.lines.hz[foreign][::-1])
    if left_out:
        remarks.append(_left_out_remark(left_out, "solvent or reference"))
    weak = lines.hz[lines.height < _SURE * picked.noise][::-1] / curve.frequency_mhz
    if len(weak):
        shown = ", ".join(f"{one:.2f}" for one in weak[:10])
        remarks.append(f"{counted(len(weak), 'line')} of under {_SURE:g} times the noise ({shown} ppm)")
    remarks += _solvent_remark(curve, places)
    return PickedSpectrum(CarbonNMR(shifts), curve, lines, left_out, tuple(remarks))


def pick_hydrogen(curve: NMRCurve, settings: NMRProcessingSettings) -> PickedSpectrum:
    """The multiplets of a 1H curve, from high to low shift.

    Raises:
        ValueError: there is no line, or the curve is noise.
    """
    mhz = curve.frequency_mhz
    places = foreign_places(curve, settings.exclusion)
    picked = pick_lines(curve, settings.peaks, covered(curve, places))
    remarks = []
    offset = find_offset(picked.lines, places, mhz)
    if offset:
        remarks.append(f"shifts changed by {-offset:+.3f} ppm: TMS and the solvent show there")
        curve = curve.moved(-offset)
        picked = pick_lines(curve, settings.peaks, covered(curve, places))
    lines, evened = even_out_mirrored(picked.lines, settings.multiplets)
    remarks += [
        f"signals at {high / mhz:.2f} and {low / mhz:.2f} ppm are mirror images: their integrals averaged"
        for high, low in evened
    ]
    found = _count(lines, places, mhz, settings)
    if not found.signals:
        raise ValueError("every line lies where the solvent or the reference shows")
    multiplets = tuple(_multiplet(lines, one, mhz, settings.multiplets) for one in reversed(found.signals))
    what = f"{counted(len(multiplets), 'multiplet')} of {counted(len(lines), 'line')}"
    depth = -float(picked.levelled[~covered(curve, places)].min(initial=0.0))
    if depth > _DEEP * float(lines.height.max()):
        remarks.append("the curve goes deep below its baseline: is it phased?")
    remarks += [*_solvent_remark(curve, places), *_counted_remarks(lines, found, mhz, settings.formula)]
    kept = [i for one in found.signals for i in _indices(one)]
    left_out = tuple(float(lines.hz[i]) / mhz for one in found.foreign for i in _indices(one))[::-1]
    remarks = [_picked_remark(curve, picked, what), *remarks]
    return PickedSpectrum(HydrogenNMR(multiplets), curve, lines.take(kept), left_out, tuple(remarks))


def multiplets_of_peaks(
    ppm: FloatArray, heights: FloatArray, mhz: float, settings: NMRProcessingSettings
) -> tuple[HydrogenNMR, tuple[str, ...]]:
    """The multiplets of a table of single 1H lines, in any order, and remarks: cut, named and counted as picked
    lines are; the heights stand for areas, since lines of one spectrum are of about one width."""
    order = np.argsort(ppm, kind="stable")
    heights = heights[order]
    lines = Lines(ppm[order] * mhz, heights, np.full(len(ppm), _TABLE_WIDTH_HZ), heights)
    found = _count(lines, (), mhz, settings)
    multiplets = tuple(_multiplet(lines, one, mhz, settings.multiplets) for one in reversed(found.signals))
    what = f"{counted(len(multiplets), 'multiplet')} made of {counted(len(lines), 'line')}"
    return HydrogenNMR(multiplets), (what, *_counted_remarks(lines, found, mhz, settings.formula))


def _count(lines: Lines, places: Sequence[Place], mhz: float, settings: NMRProcessingSettings) -> Counted:
    islands = make_candidates(lines, places, mhz, settings.multiplets)
    return count_hydrogens(islands, settings.multiplets, formula_hydrogens(settings.formula))


def formula_hydrogens(formula: str) -> FormulaHydrogens | None:
    """Hydrogens of a formula, and how many may be on heteroatoms; None without a formula that has any."""
    if not formula:
        return None
    counts, _ = parse_formula(formula)
    total = counts.get("H", 0)
    exchangeable = sum(counts.get(one, 0) * (2 if one == "N" else 1) for one in _HETEROATOMS)
    return FormulaHydrogens(total, min(total, exchangeable)) if total else None


def _indices(one: Signal) -> list[int]:
    return [i for i in range(one.candidate.first, one.candidate.last + 1) if i not in one.candidate.skipped]


def _multiplet(lines: Lines, one: Signal, mhz: float, settings: MultipletSettings) -> Multiplet:
    part, pattern = lines.take(_indices(one)), one.candidate.pattern
    edge = max(_EDGE_WIDTHS * float(np.median(part.width_hz)), settings.edge_ppm * mhz)
    return Multiplet(
        float(part.hz @ part.area) / float(part.area.sum()) / mhz,
        (float(part.hz[-1]) + edge) / mhz,
        (float(part.hz[0]) - edge) / mhz,
        pattern.category,
        one.hydrogens,
        tuple(round(j, 3) for j in pattern.j_hz),
    )


def _picked_remark(curve: NMRCurve, picked: Picked, what: str) -> str:
    noise = f", noise {picked.noise:.3g}" if picked.noise > 0 else ""
    return f"{what} picked from a curve of {len(curve.ppm)} points (threshold {picked.threshold:.3g}{noise})"


def _solvent_remark(curve: NMRCurve, places: Sequence[Place]) -> tuple[str, ...]:
    if any(place.reason == "solvent" for place in places):
        return ()
    named = f"{curve.solvent!r} is not known" if curve.solvent else "none is named"
    return (f"no solvent signal left out: {named}",)


def _left_out_remark(ppm: Sequence[float], reason: str) -> str:
    shown = ", ".join(f"{one:.2f}" for one in ppm)
    return f"{counted(len(ppm), 'line')} left out as {reason} ({shown} ppm)"


def _counted_remarks(lines: Lines, found: Counted, mhz: float, formula: str) -> tuple[str, ...]:
    """What was assumed of the scale, and what was left out."""
    off = [abs(one.relative - one.hydrogens) for one in found.signals]
    remarks = [f"integrals are within {float(np.mean(off)):.2f} H of whole numbers on average"]
    if formula:
        remarks.append(f"scale of the integrals from {formula}: {found.total} H found")
    else:
        other = "".join(f", {total} H is nearly as plausible" for total in found.alternatives[:3])
        remarks.append(
            f"scale of the integrals: {found.total} H in all is the smallest plausible one, a multiple is"
            " possible"
            f"{other}"
        )
    unsure = [one for one in found.signals if abs(one.relative - one.hydrogens) > 0.25]
    if unsure:
        said = ", ".join(f"{_middle(lines, one, mhz):.2f} ppm {one.relative:.2f}" for one in unsure)
        remarks.append(f"integrals that are not whole, rounded ({said})")
    for reason in ("solvent", "water", "TMS"):
        which = [i for one in found.foreign if one.candidate.foreign == reason for i in _indices(one)]
        if which:
            remarks.append(_left_out_remark([float(lines.hz[i]) / mhz for i in which[::-1]], reason))
    if found.impurities:
        most = max(one.relative for one in found.impurities)
        remarks.append(
            f"{counted(len(found.impurities), 'signal')} of up to {most:.2f} H left out as impurities"
        )
    return tuple(remarks)


def _middle(lines: Lines, one: Signal, mhz: float) -> float:
    return float(lines.hz[_indices(one)].mean()) / mhz
