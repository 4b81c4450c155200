"""Linear layers and experts with weights packed for inference on a CPU.

torch multiplies float32 on a CPU by MKL, which reorders the weight in every call. oneDNN, also part of torch,
keeps it packed: on one thread of an AMD EPYC a product with [512, 2048] takes 0.81 of the time for 3,200 rows,
0.74 for 80 and 0.37 for 5, and GELU at the end costs little. Results differ by rounding.

oneDNN's operators are private names of torch; they are used in this file alone.

Axes: B samples, S positions, T tokens, D model width, K choices of a token, N rows in the order of the experts.
"""

import copy
from collections.abc import Sequence
from typing import TypeVar, cast

import torch
from torch import Tensor, nn

from mmspec_ds.moe.always_on import AlwaysOn
from mmspec_ds.moe.experts import ExpertBank
from mmspec_ds.moe.layer import mix_experts
from mmspec_ds.nn.feedforward import DenseFeedForward

BLOCK_ROWS = 1024
"""Rows of an expert that are taken at once, so that hidden values stay in cache."""

M = TypeVar("M", bound=nn.Module)


class PackedLinear(nn.Module):
    """hidden weight^T + bias with weight [out, in], optionally followed by GELU. It keeps a packed copy of the
    weight and cannot be trained."""

    def __init__(self, weight: Tensor, bias: Tensor | None, *, gelu: bool = False) -> None:
        super().__init__()
        self.weight, self.bias = weight, bias
        self._after = "gelu" if gelu else "none"
        self._packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous())

    def forward(self, hidden: Tensor) -> Tensor:
        """[..., in] to [..., out]."""
        out = torch.ops.mkldnn._linear_pointwise(hidden, self._packed, self.bias, self._after, [], "none")
        return cast(Tensor, out)


class PackedFeedForward(nn.Module):
    """`DenseFeedForward` of packed layers."""

    def __init__(self, widen: PackedLinear, narrow: PackedLinear) -> None:
        super().__init__()
        self.widen, self.narrow = widen, narrow

    def forward(
        self, hidden_BSD: Tensor, modality_BS: Tensor | None = None, temperature: float = 1.0
    ) -> tuple[Tensor, None]:
        """[B, S, D] to [B, S, D]; the report is None."""
        return self.narrow(self.widen(hidden_BSD)), None


class PackedExperts(nn.Module):
    """`ExpertBank` of packed experts."""

    def __init__(self, bank: ExpertBank) -> None:
        super().__init__()
        experts = [
            PackedFeedForward(PackedLinear(w1.T, b1, gelu=True), PackedLinear(w2.T, b2))
            for w1, b1, w2, b2 in bank.weights()
        ]
        self.deepspeed_experts = nn.ModuleList(experts)

    def forward(self, rows_ND: Tensor, counts: Sequence[int]) -> Tensor:
        """Outputs [N, D] of rows in the order of these experts; `counts` are the rows of each."""
        parts = [rows_ND[:0]]
        for expert, own_ND in zip(self.deepspeed_experts, rows_ND.split(list(counts))):
            parts += [expert(block_ND)[0] for block_ND in own_ND.split(BLOCK_ROWS) if len(block_ND)]
        return torch.cat(parts)

    def mix(
        self, hidden_TD: Tensor, index_TK: Tensor, weight_TK: Tensor, pools: None = None
    ) -> tuple[Tensor, None]:
        """The weighted sum of each token's experts [T, D], as `ExpertBank.mix` gives it without pools."""
        return mix_experts(self, len(self.deepspeed_experts), hidden_TD, index_TK, weight_TK), None


def packed(model: M) -> M:
    """A replica of a model for inference on a CPU in float32; elsewhere the model itself.

    The replica holds packed copies of the weights of linear layers and experts, and shares everything else with
    the model, which is unchanged. Packing 44 million weights takes about 0.15 s. Later changes of the model's
    weights do not reach the replica.
    """
    if not _can_pack(model):
        return model
    with torch.no_grad():
        return cast(M, _replica(model))


def _can_pack(model: nn.Module) -> bool:
    there = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    return there and all(p.device.type == "cpu" and p.dtype == torch.float32 for p in model.parameters())


def _replica(module: nn.Module) -> nn.Module:
    if isinstance(module, DenseFeedForward):
        widen = PackedLinear(module.widen.weight, module.widen.bias, gelu=True)
        return PackedFeedForward(widen, PackedLinear(module.narrow.weight, module.narrow.bias))
    if isinstance(module, ExpertBank):
        return PackedExperts(module)
    if isinstance(module, AlwaysOn):
        widen = PackedLinear(module.w1.T, module.b1, gelu=True)
        return nn.Sequential(widen, PackedLinear(module.w2.T, module.b2))
    if type(module) is nn.Linear:
        return PackedLinear(module.weight, module.bias)
    replica = copy.copy(module)
    replica._modules = {
        name: None if child is None else _replica(child) for name, child in module._modules.items()
    }
    return replica
