"""The feed-forward network of every expert on its own rows.

Axes: D model width, F width of one expert, N rows in expert order.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class ExpertWeights(NamedTuple):
    """The weights of one expert: w1 [D, F], b1 [F], w2 [F, D], b2 [D]. F may differ between experts."""

    w1: Tensor
    b1: Tensor
    w2: Tensor
    b2: Tensor


def expert_ffn(rows_ND: Tensor, counts: Sequence[int], experts: Sequence[ExpertWeights]) -> Tensor:
    """gelu(x w1 + b1) w2 + b2 with the weights of each row's expert (equation 29).

    Args:
        rows_ND: rows sorted by expert.
        counts: how many rows each expert has; zero is allowed and keeps the expert's gradient path.
        experts: their weights, in the same order.

    Returns:
        The outputs in the order of the rows, [N, D].
    """
    if len(counts) != len(experts) or sum(counts) != len(rows_ND):
        raise ValueError(f"{len(rows_ND)} rows, counts {list(counts)}, {len(experts)} experts do not agree")
    outputs = [
        torch.addmm(e.b2, F.gelu(torch.addmm(e.b1, rows, e.w1)), e.w2)
        for rows, e in zip(rows_ND.split(list(counts)), experts)
    ]
    return torch.cat(outputs)
