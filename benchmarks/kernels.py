"""Microbenchmarks of the sparse layer and its peers: correctness first, then interleaved medians.

    PYTHONPATH=.:kernels python benchmarks/kernels.py --shape paper-4096 --threads 2

In "layer training" the contestant "ours" is what a training runs with objective.structure above 0, the default,
and no expert parallelism: router, experts, combination and the sums of the structural loss. "ours, no
structure" leaves the sums out.

Prints a table and appends it to benchmarks/results/results.csv. On a GPU the shapes `paper`, `large` and
`decode-64` are the ones of interest; on a CPU `paper-4096`.

Axes: T tokens, D model width, F expert width, E experts, K choices, M modalities.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import peers
import runner
import torch
from mmspec_kernels import (
    ExpertWeights,
    Pools,
    PoolSums,
    combine,
    combine_and_pool,
    dispatch,
    gather,
    route,
    sparse_ffn_and_pool,
)
from peers import Layer
from runner import Cost, Row, Work
from torch import Tensor

from mmspec_ds.moe.structure import StructuralSums


@dataclass(frozen=True)
class Shape:
    """A sparse layer's sizes; the tokens are those of `samples` molecules."""

    tokens: int
    samples: int
    d_model: int
    widths: tuple[int, ...]
    k: int = 2


SHAPES = {
    "paper": Shape(64 * 1280, 64, 512, (2048, 512) * 4),
    "paper-4096": Shape(4096, 16, 512, (2048, 512) * 4),
    "large": Shape(65536, 64, 2048, (8192, 2048) * 32),
    "decode-1": Shape(1, 1, 512, (2048, 512) * 4),
    "decode-64": Shape(64, 1, 512, (2048, 512) * 4),
    "tiny": Shape(96, 4, 64, (128, 32) * 2),
}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


MODALITIES = 4


