"""What the checks compare with: the formulas, in float64."""

from collections.abc import Sequence

import torch
from mmspec_kernels import ExpertWeights, Pools
from torch import Tensor


def tolerance(dtype: torch.dtype) -> float:
    """Of |out - exact| / |exact|. Values and hidden values are rounded to the dtype once each, and products are
    summed in float32, whose own rounding adds up along the sum."""
    return (16 if dtype == torch.float32 else 2) * torch.finfo(dtype).eps


def assert_near(found: Tensor, exact: Tensor, dtype: torch.dtype, what: str) -> None:
    assert found.shape == exact.shape, what
    error = (found.double() - exact.double()).norm() / exact.double().norm().clamp_min(1e-6)
    assert error <= tolerance(dtype), f"{what}: relative error {float(error):.2e}"


def make_experts(
    widths: Sequence[int], d_model: int, gated: bool, dtype: torch.dtype, device: torch.device
) -> list[ExpertWeights]:
    scale = 2 if gated else 1
    shapes = [((d_model, w * scale), (w * scale,), (w, d_model), (d_model,)) for w in widths]
    return [
        ExpertWeights(
            *(
                torch.randn(s, device=device).div(s[0] ** 0.5).to(dtype).requires_grad_()
                for s in expert
            )
        )
        for expert in shapes
    ]  # fmt: skip


def exact_experts(x: Tensor, experts: Sequence[ExpertWeights], gated: bool) -> Tensor:
    """Every expert on every row [E, N, D], in float64 and by the formula."""
    outputs = []
    for e in experts:
        pre = x @ e.w1 + e.b1
        if gated:
            gate, value = pre.chunk(2, -1)
            act = gate / (1 + torch.exp(-gate)) * value
        else:
            act = 0.5 * pre * (1 + torch.erf(pre / 2**0.5))
        outputs.append(act @ e.w2 + e.b2)
    return torch.stack(outputs)


def exact_pools(weighted_TKD: Tensor, weight_TK: Tensor, pools: Pools) -> tuple[Tensor, Tensor]:
    """Sums of weighted outputs [B, P, D] and of weights [B, P], by a one-hot product."""
    hot_TKP = (pools.pool_TK[..., None] == torch.arange(pools.pools, device=weight_TK.device)).double()
    hot_BTKP, weighted_BTKD, weight_BTK = (
        t.unflatten(0, (pools.samples, -1)) for t in (hot_TKP, weighted_TKD, weight_TK)
    )
    outputs = torch.einsum("btkp,btkd->bpd", hot_BTKP, weighted_BTKD)
    return outputs, torch.einsum("btkp,btk->bp", hot_BTKP, weight_BTK)


def in_double(experts: Sequence[ExpertWeights]) -> list[ExpertWeights]:
    return [ExpertWeights(*(t.detach().double().requires_grad_() for t in e)) for e in experts]


def leaves(experts: Sequence[ExpertWeights]) -> list[Tensor]:
    return [t for e in experts for t in e]


NAMES = ("w1", "b1", "w2", "b2")


def expert_names(experts: Sequence[ExpertWeights]) -> list[str]:
    return [f"{name} of expert {e}" for e in range(len(experts)) for name in NAMES]
