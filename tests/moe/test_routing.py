"""The router's switches against numbers worked out by hand.

Two experts, D = 2, and a router that is the identity: the logits of a token are its two components plus those
of its modality's tag and bias.
"""

import math

import pytest
import torch
from mmspec_kernels import Routing

from mmspec_ds.moe.expert_settings import ExpertSettings, MoESettings
from mmspec_ds.moe.layer import Gate

LN2, LN3 = math.log(2), math.log(3)
TWO = tuple(ExpertSettings(family="shared", width=16) for _ in range(2))


def gate_of(tag: float = 0.0, bias: float = 0.0, **settings: object) -> Gate:
    """Modality 0 prefers nothing, modality 1 prefers expert 1 by `tag` + `bias`."""
    gate = Gate(2, MoESettings.model_validate({"experts": TWO, "k": 1, **settings}), modalities=2)
    with torch.no_grad():
        gate.wg.weight.copy_(torch.eye(2))
        for table, preference in ((gate.tag, tag), (gate.bias, bias)):
            if table is not None:
                table.copy_(torch.tensor([[0.0, 0.0], [0.0, preference]]))
    return gate


def routed(gate: Gate, *, hidden: tuple[float, float], modality: int, temperature: float = 1.0) -> Routing:
    with torch.no_grad():
        return gate(torch.tensor([hidden]), torch.tensor([modality]), temperature)


@pytest.mark.parametrize(
    ("switches", "odds"),
    [
        ({"tag_routing": True, "router_aware": True}, 6.0),
        ({"tag_routing": True, "router_aware": False}, 2.0),
        ({"tag_routing": False, "router_aware": True}, 3.0),
        ({"tag_routing": False, "router_aware": False}, 1.0),
    ],
    ids=str,
)
def test_tag_and_bias_add_to_the_logits(switches: dict[str, bool], odds: float) -> None:
    gate = gate_of(tag=LN2, bias=LN3, **switches)
    # Content: odds 1 : 4 for expert 1; the modality multiplies them.
    other = routed(gate, hidden=(math.log(4), 0.0), modality=1)
    assert other.probability_TE[0].tolist() == pytest.approx([4 / (4 + odds), odds / (4 + odds)], abs=1e-6)
    assert other.index_TK.item() == (1 if odds > 4 else 0)
    same = routed(gate, hidden=(math.log(4), 0.0), modality=0)
    assert same.probability_TE[0].tolist() == pytest.approx([0.8, 0.2], abs=1e-6)


def test_the_switches_leave_no_parameter_behind() -> None:
    assert [name for name, _ in gate_of().named_parameters()] == ["tag", "bias", "wg.weight"]
    content_only = gate_of(tag_routing=False, router_aware=False)
    assert [name for name, _ in content_only.named_parameters()] == ["wg.weight"]


@pytest.mark.parametrize(("temperature", "expected"), [(1.0, 0.9), (2.0, 0.75), (0.5, 81 / 82)])
def test_temperature_divides_the_logits(temperature: float, expected: float) -> None:
    found = routed(gate_of(), hidden=(math.log(9), 0.0), modality=0, temperature=temperature)
    assert found.probability_TE[0, 0].item() == pytest.approx(expected, abs=1e-6)
    assert found.weight_TK.item() == pytest.approx(expected, abs=1e-6)
    # The z-loss looks at the logits themselves: ln(9 + 1).
    assert found.log_sum_exp_T.item() == pytest.approx(math.log(10), abs=1e-6)


@pytest.mark.parametrize(
    ("share", "second"),
    [(0.0, (1, 0.25)), (0.3, (1, 0.25)), (0.34, (-1, 0.0)), (1.0, (-1, 0.0))],
    ids=str,
)
def test_dynamic_activation_compares_with_the_first(share: float, second: tuple[int, float]) -> None:
    found = routed(gate_of(k=2, dynamic_share=share), hidden=(LN3, 0.0), modality=0)
    assert found.index_TK[0].tolist() == [0, second[0]]
    assert found.weight_TK[0].tolist() == pytest.approx([0.75, second[1]], abs=1e-6)


def test_equal_probabilities_survive_a_share_of_one() -> None:
    found = routed(gate_of(k=2, dynamic_share=1.0), hidden=(0.5, 0.5), modality=0)
    assert sorted(found.index_TK[0].tolist()) == [0, 1]


def test_renormalised_weights_sum_to_one_after_dynamic_activation() -> None:
    three = tuple(ExpertSettings(family="shared", width=16) for _ in range(3))
    gate = Gate(3, MoESettings(experts=three, k=2, renormalise=True, tag_routing=False), modalities=1)
    with torch.no_grad():
        gate.wg.weight.copy_(torch.eye(3))
        found = gate(torch.tensor([[math.log(5), LN3, math.log(2)]]), torch.tensor([0]), 1.0)
    assert found.index_TK[0].tolist() == [0, 1]
    assert found.weight_TK[0].tolist() == pytest.approx([5 / 8, 3 / 8], abs=1e-6)
    assert found.probability_TE[0].tolist() == pytest.approx([0.5, 0.3, 0.2], abs=1e-6)
    alone = routed(gate_of(k=2, dynamic_share=0.9, renormalise=True), hidden=(LN3, 0.0), modality=0)
    assert alone.weight_TK[0].tolist() == pytest.approx([1.0, 0.0], abs=1e-6)


def test_padding_is_not_routed() -> None:
    found = routed(gate_of(k=2, renormalise=True), hidden=(LN3, 0.0), modality=-1)
    assert found.index_TK.tolist() == [[-1, -1]]
    for zero in (found.weight_TK, found.probability_TE, found.log_sum_exp_T):
        assert torch.count_nonzero(zero) == 0


def test_selection_bias_changes_the_choice_and_not_the_weight() -> None:
    gate = gate_of(selection_bias_rate=0.3)
    gate.update_selection_bias(torch.tensor([[3.0, 1.0], [2.0, 0.0]]))
    assert gate.selection_bias.tolist() == pytest.approx([-0.3, 0.3])
    found = routed(gate, hidden=(LN3 / 2, 0.0), modality=0)  # 0.634 and 0.366
    assert found.index_TK.item() == 1
    assert found.weight_TK.item() == pytest.approx(1 / (1 + math.sqrt(3)), abs=1e-6)
    gate.update_selection_bias(torch.tensor([[3.0, 1.0], [0.0, 2.0]]))
    assert gate.selection_bias.tolist() == pytest.approx([-0.3, 0.3]), "an even load moves nothing"


def test_selection_bias_is_off_by_default() -> None:
    gate = gate_of()
    gate.selection_bias.copy_(torch.tensor([-9.0, 9.0]))
    assert routed(gate, hidden=(LN3, 0.0), modality=0).index_TK.item() == 0
