"""Losses of a global batch: rows of all ranks that are compared with each other, with gradients of a rank's
own.

Axes: B rows of a rank, G rows of all ranks, W width of a vector.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def gathered(vectors_BW: Tensor, group: Any | None = None) -> Tensor:
    """The vectors of all ranks, rank by rank [G, W], of which those of this rank have a gradient. All ranks
    have as many rows. Every rank calls this."""
    ranks = 1 if group is None else dist.get_world_size(group)
    if ranks == 1:
        return vectors_BW
    own = vectors_BW.detach().contiguous()
    parts = [torch.empty_like(own) for _ in range(ranks)]
    dist.all_gather(parts, own, group=group)
    parts[dist.get_rank(group)] = vectors_BW
    return torch.cat(parts)


def of_own_rows(loss: Tensor, group: Any | None = None) -> Tensor:
    """A loss that every rank computes of `gathered` vectors, with its gradient multiplied by the number of
    ranks: each rank has the gradient of its own rows alone, and data parallelism averages over the ranks, so
    that their mean is the gradient of the loss."""
    ranks = 1 if group is None else dist.get_world_size(group)
    return loss if ranks == 1 else loss.detach() + ranks * (loss - loss.detach())


def mean_of_ranks(loss: Tensor, group: Any | None = None) -> Tensor:
    """The mean over the ranks of a loss that each has of its own rows, as many on each, with the gradient of
    the own: data parallelism averages it. Every rank calls this."""
    ranks = 1 if group is None else dist.get_world_size(group)
    if ranks == 1:
        return loss
    everywhere = loss.detach().clone()
    dist.all_reduce(everywhere, group=group)
    return everywhere / ranks + (loss - loss.detach())
