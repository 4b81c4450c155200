"""The layer's output and all its gradients against a loop over tokens in float64."""

import math
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from mmspec_ds.moe.capacity import keep_within_capacity
from mmspec_ds.moe.expert_settings import ExpertSettings, MoESettings
from mmspec_ds.moe.experts import physical_order
from mmspec_ds.moe.layer import SparseFeedForward
from tests.moe.layer_checks import named_gradients

D, MODALITIES = 8, ("a", "b", "c")
EXPERTS = (
    ExpertSettings(family="shared", width=32),
    ExpertSettings(family="modality", width=16, modalities=("a",)),
    ExpertSettings(family="modality", width=48, modalities=("b", "c")),
    ExpertSettings(family="interaction", width=16),
)
# Two samples of five places, the last places padding; modality 2 occurs once.
MODALITY_BS = torch.tensor([[0, 0, 1, 1, -1], [0, 1, 2, -1, -1]])

VARIANTS: dict[str, dict[str, Any]] = {
    "dropless": {},
    "renormalised": {"renormalise": True},
    "dynamic": {"dynamic_share": 0.85},
    "content only": {"tag_routing": False, "router_aware": False},
    "k 1": {"k": 1},
    "k 4": {"k": 4},
    "capacity": {"mode": "capacity", "capacity_factor": 0.6},
    "selection bias": {"selection_bias_rate": 0.5},
    "selection bias by modality": {"selection_bias_rate": 0.5, "selection_bias_by": "modality"},
    "sigmoid": {"gate": "sigmoid", "selection_bias_rate": 0.5},
    "sigmoid, renormalised, dynamic": {"gate": "sigmoid", "renormalise": True, "dynamic_share": 0.8, "k": 3},
    "always on": {"always_on": 32, "renormalise": True},
}


def make_layer(**settings: object) -> SparseFeedForward:
    torch.manual_seed(1)
    layer = SparseFeedForward(
        D, MoESettings.model_validate({"experts": EXPERTS, **settings}), MODALITIES, structure_margin=1.0
    )
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
        bias = torch.tensor([0.0, 0.4, -0.2, 0.1])
        if layer.settings.selection_bias_by == "modality":
            bias = torch.stack([bias, -bias, bias.flip(0)])
        layer.deepspeed_moe.gate.selection_bias.copy_(bias)
    return layer


def plain_forward(layer: SparseFeedForward, p: dict[str, Tensor], hidden: Tensor, tau: float) -> Tensor:
    """One token at a time, one expert at a time."""
    s, gate = layer.settings, "deepspeed_moe.gate."
    out = torch.zeros_like(hidden.flatten(0, 1))
    chosen: list[list[int]] = []
    weights: list[list[Tensor]] = []
    for h, m in zip(hidden.flatten(0, 1), MODALITY_BS.flatten().tolist()):
        if m < 0:
            chosen.append([-1] * s.k)
            weights.append([])
            continue
        seen = h
        for name in ("tag", "bias"):
            if gate + name in p:
                seen = seen + p[gate + name][m]
        odds = (p[gate + "wg.weight"] @ seen / tau).exp()
        probability = odds / (1 + odds) if s.gate == "sigmoid" else odds / odds.sum()
        score = probability.detach().clone()
        if s.selection_bias_rate:
            bias = layer.deepspeed_moe.gate.selection_bias
            score += bias[m] if s.selection_bias_by == "modality" else bias
        best = sorted(range(len(EXPERTS)), key=lambda e: -float(score[e]))[: s.k]
        floor = s.dynamic_share * float(probability.detach()[best[0]])
        best = [e for i, e in enumerate(best) if i == 0 or float(probability.detach()[e]) >= floor]
        total = sum(probability[e] for e in best) if s.renormalise else 1.0
        chosen.append(best + [-1] * (s.k - len(best)))
        weights.append([probability[e] / total for e in best])
    if s.mode == "capacity":
        kept = keep_within_capacity(torch.tensor(chosen), len(EXPERTS), s.capacity_factor).tolist()
        assert kept != chosen, "the example must drop something"
    else:
        kept = chosen

    def network(h: Tensor, name: str) -> Tensor:
        w1, b1, w2, b2 = (p[f"{name}.{n}"] for n in ("w1", "b1", "w2", "b2"))
        inner = h @ w1 + b1
        return 0.5 * inner * (1 + torch.erf(inner / math.sqrt(2))) @ w2 + b2

    for t, h in enumerate(hidden.flatten(0, 1)):
        for e, weight in zip(kept[t], weights[t]):
            if e >= 0:
                out[t] = out[t] + weight * network(h, f"deepspeed_moe.experts.deepspeed_experts.{e}")
        if s.always_on:
            out[t] = out[t] + network(h, "always_on")
    return out.view_as(hidden)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@pytest.mark.parametrize("tau", [1.0, 1.7])
