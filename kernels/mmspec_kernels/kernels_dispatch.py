# mypy: ignore-errors
"""Triton: a stable counting sort of token-expert pairs by expert, and the tile schedule. All on the device.

Bucket E holds the pairs that are not used, so that the sort is a permutation of all pairs.
"""

import triton
import triton.language as tl


@triton.jit
def load_experts(index_ptr, pair, pairs, EXPERTS: tl.constexpr):
    """The bucket of each pair, -1 beyond the last pair."""
    expert = tl.load(index_ptr + pair, mask=pair < pairs, other=0).to(tl.int32)
    expert = tl.where(expert < 0, EXPERTS, expert)
    return tl.where(pair < pairs, expert, -1)


@triton.jit
def count_pairs(
    index_ptr, block_count_ptr, pairs,
    EXPERTS: tl.constexpr, BUCKETS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The histogram of each block of pairs, [blocks, BUCKETS] int32."""
    pair = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    bucket = tl.arange(0, BUCKETS)
    expert = load_experts(index_ptr, pair, pairs, EXPERTS)
    count = tl.sum((expert[:, None] == bucket[None, :]).to(tl.int32), axis=0)
    tl.store(block_count_ptr + tl.program_id(0) * BUCKETS + bucket, count)


@triton.jit
def scan_counts(
    block_count_ptr, count_ptr, blocks,
    EXPERTS: tl.constexpr, BUCKETS: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    """In place, each block's first position in each bucket; and the totals per expert. One program."""
    bucket = tl.arange(0, BUCKETS)
    line = tl.arange(0, CHUNK)
    total = tl.zeros((BUCKETS,), dtype=tl.int32)
    for start in range(0, blocks, CHUNK):
        place = block_count_ptr + (start + line)[:, None] * BUCKETS + bucket[None, :]
        count = tl.load(place, mask=(start + line < blocks)[:, None], other=0)
        total += tl.sum(count, axis=0)
    tl.store(count_ptr + bucket, total, mask=bucket < EXPERTS)
    ahead = tl.cumsum(total, axis=0) - total
    for start in range(0, blocks, CHUNK):
        place = block_count_ptr + (start + line)[:, None] * BUCKETS + bucket[None, :]
        inside = (start + line < blocks)[:, None]
        count = tl.load(place, mask=inside, other=0)
        first = ahead[None, :] + tl.cumsum(count, axis=0) - count
        tl.store(place, first, mask=inside)
        ahead += tl.sum(count, axis=0)


@triton.jit
def place_pairs(
    index_ptr, block_first_ptr, pair_ptr, row_ptr, pairs,
    EXPERTS: tl.constexpr, BUCKETS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """pair_ptr[row] = pair and row_ptr[pair] = row: position in the bucket is the count of equals before."""
    pair = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    bucket = tl.arange(0, BUCKETS)
    expert = load_experts(index_ptr, pair, pairs, EXPERTS)
    mine = (expert[:, None] == bucket[None, :]).to(tl.int32)
    first = tl.load(block_first_ptr + tl.program_id(0) * BUCKETS + bucket)
    before = tl.cumsum(mine, axis=0) - mine + first[None, :]
    row = tl.sum(mine * before, axis=1)
    inside = pair < pairs
    tl.store(pair_ptr + row, pair, mask=inside)
    tl.store(row_ptr + pair, row, mask=inside)


@triton.jit
def write_tiles(
    tile_ptr, first, expert, row, rows, columns,
    BM: tl.constexpr, BN: tl.constexpr, GROUP: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    """The tiles of one expert's [rows, columns]. GROUP row tiles share each column tile's weights in cache."""
    down = tl.cdiv(rows, BM)
    across = tl.cdiv(columns, BN)
    for start in range(0, down * across, CHUNK):
        index = start + tl.arange(0, CHUNK)
        group = index // (GROUP * across)
        height = tl.maximum(tl.minimum(down - group * GROUP, GROUP), 1)
        within = index % (GROUP * across)
        place = tile_ptr + (first + index) * 4
        mask = index < down * across
        tl.store(place, tl.zeros((CHUNK,), tl.int32) + expert, mask=mask)
        tl.store(place + 1, row + (group * GROUP + within % height) * BM, mask=mask)
        tl.store(place + 2, within // height * BN, mask=mask)


@triton.jit
def schedule(
    count_ptr, geometry_ptr, wide_ptr, narrow_ptr, total_ptr,
    WIDTHS: tl.constexpr, RANKS: tl.constexpr, D: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, NARROW_BN: tl.constexpr, GROUP: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    """Geometry of the ragged buffers and both tile tables, widest experts first. One program per expert.

    `wide` tiles cover [n_e, F_e], `narrow` tiles [n_e, D]; total_ptr takes how many there are of each.
    """
    mine = tl.program_id(0)
    count = 0
    width = 0
    rank = 0
    for e in tl.static_range(len(WIDTHS)):
        here = mine == e
        count = tl.where(here, tl.load(count_ptr + e).to(tl.int32), count)
        width = tl.where(here, WIDTHS[e], width)
        rank = tl.where(here, RANKS[e], rank)
    row = 0
    packed = 0
    hidden = count.to(tl.int64) * 0
    wide = 0
    narrow = 0
    all_rows = 0
    all_hidden = hidden
    all_wide = 0
    all_narrow = 0
    for e in tl.static_range(len(WIDTHS)):
        n = tl.load(count_ptr + e).to(tl.int32)
        down = tl.cdiv(n, BM)
        elements = n.to(tl.int64) * WIDTHS[e]
        across = (WIDTHS[e] + BN - 1) // BN
        row += tl.where(e < mine, n, 0)
        packed += tl.where(e < mine, WIDTHS[e], 0)
        hidden += tl.where(e < mine, elements, 0)
        wide += tl.where(RANKS[e] < rank, down * across, 0)
        narrow += tl.where(RANKS[e] < rank, down, 0)
        all_rows += n
        all_hidden += elements
        all_wide += down * across
        all_narrow += down
    narrow_across: tl.constexpr = (D + NARROW_BN - 1) // NARROW_BN
    place = geometry_ptr + mine * 4
    tl.store(place, row)
    tl.store(place + 1, hidden)
    tl.store(place + 2, packed)
    tl.store(place + 3, width)
    if mine == 0:
        place = geometry_ptr + len(WIDTHS) * 4
        tl.store(place, all_rows)
        tl.store(place + 1, all_hidden)
        tl.store(total_ptr, all_wide)
        tl.store(total_ptr + 1, all_narrow * narrow_across)
    write_tiles(wide_ptr, wide, mine, row, count, width, BM, BN, GROUP, CHUNK)
    write_tiles(narrow_ptr, narrow * narrow_across, mine, row, count, D, BM, NARROW_BN, GROUP, CHUNK)
