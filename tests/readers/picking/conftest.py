"""Curves whose multiplets are known: Lorentzian lines on white noise."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from mmspec_ds.readers.picking.curve import NMRCurve, Nucleus

Signal = tuple[float, tuple[float, ...], float]
"""Shift in ppm, couplings in Hz (each partner by itself), area."""


def first_order_places(ppm: float, couplings: Sequence[float], mhz: float) -> list[float]:
    """The 2^n component lines of a multiplet, in Hz."""
    places = [ppm * mhz]
    for coupling in couplings:
        places = [place + sign * coupling / 2 for place in places for sign in (-1, 1)]
    return places


@pytest.fixture
def make_curve() -> Callable[..., NMRCurve]:
    def make(
        signals: Sequence[Signal],
        *,
        nucleus: Nucleus = "1H",
        mhz: float = 400.0,
        width_hz: float = 1.0,
        noise: float = 0.0,
        seed: int = 0,
        points: int = 65_536,
        ends: tuple[float, float] = (-2.0, 12.0),
        solvent: str = "",
    ) -> NMRCurve:
        ppm = np.linspace(*ends, points)
        hz = ppm * mhz
        values = np.zeros(points)
        half = width_hz / 2
        for shift, couplings, area in signals:
            places = first_order_places(shift, couplings, mhz)
            for place in places:
                values += area / len(places) * half**2 / (half**2 + (hz - place) ** 2)
        values += noise * np.random.default_rng(seed).normal(size=points)
        return NMRCurve(ppm, 1000.0 * values, nucleus, mhz, solvent)

    return make
