"""Experts of unequal width and their order.

Axes: D model width, F width of one expert, E experts, T tokens, K choices, N rows.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from mmspec_kernels import ExpertWeights as ExpertWeights
from mmspec_kernels import (
    Pools,
    PoolSums,
    StackedWeights,
    expert_ffn,
    sparse_ffn,
    sparse_ffn_and_pool,
    stack,
)
from torch import Tensor, nn

from mmspec_ds.moe.expert_parallel import Placement
from mmspec_ds.moe.expert_settings import ExpertSettings, MoESettings


def physical_order(experts: Sequence[ExpertSettings]) -> tuple[ExpertSettings, ...]:
    """The experts with the widest next to the narrowest, then the next widest and the next narrowest, and so
    on.

    Every contiguous block of an even number of experts then has a balanced mix of widths, and so has every rank
    at any expert-parallel size. The order does not depend on that size.
    """
    widest_first = sorted(range(len(experts)), key=lambda i: (-experts[i].width, i))
    half = len(experts) // 2
    # Sorted anew, because reversing would also reverse experts of the same width.
    narrowest_first = sorted(widest_first[half:], key=lambda i: (experts[i].width, i))
    order = [i for pair in zip(widest_first[:half], narrowest_first) for i in pair]
    return tuple(experts[i] for i in order + narrowest_first[half:])


class ExpertBank(nn.Module):
    """The experts of this rank, FFN_e(h) = gelu(h w1 + b1) w2 + b2 (equation 29), in four parameters.

    All are drawn and the local block is kept, so that initial weights do not depend on the expert-parallel
    size. The parameters are stacked as in `StackedWeights`: what an optimizer, a reduction of gradients and
    clipping do once for each parameter they do 4 times a layer, not 4 times an expert. State dicts, and files
    with them, hold the four tensors of each expert under `deepspeed_experts.<number>`, where DeepSpeed looks
    for them.
    """

    def __init__(self, d_model: int, settings: MoESettings, placement: Placement) -> None:
        nn.Module.__init__(self)
        drawn = [draw_expert(d_model, e.width) for e in physical_order(settings.experts)]
        stacked = stack([drawn[i] for i in placement.local(len(drawn))])
        self.widths = stacked.widths
        self.w1, self.b1 = nn.Parameter(stacked.w1), nn.Parameter(stacked.b1)
        self.w2, self.b2 = nn.Parameter(stacked.w2), nn.Parameter(stacked.b2)

    @property
    def stacked(self) -> StackedWeights:
        """The weights as the kernels take them."""
        return StackedWeights(self.w1, self.b1, self.w2, self.b2, self.widths)

    def weights(self) -> list[ExpertWeights]:
        """The weights of each expert, as differentiable views."""
        return self.stacked.apart()

    def forward(self, rows_ND: Tensor, counts: Sequence[int]) -> Tensor:
        """Outputs [N, D] of rows in the order of these experts; `counts` are the rows of each."""
        return expert_ffn(rows_ND, counts, self.stacked)

    def mix(
        self, hidden_TD: Tensor, index_TK: Tensor, weight_TK: Tensor, pools: Pools | None = None
    ) -> tuple[Tensor, PoolSums | None]:
        """The weighted sum of each token's experts [T, D], and the sums over pools if they are given."""
        if pools is None:
            return sparse_ffn(hidden_TD, index_TK, weight_TK, self.stacked), None
        return sparse_ffn_and_pool(hidden_TD, index_TK, weight_TK, self.stacked, pools)

    def _named_weights(self, prefix: str) -> dict[str, Tensor]:
        """Views of the weights by their names in state dicts."""
        return {
            f"{prefix}deepspeed_experts.{number}.{name}": tensor
            for number, expert in enumerate(self.weights())
            for name, tensor in expert._asdict().items()
        }

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        for name, tensor in self._named_weights(prefix).items():
            destination[name] = tensor if keep_vars else tensor.detach()

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: Any,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        with torch.no_grad():
            weights = self._named_weights(prefix)
            for name, tensor in weights.items():
                if name not in state_dict:
                    missing_keys.append(name)
                elif state_dict[name].shape != tensor.shape:
                    found, wanted = tuple(state_dict[name].shape), tuple(tensor.shape)
                    error_msgs.append(f"size mismatch for {name}: {found}, expected {wanted}.")
                else:
                    tensor.copy_(state_dict[name])
        unexpected_keys += [name for name in state_dict if name.startswith(prefix) and name not in weights]


def draw_expert(d_model: int, width: int) -> ExpertWeights:
    """New weights of an expert."""
    w1, w2 = _uniform(d_model, width), _uniform(width, d_model)
    return ExpertWeights(w1, torch.zeros(width), w2, torch.zeros(d_model))


def _uniform(fan_in: int, fan_out: int) -> Tensor:
    """Glorot: the variance of an expert's output is that of its input at any width."""
    bound = math.sqrt(6.0 / (fan_in + fan_out))
    return torch.empty(fan_in, fan_out).uniform_(-bound, bound)
