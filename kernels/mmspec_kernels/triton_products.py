"""Launches of the products of the expert FFN, forward and backward.

Axes: T tokens, D model width, F expert width, E experts, K choices, N rows.
"""

from dataclasses import dataclass
from typing import Any

import torch
import triton
from torch import Tensor

from mmspec_kernels import kernels_backward, kernels_forward
from mmspec_kernels.launch_table import PAIR_BLOCK, PAIR_FEATURES, Launch, Step, Tile, is_even
from mmspec_kernels.triton_launch import Packed, Schedule, dot_precision, programs_on


@dataclass(frozen=True)
class Problem:
    """The sizes and index tensors of one call.

    `pair_N` is None when rows are gathered already; `elements` is the size of a ragged buffer; `pair_gradients`
    says that each pair has an output gradient of its own, [T * K, D], and not that of its token, [T, D].
    """

    widths: tuple[int, ...]
    d_model: int
    top_k: int
    rows: int
    gated: bool
    pair_N: Tensor | None
    weight_TK: Tensor | None
    launch: Launch
    schedule: Schedule
    elements: int
    pair_gradients: bool = False

    @property
    def grad_top_k(self) -> int:
        """Choices that share a row of the output's gradient."""
        return 1 if self.pair_gradients else self.top_k

    @property
    def scale(self) -> int:
        """Columns of the first product for each of F."""
        return 2 if self.gated else 1

    @property
    def packed(self) -> int:
        """Columns of the packed activation, sum F."""
        return sum(self.widths)

    def flags(self, dtype: torch.dtype) -> dict[str, Any]:
        """The constants that all products share."""
        return {
            "D": self.d_model,
            "GATHER": self.pair_N is not None,
            "EVEN_D": is_even(self.d_model, ()),
            "EVEN_F": is_even(self.d_model, self.widths),
            "PRECISION": dot_precision(dtype),
        }

    def indices(self) -> tuple[Tensor, Tensor]:
        """pair_N and weight_TK, or a tensor in their place that is never read."""
        total = self.schedule.total
        return (
            total if self.pair_N is None else self.pair_N,
            total if self.weight_TK is None else self.weight_TK,
        )


def _tiling(launch: Launch, step: Step, columns: int) -> dict[str, int]:
    return {
        "BM": launch.rows, "BN": columns, "BK": step.inner, "num_warps": step.warps, "num_stages": step.stages
    }  # fmt: skip


def activates_first(problem: Problem) -> bool:
    """Whether the first product writes activations beside pre-activations.

    The second product reads each hidden value once per column tile of D. For up to two it activates values as
    it reads them, which saves a buffer. For more, repeated exponentials cost more than writing them once: at
    the paper's shape, by count, 839 million against 210 million and 0.14 ms of traffic on an H100.
    """
    return problem.d_model > 2 * problem.launch.narrow


def run_first(
    problem: Problem, x: Tensor, weights: Packed, *, keep_pre: bool, keep_act: bool
) -> tuple[Tensor | None, Tensor | None]:
    """The ragged pre-activations and activations, flat, as asked for: `elements` times `scale` values, and
    `elements`. `x` are tokens [T, D], or rows [N, D] without pairs."""
    pre = _ragged(problem, x, problem.scale) if keep_pre else None
    act = _ragged(problem, x, 1) if keep_act else None
    unused = weights.b1
    plan, launch = problem.schedule, problem.launch
    kernels_forward.first_product[(programs_on(x.device, launch, len(plan.wide)),)](
        x, problem.indices()[0], weights.w1, weights.b1, unused if pre is None else pre,
        unused if act is None else act, plan.wide, plan.geometry, plan.total, problem.d_model,
        PACKED=weights.w1.shape[1], TOPK=problem.top_k, GATED=problem.gated, STORE_PRE=keep_pre,
        STORE_ACT=keep_act, **problem.flags(x.dtype), **_tiling(launch, launch.first, launch.wide),
    )  # fmt: skip
    return pre, act


def run_second(problem: Problem, hidden: Tensor, weights: Packed, out: Tensor, *, activate: bool) -> None:
    """Weighted outputs of all rows into `out` [N, D], at the slots of their pairs (or in place without pairs).
    `hidden` are activations, or pre-activations which it is to `activate`."""
    plan, launch = problem.schedule, problem.launch
    pair, weight = problem.indices()
    kernels_forward.second_product[(programs_on(out.device, launch, len(plan.narrow)),)](
        hidden, pair, weight, weights.w2, weights.b2, out, plan.narrow, plan.geometry, plan.total,
        GATED=problem.gated, ACTIVATE=activate, **problem.flags(out.dtype),
        **_tiling(launch, launch.second, launch.narrow),
    )  # fmt: skip


def forward_rows(
    problem: Problem, x: Tensor, weights: Packed, *, keep_pre: bool
) -> tuple[Tensor, Tensor | None]:
    """Slots [N, D] and the pre-activations, flat, if they are to be kept. `x` are tokens [T, D], or rows [N, D]
    without pairs."""
    first = activates_first(problem)
    pre, act = run_first(problem, x, weights, keep_pre=keep_pre or not first, keep_act=first)
    slots = torch.empty(problem.rows, problem.d_model, dtype=x.dtype, device=x.device)
    hidden = act if first else pre
    assert hidden is not None
    run_second(problem, hidden, weights, slots, activate=not first)
    return slots, pre if keep_pre else None


