"""The router of plain torch: values and every gradient, against autograd on the formulas in float64."""

import itertools
import re
from typing import Any

import pytest
import torch
from mmspec_kernels import NOT_ROUTED, RoutingRule, route, route_by_experts
from torch import Tensor

T, D, E, M, K = 57, 16, 6, 3, 3


def exact(
    hidden: Tensor,
    modality: Tensor,
    weight: Tensor,
    prior: Tensor | None,
    index: Tensor,
    options: dict[str, Any],
) -> tuple[Tensor, Tensor, Tensor]:
    """Weights of the given experts, probabilities and log-sum-exp (equations 3 and 4)."""
    routed = (modality >= 0)[:, None]
    content = hidden if prior is None else hidden + prior[modality.clamp_min(0)]
    logits = content @ weight.T
    scaled = logits / options["temperature"]
    if options["gate"] == "sigmoid":
        affinity = 1 / (1 + torch.exp(-scaled))
        probability = affinity / affinity.sum(1, keepdim=True)
    else:
        affinity = probability = torch.exp(scaled) / torch.exp(scaled).sum(1, keepdim=True)
    chosen = affinity.gather(1, index.clamp_min(0)) * (index >= 0)
    if options["renormalise"]:
        chosen = torch.where(routed, chosen / torch.where(routed, chosen.sum(1, keepdim=True), 1.0), 0.0)
    return chosen, probability * routed, torch.log(torch.exp(logits).sum(1)) * routed[:, 0]


CASES = [
    {"gate": gate, "temperature": tau, "renormalise": again, "dynamic_share": share}
    for gate, tau, again, share in itertools.product(
        ("softmax", "sigmoid"), (1.0, 1.7), (False, True), (0.0, 0.6)
    )
]


