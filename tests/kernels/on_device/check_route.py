"""Routing on a device: choices, weights, probabilities and gradients against float64."""

from typing import Any

import pytest
import torch
from exact import assert_near
from mmspec_kernels import NOT_ROUTED, GateFunction, Routing, RoutingRule, route, route_by_experts
from torch import Tensor

SEEDED = torch.Generator().manual_seed(7)
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {"k": 2},
    "one_choice": {"k": 1, "temperature": 0.7},
    "renormalised": {"k": 3, "renormalise": True, "temperature": 2.0},
    "dynamic": {"k": 4, "dynamic_share": 0.5},
    "dynamic_renormalised": {"k": 3, "dynamic_share": 0.6, "renormalise": True},
    "selection_bias": {"k": 2, "selection_bias": torch.tensor([0.0, 0.3, -0.2, 0.1, 0.05])},
    "selection_bias_by_modality": {"k": 2, "selection_bias": torch.randn(4, 5, generator=SEEDED) * 0.3},
    "without_prior": {"k": 2},
    "sigmoid": {"k": 2, "gate": "sigmoid", "temperature": 1.7},
    "sigmoid_renormalised": {"k": 3, "gate": "sigmoid", "renormalise": True},
    "sigmoid_dynamic_biased": {
        "k": 4, "gate": "sigmoid", "renormalise": True, "dynamic_share": 0.7,
        "selection_bias": torch.randn(4, 5, generator=SEEDED) * 0.3,
    },
    "sixteen_of_thirty_two": {"k": 16, "experts": 32, "gate": "sigmoid", "renormalise": True},
    "eight_of_thirty_two": {"k": 8, "experts": 32, "renormalise": True},
}  # fmt: skip


def scalar(routing: Routing, seed: Tensor) -> Tensor:
    """One number in which every differentiable output has a part of its own."""
    return (
        (routing.weight_TK * seed[: routing.weight_TK.shape[1]]).sum()
        + (routing.probability_TE.square() * seed[: routing.probability_TE.shape[1]]).sum()
        + routing.log_sum_exp_T.square().sum() * 0.1
    )


def exact_route(
    x: Tensor, modality: Tensor, weight: Tensor, prior: Tensor | None, found: Routing, rule: RoutingRule
) -> Routing:
    """The equations in float64, with the experts that were found (a tie may be broken either way)."""
    routed = modality != NOT_ROUTED
    content = x if prior is None else x + prior[modality.clamp_min(0)]
    logits = content @ weight.T
    scaled = logits / rule.temperature
    if rule.sigmoid:
        affinity = 1 / (1 + torch.exp(-scaled))
        probability = affinity / affinity.sum(1, keepdim=True)
    else:
        affinity = probability = torch.softmax(scaled, 1)
    probability = probability * routed[:, None]
    used = found.index_TK >= 0
    chosen = affinity.gather(1, found.index_TK.clamp_min(0)) * used
    if rule.renormalise:
        chosen = chosen / chosen.sum(1, keepdim=True).clamp_min(1e-38)
    return Routing(found.index_TK, chosen, probability, torch.logsumexp(logits, 1) * routed, found.counts_E)


@pytest.mark.parametrize("name", OPTIONS)
def test_route_and_all_gradients(name: str, dtype: torch.dtype, device: torch.device) -> None:
    torch.manual_seed(0)
    options = dict(OPTIONS[name])
    experts = options.pop("experts", 5)
    bias = options.pop("selection_bias", None)
    bias = None if bias is None else bias.to(device)
    rule = RoutingRule(**options)
    x = torch.randn(71, 80, device=device).to(dtype).requires_grad_()
    modality = torch.randint(-1, 4, (71,), device=device)
    weight = (torch.randn(experts, 80, device=device) * 0.2).requires_grad_()
    prior = torch.randn(4, 80, device=device).requires_grad_() if name != "without_prior" else None
    inputs = [x, weight] if prior is None else [x, weight, prior]
    seed = torch.randn(experts, device=device)
    found = route(x, modality, weight, prior, rule, selection_bias=bias, backend="triton")
    gradients = torch.autograd.grad(scalar(found, seed), inputs)

    plain = route(x.detach(), modality, weight, prior, rule, selection_bias=bias, backend="reference")
    assert torch.equal(found.index_TK, plain.index_TK)
    assert torch.equal(found.counts_E, plain.counts_E)

    inputs64 = [t.detach().double().requires_grad_() for t in inputs]
    x64, weight64, *rest = inputs64
    exact = exact_route(x64, modality, weight64, rest[0] if rest else None, found, rule)
    exact_gradients = torch.autograd.grad(scalar(exact, seed.double()), inputs64)
    for field in ("weight_TK", "probability_TE", "log_sum_exp_T"):
        assert_near(getattr(found, field), getattr(exact, field), torch.float32, field)
    # The gradient of x is rounded to its dtype; all else is float32.
    kinds = (dtype, torch.float32, torch.float32)
    for what, kind, gradient, gradient64 in zip(("x", "weight", "prior"), kinds, gradients, exact_gradients):
        assert_near(gradient, gradient64, kind, f"gradient of {what}")


