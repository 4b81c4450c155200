"""Started twice by test_two_ranks.py: every check on two ranks against the same on one, in one launch.

Prints one line for each check that held; raises at the first that does not.
"""

import sys
from typing import Any, cast

import torch
import torch.distributed as dist
from mmspec_kernels import ExpertWeights, expert_ffn
from torch import Tensor

from mmspec_ds.moe.capacity import keep_within_capacity
from mmspec_ds.moe.expert_parallel import Placement, exchanged_expert_ffn
from mmspec_ds.moe.experts import Expert
from mmspec_ds.moe.layer import SparseFeedForward
from mmspec_ds.moe.settings import ExpertSettings, MoESettings
from mmspec_ds.moe.statistics import sum_over_ranks, to_vector

D, WIDTHS = 6, (32, 16, 48, 16)
CLOSE: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-6}

# Rows of each of four experts (two to a rank) that each of the two ranks has.
SPLITS = {
    "even": ([2, 2, 2, 2], [2, 2, 2, 2]),
    "uneven": ([5, 0, 1, 3], [0, 4, 2, 1]),
    "first rank has no row": ([0, 0, 0, 0], [1, 2, 3, 4]),
    "second rank has no row": ([3, 1, 0, 2], [0, 0, 0, 0]),
    "first rank's experts get nothing": ([0, 0, 3, 2], [0, 0, 1, 4]),
    "one expert gets nothing": ([2, 0, 1, 1], [3, 0, 2, 1]),
    "one expert gets all": ([0, 0, 0, 5], [0, 0, 0, 7]),
    "no row anywhere": ([0, 0, 0, 0], [0, 0, 0, 0]),
}


def experts(seed: int = 0) -> list[ExpertWeights]:
    """The same four experts on every rank."""
    source = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return (torch.randn(*shape, generator=source) * 0.5).requires_grad_()

    return [ExpertWeights(draw(D, f), draw(f), draw(f, D), draw(D)) for f in WIDTHS]


def check_exchange(name: str, rank: int) -> None:
    """Outputs, gradients of rows and of experts are those of one process that has all rows."""
    counts_PE = torch.tensor(SPLITS[name])
    source = torch.Generator().manual_seed(1)
    pieces = [[torch.randn(n, D, generator=source) for n in row] for row in counts_PE.tolist()]
    goals = [[torch.randn(n, D, generator=source) for n in row] for row in counts_PE.tolist()]

    mine = torch.cat(pieces[rank]).requires_grad_()
    local = experts()[2 * rank : 2 * rank + 2]
    out = exchanged_expert_ffn(mine, counts_PE[rank], local, dist.group.WORLD)
    (out * torch.cat(goals[rank])).sum().backward()

    everyone = experts()
    rows = torch.cat([pieces[r][e] for e in range(4) for r in range(2)]).requires_grad_()
    whole = expert_ffn(rows, counts_PE.sum(0).tolist(), everyone)
    (whole * torch.cat([goals[r][e] for e in range(4) for r in range(2)])).sum().backward()
    assert rows.grad is not None
    sizes = [counts_PE[r, e].item() for e in range(4) for r in range(2)]
    for both, got in ((whole, out), (rows.grad, mine.grad)):
        assert got is not None
        parts = both.split(sizes)
        torch.testing.assert_close(got, torch.cat([parts[2 * e + rank] for e in range(4)]), **CLOSE)
    for ours, theirs in zip(local, everyone[2 * rank : 2 * rank + 2]):
        for weight, reference in zip(ours, theirs):
            assert weight.grad is not None, "an expert without rows keeps a gradient of zero"
            torch.testing.assert_close(weight.grad, reference.grad, **CLOSE)


