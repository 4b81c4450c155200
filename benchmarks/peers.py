"""Other ways to compute the same sparse layer, with the tools that people have today.

Each takes the layer of `Layer` and gives its output [T, D]; all use the same dispatch, gather and combination,
so that what differs is how the experts are computed.

Axes: T tokens, D model width, F expert width, E experts, K choices, N rows.
"""

from dataclasses import dataclass

import torch
from mmspec_kernels import Dispatch, ExpertWeights, combine, dispatch, gather, sparse_ffn
from mmspec_kernels.backend import Backend
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Layer:
    """One layer's inputs and weights."""

    hidden_TD: Tensor
    index_TK: Tensor
    weight_TK: Tensor
    experts: list[ExpertWeights]

    def leaves(self) -> list[Tensor]:
        """The tensors that get gradients."""
        return [self.hidden_TD, self.weight_TK, *(t for e in self.experts for t in e)]


def ours(layer: Layer, backend: Backend = "auto") -> Tensor:
    """The kernels of this package, or its fast path of plain torch."""
    return sparse_ffn(layer.hidden_TD, layer.index_TK, layer.weight_TK, layer.experts, backend=backend)


def loop(layer: Layer) -> Tensor:
    """One expert after another by plain autograd."""
    rows_ND, plan = loop_rows(layer)
    return combine(rows_ND, layer.weight_TK, plan, backend="reference")


def loop_rows(layer: Layer) -> tuple[Tensor, Dispatch]:
    """The expert outputs [N, D] in the order of a dispatch, one expert after another."""
    plan = dispatch(layer.index_TK, len(layer.experts), backend="reference")
    rows = gather(layer.hidden_TD, plan, backend="reference").split(plan.counts_E.tolist())
    outputs = [
        torch.addmm(e.b2, F.gelu(torch.addmm(e.b1, part, e.w1)), e.w2) for part, e in zip(rows, layer.experts)
    ]
    return torch.cat(outputs), plan


def grouped(rows: Tensor, experts: list[ExpertWeights], counts: Tensor) -> Tensor:
    """Experts of one width by two grouped products."""
    ends = counts.cumsum(0).to(torch.int32)
    expert_N = torch.repeat_interleave(
        torch.arange(len(experts), device=rows.device), counts, output_size=len(rows)
    )
    w1, b1, w2, b2 = (torch.stack([e[i] for e in experts]) for i in range(4))
    hidden = F.gelu(F.grouped_mm(rows, w1, offs=ends) + b1[expert_N])
    return F.grouped_mm(hidden, w2, offs=ends) + b2[expert_N]


def padded(layer: Layer) -> Tensor:
    """All experts padded with zeros to the widest: one grouped product for each of the two."""
    width = max(len(e.w2) for e in layer.experts)
    wide = [
        ExpertWeights(
            F.pad(e.w1, (0, width - len(e.w2))), F.pad(e.b1, (0, width - len(e.w2))),
            F.pad(e.w2, (0, 0, 0, width - len(e.w2))), e.b2,
        )
        for e in layer.experts
    ]  # fmt: skip
    plan = dispatch(layer.index_TK, len(wide), backend="reference")
    out = grouped(gather(layer.hidden_TD, plan, backend="reference"), wide, plan.counts_E)
    return combine(out, layer.weight_TK, plan, backend="reference")


def by_width(layer: Layer) -> Tensor:
    """Experts sorted by width, then grouped products for each width in turn."""
    widths = [len(e.w2) for e in layer.experts]
    order = sorted(range(len(widths)), key=lambda e: -widths[e])
    place = torch.tensor([order.index(e) for e in range(len(order))], device=layer.index_TK.device)
    index = torch.where(layer.index_TK >= 0, place[layer.index_TK.clamp_min(0)], -1)
    plan = dispatch(index, len(order), backend="reference")
    rows, counts = gather(layer.hidden_TD, plan, backend="reference"), plan.counts_E.tolist()
    outputs, start, first = [], 0, 0
    for width in sorted(set(widths), reverse=True):
        same = widths.count(width)
        size = sum(counts[first : first + same])
        experts = [layer.experts[e] for e in order[first : first + same]]
        outputs.append(grouped(rows[start : start + size], experts, plan.counts_E[first : first + same]))
        start, first = start + size, first + same
    return combine(torch.cat(outputs), layer.weight_TK, plan, backend="reference")


class FeedForward(nn.Sequential):
    """The dense layer of one width, also the expert that DeepSpeed's layer copies."""

    def __init__(self, d_model: int, width: int) -> None:
        super().__init__(nn.Linear(d_model, width), nn.GELU(), nn.Linear(width, d_model))


def deepspeed_layer(d_model: int, width: int, experts: int, k: int) -> nn.Module | None:
    """DeepSpeed's own MoE with equal experts at capacity 1.25; None where deepspeed is not installed."""
    try:
        import deepspeed
        from deepspeed.moe.layer import MoE
    except ImportError:
        return None
    if not torch.distributed.is_initialized():
        import os

        os.environ.update(
            MASTER_ADDR="127.0.0.1", MASTER_PORT="29731", RANK="0", WORLD_SIZE="1", LOCAL_RANK="0"
        )
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False  # nothing here needs it compiled
        deepspeed.init_distributed("gloo", verbose=False)
    moe: nn.Module = MoE(d_model, FeedForward(d_model, width), experts, k=k, capacity_factor=1.25)
    moe.set_deepspeed_parallelism()
    return moe