def test_output_and_all_gradients(variant: str, tau: float) -> None:
    layer = make_layer(**VARIANTS[variant])
    source = torch.Generator().manual_seed(2)
    hidden = torch.randn(2, 5, D, generator=source, requires_grad=True)
    goal = torch.randn(2, 5, D, generator=source)
    out, _ = layer(hidden, MODALITY_BS, tau)
    (out * goal).sum().backward()

    buffers = {name for name, _ in layer.named_buffers()}
    wide = {n: v.double().requires_grad_() for n, v in layer.state_dict().items() if n not in buffers}
    wide_hidden = hidden.detach().double().requires_grad_()
    expected = plain_forward(layer, wide, wide_hidden, tau)
    (expected * goal.double()).sum().backward()

    close: dict[str, Any] = {"rtol": 1e-4, "atol": 2e-5}
    torch.testing.assert_close(out.double(), expected, **close)
    assert layer.settings.always_on or torch.count_nonzero(out[MODALITY_BS < 0]) == 0
    assert hidden.grad is not None
    torch.testing.assert_close(hidden.grad.double(), wide_hidden.grad, **close)
    for name, gradient in named_gradients(layer).items():
        ours = wide[name].grad
        reference = torch.zeros_like(wide[name]) if ours is None else ours
        torch.testing.assert_close(gradient.double(), reference, **close, msg=lambda m: f"{name}: {m}")  # noqa: B023


def gradients(layer: nn.Module, hidden: Tensor, modality: Tensor) -> dict[str, Tensor]:
    out, report = layer(hidden, modality, 1.0)
    (out.square().sum() + report.importance_ME.sum() + report.agreement + report.separation).backward()
    return named_gradients(layer)


def test_no_two_gradients_share_memory() -> None:
    # Clipping scales gradients in place: shared ones would be scaled twice.
    layer = make_layer()
    gradients(layer, torch.randn(2, 5, D), MODALITY_BS)
    found = [cast(Tensor, parameter.grad) for parameter in layer.parameters()]
    assert len({gradient.untyped_storage().data_ptr() for gradient in found}) == len(found) == 7


def test_all_tokens_on_one_expert_leave_the_others_a_gradient_of_zero() -> None:
    layer = make_layer(k=1, selection_bias_rate=1.0)
    layer.deepspeed_moe.gate.selection_bias.copy_(torch.tensor([0.0, 9.0, 0.0, 0.0]))
    found = gradients(layer, torch.randn(2, 5, D), MODALITY_BS)
    for name, gradient in found.items():
        expert = name.split("deepspeed_experts.")[-1].split(".")[0] if "deepspeed_experts" in name else "1"
        assert (torch.count_nonzero(gradient) > 0) == (expert == "1"), name


def test_a_batch_of_padding_gives_zeros_and_gradients_of_zero() -> None:
    layer = make_layer()
    hidden = torch.randn(1, 3, D, requires_grad=True)
    padding = torch.full((1, 3), -1)
    assert torch.count_nonzero(layer(hidden, padding, 1.0)[0]) == 0
    for name, gradient in gradients(layer, hidden, padding).items():
        assert gradient is not None, name
        assert torch.count_nonzero(gradient) == 0, name


