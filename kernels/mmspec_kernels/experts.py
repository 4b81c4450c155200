"""The feed-forward network of every expert on its own rows.

Axes: D model width, F width of one expert, N rows in expert order.
"""

from collections.abc import Sequence

from torch import Tensor

from mmspec_kernels.backend import Backend, uses_triton
from mmspec_kernels.cpu_experts import experts_of_rows
from mmspec_kernels.weights import Activation, Experts, apart, check_experts, in_autocast_dtype


def expert_ffn(
    rows_ND: Tensor,
    counts: Sequence[int],
    experts: Experts,
    *,
    activation: Activation = "gelu",
    recompute: bool = False,
    backend: Backend = "auto",
) -> Tensor:
    """gelu(x w1 + b1) w2 + b2 with the weights of each row's expert (equation 29).

    Args:
        rows_ND: rows sorted by expert.
        counts: how many rows each expert has; zero is allowed and keeps the expert's gradient path.
        experts: their weights, in the same order; a list, or stacked.
        activation: "gelu", or "swiglu" for silu(x gates) * (x values).
        recompute: compute the pre-activation again in the backward pass instead of keeping it.
        backend: "auto" picks by device.

    Returns:
        The outputs in the order of the rows, [N, D].

    Raises:
        ValueError: rows, counts and experts do not agree, or the shapes of the weights do not fit.
    """
    if len(counts) != len(experts) or sum(counts) != len(rows_ND):
        raise ValueError(f"{len(rows_ND)} rows, counts {list(counts)}, {len(experts)} experts do not agree")
    check_experts(experts, rows_ND.shape[1], activation)
    rows_ND, experts = in_autocast_dtype(rows_ND, experts)
    if not uses_triton(backend, rows_ND):
        return experts_of_rows(rows_ND, counts, experts, activation=activation, recompute=recompute)
    from mmspec_kernels.triton_experts import row_experts

    return row_experts(rows_ND, counts, apart(experts), gated=activation == "swiglu", recompute=recompute)
