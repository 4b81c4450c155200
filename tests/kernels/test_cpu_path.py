"""The path of plain torch: against float64 by the formula, and the choice between paths."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from mmspec_kernels import (
    Experts,
    ExpertWeights,
    Pools,
    RoutingRule,
    combine,
    combine_and_pool,
    dispatch,
    expert_ffn,
    gather,
    route,
    sparse_ffn,
    sparse_ffn_and_pool,
    stack,
)
from mmspec_kernels import cpu_experts as cpu_experts_module
from torch import Tensor

WIDTHS = (80, 32, 128)


def make(widths: Sequence[int] = WIDTHS, d_model: int = 32, gated: bool = False) -> list[ExpertWeights]:
    scale = 2 if gated else 1
    shapes = [((d_model, w * scale), (w * scale,), (w, d_model), (d_model,)) for w in widths]
    return [ExpertWeights(*((torch.randn(s) * 0.3).requires_grad_() for s in expert)) for expert in shapes]


def exact_layer(x: Tensor, index: Tensor, weight: Tensor, experts: list[ExpertWeights], gated: bool) -> Tensor:
    """sum_k weight * FFN(x), every expert on every token."""
    outputs = []
    for e in experts:
        pre = x @ e.w1 + e.b1
        if gated:
            gate, value = pre.chunk(2, -1)
            act = gate / (1 + torch.exp(-gate)) * value
        else:
            act = 0.5 * pre * (1 + torch.erf(pre / 2**0.5))
        outputs.append(act @ e.w2 + e.b2)
    chosen = torch.stack(outputs)[index.clamp_min(0), torch.arange(len(x))[:, None]]
    return (chosen * (weight * (index >= 0))[..., None]).sum(1)


def exact_pools(
    x: Tensor, index: Tensor, weight: Tensor, experts: list[ExpertWeights], pools: Pools
) -> tuple[Tensor, Tensor]:
    """Sums over pools of weighted outputs and of weights, one pool at a time."""
    sample = (torch.arange(len(x)) // (len(x) // pools.samples))[:, None]
    outputs, masses = [], []
    for b in range(pools.samples):
        for p in range(pools.pools):
            here = (sample == b) & (pools.pool_TK == p) & (index >= 0)
            outputs.append(exact_layer(x, index.masked_fill(~here, -1), weight, experts, False).sum(0))
            masses.append((weight * here).sum())
    size = (pools.samples, pools.pools)
    return torch.stack(outputs).unflatten(0, size), torch.stack(masses).unflatten(0, size)


def assert_close(found: Tensor, exact: Tensor, what: str) -> None:
    error = (found.double() - exact).norm() / exact.norm().clamp_min(1e-6)
    assert error <= 16 * torch.finfo(torch.float32).eps, f"{what}: {float(error):.2e}"


@pytest.mark.parametrize("recompute", [False, True], ids=["kept", "recomputed"])
@pytest.mark.parametrize("gated", [False, True], ids=["gelu", "swiglu"])
@pytest.mark.parametrize("block", [4, 1024], ids=["many_blocks", "one_block"])
def test_layer_and_all_gradients(
    block: int, gated: bool, recompute: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu_experts_module, "BLOCK_ROWS", block)
    torch.manual_seed(0)
    index = torch.rand(29, 3).topk(2, 1).indices
    index[3], index[11, 1] = -1, -1
    x, weight = torch.randn(29, 32).requires_grad_(), torch.rand(29, 2).requires_grad_()
    experts, grad = make(gated=gated), torch.randn(29, 32)
    kind = "swiglu" if gated else "gelu"
    out = sparse_ffn(x, index, weight, experts, activation=kind, recompute=recompute)
    leaves = [x, weight, *(t for e in experts for t in e)]
    found = torch.autograd.grad(out, leaves, grad)
    doubles = [t.detach().double().requires_grad_() for t in leaves]
    experts64 = [ExpertWeights(*doubles[i : i + 4]) for i in range(2, len(doubles), 4)]
    out64 = exact_layer(doubles[0], index, doubles[1], experts64, gated)
    assert_close(out, out64, "output")
    for i, (gradient, exact) in enumerate(zip(found, torch.autograd.grad(out64, doubles, grad.double()))):
        assert_close(gradient, exact, f"gradient {i}")


@pytest.mark.parametrize("apart", [False, True], ids=["in_one", "rows_apart"])
def test_pool_sums_and_all_gradients(apart: bool) -> None:
    torch.manual_seed(5)
    index = torch.rand(28, 3).topk(2, 1).indices
    index[3], index[11, 1] = -1, -1
    pools = Pools(torch.randint(0, 5, (28, 2)), samples=4, pools=5)
    x, weight = torch.randn(28, 32).requires_grad_(), torch.rand(28, 2).requires_grad_()
    experts, leaves = make(), [x, weight]
    leaves += [t for e in experts for t in e]
    goals = torch.randn(28, 32), torch.randn(4, 5, 32), torch.randn(4, 5)
    if apart:
        plan = dispatch(index, 3)
        rows = expert_ffn(gather(x, plan), plan.counts_E.tolist(), experts)
        out, sums = combine_and_pool(rows, weight, plan, pools)
    else:
        out, sums = sparse_ffn_and_pool(x, index, weight, experts, pools)
    assert torch.equal(out, sparse_ffn(x, index, weight, experts))
    found = torch.autograd.grad([out, *sums], leaves, goals)

    doubles = [t.detach().double().requires_grad_() for t in leaves]
    experts64 = [ExpertWeights(*doubles[i : i + 4]) for i in range(2, len(doubles), 4)]
    out64 = exact_layer(doubles[0], index, doubles[1], experts64, False)
    sums64 = exact_pools(doubles[0], index, doubles[1], experts64, pools)
    exact = torch.autograd.grad([out64, *sums64], doubles, [g.double() for g in goals])
    assert_close(sums.output_BPD, sums64[0], "sums of outputs")
    assert_close(sums.weight_BP, sums64[1], "sums of weights")
    for i, (gradient, gradient64) in enumerate(zip(found, exact)):
        assert_close(gradient, gradient64, f"gradient {i}")


def test_samples_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="5 tokens are not 2 samples of equal length"):
        Pools(torch.zeros(5, 1, dtype=torch.int64), samples=2, pools=1).places(torch.ones(5, 1).bool())


def test_an_expert_without_tokens_has_a_gradient_of_zero() -> None:
    torch.manual_seed(1)
    experts, x = make(), torch.randn(5, 32).requires_grad_()
    sparse_ffn(x, torch.full((5, 1), 2), torch.ones(5, 1), experts).sum().backward()
    assert all(t.grad is not None for e in experts for t in e)
    assert float(sum(t.grad.abs().sum() for e in experts[:2] for t in e)) == 0.0
    assert float(experts[2].w1.grad.abs().sum()) > 0


@pytest.mark.parametrize("tokens", [0, 4])
def test_no_token_is_routed(tokens: int) -> None:
    experts, x = make(), torch.randn(tokens, 32).requires_grad_()
    out = sparse_ffn(x, torch.full((tokens, 2), -1), torch.zeros(tokens, 2), experts)
    out.sum().backward()
    assert torch.equal(out, torch.zeros(tokens, 32))
    assert torch.equal(x.grad, torch.zeros(tokens, 32))
    assert all(float(t.grad.abs().sum()) == 0.0 for e in experts for t in e)


def test_split_operations_compose_to_the_layer() -> None:
    torch.manual_seed(2)
    experts, x, weight = make(), torch.randn(9, 32), torch.rand(9, 2)
    index = torch.rand(9, 3).topk(2, 1).indices
    plan = dispatch(index, 3)
    rows = expert_ffn(gather(x, plan), plan.counts_E.tolist(), experts)
    assert torch.equal(combine(rows, weight, plan), sparse_ffn(x, index, weight, experts))


def test_autocast_computes_in_its_dtype() -> None:
    torch.manual_seed(3)
    experts, x = make(), torch.randn(9, 32).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        out = sparse_ffn(x, torch.zeros(9, 1, dtype=torch.int64), torch.ones(9, 1), experts)
    assert out.dtype == torch.bfloat16
    out.float().sum().backward()
    assert x.grad.dtype == torch.float32
    assert experts[0].w1.grad.dtype == torch.float32


def test_route_counts_the_pairs_of_each_expert() -> None:
    torch.manual_seed(4)
    rule = RoutingRule(2, dynamic_share=0.5)
    routing = route(torch.randn(30, 8), torch.randint(-1, 2, (30,)), torch.randn(4, 8), None, rule)
    expected = [int((routing.index_TK == e).sum()) for e in range(4)]
    assert routing.counts_E.tolist() == expected
    assert 0 < sum(expected) < 60


def test_misuse_is_named() -> None:
    x, index, weight = torch.randn(2, 32), torch.zeros(2, 1, dtype=torch.int64), torch.ones(2, 1)
    with pytest.raises(ValueError, match="backend is 'cuda'"):
        sparse_ffn(x, index, weight, make(), backend="cuda")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="activation is 'relu'"):
        sparse_ffn(x, index, weight, make(), activation="relu")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expert 0 has shapes"):
        sparse_ffn(x, index, weight, make(), activation="swiglu")
    with pytest.raises(ValueError, match="activation is 'relu'"):
        sparse_ffn(x, index, weight, stack(make()), activation="relu")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="stacked experts have shapes"):
        sparse_ffn(x, index, weight, stack(make()), activation="swiglu")
    with pytest.raises(ValueError, match="do not agree"):
        expert_ffn(x, [1, 0, 0], make())


def test_the_package_works_without_triton() -> None:
    """In a fresh process where importing triton fails."""
    code = (
        "import sys; sys.modules['triton'] = None\n"
        "import torch, mmspec_kernels as mk\n"
        "e = [mk.ExpertWeights(torch.ones(16, 16), torch.zeros(16), torch.ones(16, 16), torch.zeros(16))]\n"
        "out = mk.sparse_ffn(torch.ones(1, 16), torch.zeros(1, 1, dtype=torch.int64), torch.ones(1, 1), e)\n"
        "assert float(out[0, 0]) == 256.0, out\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2] / "kernels")}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


@pytest.mark.parametrize("gated", [False, True], ids=["gelu", "swiglu"])
@pytest.mark.parametrize("pooled", [False, True], ids=["mixed", "pooled"])
def test_stacked_weights_give_what_a_list_gives(gated: bool, pooled: bool) -> None:
    torch.manual_seed(9)
    index = torch.rand(28, 3).topk(2, 1).indices
    index[index == 2] = 0  # an expert without rows
    index[3], index[11, 1] = -1, -1
    x, weight, experts = torch.randn(28, 32), torch.rand(28, 2), make(gated=gated)
    stacked, kind = stack(experts), "swiglu" if gated else "gelu"
    assert all(torch.equal(a, b) for one, two in zip(stacked.apart(), experts) for a, b in zip(one, two))
    pools = Pools(torch.randint(0, 5, (28, 2)), samples=4, pools=5)

    def results(weights: Experts) -> list[Tensor]:
        if not pooled:
            return [sparse_ffn(x, index, weight, weights, activation=kind)]
        out, sums = sparse_ffn_and_pool(x, index, weight, weights, pools, activation=kind)
        return [out, *sums]

    ours, theirs = results(stacked), results(experts)
    goals = [torch.randn_like(one) for one in theirs]
    leaves = [t for e in experts for t in e]
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
    # Through `stack` the gradients arrive at the list that was stacked.
    for one, other in zip(torch.autograd.grad(ours, leaves, goals), torch.autograd.grad(theirs, leaves, goals)):
        assert torch.equal(one, other)
