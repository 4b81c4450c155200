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

import peers
import runner
import torch
from kernel_cases import DTYPES, SHAPES, Shape, equal_cost, expert_cost, make_layer, make_structure
from kernel_gate import gate
from mmspec_kernels import (
    Pools,
    RoutingRule,
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
            quietly(lambda: route(layer.hidden_TD, modality, router, prior, RoutingRule(k))),
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
        routing = route(hidden, modality, router, prior, RoutingRule(k))
        pools = structure.pools(modality, routing.index_TK, shape.samples)
        out, sums = sparse_ffn_and_pool(hidden, routing.index_TK, routing.weight_TK, layer.experts, pools)
        return [out, structure(sums)]

    def plain() -> Tensor:
        routing = route(hidden, modality, router, prior, RoutingRule(k))
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