def make_structure(shape: Shape, device: torch.device) -> StructuralSums:
    """The structural sums of the paper's families, in turn: shared, two modality families, interaction."""
    family = torch.arange(len(shape.widths)) * 4 // len(shape.widths)
    serves_EM = torch.stack([(family == 1 + m // 2) for m in range(MODALITIES)], 1)
    return StructuralSums(serves_EM, family == 0, margin=1.0).to(device)


def make_layer(shape: Shape, dtype: torch.dtype, device: torch.device) -> tuple[Layer, Tensor, Tensor, Tensor]:
    """A layer routed at random by a router, with the router's weight, prior and the modalities."""
    torch.manual_seed(0)

    def parameter(*size: int, scale: float = 1.0) -> Tensor:
        return (torch.randn(size, device=device) * scale).to(dtype).requires_grad_()

    experts = [
        ExpertWeights(
            parameter(shape.d_model, width, scale=shape.d_model**-0.5), parameter(width, scale=0.1),
            parameter(width, shape.d_model, scale=width**-0.5), parameter(shape.d_model, scale=0.1),
        )
        for width in shape.widths
    ]  # fmt: skip
    hidden = parameter(shape.tokens, shape.d_model)
    router = torch.randn(len(experts), shape.d_model, device=device).mul_(0.02).requires_grad_()
    prior = torch.randn(MODALITIES, shape.d_model, device=device).mul_(0.02).requires_grad_()
    modality = torch.randint(0, MODALITIES, (shape.tokens,), device=device)
    routing = route(hidden, modality, router, prior, k=shape.k)
    weight = routing.weight_TK.detach().requires_grad_()
    return Layer(hidden, routing.index_TK, weight, experts), router, prior, modality


def expert_cost(layer: Layer, *, backward: bool) -> Cost:
    """Two products per row forward, four backward. Bytes: tokens, the weights of the experts that are used and
    outputs once each; for training the weights twice and every gradient, and the pre-activations written and
    read."""
    d_model, item = layer.hidden_TD.shape[1], layer.hidden_TD.element_size()
    widths = torch.tensor([len(e.w2) for e in layer.experts], device=layer.index_TK.device)
    index = layer.index_TK[layer.index_TK >= 0]
    hidden = float(widths[index].sum())
    sizes = [sum(t.numel() for t in e) for e in layer.experts]
    read = sum(sizes[number] for number in index.unique().tolist())
    flop = 4.0 * hidden * d_model
    if not backward:
        return Cost(flop, item * (2 * layer.hidden_TD.numel() + read))
    moved = 5 * layer.hidden_TD.numel() + 2 * read + sum(sizes) + 2 * hidden
    return Cost(3 * flop, item * moved)


def equal_cost(layer: Layer, shape: Shape, experts: int, rows: float) -> Cost:
    """Training of `experts` networks of the largest width on `rows` rows, counted as in `expert_cost`."""
    item, width = layer.hidden_TD.element_size(), max(shape.widths)
    weights = experts * (2 * shape.d_model * width + width + shape.d_model)
    moved = 5 * layer.hidden_TD.numel() + 3 * weights + 2 * rows * width
    return Cost(12.0 * rows * shape.d_model * width, item * moved)


def contestants(layer: Layer) -> dict[str, Callable[[Layer], Tensor]]:
    """All that compute this layer; those that cannot run here are named and left out."""
    every = {
        "ours": peers.ours,
        "loop": peers.loop,
        "padded grouped_mm": peers.padded,
        "grouped by width": peers.by_width,
    }
    found = {}
    for name, compute in every.items():
        try:
            compute(layer).backward(torch.randn_like(layer.hidden_TD))
            found[name] = compute
        except (RuntimeError, NotImplementedError, AttributeError) as error:
            print(f"left out: {name}: {str(error).splitlines()[0]}")
    return found


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


def step(compute: Callable[[], Tensor | Sequence[Tensor]], leaves: Sequence[Tensor]) -> Work:
    """Work that computes results and their gradients."""

    def results() -> list[Tensor]:
        found = compute()
        return [found] if isinstance(found, Tensor) else list(found)

    grads = [torch.randn_like(result) for result in results()]

    def work() -> None:
        torch.autograd.grad(results(), leaves, grads)

    return work


def quietly(compute: Callable[[], object]) -> Work:
    """Forward without autograd."""

    def work() -> None:
        with torch.no_grad():
            compute()

    return work


def part_works(
    layer: Layer, router: Tensor, prior: Tensor, modality: Tensor, pools: Pools
) -> dict[str, tuple[Work, Cost]]:
    """Route, dispatch and combine, each alone."""
    (tokens, d_model), item = layer.hidden_TD.shape, layer.hidden_TD.element_size()
    k, experts = layer.index_TK.shape[1], len(layer.experts)
    plan = dispatch(layer.index_TK, experts)
    rows = gather(layer.hidden_TD, plan).detach()
    read = tokens * d_model * item
    return {
        "route": (
            quietly(lambda: route(layer.hidden_TD, modality, router, prior, k=k)),
            Cost(2.0 * tokens * d_model * experts, read + tokens * (4.0 * experts + 12 * k + 12)),
        ),
        "dispatch": (
            quietly(lambda: dispatch(layer.index_TK, experts, trim=False)),
            Cost(0.0, tokens * k * 24.0),
        ),
        "combine": (
            quietly(lambda: combine(rows, layer.weight_TK, plan)),
            Cost(2.0 * tokens * k * d_model, read * (k + 1.0)),
        ),
        "combine and pool": (
            quietly(lambda: combine_and_pool(rows, layer.weight_TK, plan, pools)),
            Cost(4.0 * tokens * k * d_model, read * (k + 1.0) + 4.0 * pools.samples * pools.pools * d_model),
        ),
    }


def layer_works(
    layer: Layer, router: Tensor, prior: Tensor, modality: Tensor, shape: Shape, *, with_deepspeed: bool
) -> dict[str, Work]:
    """The whole sparse layer with its router, forward and backward, beside DeepSpeed's and the dense one."""
    hidden, k = layer.hidden_TD, shape.k
    device, dtype = hidden.device, hidden.dtype
    structure = make_structure(shape, device)

    def trained() -> list[Tensor]:
        routing = route(hidden, modality, router, prior, k=k)
        pools = structure.pools(modality, routing.index_TK, shape.samples)
        out, sums = sparse_ffn_and_pool(hidden, routing.index_TK, routing.weight_TK, layer.experts, pools)
        return [out, structure(sums)]

    def plain() -> Tensor:
        routing = route(hidden, modality, router, prior, k=k)
        return peers.ours(Layer(hidden, routing.index_TK, routing.weight_TK, layer.experts))

    leaves = [hidden, router, prior, *layer.leaves()[2:]]
    works = {"ours": step(trained, leaves), "ours, no structure": step(plain, leaves)}
    dense = peers.FeedForward(shape.d_model, max(shape.widths)).to(device, dtype)
    works["dense"] = step(lambda: dense(hidden), [hidden, *dense.parameters()])
    moe = None
    if with_deepspeed:
        moe = peers.deepspeed_layer(shape.d_model, max(shape.widths), len(shape.widths), k)
    if moe is None:
        print("left out: deepspeed.moe.layer.MoE: deepspeed is not installed, or not asked for")
    else:
        moe.to(device, dtype)
        works["deepspeed MoE"] = step(lambda: moe(hidden)[0], [hidden, *moe.parameters()])
    return works


def run(
    name: str, dtype_name: str, device: torch.device, repeats: int, *, with_deepspeed: bool
) -> list[Row] | None:
    """All measurements of one shape; None when the correctness gate failed."""
    shape, dtype = SHAPES[name], DTYPES[dtype_name]
    layer, *routing = make_layer(shape, dtype, device)
    found = contestants(layer)
    pools = make_structure(shape, device).pools(routing[2], layer.index_TK, shape.samples)
    if not gate(layer, found, pools):
        return None
    ceilings = runner.measure_ceilings(device, dtype, small=device.type == "cpu")
    print(f"ceilings: {ceilings.flops / 1e12:.3g} TFLOP/s, {ceilings.bandwidth / 1e9:.3g} GB/s")
    rows: list[Row] = []

    def measure(
        operation: str, works: dict[str, Work], cost: Cost, others: Mapping[str, Cost] | None = None
    ) -> None:
        for who, times in runner.interleaved(works, device, repeats).items():
            names = ("kernels", name, dtype_name, operation, who)
            peak = runner.peak_megabytes(works[who], device)
            own = (others or {}).get(who, cost)
            rows.append(runner.make_row(names, times, own, ceilings, peak, device))

    for operation, (work, cost) in part_works(layer, *routing, pools).items():
        measure(operation, {"ours": work}, cost)
    forward = {who: quietly(lambda c=compute: c(layer)) for who, compute in found.items()}
    measure("experts forward", forward, expert_cost(layer, backward=False))
    both = {who: step(lambda c=compute: c(layer), layer.leaves()) for who, compute in found.items()}
    measure("experts training", both, expert_cost(layer, backward=True))
    whole = layer_works(layer, *routing, shape, with_deepspeed=with_deepspeed)
    # These two compute something else, so their floors are their own. DeepSpeed pads to its capacity.
    padded_rows = 1.25 * shape.k * shape.tokens
    others = {
        "dense": equal_cost(layer, shape, 1, shape.tokens),
        "deepspeed MoE": equal_cost(layer, shape, len(shape.widths), padded_rows),
    }
    measure("layer training", whole, expert_cost(layer, backward=True), others)
    return rows


def ratios(rows: Sequence[Row]) -> str:
    """How many times longer each peer takes than ours."""
    lines = []
    for operation in ("experts forward", "experts training", "layer training"):
        median = {r.contestant: r.median_ms for r in rows if r.operation == operation}
        others = ", ".join(f"{who} {ms / median['ours']:.2f}" for who, ms in median.items() if who != "ours")
        lines.append(f"{operation}, time over ours: {others}")
    return "\n".join(lines)


def main() -> int:
    """Run one shape. Status 1 when something computes a wrong result: no speed is reported then."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=list(SHAPES), default="paper-4096")
    parser.add_argument("--dtype", choices=list(DTYPES), help="default: bfloat16 on a GPU, float32 on a CPU")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2, help="of the CPU")
    parser.add_argument("--no-deepspeed", action="store_true", help="leave DeepSpeed's layer out")
    parser.add_argument("--no-csv", action="store_true", help="only print")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = chosen.dtype or ("bfloat16" if device.type == "cuda" else "float32")
    print(f"{runner.device_name(device)}: {chosen.shape}, {dtype}")
    rows = run(chosen.shape, dtype, device, chosen.repeats, with_deepspeed=not chosen.no_deepspeed)
    if rows is None:
        print("error: a result is wrong, so no speed is reported", file=sys.stderr)
        return 1
    print(runner.short_table(rows))
    print(ratios(rows))
    if not chosen.no_csv:
        runner.append(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
