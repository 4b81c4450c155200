"""What ranks.py checks of the exchange of rows: numbers, the order of events, and what is in flight.

Axes: D model width, T tokens of a rank, N rows, P ranks, E experts.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from mmspec_kernels import Dispatch, ExpertWeights, combine, dispatch, expert_ffn, gather, sparse_ffn
from torch import Tensor

from mmspec_ds.moe.expert_parallel import Exchange

D, WIDTHS = 6, (32, 16, 48, 16, 16, 32, 16, 48)
EXPERTS = len(WIDTHS)
CHUNKS = (1, 2, 3, 5, 11)
CLOSE = {torch.float32: 1e-6, torch.float64: 1e-12}
"""Norm of the difference over norm of the value."""


def splits(world: int) -> dict[str, Tensor]:
    """Rows [P, E] that each rank has for each expert."""
    drawn = torch.randint(0, 7, (world, EXPERTS), generator=torch.Generator().manual_seed(world))
    local = EXPERTS // world
    found = {name: drawn.clone() for name in ("uneven", "first", "others", "experts", "one")}
    found["first"][0] = 0
    found["others"][:-1] = 0
    found["experts"][:, :local] = 0
    found["one"][:, 3] = 0
    all_to_one = torch.zeros_like(drawn)
    all_to_one[:, -1] = torch.arange(world) + 5
    return {
        "even": torch.full((world, EXPERTS), 2),
        "uneven": found["uneven"],
        "the first rank has no row": found["first"],
        "only the last rank has rows": found["others"],
        "the first rank's experts get nothing": found["experts"],
        "one expert gets nothing": found["one"],
        "one expert gets all": all_to_one,
        "no row anywhere": torch.zeros_like(drawn),
    }


def experts(dtype: torch.dtype) -> list[ExpertWeights]:
    """The same experts on every rank."""
    source = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return (torch.randn(*shape, generator=source, dtype=torch.float64) * 0.5).to(dtype).requires_grad_()

    return [ExpertWeights(draw(D, f), draw(f), draw(f, D), draw(D)) for f in WIDTHS]


def index_of(counts_E: Tensor, rank: int) -> Tensor:
    """One expert for each token [T, 1] so that experts have these rows, in random order; some have none."""
    index = torch.cat([torch.repeat_interleave(counts_E), torch.full((3,), -1)])
    return index[torch.randperm(len(index), generator=torch.Generator().manual_seed(rank))][:, None]


def through(
    plan: Dispatch, hidden_TD: Tensor, weight_TK: Tensor, local: list[ExpertWeights], chunks: int, group: Any
) -> Tensor:
    """The combined outputs of tokens whose experts are spread over the group."""
    way = Exchange(plan, chunks, group)
    way.send(gather(hidden_TD, way.plan))
    rows_ND = way.compute(lambda rows, counts: expert_ffn(rows, counts, local))
    return combine(rows_ND, weight_TK, way.plan)


def assert_close(ours: Tensor | None, reference: Tensor | None, what: str) -> None:
    """Equal within the rounding of their dtype."""
    assert ours is not None, what
    assert reference is not None, what
    error = (ours - reference).norm()
    assert error <= CLOSE[ours.dtype] * reference.norm(), (what, float(error), float(reference.norm()))


def check_numbers(counts_PE: Tensor, group: Any, rank: int, chunks: int, dtype: torch.dtype) -> None:
    """Outputs and every gradient are those of one process that has all tokens and all experts."""
    source = torch.Generator().manual_seed(1)
    indices = [index_of(counts_E, number) for number, counts_E in enumerate(counts_PE)]
    shapes = [(len(index), D) for index in indices]
    values, goals = (
        [torch.randn(shape, generator=source, dtype=torch.float64).to(dtype) for shape in shapes]
        for _ in range(2)
    )
    weights = [torch.rand(len(index), 1, generator=source, dtype=torch.float64).to(dtype) for index in indices]

    hidden, weight = values[rank].clone().requires_grad_(), weights[rank].clone().requires_grad_()
    share = EXPERTS // len(counts_PE)
    local = experts(dtype)[share * rank : share * (rank + 1)]
    out = through(dispatch(indices[rank], EXPERTS), hidden, weight, local, chunks, group)
    (out * goals[rank]).sum().backward()

    everyone = experts(dtype)
    all_hidden, all_weight = (torch.cat(parts).requires_grad_() for parts in (values, weights))
    whole = sparse_ffn(all_hidden, torch.cat(indices), all_weight, everyone)
    (whole * torch.cat(goals)).sum().backward()
    sizes = [len(index) for index in indices]
    assert all_hidden.grad is not None
    assert all_weight.grad is not None
    where = f"{chunks} chunks, {dtype}"
    assert_close(out, whole.split(sizes)[rank], f"output, {where}")
    assert_close(hidden.grad, all_hidden.grad.split(sizes)[rank], f"gradient of tokens, {where}")
    assert_close(weight.grad, all_weight.grad.split(sizes)[rank], f"gradient of router weights, {where}")
    for number, (ours, theirs) in enumerate(zip(local, everyone[share * rank :])):
        for part, one, other in zip(ExpertWeights._fields, ours, theirs):
            assert_close(one.grad, other.grad, f"gradient of {part} of local expert {number}, {where}")


def check_exchange(name: str) -> None:
    """One split, in every number of chunks, more than there are rows among them, and in both precisions."""
    for chunks in CHUNKS:
        for dtype in CLOSE:
            counts_PE = splits(dist.get_world_size())[name]
            check_numbers(counts_PE, dist.group.WORLD, dist.get_rank(), chunks, dtype)


def check_groups_of_two() -> None:
    """Groups within the world exchange rows independently of each other."""
    rank, world = dist.get_rank(), dist.get_world_size()
    groups = [dist.new_group([first, first + 1]) for first in range(0, world, 2)]
    drawn = splits(4)["uneven"][rank // 2 * 2 :][:2]
    check_numbers(drawn, groups[rank // 2], rank % 2, 3, torch.float64)


@contextmanager
def recorded(events: list[str]) -> Iterator[None]:
    """Within, transfers of rows tell when they start and when they are waited for, by number."""
    whole, started = dist.all_to_all_single, 0

    class Work:
        def __init__(self, work: Any, number: int) -> None:
            self.work, self.number = work, number

        def wait(self) -> None:
            events.append(f"wait {self.number}")
            self.work.wait()

    def spied(*args: Any, **kwargs: Any) -> Work:
        nonlocal started
        assert kwargs["async_op"] is True
        events.append(f"start {started}")
        started += 1
        return Work(whole(*args, **kwargs), started - 1)

    dist.all_to_all_single = spied
    try:
        yield
    finally:
        dist.all_to_all_single = whole


# Transfer 0 is that of the counts; 1, 2, 4 carry the rows of the three chunks out and 3, 5, 6 carry them home.
FORWARD = """start 0, gather, wait 0, start 1, report,
    start 2, wait 1, compute, start 3,
    start 4, wait 2, compute, start 5,
    wait 4, compute, start 6,
    wait 3, wait 5, wait 6"""
# 7, 8, 9 carry the gradients of the chunks' outputs, the last chunk's first; 10, 11, 12 those of their rows.
BACKWARD = """start 7, start 8, start 9,
    wait 7, differentiate, start 10,
    wait 8, differentiate, start 11, wait 10,
    wait 9, differentiate, start 12, wait 11, differentiate report, wait 12"""


class _Told(torch.autograd.Function):
    """Nothing but a mark in the list of events, in both directions."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, events: list[str], forward: str, backward: str) -> Tensor:
        ctx.events, ctx.word = events, backward
        events.append(forward)
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None, None]:
        ctx.events.append(ctx.word)
        return grad_outputs[0], None, None, None


