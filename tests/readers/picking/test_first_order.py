"""Patterns of lines named by hand, and areas counted by hand."""

import numpy as np
import pytest

from mmspec_ds.readers.picking.candidates import Candidate
from mmspec_ds.readers.picking.first_order import MULTIPLET, Pattern, explain
from mmspec_ds.readers.picking.hydrogens import count_hydrogens
from mmspec_ds.readers.picking.pick_settings import MultipletSettings

SETTINGS = MultipletSettings()


def name(hz: list[float], heights: list[float]) -> tuple[str, tuple[float, ...]]:
    pattern = explain(np.array(hz, dtype=float), np.array(heights, dtype=float), 0.4, SETTINGS)
    return pattern.category, tuple(round(j, 2) for j in pattern.j_hz)


@pytest.mark.parametrize(
    ("hz", "heights", "expected"),
    [
        ([0], [1], ("s", ())),
        ([0, 7], [1, 1], ("d", (7.0,))),
        ([0, 7, 14], [1, 2, 1], ("t", (7.0,))),
        ([0, 7, 14, 21], [1, 3, 3, 1], ("q", (7.0,))),
        ([0, 7, 14, 21, 28], [1, 4, 6, 4, 1], ("p", (7.0,))),
        ([0, 7, 14, 21, 28, 35], [1, 5, 10, 10, 5, 1], ("h", (7.0,))),
        ([0, 7, 14, 21, 28, 35, 42], [1, 6, 15, 20, 15, 6, 1], ("hept", (7.0,))),
        ([0, 7, 14, 21, 28], [6, 15, 20, 15, 6], ("hept", (7.0,))),  # the outer two in the noise
        ([0, 2, 10, 12], [1, 1, 1, 1], ("dd", (2.0, 10.0))),
        ([0, 1.5, 8, 9.5, 16, 17.5], [1, 1, 2, 2, 1, 1], ("td", (1.5, 8.0))),
        ([0, 2, 4, 12, 14, 16], [1, 2, 1, 1, 2, 1], ("dt", (2.0, 12.0))),
        ([0, 1, 4, 5, 12, 13, 16, 17], [1] * 8, ("ddd", (1.0, 4.0, 12.0))),
        ([0, 5, 10, 15, 20, 25], [1, 1, 2, 2, 1, 1], ("td", (5.0, 10.0))),  # lines that coincide
        ([0, 6, 10, 12, 16, 22], [1, 2, 1, 1, 2, 1], ("dt", (6.0, 10.0))),  # lines that cross
        ([0, 7], [1.3, 0.7], ("d", (7.0,))),  # a roof
        ([0, 7], [1.7, 0.3], ("m", ())),  # too steep
        ([0, 3, 10], [1, 1, 1], ("m", ())),  # not symmetric
        ([0, 7, 14], [1, 1, 1], ("m", ())),  # no triplet: deuterium
        ([0, 7, 14, 21], [1, 1, 1, 1], ("dd", (7.0, 14.0))),
    ],
)
def test_names_and_constants(hz: list[float], heights: list[float], expected: object) -> None:
    assert name(hz, heights) == expected


def test_places_are_used_together() -> None:
    """A dd whose four places are each 0.1 Hz off gives both constants within 0.1 Hz."""
    pattern = explain(np.array([0.1, 1.9, 10.1, 11.9]), np.ones(4), 0.4, SETTINGS)
    assert pattern.j_hz == pytest.approx((1.8, 10.0), abs=0.1)
    assert pattern.category == "dd"


def counted(areas: list[float], near: list[bool] | None = None) -> list[int]:
    """Hydrogens of areas that are signals by themselves, or one signal with the next where that is near."""
    near = near or [False] * (len(areas) - 1)
    islands: list[list[Candidate]] = [[]]
    for i, area in enumerate(areas):
        if i and not near[i - 1]:
            islands.append([])
        joins = bool(i and near[i - 1])
        islands[-1].append(Candidate(i, i, area, Pattern("s", (), 0.0), 0.0, 0, "any", boundary=1.5 * joins))
        if joins:
            islands[-1].append(Candidate(i - 1, i, areas[i - 1] + area, MULTIPLET, 3.4, 1, "any"))
    return [signal.hydrogens for signal in count_hydrogens(islands, SETTINGS).signals]


@pytest.mark.parametrize(
    ("areas", "expected"),
    [
        ([2.0, 3.0, 3.0], [2, 3, 3]),
        ([20.2, 29.7, 30.3], [2, 3, 3]),
        ([1.0], [1]),
        ([5.0, 5.0], [1, 1]),
        ([1.02, 0.97, 2.05, 3.1, 8.8], [1, 1, 2, 3, 9]),
        ([1.0, 1.0, 1.0, 3.0, 0.05], [1, 1, 1, 3]),  # an impurity
        ([1.0, 1.0, 2.0, 3.0, 3.0, 0.6], [1, 1, 2, 3, 3, 1]),  # an OH that exchanges
        ([2e-9, 3e-9], [2, 3]),  # any scale
        ([2e20, 3e20], [2, 3]),
    ],
)
def test_hydrogens_of_areas(areas: list[float], expected: list[int]) -> None:
    assert counted(areas) == expected


def test_halves_that_are_near_are_one_hydrogen() -> None:
    areas = [3.0, 0.5, 0.5, 1.0, 2.0]
    assert counted(areas, [False, True, False, False]) == [3, 1, 1, 2]
    apart = counted(areas)
    assert apart == [6, 1, 1, 2, 4]


def test_whole_neighbours_are_not_joined() -> None:
    assert counted([1.0, 1.0, 3.0], [True, True]) == [1, 1, 3]
