# mypy: ignore-errors
"""Triton: the gradients of experts of unequal width. Layouts are those of `kernels_forward`.

With g = the gradient of a row's output before its router weight s was applied, A = activation(pre):

    dA = g w2^T                  hidden_gradient      dscore = sum_f A dA + g b2 (never through the output)
    dpre = s dA activation'(pre) hidden_gradient      dW1 = x^T dpre     first_weight_gradient
    dx   = dpre w1^T             input_gradient       dW2 = (s A)^T g    second_weight_gradient
"""

import triton
import triton.language as tl

from mmspec_kernels.kernels_forward import read_tile, source_rows
from mmspec_kernels.kernels_math import gelu_parts, silu_parts


@triton.jit
def hidden_gradient(
    grad_ptr, pair_ptr, weight_ptr, w2_ptr, pre_ptr, dpre_ptr, act_ptr, dot_ptr,
    tile_ptr, geometry_ptr, total_ptr, rows, depth,
    D: tl.constexpr, TOPK: tl.constexpr, GATHER: tl.constexpr, GATED: tl.constexpr,
    EVEN_D: tl.constexpr, EVEN_F: tl.constexpr, PRECISION: tl.constexpr,
    PARTS: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """dpre, s A for the weight gradient, and each column part's share of sum_f A dA, [parts, rows] float32.

    A tile of the schedule is taken in PARTS parts of BN columns: two outputs, a sum and the derivative of a
    whole tile do not fit into the registers.
    """
    for index in range(tl.program_id(0), tl.load(total_ptr) * PARTS, tl.num_programs(0)):
        _, row, column, first_row, end_row, hidden, packed, width = read_tile(
            tile_ptr, geometry_ptr, index // PARTS, BM, BN
        )
        first_column = tl.load(tile_ptr + index // PARTS * 4 + 2) + index % PARTS * BN
        column += index % PARTS * BN
        valid = row < end_row
        inside = column < width
        token = source_rows(pair_ptr, row, valid, TOPK, GATHER)
        inner = tl.arange(0, BK)
        w_expert = w2_ptr + packed * D
        total = tl.zeros((BM, BN), dtype=tl.float32)
        for start in range(0, depth, BK):
            g = grad_ptr + (token[:, None] * D + (start + inner)[None, :])
            w = w_expert + (column[:, None] * D + (start + inner)[None, :])
            if EVEN_D:
                g_tile = tl.load(g)
            else:
                g_tile = tl.load(g, mask=(inner < D - start)[None, :], other=0.0)
            if EVEN_D and EVEN_F:
                w_tile = tl.load(w)
            else:
                w_tile = tl.load(w, mask=(inner < D - start)[None, :] & inside[:, None], other=0.0)
            total = tl.dot(g_tile, tl.trans(w_tile), total, input_precision=PRECISION)
        kept = valid[:, None] & inside[None, :]
        weight = tl.full((BM,), 1.0, dtype=tl.float32)
        if GATHER:
            pair = tl.load(pair_ptr + row, mask=valid, other=0)
            weight = tl.load(weight_ptr + pair, mask=valid, other=0.0).to(tl.float32)
        local = (row - first_row)[:, None]
        element = dpre_ptr.dtype.element_ty
        if GATED:
            offset = hidden * 2 + (local * (width * 2) + column[None, :])
            pre = tl.load(pre_ptr + offset, mask=kept, other=0.0).to(tl.float32)
            up = tl.load(pre_ptr + offset + width, mask=kept, other=0.0).to(tl.float32)
            gate, slope = silu_parts(pre)
            value = gate * up
            weighted = total * weight[:, None]
            tl.store(dpre_ptr + offset, (weighted * up * slope).to(element), mask=kept)
            tl.store(dpre_ptr + offset + width, (weighted * gate).to(element), mask=kept)
        else:
            offset = hidden + (local * width + column[None, :])
            pre = tl.load(pre_ptr + offset, mask=kept, other=0.0).to(tl.float32)
            value, slope = gelu_parts(pre)
            tl.store(dpre_ptr + offset, (total * slope * weight[:, None]).to(element), mask=kept)
        act = act_ptr + hidden + (local * width + column[None, :])
        tl.store(act, (value * weight[:, None]).to(element), mask=kept)
        if GATHER:
            share = tl.sum(tl.where(inside[None, :], total * value, 0.0), axis=1)
            tl.store(dot_ptr + (first_column // BN).to(tl.int64) * rows + row, share, mask=valid)


@triton.jit
def input_gradient(
    dpre_ptr, pair_ptr, w1_ptr, out_ptr, tile_ptr, geometry_ptr, total_ptr,
    D: tl.constexpr, PACKED: tl.constexpr, GATHER: tl.constexpr, GATED: tl.constexpr,
    EVEN_D: tl.constexpr, EVEN_F: tl.constexpr, PRECISION: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """dpre w1^T of each row, scattered to the token's slot of that choice; `combine` adds the slots."""
    for index in range(tl.program_id(0), tl.load(total_ptr + 1), tl.num_programs(0)):
        _, row, column, first_row, end_row, hidden, packed, width = read_tile(
            tile_ptr, geometry_ptr, index, BM, BN
        )
        if GATED:
            hidden = hidden * 2
            packed = packed * 2
            width = width * 2
        valid = row < end_row
        inside = column < D
        inner = tl.arange(0, BK)
        local = tl.where(valid, row - first_row, 0)
        h_expert = dpre_ptr + hidden
        w_expert = w1_ptr + packed
        total = tl.zeros((BM, BN), dtype=tl.float32)
        for start in range(0, width, BK):
            h = h_expert + (local[:, None] * width + (start + inner)[None, :])
            w = w_expert + (column[:, None] * PACKED + (start + inner)[None, :])
            if EVEN_F:
                h_tile = tl.load(h)
            else:
                h_tile = tl.load(h, mask=(inner < width - start)[None, :], other=0.0)
            if EVEN_D and EVEN_F:
                w_tile = tl.load(w)
            else:
                w_tile = tl.load(w, mask=(inner < width - start)[None, :] & inside[:, None], other=0.0)
            total = tl.dot(h_tile, tl.trans(w_tile), total, input_precision=PRECISION)
        target = row
        if GATHER:
            target = tl.load(pair_ptr + row, mask=valid, other=0)
        place = out_ptr + target.to(tl.int64)[:, None] * D + column[None, :]
        tl.store(place, total.to(out_ptr.dtype.element_ty), mask=valid[:, None] & inside[None, :])


@triton.jit
def find_column_tile(index, WIDTHS: tl.constexpr, BLOCK: tl.constexpr, SCALE: tl.constexpr):
    """The expert of a tile of the packed columns, and the tile's first column in that expert."""
    expert = 0
    column = 0
    start = 0
    for candidate in tl.static_range(len(WIDTHS)):
        tiles = (WIDTHS[candidate] * SCALE + BLOCK - 1) // BLOCK
        here = (index >= start) & (index < start + tiles)
        expert = tl.where(here, candidate, expert)
        column = tl.where(here, (index - start) * BLOCK, column)
        start += tiles
    return expert, tl.multiple_of(column, BLOCK)


@triton.jit
def split_rows(geometry_ptr, expert, SPLITS: tl.constexpr, BK: tl.constexpr):
    """The rows of one split: an equal share of the expert's rows in whole steps of BK."""
    begin = tl.load(geometry_ptr + expert * 4).to(tl.int32)
    end = tl.load(geometry_ptr + expert * 4 + 4).to(tl.int32)
    share = tl.cdiv(tl.cdiv(end - begin, SPLITS), BK) * BK
    begin += tl.program_id(2) * share
    return begin, tl.minimum(begin + share, end)


@triton.jit
def first_weight_gradient(
    x_ptr, pair_ptr, dpre_ptr, dw1_ptr, db1_ptr, geometry_ptr,
    WIDTHS: tl.constexpr, D: tl.constexpr, PACKED: tl.constexpr, TOPK: tl.constexpr,
    GATHER: tl.constexpr, GATED: tl.constexpr, SPLITS: tl.constexpr,
    EVEN_D: tl.constexpr, EVEN_F: tl.constexpr, PRECISION: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """One split's x^T dpre [D, packed] and column sums of dpre. Grid: tiles of D, tiles of columns, splits."""
    scale: tl.constexpr = 2 if GATED else 1
    expert, first_column = find_column_tile(tl.program_id(1), WIDTHS, BN, scale)
    place = geometry_ptr + expert * 4
    first_row = tl.load(place).to(tl.int32)
    hidden = tl.multiple_of(tl.load(place + 1), 16) * scale
    packed = tl.multiple_of(tl.load(place + 2), 16) * scale
    width = tl.multiple_of(tl.load(place + 3).to(tl.int32), 16) * scale
    column = first_column + tl.arange(0, BN)
    inside = column < width
    feature = tl.program_id(0) * BM + tl.arange(0, BM)
    total = tl.zeros((BM, BN), dtype=tl.float32)
    bias = tl.zeros((BN,), dtype=tl.float32)
    begin, end = split_rows(geometry_ptr, expert, SPLITS, BK)
    for start in range(begin, end, BK):
        row = start + tl.arange(0, BK)
        valid = row < end
        token = source_rows(pair_ptr, row, valid, TOPK, GATHER)
        x_mask = valid[:, None] if EVEN_D else valid[:, None] & (feature < D)[None, :]
        x_tile = tl.load(x_ptr + token[:, None] * D + feature[None, :], mask=x_mask, other=0.0)
        h_mask = valid[:, None] if EVEN_F else valid[:, None] & inside[None, :]
        h = dpre_ptr + hidden + ((row - first_row)[:, None] * width + column[None, :])
        h_tile = tl.load(h, mask=h_mask, other=0.0)
        total = tl.dot(tl.trans(x_tile), h_tile, total, input_precision=PRECISION)
        if tl.program_id(0) == 0:
            bias += tl.sum(h_tile.to(tl.float32), axis=0)
    base = tl.program_id(2).to(tl.int64) * PACKED
    out = dw1_ptr + base * D + packed + (feature[:, None] * PACKED + column[None, :])
    tl.store(out, total.to(dw1_ptr.dtype.element_ty), mask=(feature < D)[:, None] & inside[None, :])
    if tl.program_id(0) == 0:
        tl.store(db1_ptr + base + packed + column, bias.to(db1_ptr.dtype.element_ty), mask=inside)


@triton.jit
def second_weight_gradient(
    act_ptr, pair_ptr, weight_ptr, grad_ptr, dw2_ptr, db2_ptr, geometry_ptr,
    WIDTHS: tl.constexpr, D: tl.constexpr, PACKED: tl.constexpr, TOPK: tl.constexpr,
    GATHER: tl.constexpr, SPLITS: tl.constexpr,
    EVEN_D: tl.constexpr, EVEN_F: tl.constexpr, PRECISION: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """One split's (s A)^T g [packed, D] and sums of s g [E, D]. Grid: tiles of D, tiles of columns, splits."""
    expert, first_column = find_column_tile(tl.program_id(1), WIDTHS, BM, 1)
    place = geometry_ptr + expert * 4
    first_row = tl.load(place).to(tl.int32)
    hidden = tl.multiple_of(tl.load(place + 1), 16)
    packed = tl.multiple_of(tl.load(place + 2), 16)
    width = tl.multiple_of(tl.load(place + 3).to(tl.int32), 16)
    column = first_column + tl.arange(0, BM)
    inside = column < width
    feature = tl.program_id(0) * BN + tl.arange(0, BN)
    total = tl.zeros((BM, BN), dtype=tl.float32)
    bias = tl.zeros((BN,), dtype=tl.float32)
    begin, end = split_rows(geometry_ptr, expert, SPLITS, BK)
    for start in range(begin, end, BK):
        row = start + tl.arange(0, BK)
        valid = row < end
        token = source_rows(pair_ptr, row, valid, TOPK, GATHER)
        g_mask = valid[:, None] if EVEN_D else valid[:, None] & (feature < D)[None, :]
        g_tile = tl.load(grad_ptr + token[:, None] * D + feature[None, :], mask=g_mask, other=0.0)
        h_mask = valid[:, None] if EVEN_F else valid[:, None] & inside[None, :]
        h = act_ptr + hidden + ((row - first_row)[:, None] * width + column[None, :])
        h_tile = tl.load(h, mask=h_mask, other=0.0)
        total = tl.dot(tl.trans(h_tile), g_tile, total, input_precision=PRECISION)
        if first_column == 0:
            scaled = g_tile.to(tl.float32)
            if GATHER:
                pair = tl.load(pair_ptr + row, mask=valid, other=0)
                weight = tl.load(weight_ptr + pair, mask=valid, other=0.0).to(tl.float32)
                scaled *= weight[:, None]
            bias += tl.sum(scaled, axis=0)
    split = tl.program_id(2).to(tl.int64)
    out = dw2_ptr + (split * PACKED + packed) * D + (column[:, None] * D + feature[None, :])
    tl.store(out, total.to(dw2_ptr.dtype.element_ty), mask=inside[:, None] & (feature < D)[None, :])
    if first_column == 0:
        sums = db2_ptr + (split * len(WIDTHS) + expert) * D + feature
        tl.store(sums, bias.to(db2_ptr.dtype.element_ty), mask=feature < D)


@triton.jit
def score_gradient(
    dot_ptr, pair_ptr, grad_ptr, b2_ptr, out_ptr, geometry_ptr, rows,
    WIDTHS: tl.constexpr, D: tl.constexpr, TOPK: tl.constexpr, COLUMN: tl.constexpr,
    BLOCK: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """dscore[pair] = the column tiles' shares of sum_f A dA, in order, + g b2. Grid: blocks of rows."""
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    expert = tl.zeros((BLOCK,), dtype=tl.int32)
    tiles = tl.zeros((BLOCK,), dtype=tl.int32)
    for candidate in tl.static_range(len(WIDTHS)):
        begin = tl.load(geometry_ptr + candidate * 4)
        end = tl.load(geometry_ptr + candidate * 4 + 4)
        here = (row >= begin) & (row < end)
        expert = tl.where(here, candidate, expert)
        tiles = tl.where(here, (WIDTHS[candidate] + COLUMN - 1) // COLUMN, tiles)
    valid = tiles > 0
    total = tl.zeros((BLOCK,), dtype=tl.float32)
    share = dot_ptr + row
    for tile in range(tl.max(tiles, axis=0)):
        total += tl.load(share, mask=tile < tiles, other=0.0)
        share += rows
    pair = tl.load(pair_ptr + row, mask=valid, other=0)
    token = pair // TOPK
    for start in range(0, D, BLOCK_D):
        feature = start + tl.arange(0, BLOCK_D)
        mask = valid[:, None] & (feature < D)[None, :]
        g = tl.load(grad_ptr + token[:, None] * D + feature[None, :], mask=mask, other=0.0)
        b = tl.load(b2_ptr + expert[:, None] * D + feature[None, :], mask=mask, other=0.0)
        total += tl.sum(g.to(tl.float32) * b.to(tl.float32), axis=1)
    tl.store(out_ptr + pair, total, mask=valid)
