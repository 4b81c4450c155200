"""The sparse layer on one device: dispatch, experts, combine.

Axes: T tokens, D model width, K choices, B samples, P pools of a sample.
"""

from torch import Tensor

from mmspec_kernels.backend import Backend, uses_triton
from mmspec_kernels.combine import Pools, PoolSums
from mmspec_kernels.cpu_layer import mixed_experts
from mmspec_kernels.weights import Activation, Experts, apart, check_experts, in_autocast_dtype


def sparse_ffn(
    hidden_TD: Tensor,
    index_TK: Tensor,
    weight_TK: Tensor,
    experts: Experts,
    *,
    activation: Activation = "gelu",
    recompute: bool = False,
    backend: Backend = "auto",
) -> Tensor:
    """Sum over a token's chosen experts of weight * FFN_e(hidden) (equation 4).

    With Triton the gather is part of the first product, activation, weight and scatter of the second, and no
    gathered copy of the tokens exists.

    Args:
        hidden_TD: token representations.
        index_TK: experts of each token, distinct, negative where there is none; as `route` gives them.
        weight_TK: their weights.
        experts: weights of all experts, of any widths; a list, or stacked.
        activation: "gelu" or "swiglu".
        recompute: compute the pre-activation again in the backward pass instead of keeping it.
        backend: "auto" picks by device.

    Returns:
        [T, D]; tokens with no expert get zeros.
    """
    return _mix(hidden_TD, index_TK, weight_TK, experts, None, activation, recompute, backend)[0]


def sparse_ffn_and_pool(
    hidden_TD: Tensor,
    index_TK: Tensor,
    weight_TK: Tensor,
    experts: Experts,
    pools: Pools,
    *,
    activation: Activation = "gelu",
    recompute: bool = False,
    backend: Backend = "auto",
) -> tuple[Tensor, PoolSums]:
    """`sparse_ffn`, and the sums of its weighted expert outputs over pools.

    This is what training with a structural loss runs. The expert outputs are read once for both sums.

    Returns:
        The layer's output [T, D] and the pools' sums [B, P, D] and weights [B, P]; differentiable.
    """
    out_TD, sums = _mix(hidden_TD, index_TK, weight_TK, experts, pools, activation, recompute, backend)
    assert sums is not None
    return out_TD, sums


def _mix(
    hidden_TD: Tensor, index_TK: Tensor, weight_TK: Tensor, experts: Experts,
    pools: Pools | None, activation: Activation, recompute: bool, backend: Backend,
) -> tuple[Tensor, PoolSums | None]:  # fmt: skip
    check_experts(experts, hidden_TD.shape[1], activation)
    hidden_TD, experts = in_autocast_dtype(hidden_TD, experts)
    if uses_triton(backend, hidden_TD):
        from mmspec_kernels.triton_experts import sparse_experts

        return sparse_experts(
            hidden_TD, index_TK, weight_TK, apart(experts), gated=activation == "swiglu", recompute=recompute,
            pools=pools,
        )  # fmt: skip
    return mixed_experts(
        hidden_TD, index_TK, weight_TK, experts, activation=activation, recompute=recompute, pools=pools
    )