def hidden_gradients(
    problem: Problem, grad: Tensor, pre: Tensor, weights: Packed
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Gradients of the pre-activations and the weighted activations, flat both, and that of the router's
    weights, [N] float32 (None without pairs). `grad` is that of the output, see `Problem`."""
    plan, launch = problem.schedule, problem.launch
    pair, weight = problem.indices()
    dpre, act = _ragged(problem, grad, problem.scale), _ragged(problem, grad, 1)
    parts = launch.hidden_parts
    tiles = -(-max(problem.widths) // launch.wide) * parts
    dot = torch.empty(
        tiles if problem.pair_N is not None else 1, problem.rows, dtype=torch.float32, device=grad.device
    )
    columns = launch.wide // parts
    kernels_backward.hidden_gradient[(programs_on(grad.device, launch, len(plan.wide) * parts),)](
        grad, pair, weight, weights.w2, pre, dpre, act, dot, plan.wide, plan.geometry, plan.total,
        problem.rows, problem.d_model, TOPK=problem.grad_top_k, GATED=problem.gated, PARTS=parts,
        **problem.flags(grad.dtype), **_tiling(launch, launch.hidden_gradient, columns),
    )  # fmt: skip
    if problem.pair_N is None:
        return dpre, act, None
    score = torch.zeros(problem.rows, dtype=torch.float32, device=grad.device)
    kernels_backward.score_gradient[(max(1, triton.cdiv(problem.rows, PAIR_BLOCK)),)](
        dot, pair, grad, weights.b2, score, plan.geometry, problem.rows,
        WIDTHS=problem.widths, D=problem.d_model, TOPK=problem.grad_top_k, COLUMN=columns,
        BLOCK=PAIR_BLOCK, BLOCK_D=PAIR_FEATURES,
    )  # fmt: skip
    return dpre, act, score


def input_gradient(problem: Problem, dpre: Tensor, weights: Packed) -> Tensor:
    """dx of each row [N, D], in the slots of the pairs; `add_rows` adds the slots of a token."""
    plan, launch = problem.schedule, problem.launch
    slots = torch.empty(problem.rows, problem.d_model, dtype=dpre.dtype, device=dpre.device)
    kernels_backward.input_gradient[(programs_on(dpre.device, launch, len(plan.narrow)),)](
        dpre, problem.indices()[0], weights.w1, slots, plan.narrow, plan.geometry, plan.total,
        PACKED=weights.w1.shape[1], GATED=problem.gated, **problem.flags(dpre.dtype),
        **_tiling(launch, launch.input_gradient, launch.narrow),
    )  # fmt: skip
    return slots


def weight_gradients(problem: Problem, x: Tensor, grad: Tensor, dpre: Tensor, act: Tensor) -> Packed:
    """Gradients of the packed weights: split along the rows, each split in float32, splits added in order.

    Args:
        problem: sizes and indices.
        x: tokens [T, D], or rows [N, D] without pairs.
        grad: of the output, see `Problem`.
        dpre, act: of `hidden_gradients`.
    """
    pair, weight = problem.indices()
    d_model, experts = problem.d_model, len(problem.widths)
    flags = problem.flags(x.dtype)
    shared = {"WIDTHS": problem.widths, **flags}

    tile = problem.launch.first_weight
    down = -(-d_model // tile.rows)
    across = sum(-(-w * problem.scale // tile.columns) for w in problem.widths)
    splits = _splits(x.device, down * across, problem)
    columns = problem.packed * problem.scale
    dw1, db1 = _partial(x, splits, d_model, columns), _partial(x, splits, columns)
    kernels_backward.first_weight_gradient[(down, across, splits)](
        x, pair, dpre, dw1, db1, problem.schedule.geometry, PACKED=columns, GATED=problem.gated,
        TOPK=problem.top_k, SPLITS=splits, **shared, **_weight_tiling(tile),
    )  # fmt: skip

    tile = problem.launch.second_weight
    down = -(-d_model // tile.columns)
    across = sum(-(-w // tile.rows) for w in problem.widths)
    splits = _splits(x.device, down * across, problem)
    dw2, db2 = _partial(x, splits, problem.packed, d_model), _partial(x, splits, experts, d_model)
    kernels_backward.second_weight_gradient[(down, across, splits)](
        act, pair, weight, grad, dw2, db2, problem.schedule.geometry, PACKED=problem.packed,
        TOPK=problem.grad_top_k, SPLITS=splits, **shared, **_weight_tiling(tile),
    )  # fmt: skip
    return Packed(*(_add_splits(part, x.dtype) for part in (dw1, db1, dw2, db2)))


def _weight_tiling(tile: Tile) -> dict[str, int]:
    return {
        "BM": tile.rows, "BN": tile.columns, "BK": tile.step.inner,
        "num_warps": tile.step.warps, "num_stages": tile.step.stages,
    }  # fmt: skip


def _splits(device: torch.device, tiles: int, problem: Problem) -> int:
    """Splits along the rows: about two programs for each multiprocessor, each with 512 rows or more."""
    if device.type == "cpu":
        return 2
    processors = torch.cuda.get_device_properties(device).multi_processor_count
    long_enough = max(1, problem.rows // (len(problem.widths) * 512))
    return max(1, min(8, -(-2 * processors // tiles), long_enough))


def _partial(like: Tensor, splits: int, *shape: int) -> Tensor:
    dtype = like.dtype if splits == 1 else torch.float32
    return torch.empty(splits, *shape, dtype=dtype, device=like.device)


def _add_splits(partial: Tensor, dtype: torch.dtype) -> Tensor:
    return partial[0] if len(partial) == 1 else partial.sum(0).to(dtype)


def _ragged(problem: Problem, like: Tensor, scale: int) -> Tensor:
    return torch.empty(problem.elements * scale, dtype=like.dtype, device=like.device)
