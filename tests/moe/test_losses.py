"""Each auxiliary loss against a value worked out by hand."""

import math
from dataclasses import replace

import pytest
import torch

from mmspec_ds.moe.expert_settings import MoESettings, ObjectiveSettings, paper_experts
from mmspec_ds.moe.layer import relative_costs
from mmspec_ds.moe.losses import (
    auxiliary_losses,
    balance_loss,
    cost_loss,
    entropy_loss,
    squared_variation,
    structure_loss,
    weighted_sum,
    z_loss,
)
from mmspec_ds.moe.schedule import Curriculum
from mmspec_ds.moe.statistics import RoutingReport

LN2 = math.log(2)


def report(**changes: torch.Tensor) -> RoutingReport:
    """Two modalities with 3 tokens and 1 token, two experts, k 1."""
    number = torch.tensor
    values = RoutingReport(
        importance_ME=number([[2.0, 1.0], [1.0, 0.0]]),
        load_ME=number([[3.0, 0.0], [1.0, 0.0]]),
        dropped_M=number([0.0, 0.0]),
        tokens_M=number([3.0, 1.0]),
        entropy_M=number([1.5 * LN2, 0.5 * LN2]),
        z=number(10.0),
        agreement=number(6.0),
        agreement_count=number(4.0),
        separation=number(1.0),
        separation_count=number(2.0),
    )
    return replace(values, **changes)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([2.0, 2.0, 2.0], 0.0), ([3.0, 1.0], 0.25), ([4.0, 0.0, 0.0, 0.0], 3.0), ([0.0, 0.0], 0.0)],
    ids=str,
)
def test_squared_variation(values: list[float], expected: float) -> None:
    # 3, 1: mean 2, population variance 1, 1 / 4. All on one of E: E - 1.
    assert squared_variation(torch.tensor(values)).item() == pytest.approx(expected, abs=1e-7)


def test_balance_is_the_variation_of_importance_and_of_load() -> None:
    # importance 3, 1: 1 / 4; load 4, 0: variance 4, mean 2, 1.
    assert balance_loss(report()).item() == pytest.approx(1.25, abs=1e-6)


def test_minimising_the_entropy_loss_raises_the_entropy() -> None:
    assert entropy_loss(report()).item() == pytest.approx(-2 * LN2 / 4, abs=1e-7)
    even, sharp = report(entropy_M=torch.tensor([3 * LN2, LN2])), report(entropy_M=torch.zeros(2))
    assert entropy_loss(even) < entropy_loss(sharp)


def test_cost_is_relative_to_the_widest_expert() -> None:
    cost_E = torch.tensor([1.0, 0.25])
    assert cost_loss(report(), cost_E).item() == pytest.approx((3 * 1.0 + 1 * 0.25) / 4, abs=1e-7)
    assert relative_costs(MoESettings()).tolist() == [1.0, 0.25] * 4
    assert relative_costs(MoESettings(experts=paper_experts(64, 16))).tolist() == [1.0, 0.25] * 4


def test_structure_is_the_mean_of_each_kind() -> None:
    assert structure_loss(report()).item() == pytest.approx(6 / 4 + 1 / 2, abs=1e-7)
    nothing = dict.fromkeys(
        ("agreement", "agreement_count", "separation", "separation_count"), torch.tensor(0.0)
    )
    assert structure_loss(report(**nothing)).item() == 0


def test_z_is_a_mean_over_tokens() -> None:
    assert z_loss(report()).item() == pytest.approx(2.5, abs=1e-7)


def test_a_batch_without_tokens_costs_nothing() -> None:
    empty = RoutingReport(
        *(torch.zeros_like(getattr(report(), name)) for name in report().__dataclass_fields__)
    )
    cost_E = torch.tensor([1.0, 0.25])
    for value in auxiliary_losses([empty], cost_E, ObjectiveSettings(z=0.1)).values():
        assert value.item() == 0


def test_the_objective_is_equation_8_over_the_mean_of_layers() -> None:
    settings = ObjectiveSettings(cost=0.5, structure=0.25, z=0.125)
    even = report(importance_ME=torch.ones(2, 2), load_ME=torch.ones(2, 2))
    losses = auxiliary_losses([report(), even], torch.tensor([1.0, 0.25]), settings)
    by_hand = {
        "balance": (1.25 + 0) / 2,
        "entropy": -LN2 / 2,
        "cost": (3.25 / 4 + 2.5 / 4) / 2,
        "structure": 2.0,
        "z": 2.5,
    }
    assert {name: value.item() for name, value in losses.items()} == pytest.approx(by_hand, abs=1e-6)
    total = weighted_sum(losses, settings, Curriculum(balance=0.1, temperature=1.0)).item()
    expected = 0.1 * (0.625 - LN2 / 2) + 0.5 * by_hand["cost"] + 0.25 * 2.0 + 0.125 * 2.5
    assert total == pytest.approx(expected, abs=1e-6)


def test_z_is_left_out_unless_asked_for() -> None:
    assert "z" not in auxiliary_losses([report()], torch.ones(2), ObjectiveSettings())
