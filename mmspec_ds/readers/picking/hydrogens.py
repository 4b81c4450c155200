"""The scale of the integrals, and the signals under it, by the least total cost.

For every area that one hydrogen might have, the lines are cut into signals, impurities and foreign signals in
the cheapest way (dynamic programming, for all scales at once). A signal costs the negative logarithm of the
probability of its number of hydrogens and of its integral's relative distance from it. Small numbers are
likely, so the smallest plausible scale wins: larger numbers come nearer to any integral, but that is chance,
and the density of whole numbers is in the cost. Integrals that fit no whole number (exchangeable hydrogens,
overlap) and impurities have a price.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mmspec_ds.readers.picking.candidates import Candidate
from mmspec_ds.readers.picking.first_order import MULTIPLET, Pattern
from mmspec_ds.readers.picking.pick_settings import MultipletSettings
from mmspec_ds.spectra.records import FloatArray

LIKELY: dict[str, dict[int, float]] = {
    "any": {1: 0.40, 2: 0.30, 3: 0.16, 4: 0.05, 5: 0.02, 6: 0.03, 8: 0.005, 9: 0.005, 10: 0.003},
    "high": {1: 0.08, 2: 0.14, 3: 0.45, 6: 0.18, 9: 0.05, 12: 0.02},
    "methyl doublet": {1: 0.2, 2: 0.15, 3: 0.3, 6: 0.25, 12: 0.02},
    "other doublet": {1: 0.55, 2: 0.3, 3: 0.03, 4: 0.08, 6: 0.01},
    "low singlet": {1: 0.12, 2: 0.2, 3: 0.45, 4: 0.03, 6: 0.1, 9: 0.03, 12: 0.01},
    "high singlet": {1: 0.1, 2: 0.08, 3: 0.25, 6: 0.12, 9: 0.25, 18: 0.03, 27: 0.01},
    "broad singlet": {1: 0.7, 2: 0.2, 3: 0.03, 4: 0.02},
    "broad acid": {1: 0.9, 2: 0.03},
}
"""How often a signal has so many hydrogens, by its kind; others 0.03 / n^2.5."""

_SIGNAL = 1.0  # cost of a signal that is there at all
_UNWHOLE = 4.5  # of a signal whose integral fits no whole number
_IMPURITY, _IMPURITY_FROM, _IMPURITY_SLOPE = 3.1, 0.2, 0.1
_TINY, _TINY_COST = 0.006, 0.3  # share of the whole area under which an impurity is expected
_LEAST_SIGNAL = 0.4  # hydrogens
_PARTNERLESS = 2.5  # of a name that needs more neighbours than there are hydrogens
_STEP = 0.01  # of the logarithm of the scale
_PLAUSIBLE = 3.0  # nats: a scale that is worse by no more is told
_TOO_MANY, _MISSING, _MISSING_CARBON_BOUND = 3.0, 0.5, 2.5
_BROAD_ERROR = {"broad singlet": 0.2, "broad acid": 0.6}  # relative; an acid exchanges with water
_RARE, _RARER = 0.03, 1.5


@dataclass(frozen=True, slots=True)
class Signal:
    """A run of lines with its hydrogens; `area` in hydrogens, `foreign` as in `Candidate`, 0 hydrogens for what
    is not of the sample."""

    candidate: Candidate
    hydrogens: int
    relative: float


@dataclass(frozen=True, slots=True)
class FormulaHydrogens:
    """Hydrogens of a formula, and how many of them may be exchangeable and unseen."""

    total: int
    exchangeable: int


@dataclass(frozen=True, slots=True)
class Counted:
    """What was made of the candidates.

    Attributes:
        unit: the area of one hydrogen.
        signals: of the sample, in the order of the lines.
        impurities: runs left out as too small.
        foreign: runs left out as solvent, water or TMS.
        alternatives: totals of hydrogens of other scales that are nearly as plausible.
    """

    unit: float
    signals: tuple[Signal, ...]
    impurities: tuple[Signal, ...]
    foreign: tuple[Signal, ...]
    alternatives: tuple[int, ...]

    @property
    def total(self) -> int:
        """The sum of all hydrogens."""
        return sum(one.hydrogens for one in self.signals)


def count_hydrogens(
    islands: Sequence[Sequence[Candidate]], settings: MultipletSettings, formula: FormulaHydrogens | None = None
) -> Counted:
    """The scale and the signals of least cost.

    Args:
        islands: candidates of each island, by their last line; every line is in a candidate of its own.
        settings: expected errors of integrals.
        formula: what the sum of hydrogens may be.
    """
    prices = _Prices(islands, settings)
    whole = prices.whole
    most = settings.most_hydrogens if formula is None else max(2, 2 * formula.total)
    units = whole / 0.9 * np.exp(-np.arange(0.0, np.log(1.2 * most), _STEP))
    cost, totals, _ = prices.cheapest(units)
    cost = cost + _formula_cost(totals, formula) + 20.0 * (totals > most) + 50.0 * (totals < 1)
    best = int(np.argmin(cost))
    unit = float(units[best])
    for _ in range(2):
        _, _, signals = prices.cheapest(np.array([unit]))
        counted = [(one.candidate.area, one.hydrogens) for one in signals if one.hydrogens]
        if not counted:
            break
        unit = _refined(counted, unit)
    _, _, signals = prices.cheapest(np.array([unit]))
    if not any(one.hydrogens for one in signals):  # the refined scale must not lose what the first one found
        unit = float(units[best])
        _, _, signals = prices.cheapest(np.array([unit]))
    signals = _within_formula(signals, formula)
    near = cost < cost[best] + _PLAUSIBLE
    total = sum(one.hydrogens for one in signals)
    others = sorted({int(t) for t in totals[near]} - {total})
    return Counted(
        unit,
        tuple(one for one in signals if one.hydrogens),
        tuple(one for one in signals if not one.hydrogens and not one.candidate.foreign),
        tuple(one for one in signals if one.candidate.foreign),
        tuple(others),
    )


def _within_formula(signals: list[Signal], formula: FormulaHydrogens | None) -> list[Signal]:
    """The signals with no more hydrogens than the formula has: what was rounded up the most loses one first."""
    over = 0 if formula is None else sum(one.hydrogens for one in signals) - formula.total
    for _ in range(over):
        most = max(
            (i for i, one in enumerate(signals) if one.hydrogens > 1),
            key=lambda i: (signals[i].hydrogens - signals[i].relative) / signals[i].hydrogens,
            default=None,
        )
        if most is None:
            break
        signals[most] = replace(signals[most], hydrogens=signals[most].hydrogens - 1)
    return signals


def unit_of(areas: FloatArray, settings: MultipletSettings) -> float:
    """The area of one hydrogen under which a list of integrals is most plausible."""
    pattern = Pattern("m", (), 0.0)
    return count_hydrogens(
        [[Candidate(i, i, float(area), pattern, 0.0, 0.0, "any")] for i, area in enumerate(areas)], settings
    ).unit


def _refined(counted: list[tuple[float, int]], unit: float) -> float:
    """The median of what the signals say: an exchangeable hydrogen must not move the scale of the others."""
    said = sorted(
        area / hydrogens for area, hydrogens in counted if abs(area / unit - hydrogens) < 0.3 * hydrogens
    )
    return float(np.median(said)) if said else unit


def _formula_cost(totals: FloatArray, formula: FormulaHydrogens | None) -> FloatArray:
    if formula is None:
        return np.zeros(len(totals))
    over, missing = np.maximum(totals - formula.total, 0), np.maximum(formula.total - totals, 0)
    beyond = np.maximum(missing - formula.exchangeable, 0)
    cost: FloatArray = _TOO_MANY * over + _MISSING * (missing - beyond) + _MISSING_CARBON_BOUND * beyond
    return cost


class _Prices:
    """The cost of every candidate at any scale, and the cheapest way to cut the islands into candidates."""

    def __init__(self, islands: Sequence[Sequence[Candidate]], settings: MultipletSettings) -> None:
        self.islands, self.settings = islands, settings
        self.all = [one for island in islands for one in island]
        numbers = np.arange(1.0, settings.most_hydrogens + 3)
        self.likely = -np.log(
            [[known.get(int(n), 0.0) + _RARE * n**-_RARER for n in numbers] for known in LIKELY.values()]
        )
        kinds = list(LIKELY)
        self.kind = np.array([kinds.index(one.kind) for one in self.all])[:, None]
        self.broad = np.array([_BROAD_ERROR.get(one.kind, 0.0) for one in self.all])[:, None]
        self.area = np.array([one.area for one in self.all])[:, None]
        self.cost = np.array([one.cost for one in self.all])[:, None]
        self.boundary = np.array([one.boundary for one in self.all])[:, None]
        self.partners = np.array([one.partners for one in self.all])[:, None]
        self.unnamed = np.array([one.pattern is MULTIPLET for one in self.all])[:, None]
        self.foreign = np.array([bool(one.foreign) for one in self.all])[:, None]
        taken = {i for one in self.all if one.foreign for i in range(one.first, one.last + 1)}
        singles = [one for one in self.all if one.first == one.last and not one.foreign]
        self.whole = sum(one.area for one in singles if one.first not in taken) or sum(
            one.area for one in singles
        )

    def of_all(self, units: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Cost and hydrogens (0 for what is left out) of each candidate at each scale, [candidates, scales]."""
        relative = self.area / units
        best, hydrogens = np.full(relative.shape, np.inf), np.ones(relative.shape)
        for number in (np.floor(relative), np.ceil(relative)):
            n = np.clip(number, 1, self.likely.shape[1])
            error = np.sqrt(
                (self.settings.integral_error**2 + self.broad**2) * n**2 + self.settings.integral_offset**2
            )
            whole = self.likely[self.kind, n.astype(int) - 1] + ((relative - n) / error) ** 2 / 2
            whole += np.log(error / relative)
            hydrogens = np.where(whole < best, n, hydrogens)
            best = np.minimum(whole, best)
        best = np.minimum(best, _UNWHOLE + 0.3 * np.log(np.maximum(relative, 1)))
        neighbours = self.whole / units - np.where(self.unnamed, 1, hydrogens)
        best += _PARTNERLESS * (self.partners > neighbours + 0.6)
        best[relative < _LEAST_SIGNAL] = np.inf
        signal = best + _SIGNAL + self.cost + self.boundary
        beyond = np.maximum(relative - _IMPURITY_FROM, 0) / _IMPURITY_SLOPE
        impurity = np.where(self.area < _TINY * self.whole, _TINY_COST, _IMPURITY) + 0.5 * self.cost + beyond**2
        left_out = self.foreign | (impurity < signal)
        cost = np.where(self.foreign, self.cost + self.boundary, np.minimum(signal, impurity))
        return cost, np.where(left_out, 0.0, hydrogens)

    def cheapest(self, units: FloatArray) -> tuple[FloatArray, FloatArray, list[Signal]]:
        """Cost and total hydrogens at each scale, both [scales], and the signals at the first one."""
        prices, counts = self.of_all(units)
        cost, total = np.zeros(len(units)), np.zeros(len(units))
        signals: list[Signal] = []
        number = 0
        for island in self.islands:
            start = min(one.first for one in island)
            table = {start: (np.zeros(len(units)), np.zeros(len(units)))}
            chosen: dict[int, tuple[Candidate, int]] = {}
            for one in island:  # by their last line, so that what ends before it is known
                price, hydrogens = table[one.first]
                price, hydrogens = price + prices[number], hydrogens + counts[number]
                end = one.last + 1
                known = table.get(end)
                if known is None or price[0] < known[0][0]:
                    chosen[end] = one, int(counts[number, 0])
                if known is not None:
                    better = price < known[0]
                    price = np.where(better, price, known[0])
                    hydrogens = np.where(better, hydrogens, known[1])
                table[end] = price, hydrogens
                number += 1
            end = max(table)
            cost, total = cost + table[end][0], total + table[end][1]
            signals += _traced(chosen, start, end, float(units[0]))
        return cost, total, signals


def _traced(chosen: dict[int, tuple[Candidate, int]], start: int, end: int, unit: float) -> list[Signal]:
    """The signals that led to the last line of an island, in the order of the lines."""
    found = []
    while end > start:
        one, hydrogens = chosen[end]
        found.append(Signal(one, hydrogens, one.area / unit))
        if one.inner is not None:
            found.append(Signal(one.inner, 0, one.inner.area / unit))
        end = one.first
    return found[::-1]
