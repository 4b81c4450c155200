"""From integrals to whole hydrogens: the area of one hydrogen, and groups of lines that belong together.

The unit is the one of least cost, where every signal costs the square of its integral's distance from a whole
number over the expected error (halved, at most OUTLIER: an OH is what it is), and PARSIMONY times the logarithm
of its hydrogens: any integrals are near whole numbers of a small enough unit.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mmspec_ds.readers.picking.pick_settings import MultipletSettings
from mmspec_ds.spectra.records import FloatArray

OUTLIER = 3.0
PARSIMONY = 0.6
JOIN_MIRRORED, JOIN_OTHER = 0.4, 1.2
"""Cost of a join, of mirror images and of others: without it, two CH would often be one CH2."""
IMPURITY = 2.0, 4.0
"""Cost of a group that is left out, and more for each hydrogen in it."""
LEAST_JOINED = 0.12
"""Hydrogens of a group that may be joined: an impurity beside a triplet must not make an m of it."""
TINY = 0.007
"""Share of the whole area under which a group costs nothing to leave out: less than one of 120 hydrogens."""
_MOST_OF_A_GROUP = 12  # hydrogens of a group that serves as a yardstick
_LONGEST_RUN = 4  # groups joined to one signal: the four lines of an AB system


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Whether a group and the next one may be parts of one signal, and whether they mirror each other."""

    near: bool
    mirrored: bool


_APART = Neighbours(near=False, mirrored=False)


@dataclass(frozen=True, slots=True)
class Signal:
    """Groups first to last, and their hydrogens."""

    first: int
    last: int
    hydrogens: int


@dataclass(frozen=True, slots=True)
class Counted:
    """Signals in the order of their groups.

    Attributes:
        unit: the area of one hydrogen.
        signals: impurities left out.
        distance: mean distance of the integrals from whole numbers, in hydrogens.
        impurities: groups that were left out as too small.
    """

    unit: float
    signals: tuple[Signal, ...]
    distance: float
    impurities: int


def count_hydrogens(areas: FloatArray, between: list[Neighbours], settings: MultipletSettings) -> Counted:
    """The unit of least cost, and the signals under it.

    Every area, and every sum of two neighbours, divided by 1 to 12 is tried as the unit, and refined to the
    median of what its signals say. Areas of 2:2:6 give 1:1:3: a spectrum alone cannot tell the two apart.

    Args:
        areas: positive, of each group in the order of shift.
        between: groups i and i + 1, one less than areas.
    """
    large = np.flatnonzero(areas >= TINY * float(areas.sum()))
    pairs = [between[first] if second == first + 1 else _APART for first, second in pairwise(large)]
    counted = _cheapest(areas[large], pairs, settings)
    signals = (Signal(int(large[s.first]), int(large[s.last]), s.hydrogens) for s in counted.signals)
    left_out = counted.impurities + len(areas) - len(large)
    return Counted(counted.unit, tuple(signals), counted.distance, left_out)


def _cheapest(areas: FloatArray, between: list[Neighbours], settings: MultipletSettings) -> Counted:
    whole = float(areas.sum())
    yardsticks = [*areas, *(areas[:-1] + areas[1:])[[pair.near for pair in between]]]
    tried = {float(area) / n for area in yardsticks for n in range(1, _MOST_OF_A_GROUP + 1)}
    best: tuple[float, Counted] | None = None
    for unit in sorted(tried, reverse=True):
        if whole / unit > settings.most_hydrogens and best is not None:
            break
        cost, counted = _with_unit(areas, between, unit, settings)
        too_many = sum(signal.hydrogens for signal in counted.signals) > settings.most_hydrogens
        if counted.signals and (best is None or (cost < best[0] - 1e-9 and not too_many)):
            best = cost, counted
    assert best is not None  # the largest area as the unit is a signal
    return best[1]


def _with_unit(
    areas: FloatArray, between: list[Neighbours], unit: float, settings: MultipletSettings
) -> tuple[float, Counted]:
    for _ in range(2):
        cost, signals = _partition(areas / unit, between, settings)
        if not signals:
            break
        sums = np.array([areas[s.first : s.last + 1].sum() for s in signals])
        counts = np.array([s.hydrogens for s in signals], dtype=np.float64)
        # The median: an exchangeable hydrogen must not shift the unit of the others.
        unit = float(np.median(sums / counts))
    else:
        cost, signals = _partition(areas / unit, between, settings)
    distances = [abs(float(areas[s.first : s.last + 1].sum()) / unit - s.hydrogens) for s in signals]
    used = sum(s.last - s.first + 1 for s in signals)
    mean = float(np.mean(distances)) if distances else math.inf
    return cost, Counted(unit, tuple(signals), mean, len(areas) - used)


def _partition(
    relative: FloatArray, between: list[Neighbours], settings: MultipletSettings
) -> tuple[float, list[Signal]]:
    """The cheapest way to cut the groups into signals and impurities (dynamic programming over the groups)."""
    best: list[tuple[float, list[Signal]]] = [(0.0, [])]
    sums = np.concatenate([[0.0], np.cumsum(relative)])
    for end in range(1, len(relative) + 1):
        options = []
        joins = 0.0
        for start in range(end - 1, max(-1, end - 1 - _LONGEST_RUN), -1):
            if start < end - 1:
                pair = between[start]
                if not pair.near or min(relative[start], relative[start + 1]) < LEAST_JOINED:
                    break
                joins += JOIN_MIRRORED if pair.mirrored else JOIN_OTHER
            before, signals = best[start]
            cost, hydrogens = _cost(float(sums[end] - sums[start]), settings)
            kept = [*signals, Signal(start, end - 1, hydrogens)] if hydrogens else signals
            options.append((before + cost + joins, kept))
        best.append(min(options, key=lambda option: option[0]))
    return best[-1]


def _cost(relative: float, settings: MultipletSettings) -> tuple[float, int]:
    """Of a signal of so many units, and its whole hydrogens; 0 of them for an impurity."""
    if relative < settings.smallest_hydrogens:
        return IMPURITY[0] + IMPURITY[1] * relative, 0
    hydrogens = max(1, round(relative))
    error = settings.integral_error * hydrogens + settings.integral_offset
    distance = (relative - hydrogens) / error
    return min(distance**2 / 2, OUTLIER) + PARSIMONY * math.log(hydrogens), hydrogens
