"""Tokens to the rank that owns their expert, and back: an all-to-all with uneven splits.

Axes: D model width, N rows sent, R rows received, L experts on this rank, P ranks of the expert-parallel
    group.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from mmspec_kernels import ExpertWeights, expert_ffn
from torch import Tensor


@dataclass(frozen=True)
class Placement:
    """Where this process stands in expert parallelism: `size` ranks share the experts, this one is `rank`."""

    size: int = 1
    rank: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.size:
            raise ValueError(f"rank {self.rank} of an expert-parallel group of {self.size}")

    def local(self, experts: int) -> range:
        """The experts that live here, a contiguous block."""
        share, left = divmod(experts, self.size)
        if left:
            raise ValueError(f"{experts} experts cannot be shared by {self.size} ranks: expected a divisor")
        return range(self.rank * share, (self.rank + 1) * share)


ALONE = Placement()
"""All experts in this process."""


class _AllToAll(torch.autograd.Function):
    """Rows to other ranks by uneven splits; the gradient travels the same way back."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, sent: list[int], received: list[int], group: Any) -> Tensor:
        ctx.sent, ctx.received, ctx.group = sent, received, group
        return _exchange(rows, sent, received, group)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None, None]:
        return _exchange(grad_outputs[0], ctx.received, ctx.sent, ctx.group), None, None, None


def _exchange(rows: Tensor, sent: list[int], received: list[int], group: Any) -> Tensor:
    out = rows.new_empty(sum(received), *rows.shape[1:])
    dist.all_to_all_single(out, rows.contiguous(), received, sent, group=group)
    return out


def exchanged_expert_ffn(
    rows_ND: Tensor, counts_E: Tensor, experts: Sequence[ExpertWeights], group: Any
) -> Tensor:
    """`expert_ffn` where each rank of `group` owns a contiguous block of the experts.

    Every rank makes the same three collectives (counts, rows, rows back; in the backward pass two more), also
    one that has no rows to send or receives none: its experts then keep a gradient of zero.

    Args:
        rows_ND: this rank's rows sorted by global expert.
        counts_E: this rank's rows for each global expert, int64.
        experts: the L local experts.
        group: the expert-parallel process group.

    Returns:
        The outputs in the order of the rows, [N, D].
    """
    ranks = dist.get_world_size(group)
    counts_PL = counts_E.view(ranks, len(experts))
    received_PL = torch.empty_like(counts_PL)
    dist.all_to_all_single(received_PL, counts_PL.contiguous(), group=group)
    sent, received = counts_PL.sum(1).tolist(), received_PL.sum(1).tolist()

    arrived_RD: Tensor = _AllToAll.apply(rows_ND, sent, received, group)
    pieces = received_PL.flatten().tolist()
    by_expert_RD = _swap_blocks(arrived_RD, pieces, ranks, len(experts))
    done_RD = expert_ffn(by_expert_RD, received_PL.sum(0).tolist(), experts)
    by_rank_RD = _swap_blocks(done_RD, received_PL.T.flatten().tolist(), len(experts), ranks)
    back_ND: Tensor = _AllToAll.apply(by_rank_RD, received, sent, group)
    return back_ND


def _swap_blocks(rows: Tensor, lengths: list[int], outer: int, inner: int) -> Tensor:
    """Reorder consecutive pieces from (outer, inner) to (inner, outer)."""
    pieces = rows.split(lengths)
    return torch.cat([pieces[o * inner + i] for i in range(inner) for o in range(outer)])
