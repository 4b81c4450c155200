"""The router's switches against loops in float64 and numbers worked out by hand.

Axes: T tokens, D model width, E experts, K choices, M modalities, B samples, S places.
"""

import math

import pytest
import torch
from mmspec_kernels import NOT_ROUTED, GateFunction, RoutingRule, route, route_by_experts
from pydantic import ValidationError
from torch import Tensor

from mmspec_ds.moe.expert_settings import ExpertSettings, MoESettings, fine_grained, paper_experts
from mmspec_ds.moe.layer import Gate, SparseFeedForward, serving

E, D, M = 6, 8, 3


def inputs(tokens: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Hidden states, modalities with padding, the router's rows and the modalities' prior."""
    source = torch.Generator().manual_seed(tokens)
    modality_T = torch.randint(-1, M, (tokens,), generator=source)
    hidden, weight = torch.randn(tokens, D, generator=source), torch.randn(E, D, generator=source)
    return hidden, modality_T, weight, torch.randn(M, D, generator=source)


def affinity(
    hidden: Tensor, modality: int, weight: Tensor, prior: Tensor, tau: float, gate: str
) -> list[float]:
    """Of one token for every expert, one number after the other, in Python's floats."""
    seen = (hidden.double() + prior[modality].double()).tolist()
    logits = [sum(a * b for a, b in zip(seen, row)) / tau for row in weight.double().tolist()]
    if gate == "sigmoid":
        return [1 / (1 + math.exp(-x)) for x in logits]
    odds = [math.exp(x) for x in logits]
    return [x / sum(odds) for x in odds]


@pytest.mark.parametrize("renormalise", [False, True])
def test_sigmoid_gates_by_a_loop(renormalise: bool) -> None:
    hidden, modality, weight, prior = inputs(20)
    bias_ME = torch.linspace(-0.4, 0.4, M * E).view(M, E)
    rule = RoutingRule(2, temperature=1.5, gate="sigmoid", renormalise=renormalise)
    found = route(hidden, modality, weight, prior, rule, selection_bias=bias_ME)
    for t, m in enumerate(modality.tolist()):
        if m < 0:
            assert found.index_TK[t].tolist() == [NOT_ROUTED] * 2
            assert float(found.weight_TK[t].sum() + found.probability_TE[t].sum()) == 0
            continue
        own = affinity(hidden[t], m, weight, prior, 1.5, "sigmoid")
        best = sorted(range(E), key=lambda e: -(own[e] + float(bias_ME[m, e])))[:2]
        total = sum(own[e] for e in best) if renormalise else 1.0
        assert found.index_TK[t].tolist() == best
        assert found.weight_TK[t].tolist() == pytest.approx([own[e] / total for e in best], rel=1e-5)
        assert found.probability_TE[t].tolist() == pytest.approx([a / sum(own) for a in own], rel=1e-5)


def test_sigmoid_probabilities_of_hopeless_logits_still_sum_to_one() -> None:
    # All affinities are exp(-120) or less, which float32 does not hold.
    hidden, weight = torch.tensor([[120.0]]), torch.tensor([[-1.0], [-1.0], [-1.01]])
    found = route(hidden, torch.tensor([0]), weight, None, RoutingRule(1, gate="sigmoid"))
    odds = [1.0, 1.0, math.exp(-1.2)]
    assert found.probability_TE[0].tolist() == pytest.approx([x / sum(odds) for x in odds], rel=1e-4)


@pytest.mark.parametrize("gate", ["softmax", "sigmoid"])
def test_the_log_partition_of_z_is_that_of_the_logits_at_any_temperature(gate: GateFunction) -> None:
    hidden, modality, weight, prior = inputs(12)
    found = route(hidden, modality, weight, prior, RoutingRule(2, temperature=3.0, gate=gate))
    for t, m in enumerate(modality.tolist()):
        expected = 0.0
        if m >= 0:
            seen = (hidden[t].double() + prior[m].double()).tolist()
            odds = [math.exp(sum(a * b for a, b in zip(seen, row))) for row in weight.double().tolist()]
            expected = math.log(sum(odds))
        assert float(found.log_sum_exp_T[t]) == pytest.approx(expected, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("gate", ["softmax", "sigmoid"])
@pytest.mark.parametrize("renormalise", [False, True])
@pytest.mark.parametrize("k", [1, 2, 6])
def test_experts_that_choose_by_a_loop(gate: GateFunction, renormalise: bool, k: int) -> None:
    samples, places = 3, 7
    hidden, modality, weight, prior = inputs(samples * places)
    modality[7:14] = NOT_ROUTED  # a sample of padding
    rule = RoutingRule(k, temperature=1.3, gate=gate, renormalise=renormalise)
    found = route_by_experts(hidden, modality, weight, prior, rule, samples=samples)
    own = {
        t: affinity(hidden[t], m, weight, prior, 1.3, gate) for t, m in enumerate(modality.tolist()) if m >= 0
    }
    chosen: dict[int, set[int]] = {t: set() for t in range(len(hidden))}
    for sample in range(samples):
        here = [t for t in own if t // places == sample]
        for e in range(E):
            for t in sorted(here, key=lambda t: -own[t][e])[: math.ceil(k * len(here) / E)]:
                chosen[t].add(e)
    for t, experts in chosen.items():
        assert found.index_TK[t].tolist() == [e if e in experts else NOT_ROUTED for e in range(E)]
        total = sum(own[t][e] for e in experts) if renormalise and experts else 1.0
        weights = [own[t][e] / total if e in experts else 0.0 for e in range(E)]
        assert found.weight_TK[t].tolist() == pytest.approx(weights, rel=1e-5, abs=1e-9)
    assert found.counts_E.tolist() == [sum(e in one for one in chosen.values()) for e in range(E)]
    if k == E:
        assert all(len(chosen[t]) == E for t in own)


def test_what_an_expert_chooses_in_a_sample_does_not_depend_on_the_batch_or_its_padding() -> None:
    settings = MoESettings(experts=[ExpertSettings(family="shared", width=16)] * 4, choice="expert")
    torch.manual_seed(0)
    layer = SparseFeedForward(D, settings, ("a", "b"))
    hidden, modality = torch.randn(3, 9, D), torch.randint(0, 2, (3, 9))
    modality[1, 6:] = NOT_ROUTED
    together, _ = layer(hidden, modality, 1.0)
    alone, _ = layer(hidden[1:2, :6], modality[1:2, :6], 1.0)
    torch.testing.assert_close(alone[0], together[1, :6], rtol=1e-5, atol=1e-6)
    assert torch.count_nonzero(together[1, 6:]) == 0


def test_experts_that_choose_have_an_even_load() -> None:
    settings = MoESettings(experts=[ExpertSettings(family="shared", width=16)] * 4, choice="expert", k=2)
    torch.manual_seed(0)
    layer = SparseFeedForward(D, settings, ("a", "b"))
    modality = torch.randint(0, 2, (3, 8))
    _, report = layer(torch.randn(3, 8, D), modality, 1.0)
    assert report.load_ME.sum(0).tolist() == [3 * 8 * 2 / 4] * 4


TWO_FAMILIES = (
    ExpertSettings(family="shared", width=32),
    ExpertSettings(family="modality", width=16, modalities=("a",)),
    ExpertSettings(family="modality", width=48, modalities=("b",)),
    ExpertSettings(family="interaction", width=16),
)
"""Physical order: 48 (serves b), 16 (serves a), 32 (shared), 16 (interaction)."""


def test_who_serves_a_modality() -> None:
    settings = MoESettings(experts=TWO_FAMILIES)
    assert serving(settings, ("a", "b")).tolist() == [[False, True, True, True], [True, False, True, True]]
    of_b = MoESettings(experts=[ExpertSettings(family="modality", width=16, modalities=("b",))] * 2)
    assert serving(of_b, ("a", "b")).tolist() == [[True, True], [True, True]], "nobody else serves a"


def test_a_selection_bias_of_each_modality_by_hand() -> None:
    settings = MoESettings(experts=TWO_FAMILIES, selection_bias_rate=0.5, selection_bias_by="modality")
    gate = Gate(D, settings, 2, serving(settings, ("a", "b")))
    # a: its three experts have 4, 1 and 1, mean 2; what the expert of b takes of it does not count. b: absent.
    gate.update_selection_bias(torch.tensor([[90.0, 4.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]]))
    assert gate.selection_bias.tolist() == [[0.0, -0.5, 0.5, 0.5], [0.0] * 4]
    gate.update_selection_bias(torch.tensor([[0.0, 2.0, 2.0, 2.0], [3.0, 7.0, 3.0, 0.0]]))
    assert gate.selection_bias.tolist() == [[0.0, -0.5, 0.5, 0.5], [-0.5, 0.0, -0.5, 0.5]]


def test_the_bias_of_a_modality_moves_its_tokens_alone() -> None:
    settings = MoESettings(
        experts=[ExpertSettings(family="shared", width=16)] * 2, k=1, tag_routing=False, router_aware=False,
        selection_bias_rate=0.1, selection_bias_by="modality",
    )  # fmt: skip
    gate = Gate(2, settings, 2)
    with torch.no_grad():
        gate.wg.weight.copy_(torch.eye(2))
        gate.selection_bias.copy_(torch.tensor([[0.0, 0.0], [0.0, 0.9]]))
        found = gate(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([0, 1]), 1.0)
    assert found.index_TK.tolist() == [[0], [1]]
    odds = math.e / (1 + math.e)
    assert found.weight_TK.flatten().tolist() == pytest.approx([odds, 1 - odds], rel=1e-6)
    assert "selection_bias" in gate.state_dict()
    assert "serves_ME" not in gate.state_dict()


@pytest.mark.parametrize("k", [1, 2])
def test_renormalised_weights_of_one_expert_teach_the_router_nothing(k: int) -> None:
    torch.manual_seed(1)
    hidden, weight = torch.randn(6, 8), torch.randn(3, 8, requires_grad=True)
    routing = route(hidden, torch.zeros(6, dtype=torch.int64), weight, None, RoutingRule(k, renormalise=True))
    (gradient,) = torch.autograd.grad((routing.weight_TK * torch.randn(6, k)).sum(), weight)
    assert (float(gradient.abs().max()) < 1e-6) == (k == 1)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"gate": "relu"}, "'softmax' or 'sigmoid'"),
        ({"choice": "nobody"}, "'token' or 'expert'"),
        ({"selection_bias_by": "molecule"}, "'all' or 'modality'"),
        ({"selection_bias_by": "modality"}, "but selection_bias_rate is 0"),
        ({"choice": "expert", "mode": "capacity"}, "choice is 'expert', but mode is 'capacity'"),
        ({"choice": "expert", "selection_bias_by": "modality"}, "but selection_bias_by is 'modality'"),
        ({"choice": "expert", "selection_bias_rate": 0.1}, "but selection_bias_rate is 0.1"),
        ({"choice": "expert", "dynamic_share": 0.1}, "but dynamic_share is 0.1"),
        ({"k": 1, "dynamic_share": 0.1}, "dynamic_share is 0.1, but k is 1"),
    ],
    ids=str,
)
def test_switches_that_cannot_be(values: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        MoESettings.model_validate(values)


def test_fine_grained_experts_have_the_widths_of_the_whole_ones() -> None:
    narrow = fine_grained(paper_experts(256, 64), 4)
    assert sorted(e.width for e in narrow) == [16] * 16 + [64] * 16
    for whole in paper_experts(256, 64):
        parts = [e for e in narrow if (e.family, e.modalities) == (whole.family, whole.modalities)]
        assert len(parts) == 8
        assert sum(e.width for e in parts) == 256 + 64
    assert fine_grained(paper_experts(), 1) == paper_experts()
    for factor in (0, 3, 8):
        with pytest.raises(ValueError, match="multiples of 16"):
            fine_grained(paper_experts(256, 64), factor)


@pytest.mark.parametrize("gate", ["softmax", "sigmoid"])
def test_eight_of_thirty_two_narrow_experts_by_a_loop(gate: str) -> None:
    settings = MoESettings.model_validate(
        {"experts": fine_grained(paper_experts(256, 64), 4), "k": 8, "gate": gate, "renormalise": True}
    )
    torch.manual_seed(0)
    layer = SparseFeedForward(D, settings, ("h_nmr", "c_nmr", "ir", "ms")).double()
    hidden = torch.randn(1, 12, D, dtype=torch.float64)
    out, report = layer(hidden, torch.tensor([[0, 1, 2, 3, 0, 1, 2, 3, 0, 1, -1, -1]]), 1.0)
    routing = layer.deepspeed_moe.gate(hidden[0], torch.tensor([0, 1, 2, 3, 0, 1, 2, 3, 0, 1, -1, -1]), 1.0)
    experts = layer.deepspeed_moe.experts.weights()
    for t in range(10):
        chosen = routing.index_TK[t].tolist()
        assert len(set(chosen)) == 8
        expected = torch.zeros(D, dtype=torch.float64)
        for e, weight in zip(chosen, routing.weight_TK[t].double()):
            inner = torch.nn.functional.gelu(hidden[0, t] @ experts[e].w1 + experts[e].b1)
            expected += weight * (inner @ experts[e].w2 + experts[e].b2)
        torch.testing.assert_close(out[0, t], expected, rtol=1e-6, atol=1e-9)
    assert report.load_ME.sum() == 80
