"""lambda(t) and tau(t) against values worked out by hand."""

import math

import pytest

from mmspec_ds.moe.expert_settings import ObjectiveSettings
from mmspec_ds.moe.schedule import balance_weight, curriculum_at, router_temperature


@pytest.mark.parametrize(
    ("progress", "expected"),
    [(0.0, 0.02), (0.1, 0.02 * 0.5 * (1 + math.cos(math.pi / 5))), (0.25, 0.01), (0.5, 0.0), (0.9, 0.0)],
)
def test_balance_falls_as_a_cosine_to_zero(progress: float, expected: float) -> None:
    assert balance_weight(progress, 0.02, 0.5) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("progress", "expected"),
    [(0.0, 2.0), (0.25, 2 * math.exp(-0.5)), (0.5 * math.log(2) - 1e-9, 1.0), (0.5, 1.0), (1.0, 1.0)],
)
def test_temperature_decays_to_its_floor(progress: float, expected: float) -> None:
    assert router_temperature(progress, 2.0, 1.0, 0.5) == pytest.approx(expected, rel=1e-7)


def test_both_at_once() -> None:
    settings = ObjectiveSettings(balance=0.04, balance_until=1.0, temperature=4.0, temperature_decay=1.0)
    now = curriculum_at(0.5, settings)
    assert (now.balance, now.temperature) == pytest.approx((0.02, 4 * math.exp(-0.5)))