def test_padding_changes_nothing() -> None:
    layer = make_layer(mode="capacity", capacity_factor=0.8)
    hidden = torch.randn(2, 5, D)
    out, report = layer(hidden, MODALITY_BS, 1.0)
    wider = torch.nn.functional.pad(hidden, (0, 0, 0, 3), value=7.0)
    wider_out, wider_report = layer(wider, torch.nn.functional.pad(MODALITY_BS, (0, 3), value=-1), 1.0)
    torch.testing.assert_close(wider_out[:, :5], out, rtol=1e-6, atol=1e-6)
    for name in report.__dataclass_fields__:
        torch.testing.assert_close(getattr(wider_report, name), getattr(report, name), rtol=1e-5, atol=1e-6)


def test_the_layers_structure_is_that_of_its_experts_outputs() -> None:
    # k is all experts, so the pooled output of an expert for a modality is a plain weighted mean.
    layer = make_layer(k=4)
    hidden = torch.randn(2, 5, D)
    order = physical_order(EXPERTS)
    _, report = layer(hidden, MODALITY_BS, 1.0)
    with torch.no_grad():
        p = layer.deepspeed_moe.gate(hidden.flatten(0, 1), MODALITY_BS.flatten(), 1.0).probability_TE.view(
            2, 5, 4
        )
        agreement, count, shortfall, pairs = 0.0, 0, 0.0, 0
        for e, spec in enumerate(order):
            w = layer.deepspeed_moe.experts.weights()[e]
            outputs = torch.nn.functional.gelu(hidden @ w.w1 + w.b1) @ w.w2 + w.b2
            for b in range(2):
                mean = {}
                for group in ((0,), (1,), (2,), (1, 2), (0, 2), (0, 1)):
                    here = torch.isin(MODALITY_BS[b], torch.tensor(group))
                    if here.any():
                        weight = p[b, here, e]
                        mean[group] = (outputs[b, here] * weight[:, None]).sum(0) / weight.sum()
                if spec.family == "shared":
                    for one, two in (((0,), (1,)), ((0,), (2,)), ((1,), (2,))):
                        if one in mean and two in mean:
                            agreement += float((mean[one] - mean[two]).square().sum())
                            count += 1
                elif spec.family == "modality":
                    inside, outside = ((0,), (1, 2)) if spec.modalities == ("a",) else ((1, 2), (0,))
                    shortfall += max(0.0, 1 - float((mean[inside] - mean[outside]).norm()))
                    pairs += 1
    assert (count, pairs) == (4, 4)
    assert report.agreement.item() == pytest.approx(agreement, rel=1e-4)
    assert report.separation.item() == pytest.approx(shortfall, rel=1e-4, abs=1e-6)
    assert (report.agreement_count.item(), report.separation_count.item()) == (4, 4)


def test_without_a_margin_and_in_evaluation_there_are_no_structural_sums() -> None:
    layer = make_layer().eval()
    _, report = layer(torch.randn(2, 5, D), MODALITY_BS, 1.0)
    assert report.agreement_count.item() == report.separation_count.item() == 0


def test_state_keys_name_experts_by_number() -> None:
    keys = list(make_layer().state_dict())
    assert sorted(k for k in keys if "experts" not in k) == [
        "deepspeed_moe.gate.bias",
        "deepspeed_moe.gate.selection_bias",
        "deepspeed_moe.gate.tag",
        "deepspeed_moe.gate.wg.weight",
    ]
    assert [k for k in keys if k.endswith("w1")] == [
        f"deepspeed_moe.experts.deepspeed_experts.{i}.w1" for i in range(4)
    ]


def test_rebalance_moves_the_bias_only_when_asked_to() -> None:
    for rate, moved in ((0.0, 0.0), (0.25, 0.25)):
        layer = make_layer(selection_bias_rate=rate)
        before = layer.deepspeed_moe.gate.selection_bias.clone()
        _, report = layer(torch.randn(2, 5, D), MODALITY_BS, 1.0)
        layer.rebalance(report)
        load = report.load_ME.sum(0)
        change = layer.deepspeed_moe.gate.selection_bias - before
        assert change.tolist() == pytest.approx((moved * torch.sign(load.mean() - load)).tolist())
