"""Preparation of launches: class of device, number of programs, packed weights, tile schedule.

Axes: T tokens, D model width, F expert width, E experts, K choices, N rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import triton
from torch import Tensor

from mmspec_kernels import kernels_dispatch
from mmspec_kernels.launch_table import SCAN_BLOCK, SORT_BLOCK, TILE_CHUNK, Launch, Target, is_even, launch_for
from mmspec_kernels.weights import ExpertWeights

LARGEST_OFFSET = 2**31 - 1
"""Offsets inside a tile are 32 bits wide."""


def is_interpreted() -> bool:
    """Whether Triton was imported with its interpreter, which runs kernels on CPU tensors."""
    return not isinstance(kernels_dispatch.count_pairs, triton.JITFunction)


def target_of(device: torch.device) -> Target:
    """The launch table's class of a device.

    Raises:
        ValueError: it is a CPU and Triton does not run in its interpreter.
    """
    if device.type == "cpu":
        if not is_interpreted():
            raise ValueError("Triton kernels run on CPU tensors only under TRITON_INTERPRET=1")
        return "interpreter"
    if torch.version.hip:
        return "gfx942"
    major = torch.cuda.get_device_capability(device)[0]
    return "sm_80" if major < 9 else "sm_90" if major == 9 else "sm_100"


def programs_on(device: torch.device, launch: Launch, tiles: int) -> int:
    """Programs of a persistent grid: enough to fill the device, no more than there can be tiles."""
    if device.type == "cpu":
        return min(3, max(1, tiles))
    processors = torch.cuda.get_device_properties(device).multi_processor_count
    return max(1, min(processors * launch.programs, tiles))


def dot_precision(dtype: torch.dtype) -> str:
    """float32 products follow torch's own switch; narrower types use the matrix units in any case."""
    allowed = dtype == torch.float32 and torch.backends.cuda.matmul.allow_tf32
    return "tf32" if allowed else "ieee"


@dataclass(frozen=True)
class Packed:
    """All experts' weights side by side: w1 [D, sum F], b1 [sum F], w2 [sum F, D], b2 [E, D]; 2 F for the
    first two of gated experts."""

    w1: Tensor
    b1: Tensor
    w2: Tensor
    b2: Tensor


def pack(experts: Sequence[ExpertWeights]) -> Packed:
    """Concatenate the experts' weights: one launch for all widths, and no aliasing of parameters."""
    return Packed(
        torch.cat([e.w1 for e in experts], 1),
        torch.cat([e.b1 for e in experts]),
        torch.cat([e.w2 for e in experts]),
        torch.stack([e.b2 for e in experts]),
    )


@dataclass(frozen=True)
class Schedule:
    """Where each expert's rows and hidden values lie, and the tiles of the products over rows. On the device.

    `geometry` [E + 1, 4] int64; `wide` and `narrow` [.., 4] int32; `total` [2] int32, how many of each.
    """

    geometry: Tensor
    wide: Tensor
    narrow: Tensor
    total: Tensor


def heavy_first(widths: Sequence[int]) -> tuple[int, ...]:
    """The place of each expert when the widest come first."""
    order = sorted(range(len(widths)), key=lambda e: (-widths[e], e))
    return tuple(order.index(e) for e in range(len(widths)))


def schedule_tiles(
    counts_E: Tensor, rows: int, widths: tuple[int, ...], d_model: int, launch: Launch
) -> Schedule:
    """The tile schedule of the products over rows; no host synchronisation.

    Args:
        counts_E: int32 rows of each expert.
        rows: at most so many in all.
        widths: F of each expert.
        d_model: D.
        launch: sizes of the tiles.
    """
    device = counts_E.device
    row_tiles = rows // launch.rows + min(len(widths), rows)
    wide_tiles = row_tiles * -(-max(widths) // launch.wide)
    narrow_tiles = row_tiles * -(-d_model // launch.narrow)
    plan = Schedule(
        torch.empty(len(widths) + 1, 4, dtype=torch.int64, device=device),
        torch.empty(max(1, wide_tiles), 4, dtype=torch.int32, device=device),
        torch.empty(max(1, narrow_tiles), 4, dtype=torch.int32, device=device),
        torch.empty(2, dtype=torch.int32, device=device),
    )
    kernels_dispatch.schedule[(len(widths),)](
        counts_E, plan.geometry, plan.wide, plan.narrow, plan.total,
        WIDTHS=widths, RANKS=heavy_first(widths), D=d_model, BM=launch.rows, BN=launch.wide,
        NARROW_BN=launch.narrow, GROUP=launch.group, CHUNK=TILE_CHUNK,
    )  # fmt: skip
    return plan


@dataclass(frozen=True)
class SortedPairs:
    """Token-expert pairs in expert order: `pair_N` int32, the inverse `row_N` int32, `counts_E` int32."""

    pair_N: Tensor
    row_N: Tensor
    counts_E: Tensor


def sort_pairs(index_TK: Tensor, num_experts: int) -> SortedPairs:
    """Stable counting sort of the T * K pairs on the device; those with a negative index come last. No host
    synchronisation."""
    index = index_TK.contiguous()
    pairs, device = index.numel(), index.device
    buckets, block = triton.next_power_of_2(num_experts + 1), SORT_BLOCK
    blocks = max(1, triton.cdiv(pairs, block))
    scratch = torch.empty(blocks, buckets, dtype=torch.int32, device=device)
    pair_N = torch.empty(pairs, dtype=torch.int32, device=device)
    row_N = torch.empty(pairs, dtype=torch.int32, device=device)
    counts_E = torch.empty(num_experts, dtype=torch.int32, device=device)
    sizes = {"EXPERTS": num_experts, "BUCKETS": buckets}
    kernels_dispatch.count_pairs[(blocks,)](index, scratch, pairs, **sizes, BLOCK=block)
    kernels_dispatch.scan_counts[(1,)](scratch, counts_E, blocks, **sizes, CHUNK=SCAN_BLOCK)
    kernels_dispatch.place_pairs[(blocks,)](index, scratch, pair_N, row_N, pairs, **sizes, BLOCK=block)
    return SortedPairs(pair_N, row_N, counts_E)


def launch_of(device: torch.device, gated: bool, rows: int, d_model: int, widths: Sequence[int]) -> Launch:
    """The launch table's entry for a layer of these sizes on this device."""
    return launch_for(target_of(device), gated, rows / len(widths), is_even(d_model, widths))