def test_sigmoid_gates_far_below_zero(device: torch.device) -> None:
    """Where affinities are too small for float32 their shares of the sum are not."""
    torch.manual_seed(2)
    x = -10 * torch.ones(9, 16, device=device) + 0.1 * torch.randn(9, 16, device=device)
    weight = (0.7 + 0.02 * torch.randn(5, 16, device=device)).requires_grad_()
    x.requires_grad_()
    modality, seed = torch.zeros(9, dtype=torch.int64, device=device), torch.randn(5, device=device)
    found = route(x, modality, weight, None, RoutingRule(2, gate="sigmoid"), backend="triton")
    gradients = torch.autograd.grad((found.probability_TE.square() * seed).sum(), (x, weight))

    x64, weight64 = (t.detach().double().requires_grad_() for t in (x, weight))
    logits = x64 @ weight64.T
    assert float(logits.detach().max()) < -90
    affinity = 1 / (1 + torch.exp(-logits))
    probability = affinity / affinity.sum(1, keepdim=True)
    exact = torch.autograd.grad((probability.square() * seed.double()).sum(), (x64, weight64))
    # A logit of -110 is known to 1e-5 in float32, and so is the logarithm of a probability.
    torch.testing.assert_close(found.probability_TE.double(), probability, rtol=3e-5, atol=1e-6)
    for ours, gradient in zip(gradients, exact):
        torch.testing.assert_close(ours.double(), gradient, rtol=1e-3, atol=1e-4)


def test_only_padding(device: torch.device) -> None:
    modality = torch.full((3,), NOT_ROUTED, device=device)
    x, weight = torch.randn(3, 32, device=device), torch.randn(4, 32, device=device)
    routing = route(x, modality, weight, None, RoutingRule(2), backend="triton")
    assert routing.index_TK.tolist() == [[-1, -1]] * 3
    assert float(routing.weight_TK.abs().sum() + routing.probability_TE.abs().sum()) == 0.0
    assert routing.counts_E.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("gate", ["softmax", "sigmoid"])
def test_experts_that_choose(gate: GateFunction, device: torch.device) -> None:
    torch.manual_seed(3)
    x = torch.randn(24, 48, device=device)
    modality = torch.randint(-1, 3, (24,), device=device)
    weight, prior = torch.randn(5, 48, device=device) * 0.2, torch.randn(3, 48, device=device)
    seed = torch.randn(5, device=device)
    found, gradients = [], []
    for backend in ("triton", "reference"):
        inputs = [t.clone().requires_grad_() for t in (x, weight, prior)]
        rule = RoutingRule(2, gate=gate, renormalise=True)
        routing = route_by_experts(inputs[0], modality, *inputs[1:], rule, samples=3, backend=backend)
        found.append(routing)
        gradients.append(torch.autograd.grad(scalar(routing, seed), inputs))
    assert torch.equal(found[0].index_TK, found[1].index_TK)
    assert torch.equal(found[0].counts_E, found[1].counts_E)
    torch.testing.assert_close(found[0].weight_TK, found[1].weight_TK, rtol=1e-5, atol=1e-6)
    for ours, plain in zip(*gradients, strict=True):
        assert_near(ours, plain.double(), torch.float32, "gradient")
