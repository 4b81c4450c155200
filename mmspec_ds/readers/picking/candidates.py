"""Runs of lines that may be one signal, each with its first-order name and what that explanation costs.

Costs are negative logarithms of probabilities (nats), so that they add up and can be compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mmspec_ds.readers.picking.curve import Lines
from mmspec_ds.readers.picking.first_order import MULTIPLET, Pattern, explain
from mmspec_ds.readers.picking.foreign import Place
from mmspec_ds.readers.picking.pick_settings import MultipletSettings

Kind = Literal[
    "any",
    "high",
    "methyl doublet",
    "other doublet",
    "low singlet",
    "high singlet",
    "broad singlet",
    "broad acid",
]
"""What decides how likely so many hydrogens are; see `hydrogens.LIKELY`."""

_LONGEST_RUN, _LONGEST_HZ = 24, 90.0
_LEAST_RUN_OF_ALL = 40  # lines of an island that is tried whole as well
_GROUP, _HIGH_COUPLING, _WIDE_J = 0.7, 0.3, 11.0
_UNNAMED, _UNNAMED_LINE, _UNNAMED_LINES, _UNNAMED_PAIR = 2.2, 0.15, 12, 4.5
_UNNAMED_GAP = 4.0  # for each gap that is wider than most couplings
_CUT, _CUT_NEAR, _CUT_HZ = 1.0, 7.0, 6.0
_CUT_QUARTET = 0.5  # halves of an AB quartet are no coincidence
_QUARTET_ERROR, _LEAST_LEAN = 0.3, 1.3
_FOREIGN = 2.2  # a foreign signal is there at all, and has any area
_RANGE_PPM = 10.0
_WEAK, _WEAK_COST = 0.12, 0.8  # share of the strongest line; such lines may be impurities within a multiplet
_WIDEST_EQUAL_HZ = 12.5
_BROAD_WIDTHS, _BROAD_HZ = 2.5, 2.5


@dataclass(frozen=True, slots=True)
class Candidate:
    """Lines first to last, without the `skipped` ones, as one signal.

    Attributes:
        first, last: indices of lines, both included.
        area: of its lines.
        pattern: its name.
        cost: of the name, or of being foreign.
        partners: hydrogens that must couple to it to give so many lines.
        kind: which numbers of hydrogens are likely.
        foreign: "solvent", "water" or "TMS" if it is no signal of the sample.
        skipped: lines between its own that are foreign or weak.
        inner: the foreign signal among them, if there is one.
        boundary: cost of the gap before it, 0 at the start of an island.
    """

    first: int
    last: int
    area: float
    pattern: Pattern
    cost: float
    partners: float
    kind: Kind
    foreign: str = ""
    skipped: tuple[int, ...] = ()
    boundary: float = 0.0
    inner: "Candidate | None" = None


def make_candidates(
    lines: Lines, places: Sequence[Place], mhz: float, settings: MultipletSettings
) -> list[list[Candidate]]:
    """All candidates, one list for each island of lines that may couple to each other."""
    typical = float(np.percentile(lines.width_hz, 25))
    islands = []
    for start, end in lines.islands(settings.widest_coupling_hz):
        foreign = _foreign(lines, start, end, places, mhz)
        single = {one.first: one for one in foreign if one.first == one.last}
        found = list(foreign)
        for first in range(start, end):
            longest = end if end - start <= _LEAST_RUN_OF_ALL else min(end, first + _LONGEST_RUN)
            for last in range(first, longest):
                too_wide = last > first and lines.hz[last] - lines.hz[first] > _LONGEST_HZ
                if too_wide and (first, last) != (start, end - 1):
                    break
                inner = [None, *(single[i] for i in range(first + 1, last) if i in single)]
                found += [_signal(lines, first, last, typical, mhz, start, settings, one) for one in inner]
        if end - start > _LONGEST_RUN and not any(one.first == start and one.last == end - 1 for one in found):
            found.append(_signal(lines, start, end - 1, typical, mhz, start, settings))
        islands.append(sorted(found, key=lambda one: (one.last, one.first)))
    return islands


def _boundary(lines: Lines, start: int, first: int, strong: float) -> float:
    """Cost of a signal that begins near a strong line of the same island, which begins at `start`: two signals
    within the reach of a coupling are a coincidence, more so the nearer they are."""
    before = start + np.flatnonzero(lines.area[start:first] >= strong)
    if not len(before):
        return 0.0
    return _CUT + _CUT_NEAR * float(np.exp(-(lines.hz[first] - lines.hz[before[-1]]) / _CUT_HZ))


def _signal(
    lines: Lines,
    first: int,
    last: int,
    typical: float,
    mhz: float,
    start: int,
    settings: MultipletSettings,
    without: Candidate | None = None,
) -> Candidate:
    which = [i for i in range(first, last + 1) if without is None or i != without.first]
    part = lines.take(which)
    width = float(np.median(part.width_hz))
    pattern = _explained(part, width, settings)
    weak = part.area < _WEAK * part.area.max()
    dropped = 0
    if pattern is MULTIPLET and weak.any() and not weak[0] and not weak[-1]:
        pattern = _explained(part.take(~weak), width, settings)
        if pattern is not MULTIPLET:
            which = [i for i, low in zip(which, weak) if not low]
            part, dropped = lines.take(which), int(weak.sum())
    boundary = _boundary(lines, start, first, _WEAK * float(part.area.max()))
    quartet = len(part) == 2 and last == first + 1 and _half_of_quartet(lines, first, settings)
    if quartet:
        pattern = Pattern("d", (float(part.hz[1] - part.hz[0]),), 0.0)
        boundary = min(boundary, _CUT_QUARTET)
    cost, partners = _price(pattern, len(part))
    if pattern is MULTIPLET:
        cost += _UNNAMED_GAP * float((np.diff(part.hz) > settings.grouping_hz).sum())
    cost += _WEAK_COST * dropped
    kind = _kind(pattern, float(part.hz.mean()) / mhz, width > max(_BROAD_WIDTHS * typical, _BROAD_HZ))
    skipped = tuple(i for i in range(first, last + 1) if i not in which)
    extra = 0.0 if without is None else without.cost
    area = float(part.area.sum())
    return Candidate(first, last, area, pattern, cost + extra, partners, kind, "", skipped, boundary, without)


def _kind(pattern: Pattern, ppm: float, broad: bool) -> Kind:
    if pattern.category == "s":
        if broad:
            return "broad singlet" if ppm < 7.5 else "broad acid"
        return "high singlet" if ppm < 1.8 else "low singlet" if ppm < 4.6 else "any"
    if pattern.category == "d":
        return "methyl doublet" if 4.5 < pattern.j_hz[0] < 8.0 and ppm < 3.2 else "other doublet"
    return "high" if ppm < 1.1 else "any"


def _half_of_quartet(lines: Lines, first: int, settings: MultipletSettings) -> bool:
    """Whether two lines and the two beside them are an AB quartet: J, C - J, J apart, the inner lines higher by
    (C + J) / (C - J), the outer and the inner ones alike."""
    for start in (first - 2, first):
        if start < 0 or start + 4 > len(lines):
            continue
        gaps, area = np.diff(lines.hz[start : start + 4]), lines.area[start : start + 4]
        lean = (gaps[1] + 2 * gaps[0]) / gaps[1] if gaps[1] > 0 else 0.0
        if (
            lean > _LEAST_LEAN
            and abs(gaps[0] - gaps[2]) < 2 * settings.position_tolerance_hz
            and abs(area[0] / area[3] - 1) < _QUARTET_ERROR
            and abs(area[1] / area[2] - 1) < _QUARTET_ERROR
            and abs((area[1] + area[2]) / (area[0] + area[3]) / lean - 1) < _QUARTET_ERROR
            and explain(lines.hz[start : start + 4], area, float(lines.width_hz[first]), settings) is MULTIPLET
        ):  # a quartet has the same places and areas
            return True
    return False


def _explained(part: Lines, width: float, settings: MultipletSettings) -> Pattern:
    if len(part) > settings.most_fitted_lines:
        return MULTIPLET
    pattern = explain(part.hz, part.area, width, settings)
    falling = pattern.j_hz[::-1]
    if any(equal > 1 and j > _WIDEST_EQUAL_HZ for equal, j in zip(pattern.letters, falling)):
        return MULTIPLET  # several equal couplings are vicinal ones
    return pattern


def _price(pattern: Pattern, lines: int) -> tuple[float, float]:
    """Cost of a name, and the partners it needs."""
    if pattern is MULTIPLET:
        cost = _UNNAMED_PAIR if lines == 2 else _UNNAMED + _UNNAMED_LINE * min(lines, _UNNAMED_LINES)
        return cost, float(np.log2(lines)) if lines > 2 else 0.0
    letters = pattern.letters
    cost = _GROUP * len(letters) + sum(_HIGH_COUPLING for letter in letters if letter > 3)
    cost += sum(0.4 for j in pattern.j_hz if j > _WIDE_J)
    return cost, float(sum(letters))


def _foreign(lines: Lines, start: int, end: int, places: Sequence[Place], mhz: float) -> list[Candidate]:
    """Runs of lines at a place of the solvent, water or TMS."""
    found = []
    for place in places:
        inside = place.covers(lines.hz / mhz, mhz)
        if not place.half_hz and inside.any():  # one line of them all
            away = (lines.hz / mhz - place.ppm) / place.sigma_ppm
            likely = np.where(inside, np.log(np.maximum(lines.area, 1e-300)) - away**2 / 2, -np.inf)
            inside = np.arange(len(lines)) == int(np.argmax(likely))
        for first in np.flatnonzero(inside[start:end]) + start:
            for last in range(first, end if place.half_hz else first + 1):
                run = lines.take(slice(first, last + 1))
                if not inside[last] or run.hz[-1] - run.hz[0] > 2.4 * place.half_hz:
                    break
                middle = float(run.hz @ run.area / run.area.sum()) / mhz
                off = (middle - place.ppm) / place.sigma_ppm
                narrow = float(np.log(place.sigma_ppm * np.sqrt(2 * np.pi) / _RANGE_PPM))
                area, cost = float(run.area.sum()), _FOREIGN + narrow + off**2 / 2
                found.append(Candidate(int(first), int(last), area, MULTIPLET, cost, 0.0, "any", place.reason))
    return found
