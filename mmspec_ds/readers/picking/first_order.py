"""The first-order multiplet that explains a group of lines: its name and its coupling constants.

The way of Hoye, Hanson and Vyvyan (J. Org. Chem. 1994, 59, 4096): the relative heights say how many of the 2^n
component lines coincide in each line; the distance of the first two components is the smallest coupling; it is
taken out, and what remains is a multiplet of n - 1 couplings.
"""

import math
import re
from dataclasses import dataclass

import numpy as np

from mmspec_ds.readers.picking.pick_settings import MultipletSettings
from mmspec_ds.spectra.records import FloatArray

LETTERS = ("s", "d", "t", "q", "p", "h", "hept")
"""Names of n equal couplings, as the benchmark spells them."""

_MIRROR = 0.45  # how far a line's share may lie from its mirror image's: roofs lean, noise adds
_LEAST_RATIO = 0.8  # of the line width: nearer than that, places are not better known


@dataclass(frozen=True, slots=True)
class Pattern:
    """A multiplet: `category` by falling J ("td": the triplet's is larger), `j_hz` in rising order, as in the
    benchmark; `error_hz` the rms distance of lines and pattern."""

    category: str
    j_hz: tuple[float, ...]
    error_hz: float

    @property
    def letters(self) -> tuple[int, ...]:
        """Equal couplings of each letter: "td" is (2, 1); none for "s" and "m"."""
        return tuple(LETTERS.index(one) for one in re.findall(r"hept|[dtqph]", self.category))


MULTIPLET = Pattern("m", (), math.inf)
"""What has no first-order name."""


def explain(hz: FloatArray, heights: FloatArray, width_hz: float, settings: MultipletSettings) -> Pattern:
    """The simplest pattern that fits the places and heights of lines in rising order, or `MULTIPLET`."""
    if len(hz) == 1:
        return Pattern("s", (), 0.0)
    tolerance = max(settings.position_tolerance_hz, _LEAST_RATIO * width_hz)
    shares = _mirrored(hz, heights, tolerance)
    if shares is None:
        return MULTIPLET
    even = _evenly_spaced(hz, shares, tolerance, settings)
    if even is not None:
        return even
    for couplings in range(1, settings.most_couplings + 1):
        pattern = _of_couplings(hz, shares, couplings, tolerance, settings)
        if pattern is not None:
            return pattern
    return MULTIPLET


def _mirrored(hz: FloatArray, heights: FloatArray, tolerance: float) -> FloatArray | None:
    """Shares of the whole, each averaged with its mirror image, which takes the lean of a roof away to first
    order; None if the group is not symmetric."""
    middles = (hz + hz[::-1]) / 2
    if np.abs(middles - middles.mean()).max() > tolerance:
        return None
    mean = (heights + heights[::-1]) / 2
    if (np.abs(heights - mean) > _MIRROR * mean).any():
        return None
    return mean / mean.sum()


def _evenly_spaced(
    hz: FloatArray, shares: FloatArray, tolerance: float, settings: MultipletSettings
) -> Pattern | None:
    """n equal couplings: n + 1 even lines as in Pascal's triangle, or n - 1, the outer ones in the noise."""
    gaps = np.diff(hz)
    if np.abs(gaps - gaps.mean()).max() > tolerance:
        return None
    best, least = None, settings.intensity_tolerance
    for equal in (len(hz) - 1, len(hz) + 1):
        hidden = (equal + 1 - len(hz)) // 2
        if equal >= len(LETTERS) or (hidden and len(hz) < 5):
            continue
        row = np.array([math.comb(equal, k) for k in range(equal + 1)], dtype=np.float64)
        row = row[hidden : len(row) - hidden]
        error = float(np.max(np.abs(shares * row.sum() - row) / row))
        if error < least:
            best, least = equal, error
    if best is None:
        return None
    places = np.arange(len(hz)) - (len(hz) - 1) / 2
    spacing = float(places @ hz) / float(places @ places)
    error_hz = float(np.std(hz - spacing * np.arange(len(hz))))
    return Pattern(LETTERS[best], (spacing,), error_hz)


def _of_couplings(
    hz: FloatArray, shares: FloatArray, couplings: int, tolerance: float, settings: MultipletSettings
) -> Pattern | None:
    counts = _component_counts(shares, couplings, settings.intensity_tolerance)
    if counts is None:
        return None
    components = np.repeat(hz, counts)
    constants = _peel(components, 2 * tolerance)
    if constants is None:
        return None
    refined, error = _refine(components, np.array(constants), tolerance)
    if error > tolerance or refined.min() < settings.equal_hz / 2:
        return None
    return _named(refined, error, settings.equal_hz)


def _component_counts(shares: FloatArray, couplings: int, tolerance: float) -> list[int] | None:
    """How many of the 2^n components lie in each line; the outermost have one each."""
    wanted = shares * 2**couplings
    counts = np.maximum(1, np.rint(wanted)).astype(int)
    if counts.sum() != 2**couplings or counts[0] != 1:
        return None
    if (np.abs(wanted - counts) > tolerance * counts).any():
        return None
    return [int(count) for count in counts]


def _peel(components: FloatArray, tolerance: float) -> list[float] | None:
    """Coupling constants in rising order: each round pairs every component with the one that is the smallest
    coupling above it and keeps the middles."""
    places = list(components)
    constants = []
    while len(places) > 1:
        step = places[1] - places[0]
        middles = _pairs(places, step, tolerance)
        if middles is None:
            return None
        constants.append(step)
        places = middles
    return constants


def _pairs(places: list[float], step: float, tolerance: float) -> list[float] | None:
    left, middles = list(places), []
    while left:
        low = left.pop(0)
        nearest = min(range(len(left)), key=lambda place: abs(left[place] - low - step), default=-1)
        if nearest < 0 or abs(left[nearest] - low - step) > tolerance:
            return None
        middles.append((low + left.pop(nearest)) / 2)
    return sorted(middles)


def _refine(components: FloatArray, constants: FloatArray, tolerance: float) -> tuple[FloatArray, float]:
    """Least squares of middle and constants against all components, twice, because the order of the predicted
    components, by which they are matched, hangs on the constants. Lines that coincide within the tolerance are
    matched by their mean: a picked line is the middle of what merged in it."""
    n = len(constants)
    signs = np.array([[(row >> bit & 1) - 0.5 for bit in range(n)] for row in range(2**n)])
    for _ in range(2):
        order = np.argsort(signs @ constants, kind="stable")
        design = np.column_stack([np.ones(2**n), signs[order]])
        solution, *_ = np.linalg.lstsq(design, components, rcond=None)
        constants = np.abs(solution[1:])
    predicted = design @ solution
    lines, where = np.unique(components, return_inverse=True)
    means = np.bincount(where, weights=predicted) / np.bincount(where)
    return constants, float(np.sqrt(np.mean((means - lines) ** 2)))


def _named(constants: FloatArray, error: float, equal_hz: float) -> Pattern | None:
    groups: list[list[float]] = []
    for constant in sorted((float(c) for c in constants), reverse=True):
        if groups and groups[-1][-1] - constant < equal_hz:
            groups[-1].append(constant)
        else:
            groups.append([constant])
    if any(len(group) >= len(LETTERS) for group in groups):
        return None
    category = "".join(LETTERS[len(group)] for group in groups)
    return Pattern(category, tuple(sorted(sum(group) / len(group) for group in groups)), error)
