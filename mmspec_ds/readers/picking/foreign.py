"""Lines that are not of the sample: the solvent's residual signals, water, TMS, and the offset they show."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmspec_ds.readers.picking.curve import BoolArray, Lines, NMRCurve
from mmspec_ds.readers.picking.pick_settings import ExclusionSettings
from mmspec_ds.readers.picking.solvents import find_solvent
from mmspec_ds.spectra.records import FloatArray

_RUNGS, _RUNG_TOLERANCE = 3, 0.1
_FARTHEST_PPM = 0.15
"""By how much a 1H spectrum may be referenced wrongly and still be put right."""
_ALONE_HZ, _ALONE_SHARE = 10.0, 0.1
"""TMS has no line of a tenth of its height within 10 Hz."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a foreign signal may show.

    Attributes:
        reason: "solvent", "water" or "TMS".
        ppm: its middle.
        half_hz: half of its extent; 0 for a single line.
        sigma_ppm: standard deviation of its middle.
        margin_ppm: farther from the middle than this and the half extent, nothing is taken for it.
        j_hz: coupling to deuterium; lines farther out at this distance go with a 13C signal.
    """

    reason: str
    ppm: float
    half_hz: float
    sigma_ppm: float
    margin_ppm: float
    j_hz: float = 0.0

    def covers(self, ppm: FloatArray, mhz: float) -> BoolArray:
        """Which of some shifts, in ppm at a frequency of `mhz`, may be of this signal: bool in their shape."""
        inside: BoolArray = np.abs(ppm - self.ppm) <= self.margin_ppm + self.half_hz / mhz
        return inside


def foreign_places(curve: NMRCurve, settings: ExclusionSettings) -> tuple[Place, ...]:
    """TMS, and the signals of the solvent that is named, with water in it."""
    solvent = find_solvent(settings.solvent or curve.solvent)
    places = []
    if curve.nucleus == "13C":
        if (near := settings.carbon_reference_ppm) > 0:
            places.append(Place("TMS", 0.0, 0.0, near, near))
        margin = settings.carbon_solvent_margin_hz / curve.frequency_mhz
        for line in solvent.carbon if solvent else ():
            places.append(Place("solvent", line.ppm, line.half_hz, margin, margin, line.j_hz))
        return tuple(places)
    if (near := settings.reference_ppm) > 0:
        places.append(Place("TMS", 0.0, 0.0, near / 3, near))
    if solvent is not None:
        for line in solvent.hydrogen:
            sigma = settings.solvent_ppm
            places.append(Place("solvent", line.ppm, line.half_hz, sigma, 2.5 * sigma))
        if settings.water and solvent.water_ppm is not None:
            sigma = settings.water_ppm
            places.append(Place("water", solvent.water_ppm, 0.0, sigma, 2.5 * sigma))
    return tuple(places)


def covered(curve: NMRCurve, places: Sequence[Place]) -> BoolArray:
    """Which points of a curve lie at any of the places, bool [n]."""
    points = np.zeros(len(curve.ppm), dtype=np.bool_)
    for place in places:
        points |= place.covers(curve.ppm, curve.frequency_mhz)
    return points


def foreign_carbon(lines: Lines, places: Sequence[Place], mhz: float) -> BoolArray:
    """Which 13C lines are foreign, bool [n]: those at a place, and those that follow one J from another and are
    at least a quarter as high, because the curve is referenced otherwise than the table of solvents."""
    foreign = np.zeros(len(lines), dtype=np.bool_)
    for place in places:
        belongs = place.covers(lines.hz / mhz, mhz)
        for _ in range(_RUNGS if place.j_hz > 0 and belongs.any() else 0):
            known = np.flatnonzero(belongs)
            apart = np.abs(lines.hz[:, None] - lines.hz[known])
            steps = np.abs(apart - place.j_hz) < _RUNG_TOLERANCE * place.j_hz
            strong = lines.height[:, None] > 0.25 * lines.height[known]
            belongs = belongs | (steps & strong).any(axis=1)
        foreign |= belongs
    return foreign


def find_offset(lines: Lines, places: Sequence[Place], mhz: float) -> float:
    """By how much all shifts of a 1H curve are too high, in ppm: where TMS and a signal of the solvent agree.

    0 where either is missing, they disagree by 0.01 ppm, or the curve is right within 0.015 ppm.
    """
    ppm = lines.hz / mhz
    reference = [
        float(ppm[i])
        for i in np.flatnonzero(np.abs(ppm) < _FARTHEST_PPM)
        if lines.height[i] >= _highest_beside(lines, int(i)) / _ALONE_SHARE
    ]
    if not reference or not any(place.reason == "TMS" for place in places):
        return 0.0
    best, least = 0.0, 0.01
    for place in places:
        if place.reason == "solvent":
            off = ppm[np.abs(ppm - place.ppm) < _FARTHEST_PPM] - place.ppm
            for offset in reference:
                if len(off) and (apart := float(np.abs(off - offset).min())) < least:
                    best, least = offset, apart
    return best if abs(best) > 0.015 else 0.0


def _highest_beside(lines: Lines, which: int) -> float:
    near = np.abs(lines.hz - lines.hz[which]) < _ALONE_HZ
    near[which] = False
    return float(lines.height[near].max(initial=0.0))
