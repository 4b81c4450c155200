"""The correctness gate of `kernels.py`: results and every gradient against a loop in float64.

Axes: T tokens, D model width, E experts, K choices.
"""

from collections.abc import Callable, Sequence

import peers
import torch
from mmspec_kernels import ExpertWeights, Pools, PoolSums, sparse_ffn_and_pool
from peers import Layer
from torch import Tensor


def gate(layer: Layer, found: dict[str, Callable[[Layer], Tensor]], pools: Pools) -> bool:
    """Outputs and all gradients of each against the loop in float64; prints what it saw."""
    double = Layer(
        layer.hidden_TD.detach().double().requires_grad_(), layer.index_TK,
        layer.weight_TK.detach().double().requires_grad_(),
        [ExpertWeights(*(t.detach().double().requires_grad_() for t in e)) for e in layer.experts],
    )  # fmt: skip
    grad = torch.randn_like(layer.hidden_TD)
    sums = exact_pools(double, pools)
    goals = [grad, *(torch.randn_like(t, dtype=torch.float32) for t in sums)]
    exact = exact_results([peers.loop(double)], double, [grad])
    exact_pooled = exact_results([peers.loop(double), *sums], double, goals)
    dtype = layer.hidden_TD.dtype
    # Padding and grouping by width add biases in a rounding of their own: four roundings in all.
    limit = (32 if dtype == torch.float32 else 4) * torch.finfo(dtype).eps
    passed = True

    def check(name: str, results: Sequence[Tensor], goals: Sequence[Tensor], exact: Sequence[Tensor]) -> None:
        nonlocal passed
        values = [*results, *torch.autograd.grad(results, layer.leaves(), goals)]
        error = max(
            float(((v.double() - e).norm() / e.norm().clamp_min(1e-12)).detach()) for v, e in zip(values, exact)
        )
        passed &= error <= limit
        verdict = "" if error <= limit else "FAILED"
        print(f"correct: {name:18} largest relative error {error:.2e} of {limit:.2e} {verdict}")

    for name, compute in found.items():
        check(name, [compute(layer)], [grad], exact)
    out, pooled = sparse_ffn_and_pool(layer.hidden_TD, layer.index_TK, layer.weight_TK, layer.experts, pools)
    check("ours with pools", [out, *pooled], goals, exact_pooled)
    return passed


def exact_pools(double: Layer, pools: Pools) -> PoolSums:
    """The sums over pools of the loop's expert outputs."""
    rows_ND, plan = peers.loop_rows(double)
    weight_N = double.weight_TK.flatten()[plan.pair_N]
    place_N = pools.places(plan.used_TK).flatten()[plan.pair_N]
    size = (pools.samples, pools.pools)
    empty = rows_ND.new_zeros(pools.samples * pools.pools, rows_ND.shape[1])
    output = empty.index_add(0, place_N, rows_ND * weight_N[:, None])
    mass = empty[:, 0].index_add(0, place_N, weight_N)
    return PoolSums(output.unflatten(0, size), mass.unflatten(0, size))


def exact_results(results: Sequence[Tensor], double: Layer, goals: Sequence[Tensor]) -> list[Tensor]:
    """Results and gradients in float64."""
    gradients = torch.autograd.grad(results, double.leaves(), [g.double() for g in goals], retain_graph=True)
    return [*results, *gradients]