def check_order() -> None:
    """The next chunk's rows are on their way before a chunk computes, in both directions; a rank without any
    row does the same as the others."""
    rank, world = dist.get_rank(), dist.get_world_size()
    share = EXPERTS // world
    local = experts(torch.float32)[share * rank : share * (rank + 1)]
    for name in ("uneven", "the first rank has no row", "no row anywhere"):
        events: list[str] = []
        index = index_of(splits(world)[name][rank], rank)
        hidden = torch.randn(len(index), D, requires_grad=True)

        def compute(rows: Tensor, counts: Any, events: list[str] = events) -> Tensor:
            told: Tensor = _Told.apply(rows, events, "compute", "differentiate")
            return expert_ffn(told, counts, local)

        with recorded(events):
            way = Exchange(dispatch(index, EXPERTS), 3, dist.group.WORLD)
            events.append("gather")
            way.send(gather(hidden, way.plan))
            report = _Told.apply(hidden, events, "report", "differentiate report").sum()
            out = combine(way.compute(compute), torch.ones(len(index), 1), way.plan)
            assert events == FORWARD.replace("\n", "").replace("    ", " ").split(", "), events
            events.clear()
            (out.sum() + report).backward()
            assert events == BACKWARD.replace("\n", "").replace("    ", " ").split(", "), events


CHECKS: dict[str, Callable[[], None]] = {
    **{f"exchange, {name}": partial(check_exchange, name) for name in splits(2)},
    "exchange in groups of two": check_groups_of_two,
    "order of events": check_order,
}
