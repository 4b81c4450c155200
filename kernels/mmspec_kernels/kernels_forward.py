# mypy: ignore-errors
"""Triton: the two matrix products of experts of unequal width, each in one launch.

Rows stand in expert order. Expert e has n_e of them, width F_e and, in the ragged buffers, a block [n_e, F_e]
(pre-activations of gated experts: [n_e, 2 F_e], gates first) with no padding to a common width. Programs are
persistent: each walks the tile table that `kernels_dispatch.schedule` wrote, whose first tiles are those of the
widest experts, so that the last ones to finish are the cheap ones.

GEOMETRY is [E + 1, 4] int64: first row, first element of the ragged activation, first packed column, width.
TILES is [.., 4] int32: expert, first row, first column, unused.
"""

import triton
import triton.language as tl

from mmspec_kernels.kernels_math import activate


@triton.jit
def read_tile(tile_ptr, geometry_ptr, index, BM: tl.constexpr, BN: tl.constexpr):
    """The expert of a tile, its rows and columns, and where the expert's data begin.

    Widths are multiples of 16, which the compiler cannot know of numbers that it reads from memory: without the
    hints every load would be of single elements.
    """
    expert = tl.load(tile_ptr + index * 4)
    row = tl.load(tile_ptr + index * 4 + 1) + tl.arange(0, BM)
    column = tl.multiple_of(tl.load(tile_ptr + index * 4 + 2), BN) + tl.arange(0, BN)
    place = geometry_ptr + expert * 4
    first_row = tl.load(place)
    hidden = tl.multiple_of(tl.load(place + 1), 16)
    packed = tl.multiple_of(tl.load(place + 2), 16)
    width = tl.multiple_of(tl.load(place + 3).to(tl.int32), 16)
    end_row = tl.load(place + 4)
    return expert, row, column, first_row.to(tl.int32), end_row.to(tl.int32), hidden, packed, width


@triton.jit
def source_rows(pair_ptr, row, valid, TOPK: tl.constexpr, GATHER: tl.constexpr):
    """The token whose data a row carries: itself when rows are gathered already.

    int32, as every offset inside a tile: 64-bit pointers of whole tiles would not fit into the registers. The
    launcher refuses inputs of 2^31 elements.
    """
    token = row
    if GATHER:
        token = tl.load(pair_ptr + row, mask=valid, other=0) // TOPK
    return tl.where(valid, token, 0)


