"""Expert capacity over the global batch.

Axes: T tokens of this rank, K choices, E experts, W ranks.
"""

import math
from typing import Any

import torch
import torch.distributed as dist
from mmspec_kernels import NOT_ROUTED
from torch import Tensor


def keep_within_capacity(
    index_TK: Tensor, num_experts: int, capacity_factor: float, group: Any | None = None
) -> Tensor:
    """Drop token-expert pairs beyond an expert's capacity, ceil(capacity_factor * K * tokens / E).

    Tokens are counted, and an expert's queue is filled, over the whole data-parallel group: first choices
    before second ones, then by rank, then by token. What is dropped is therefore the same on any number of
    ranks that hold the batch as contiguous blocks. One all-gather of K * E + 1 integers.

    Returns:
        index_TK with NOT_ROUTED for dropped pairs, [T, K] int64.
    """
    tokens, k = index_TK.shape
    used_KT = (index_TK >= 0).T
    expert_KT = torch.where(used_KT, index_TK.T, num_experts)
    one_hot = torch.nn.functional.one_hot(expert_KT, num_experts + 1)[..., :num_experts]
    queue_KT = (one_hot.cumsum(1).gather(2, expert_KT.clamp_max(num_experts - 1)[..., None]) - 1).squeeze(2)

    counts_KE = one_hot.sum(1)
    routed = (index_TK[:, 0] >= 0).sum() if tokens else index_TK.new_zeros(())
    local = torch.cat([counts_KE.flatten(), routed.view(1)])
    everywhere = [local]
    rank = 0
    if group is not None and dist.get_world_size(group) > 1:
        everywhere = [torch.empty_like(local) for _ in range(dist.get_world_size(group))]
        dist.all_gather(everywhere, local, group=group)
        rank = dist.get_rank(group)
    all_WKE = torch.stack(everywhere)[:, :-1].view(-1, k, num_experts)
    total = int(torch.stack(everywhere)[:, -1].sum())

    capacity = math.ceil(capacity_factor * k * total / num_experts)
    per_choice_KE = all_WKE.sum(0)
    ahead_KE = per_choice_KE.cumsum(0) - per_choice_KE + all_WKE[:rank].sum(0)
    ahead_KT = ahead_KE.gather(1, expert_KT.clamp_max(num_experts - 1))
    kept_KT = used_KT & (queue_KT + ahead_KT < capacity)
    return torch.where(kept_KT.T, index_TK, NOT_ROUTED)
