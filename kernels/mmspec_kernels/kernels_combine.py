# mypy: ignore-errors
"""Triton: the weighted sums of expert outputs, per token and per pool, and their gradients.

A token-expert pair whose `place` is negative is not used. All sums run in a fixed order, without atomics.
"""

import triton
import triton.language as tl


@triton.jit
def combine_rows(
    rows_ptr, row_ptr, weight_ptr, place_ptr, out_ptr, tokens,
    D: tl.constexpr, TOPK: tl.constexpr, INDEXED: tl.constexpr, WEIGHTED: tl.constexpr,
    BLOCK: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """out[t] = sum_k weight[t, k] rows[row[t, k]], choices in order.

    Without INDEXED the row of a pair has the pair's number; without WEIGHTED all weights are 1. Grid: blocks of
    tokens, blocks of D.
    """
    token = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    feature = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    inside = (token < tokens)[:, None] & (feature < D)[None, :]
    total = tl.zeros((BLOCK, BLOCK_D), dtype=tl.float32)
    for choice in tl.static_range(TOPK):
        pair = token * TOPK + choice
        used = tl.load(place_ptr + pair, mask=token < tokens, other=-1) >= 0
        row = pair
        if INDEXED:
            row = tl.load(row_ptr + pair, mask=used, other=0)
        place = rows_ptr + row.to(tl.int64)[:, None] * D + feature[None, :]
        value = tl.load(place, mask=inside & used[:, None], other=0.0).to(tl.float32)
        if WEIGHTED:
            weight = tl.load(weight_ptr + pair, mask=used, other=0.0).to(tl.float32)
            value *= weight[:, None]
        total += value
    place = out_ptr + token.to(tl.int64)[:, None] * D + feature[None, :]
    tl.store(place, total.to(out_ptr.dtype.element_ty), mask=inside)


@triton.jit
def combine_and_pool(
    rows_ptr, row_ptr, weight_ptr, place_ptr, out_ptr, sum_ptr, mass_ptr, length,
    D: tl.constexpr, TOPK: tl.constexpr, INDEXED: tl.constexpr, POOLS: tl.constexpr,
    BLOCK: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_P: tl.constexpr,
):  # fmt: skip
    """`combine_rows`, and from the same read the sums of each sample's pools: one-hot matrix products.

    Rows are weighted already unless INDEXED. `place` is sample * POOLS + pool. `sum` [samples, POOLS, D] takes
    weight * row, `mass` [samples, POOLS] the weights, both float32. Grid: samples of `length` tokens, blocks of
    D, blocks of pools, each of which reads the rows again.
    """
    sample = tl.program_id(0)
    feature = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    pool = tl.program_id(2) * BLOCK_P + tl.arange(0, BLOCK_P)
    sums = tl.zeros((BLOCK_P, BLOCK_D), dtype=tl.float32)
    mass = tl.zeros((BLOCK_P,), dtype=tl.float32)
    element = rows_ptr.dtype.element_ty
    for start in range(0, length, BLOCK):
        local = start + tl.arange(0, BLOCK)
        token = sample * length + local
        inside = (local < length)[:, None] & (feature < D)[None, :]
        total = tl.zeros((BLOCK, BLOCK_D), dtype=tl.float32)
        for choice in tl.static_range(TOPK):
            pair = token * TOPK + choice
            place = tl.load(place_ptr + pair, mask=local < length, other=-1)
            used = place >= 0
            row = pair
            if INDEXED:
                row = tl.load(row_ptr + pair, mask=used, other=0)
            source = rows_ptr + row.to(tl.int64)[:, None] * D + feature[None, :]
            tile = tl.load(source, mask=inside & used[:, None], other=0.0)
            weight = tl.load(weight_ptr + pair, mask=used, other=0.0).to(tl.float32)
            if INDEXED:
                value = tile.to(tl.float32) * weight[:, None]
                tile = value.to(element)
            else:
                value = tile.to(tl.float32)
            total += value
            hot = (place - sample * POOLS)[None, :] == pool[:, None]
            sums = tl.dot(hot.to(element), tile, sums, input_precision="ieee")
            mass += tl.sum(tl.where(hot, weight[None, :], 0.0), axis=1)
        if tl.program_id(2) == 0:
            out = out_ptr + token.to(tl.int64)[:, None] * D + feature[None, :]
            tl.store(out, total.to(out_ptr.dtype.element_ty), mask=inside)
    place = sample * POOLS + pool
    tl.store(
        sum_ptr + place.to(tl.int64)[:, None] * D + feature[None, :], sums,
        mask=(pool < POOLS)[:, None] & (feature < D)[None, :],
    )  # fmt: skip
    if tl.program_id(1) == 0:
        tl.store(mass_ptr + place, mass, mask=pool < POOLS)


@triton.jit
def pair_gradient(
    grad_ptr, dsum_ptr, place_ptr, out_ptr, tokens,
    D: tl.constexpr, TOPK: tl.constexpr, BLOCK: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """out[t, k] = grad[t] + dsum[place[t, k]], the gradient of each pair's weighted output.

    Grid: blocks of tokens, blocks of D.
    """
    token = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    feature = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    inside = (token < tokens)[:, None] & (feature < D)[None, :]
    source = grad_ptr + token.to(tl.int64)[:, None] * D + feature[None, :]
    shared = tl.load(source, mask=inside, other=0.0).to(tl.float32)
    for choice in tl.static_range(TOPK):
        pair = token * TOPK + choice
        place = tl.load(place_ptr + pair, mask=token < tokens, other=-1).to(tl.int64)
        own = dsum_ptr + place[:, None] * D + feature[None, :]
        value = shared + tl.load(own, mask=inside & (place >= 0)[:, None], other=0.0)
        target = out_ptr + pair.to(tl.int64)[:, None] * D + feature[None, :]
        tl.store(target, value.to(out_ptr.dtype.element_ty), mask=inside)


@triton.jit
def combine_rows_gradient(
    grad_ptr, dsum_ptr, dmass_ptr, rows_ptr, row_ptr, weight_ptr, place_ptr, drows_ptr, dweight_ptr, tokens,
    D: tl.constexpr, TOPK: tl.constexpr, POOLED: tl.constexpr, BLOCK: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """The gradients of indexed, weighted rows: of `combine_and_pool` if POOLED, else of `combine_rows`.

    Grid: blocks of pairs.
    """
    pair = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = pair < tokens * TOPK
    pool = tl.load(place_ptr + pair, mask=inside, other=-1).to(tl.int64)
    used = pool >= 0
    row = tl.load(row_ptr + pair, mask=used, other=0).to(tl.int64)
    weight = tl.load(weight_ptr + pair, mask=used, other=0.0).to(tl.float32)
    token = (pair // TOPK).to(tl.int64)
    dot = tl.zeros((BLOCK,), dtype=tl.float32)
    if POOLED:
        dot += tl.load(dmass_ptr + pool, mask=used, other=0.0)
    for start in range(0, D, BLOCK_D):
        feature = start + tl.arange(0, BLOCK_D)
        mask = used[:, None] & (feature < D)[None, :]
        g = tl.load(grad_ptr + token[:, None] * D + feature[None, :], mask=mask, other=0.0).to(tl.float32)
        if POOLED:
            g += tl.load(dsum_ptr + pool[:, None] * D + feature[None, :], mask=mask, other=0.0)
        place = row[:, None] * D + feature[None, :]
        value = tl.load(rows_ptr + place, mask=mask, other=0.0).to(tl.float32)
        dot += tl.sum(g * value, axis=1)
        tl.store(drows_ptr + place, (g * weight[:, None]).to(drows_ptr.dtype.element_ty), mask=mask)
    tl.store(dweight_ptr + pair, dot, mask=inside)