@triton.jit
def first_product(
    x_ptr, pair_ptr, w1_ptr, b1_ptr, pre_ptr, act_ptr, tile_ptr, geometry_ptr, total_ptr, depth,
    D: tl.constexpr, PACKED: tl.constexpr, TOPK: tl.constexpr,
    GATHER: tl.constexpr, GATED: tl.constexpr, STORE_PRE: tl.constexpr, STORE_ACT: tl.constexpr,
    EVEN_D: tl.constexpr, EVEN_F: tl.constexpr, PRECISION: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """pre = x[token] w1 + b1, and act = activation(pre) where the second product does not compute it.

    `depth` is D once more, at run time: a loop whose length is known is unrolled whole, and spills.
    """
    for index in range(tl.program_id(0), tl.load(total_ptr), tl.num_programs(0)):
        _, row, column, first_row, end_row, hidden, packed, width = read_tile(
            tile_ptr, geometry_ptr, index, BM, BN
        )
        valid = row < end_row
        inside = column < width
        token = source_rows(pair_ptr, row, valid, TOPK, GATHER)
        inner = tl.arange(0, BK)
        packed = packed * (2 if GATED else 1)
        w_expert = w1_ptr + packed
        total = tl.zeros((BM, BN), dtype=tl.float32)
        total_up = tl.zeros((BM, BN), dtype=tl.float32) if GATED else total
        for start in range(0, depth, BK):
            x = x_ptr + (token[:, None] * D + (start + inner)[None, :])
            w = w_expert + ((start + inner)[:, None] * PACKED + column[None, :])
            if EVEN_D:
                x_tile = tl.load(x)
            else:
                x_tile = tl.load(x, mask=(inner < D - start)[None, :], other=0.0)
            if EVEN_D and EVEN_F:
                w_tile = tl.load(w)
            else:
                w_tile = tl.load(w, mask=(inner < D - start)[:, None] & inside[None, :], other=0.0)
            total = tl.dot(x_tile, w_tile, total, input_precision=PRECISION)
            if GATED:
                if EVEN_D and EVEN_F:
                    up_tile = tl.load(w + width)
                else:
                    up_tile = tl.load(w + width, mask=(inner < D - start)[:, None] & inside[None, :], other=0.0)
                total_up = tl.dot(x_tile, up_tile, total_up, input_precision=PRECISION)
        bias = tl.load(b1_ptr + packed + column, mask=inside, other=0.0).to(tl.float32)
        total += bias[None, :]
        if GATED:
            bias = tl.load(b1_ptr + packed + width + column, mask=inside, other=0.0).to(tl.float32)
            total_up += bias[None, :]
        kept = valid[:, None] & inside[None, :]
        local = (row - first_row)[:, None]
        if STORE_PRE:
            if GATED:
                place = pre_ptr + hidden * 2 + (local * (width * 2) + column[None, :])
                tl.store(place + width, total_up.to(pre_ptr.dtype.element_ty), mask=kept)
            else:
                place = pre_ptr + hidden + (local * width + column[None, :])
            tl.store(place, total.to(pre_ptr.dtype.element_ty), mask=kept)
        if STORE_ACT:
            # The backward pass sees the rounded pre-activation, so the forward pass activates that one.
            total = total.to(act_ptr.dtype.element_ty).to(tl.float32)
            total_up = total_up.to(act_ptr.dtype.element_ty).to(tl.float32)
            value = activate(total, total_up, GATED)
            place = act_ptr + hidden + (local * width + column[None, :])
            tl.store(place, value.to(act_ptr.dtype.element_ty), mask=kept)


@triton.jit
def second_product(
    hidden_ptr, pair_ptr, weight_ptr, w2_ptr, b2_ptr, out_ptr, tile_ptr, geometry_ptr, total_ptr,
    D: tl.constexpr, GATHER: tl.constexpr, GATED: tl.constexpr, ACTIVATE: tl.constexpr,
    EVEN_D: tl.constexpr, EVEN_F: tl.constexpr, PRECISION: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """out[pair] = weight[pair] * (activation(pre) w2 + b2), scattered to the token's slot of that choice.

    With ACTIVATE `hidden_ptr` holds pre-activations, activated here as they are read; else activations. Without
    GATHER a row stays where it is and has no weight.
    """
    for index in range(tl.program_id(0), tl.load(total_ptr + 1), tl.num_programs(0)):
        expert, row, column, first_row, end_row, hidden, packed, width = read_tile(
            tile_ptr, geometry_ptr, index, BM, BN
        )
        valid = row < end_row
        inside = column < D
        inner = tl.arange(0, BK)
        local = tl.where(valid, row - first_row, 0)
        stride = width
        if ACTIVATE and GATED:
            hidden = hidden * 2
            stride = width * 2
        h_expert = hidden_ptr + hidden
        w_expert = w2_ptr + packed * D
        total = tl.zeros((BM, BN), dtype=tl.float32)
        for start in range(0, width, BK):
            h = h_expert + (local[:, None] * stride + (start + inner)[None, :])
            w = w_expert + ((start + inner)[:, None] * D + column[None, :])
            if EVEN_F:
                h_tile = tl.load(h)
            else:
                h_tile = tl.load(h, mask=(inner < width - start)[None, :], other=0.0)
            if ACTIVATE:
                up_tile = h_tile
                if GATED:
                    if EVEN_F:
                        up_tile = tl.load(h + width)
                    else:
                        up_tile = tl.load(h + width, mask=(inner < width - start)[None, :], other=0.0)
                h_tile = activate(h_tile.to(tl.float32), up_tile.to(tl.float32), GATED)
                h_tile = h_tile.to(w2_ptr.dtype.element_ty)
            if EVEN_D and EVEN_F:
                w_tile = tl.load(w)
            else:
                w_tile = tl.load(w, mask=(inner < width - start)[:, None] & inside[None, :], other=0.0)
            total = tl.dot(h_tile, w_tile, total, input_precision=PRECISION)
        bias = tl.load(b2_ptr + expert * D + column, mask=inside, other=0.0).to(tl.float32)
        total += bias[None, :]
        target = row
        if GATHER:
            target = tl.load(pair_ptr + row, mask=valid, other=0)
            weight = tl.load(weight_ptr + target, mask=valid, other=0.0).to(tl.float32)
            total *= weight[:, None]
        place = out_ptr + target.to(tl.int64)[:, None] * D + column[None, :]
        tl.store(place, total.to(out_ptr.dtype.element_ty), mask=valid[:, None] & inside[None, :])