def check_capacity(rank: int) -> None:
    """What is dropped of blocks of a batch is what is dropped of the whole."""
    source = torch.Generator().manual_seed(2)
    whole = torch.stack([torch.randperm(4, generator=source)[:2] for _ in range(40)])
    whole[5] = whole[30:36] = -1
    whole[7, 1] = -1
    for cut in (0, 1, 13, 20, 40):
        for factor in (0.3, 0.8, 1.0, 1.25):
            block = whole[:cut] if rank == 0 else whole[cut:]
            kept = keep_within_capacity(block, 4, factor, dist.group.WORLD)
            expected = keep_within_capacity(whole, 4, factor)
            assert torch.equal(kept, expected[:cut] if rank == 0 else expected[cut:]), (cut, factor)


def check_sum(rank: int) -> None:
    """Values are sums over ranks; the mean over ranks of the gradients is the gradient of the global loss."""
    shared = torch.tensor([0.5, 2.0], requires_grad=True)
    local = shared * (rank + 1.0)
    everywhere = sum_over_ranks(local, dist.group.WORLD)
    torch.testing.assert_close(everywhere.detach(), torch.tensor([1.5, 6.0]), **CLOSE)
    everywhere.square().sum().backward()  # (3 s)^2, whose gradient is 18 s
    assert shared.grad is not None
    dist.all_reduce(shared.grad)
    torch.testing.assert_close(shared.grad / 2, torch.tensor([9.0, 36.0]), **CLOSE)


def make_layer(mode: str, placement: Placement) -> SparseFeedForward:
    """A layer whose weights do not depend on where it stands."""
    torch.manual_seed(3)
    specs = tuple(ExpertSettings(family="shared", width=width) for width in WIDTHS)
    settings = MoESettings(
        experts=specs, mode="capacity" if mode == "capacity" else "dropless", capacity_factor=0.7
    )
    return SparseFeedForward(D, settings, ("a", "b"), structure_margin=1.0, placement=placement)


def check_layer(mode: str, rank: int) -> None:
    """A layer whose experts are spread over two ranks gives each rank its part of what one rank gives."""
    source = torch.Generator().manual_seed(4)
    hidden, goal = torch.randn(2, 3, 5, D, generator=source)
    modality = torch.tensor([[0, 1, -1, -1, -1], [0, 0, 1, 1, -1], [1, 1, 1, 0, 0]])
    own = slice(0, 1) if rank == 0 else slice(1, 3)

    alone = make_layer(mode, Placement())
    expected, whole_report = alone(hidden, modality, 1.3)
    (expected * goal).sum().backward()

    spread = make_layer(mode, Placement(2, rank))
    spread.deepspeed_moe.ep_group = spread.deepspeed_moe.data_group = dist.group.WORLD
    out, report = spread(hidden[own], modality[own], 1.3)
    (out * goal[own]).sum().backward()
    torch.testing.assert_close(out, expected[own], **CLOSE)
    summed = sum_over_ranks(to_vector(report), dist.group.WORLD)
    torch.testing.assert_close(summed, to_vector(whole_report), rtol=1e-4, atol=1e-5)
    if mode == "capacity":
        assert whole_report.dropped_M.sum() > 0
    for number, expert in enumerate(spread.deepspeed_moe.experts.deepspeed_experts):
        other = alone.deepspeed_moe.experts.deepspeed_experts[2 * rank + number]
        for ours, theirs in zip(cast(Expert, expert).weights, cast(Expert, other).weights):
            torch.testing.assert_close(ours.detach(), theirs.detach(), rtol=0, atol=0)
            torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-5)
    router = spread.deepspeed_moe.gate.wg.weight.grad
    dist.all_reduce(router)
    torch.testing.assert_close(router, alone.deepspeed_moe.gate.wg.weight.grad, rtol=1e-4, atol=1e-5)


def main(rank: int, store: str) -> None:
    """All checks, on this rank."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", store=dist.FileStore(store, 2), rank=rank, world_size=2)
    for name in SPLITS:
        check_exchange(name, rank)
        print(f"held: exchange, {name}", flush=True)
    check_capacity(rank)
    print("held: capacity", flush=True)
    check_sum(rank)
    print("held: sum over ranks", flush=True)
    for mode in ("dropless", "capacity"):
        check_layer(mode, rank)
        print(f"held: layer, {mode}", flush=True)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
