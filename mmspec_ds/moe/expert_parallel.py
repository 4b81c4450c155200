"""Send rows to the ranks that own their experts and back, in chunks, so that transfers overlap with
computation.

Axes: D model width, T tokens, K choices, E experts, N rows sent, R rows received, C chunks, P ranks of the
    expert-parallel group, L experts on this rank.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.distributed as dist
from mmspec_kernels import Dispatch
from torch import Tensor

from mmspec_ds.moe.transfer import Transfer

LocalExperts = Callable[[Tensor, Sequence[int]], Tensor]
"""Outputs of rows in the order of this rank's experts, given how many rows each of them has."""


@dataclass(frozen=True)
class Placement:
    """The place of this process in expert parallelism: it is `rank` of `size` ranks that share the experts.

    Raises:
        ValueError: there is no such rank.
    """

    size: int = 1
    rank: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.size:
            raise ValueError(f"rank {self.rank} of an expert-parallel group of {self.size}")

    def local(self, experts: int) -> range:
        """Numbers of those of so many experts that are on this rank, a contiguous block.

        Raises:
            ValueError: the ranks cannot share them evenly.
        """
        share, left = divmod(experts, self.size)
        if left:
            raise ValueError(f"{experts} experts cannot be shared by {self.size} ranks: expected a divisor")
        return range(self.rank * share, (self.rank + 1) * share)


ALONE = Placement()
"""All experts in this process."""


def chunk_counts(counts: Tensor, chunks: int) -> Tensor:
    """How many of an expert's rows go with each chunk [C, ...], for counts of any shape.

    Chunk c of n rows takes those from floor(c n / C) to floor((c + 1) n / C), so that ranks need to exchange no
    counts of chunks.
    """
    bound = torch.arange(chunks + 1, device=counts.device).view(-1, *(1 for _ in counts.shape))
    return (bound * counts // chunks).diff(dim=0)


def in_chunks(plan: Dispatch, chunks: int) -> Dispatch:
    """The same plan with rows in the order (chunk, expert, token), for chunks as `chunk_counts` has them."""
    if chunks == 1:
        return plan
    rows, counts_E = len(plan.token_N), plan.counts_E
    every_N = torch.arange(rows, device=counts_E.device)
    expert_N = torch.repeat_interleave(counts_E, output_size=rows)
    place_N = every_N - (counts_E.cumsum(0) - counts_E)[expert_N]
    chunk_N = ((place_N + 1) * chunks - 1) // counts_E[expert_N]
    order_N = torch.argsort(chunk_N, stable=True)
    moved_N = order_N.new_zeros(rows + 1)  # the last is for pairs that are not used
    moved_N[order_N] = every_N
    # torch.where does not make the host wait for a device; a boolean index does.
    row_TK = moved_N[torch.where(plan.used_TK, plan.row_TK, rows)]
    return replace(plan, token_N=plan.token_N[order_N], pair_N=plan.pair_N[order_N], row_TK=row_TK)


class Exchange:
    """An exchange of rows over a group of ranks, each of which owns a contiguous block of the experts.

    Counts are sent while the rows are gathered, and the first chunk while the caller does other work. Then the
    rows of each chunk are sent while the one before is computed, and its outputs while the next one is. The
    backward pass does the same with gradients. Every rank makes the same collectives in the same order, one of
    counts and 2 C of rows, and 2 C in the backward pass, even if it sends or receives no row; its experts then
    get gradients of zero.

    Args:
        plan: rows in the order of experts.
        chunks: C; every chunk has its share of each expert's rows. Gradients of the experts' weights are summed
            over chunks, which costs memory traffic.
        group: the expert-parallel process group.
    """

    def __init__(self, plan: Dispatch, chunks: int, group: Any) -> None:
        self._chunks, self._group = chunks, group
        self._sent_PL = plan.counts_E.view(dist.get_world_size(group), -1).contiguous()
        self._received_PL = torch.empty_like(self._sent_PL)
        self._counting = dist.all_to_all_single(self._received_PL, self._sent_PL, group=group, async_op=True)
        self._pieces: Sequence[Tensor] = ()
        self._outward: list[Transfer] = []
        self._counts_CPL: list[list[list[int]]] = []
        self.plan = in_chunks(plan, chunks)

    def send(self, rows_ND: Tensor) -> None:
        """Wait for the counts and start the first chunk. `rows_ND` are in the order of `plan`."""
        self._counting.wait()
        both = torch.stack([self._sent_PL, self._received_PL])
        # Both tables in one copy to the host, which waits here and nowhere else.
        for sent_PL, received_PL in chunk_counts(both, self._chunks).tolist():
            sent, received = ([sum(counts) for counts in one] for one in (sent_PL, received_PL))
            self._outward.append(Transfer(sent, received, self._group))
            self._counts_CPL.append(received_PL)
        self._pieces = rows_ND.split([sum(transfer.sent) for transfer in self._outward])
        self._ticket = self._start(0)

    def compute(self, experts: LocalExperts) -> Tensor:
        """Outputs of this group's experts for all rows that were sent, [N, D], in the order of `plan`;
        `experts` are those of this rank. It is called once, after `send`."""
        homeward = []
        for chunk, outward in enumerate(self._outward):
            ticket = self._ticket
            if chunk + 1 < self._chunks:
                self._ticket = self._start(chunk + 1)
            arrived_RD = outward.wait(ticket)
            done_RD = _by_rank(experts, arrived_RD, self._counts_CPL[chunk])
            back = Transfer(outward.received, outward.sent, self._group)
            homeward.append((back, back.start(done_RD)))
        out = [back.wait(ticket) for back, ticket in homeward]
        return out[0] if len(out) == 1 else torch.cat(out)

    def _start(self, chunk: int) -> Tensor:
        return self._outward[chunk].start(self._pieces[chunk])


def _by_rank(experts: LocalExperts, rows_RD: Tensor, counts_PL: list[list[int]]) -> Tensor:
    """Outputs [R, D] of rows in the order (rank, expert), in that order."""
    counts_LP = list(map(list, zip(*counts_PL)))
    by_expert_RD = _swap_blocks(rows_RD, counts_PL)
    done_RD = experts(by_expert_RD, [sum(counts) for counts in counts_LP])
    return _swap_blocks(done_RD, counts_LP)


def _swap_blocks(rows: Tensor, lengths: list[list[int]]) -> Tensor:
    """Reorder consecutive blocks from (outer, inner) to (inner, outer); `lengths` [outer][inner] are theirs."""
    outer, inner = len(lengths), len(lengths[0])
    blocks = rows.split([length for row in lengths for length in row])
    return torch.cat([blocks[o * inner + i] for i in range(inner) for o in range(outer)])