@pytest.mark.parametrize("options", CASES, ids=lambda one: " ".join(map(str, one.values())))
@pytest.mark.parametrize("with_prior", [True, False], ids=["prior", "content"])
def test_values_and_gradients(options: dict[str, Any], with_prior: bool) -> None:
    torch.manual_seed(3)
    modality = torch.randint(-1, M, (T,))
    leaves = [torch.randn(T, D), torch.randn(E, D) * 0.5] + [torch.randn(M, D) * 0.5] * with_prior
    found_leaves = [leaf.clone().requires_grad_() for leaf in leaves]
    exact_leaves = [leaf.double().requires_grad_() for leaf in leaves]

    hidden, weight, *prior = found_leaves
    routing = route(hidden, modality, weight, prior[0] if prior else None, RoutingRule(K, **options))
    found = (routing.weight_TK, routing.probability_TE, routing.log_sum_exp_T)
    hidden, weight, *prior = exact_leaves
    expected = exact(hidden, modality, weight, prior[0] if prior else None, routing.index_TK, options)

    assert ((routing.index_TK >= 0).any(1) == (modality >= 0)).all()
    assert (routing.index_TK == NOT_ROUTED).any()
    assert (routing.index_TK >= 0).all(1).any()
    for number, (one, other) in enumerate(zip(found, expected)):
        torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=1e-6)
        # Each result alone, and below all together: those that nobody differentiates get no gradient.
        goal = torch.randn_like(other)
        ours = torch.autograd.grad(one, found_leaves, goal.float(), retain_graph=True, allow_unused=True)
        theirs = torch.autograd.grad(other, exact_leaves, goal, retain_graph=True, allow_unused=True)
        for mine, right in zip(ours, theirs):
            right = torch.zeros_like(mine).double() if right is None else right
            torch.testing.assert_close(mine.double(), right, rtol=1e-4, atol=1e-5, msg=f"result {number}")
    goals = [torch.randn_like(one) for one in expected]
    ours = torch.autograd.grad(found, found_leaves, [goal.float() for goal in goals])
    theirs = torch.autograd.grad(expected, exact_leaves, goals)
    for mine, right in zip(ours, theirs):
        torch.testing.assert_close(mine.double(), right, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rows", [1, M], ids=["for_all", "by_modality"])
def test_a_selection_bias_moves_the_choice_and_no_weight(rows: int) -> None:
    torch.manual_seed(5)
    modality = torch.randint(-1, M, (T,))
    hidden, weight = torch.randn(T, D), torch.randn(E, D)
    bias = torch.randn(rows, E) * 0.3
    routing = route(
        hidden, modality, weight, None, RoutingRule(K), selection_bias=bias[0] if rows == 1 else bias
    )
    probability = torch.softmax(hidden.double() @ weight.double().T, 1)
    for token in range(T):
        if modality[token] < 0:
            assert routing.index_TK[token].tolist() == [NOT_ROUTED] * K
            continue
        score = probability[token] + bias[0 if rows == 1 else int(modality[token])].double()
        chosen = sorted(range(E), key=lambda e: -float(score[e]))[:K]
        assert routing.index_TK[token].tolist() == chosen
        torch.testing.assert_close(
            routing.weight_TK[token].double(), probability[token, chosen], rtol=1e-5, atol=1e-6
        )


def test_a_second_derivative_is_refused() -> None:
    """What the backward pass has kept are constants to autograd."""
    hidden, weight = torch.randn(T, D, requires_grad=True), torch.randn(E, D)
    routing = route(hidden, torch.zeros(T, dtype=torch.int64), weight, None, RoutingRule(K))
    (gradient,) = torch.autograd.grad(routing.weight_TK.square().sum(), hidden, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.square().sum().backward()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize(("tokens", "routed"), [(0, True), (5, False), (5, True)])
def test_odd_inputs(dtype: torch.dtype, tokens: int, routed: bool) -> None:
    """One choice that is renormalised weighs 1, and then only the probabilities have a gradient; gradients have
    the type of what they are of, and padding has none."""
    torch.manual_seed(7)
    hidden = torch.randn(tokens, D).to(dtype).requires_grad_()
    weight, modality = torch.randn(E, D), torch.full((tokens,), 0 if routed else NOT_ROUTED)
    routing = route(hidden, modality, weight, None, RoutingRule(1, renormalise=True))
    assert routing.weight_TK.tolist() == [[float(routed)]] * tokens
    assert (
        routing.counts_E.tolist()
        == torch.bincount(routing.index_TK[routing.index_TK >= 0], minlength=E).tolist()
    )
    goal = torch.randn(tokens, E)
    found = torch.autograd.grad((routing.weight_TK.sum(), (routing.probability_TE * goal).sum()), hidden)[0]
    exact = hidden.detach().double().requires_grad_()
    probability = torch.softmax(exact @ weight.double().T, 1) * routed
    (expected,) = torch.autograd.grad((probability * goal).sum(), exact)
    assert found.dtype == dtype
    tolerance = 1e-2 if dtype == torch.bfloat16 else 1e-5
    torch.testing.assert_close(found.double(), expected, rtol=tolerance, atol=tolerance)
    with torch.no_grad():
        again = route(hidden, modality, weight, None, RoutingRule(1, renormalise=True))
    assert torch.equal(again.probability_TE, routing.probability_TE)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"k": 0}, "k is 0: expected 1 to the number of experts"),
        ({"k": 1, "gate": "relu"}, "gate is 'relu': expected 'softmax' or 'sigmoid'"),
        ({"k": 1, "temperature": 0.0}, "temperature is 0.0: expected a positive number"),
        ({"k": 1, "dynamic_share": 1.5}, "dynamic_share is 1.5: expected 0 to 1"),
    ],
    ids=str,
)
def test_rules_that_cannot_be(values: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        RoutingRule(**values)


def test_a_rule_that_does_not_fit_the_experts() -> None:
    tokens = torch.randn(T, D), torch.zeros(T, dtype=torch.int64), torch.randn(E, D), None
    with pytest.raises(ValueError, match=f"k is {E + 1}: expected 1 to the number of experts, {E}"):
        route(*tokens, RoutingRule(E + 1))
    with pytest.raises(ValueError, match=r"dynamic_share is 0\.5: expected 0 where experts choose"):
        route_by_experts(*tokens, RoutingRule(K, dynamic_share=0.5), samples=1)
