"""Chunks of a plan: who knows the counts knows the chunks, and a plan in chunks is the same plan."""

from dataclasses import replace

import torch
from hypothesis import given
from hypothesis import strategies as st
from mmspec_kernels import Dispatch, ExpertWeights, dispatch, expert_ffn, sparse_ffn

from mmspec_ds.moe.expert_parallel import chunk_counts, in_chunks
from mmspec_ds.moe.layer import mix_experts

EXPERTS = 4


def test_chunks_worked_out_by_hand() -> None:
    # Seven rows in three parts are cut at floor(7/3) = 2 and floor(14/3) = 4; one row goes with the last part.
    assert chunk_counts(torch.tensor([7, 1, 0]), 3).tolist() == [[2, 0, 0], [2, 0, 0], [3, 1, 0]]


def test_a_plan_in_two_chunks_worked_out_by_hand() -> None:
    # Rows by expert: tokens 0, 2, 4 of expert 0, tokens 1, 4 of expert 1; the third token has one expert only.
    plan = dispatch(torch.tensor([[0, -1], [1, -1], [0, -1], [-1, -1], [1, 0]]), 2)
    assert plan.token_N.tolist() == [0, 2, 4, 1, 4]
    cut = in_chunks(plan, 2)
    # Chunk 0 has one row of each expert, chunk 1 two of expert 0 and one of expert 1.
    assert cut.token_N.tolist() == [0, 1, 2, 4, 4]
    assert cut.row_TK[cut.used_TK].tolist() == [0, 1, 2, 4, 3]
    assert cut.counts_E.tolist() == [3, 2]


@given(
    index=st.lists(
        st.lists(st.integers(-1, EXPERTS - 1), min_size=2, max_size=2, unique=True), min_size=0, max_size=20
    ),
    chunks=st.integers(1, 9),
)
def test_any_plan_in_any_number_of_chunks(index: list[list[int]], chunks: int) -> None:
    index_TK = torch.tensor(index, dtype=torch.int64).view(-1, 2)
    plan = dispatch(index_TK, EXPERTS)
    cut = in_chunks(plan, chunks)
    # Every pair's row is a row of its token, and each row is that of one pair.
    tokens = torch.arange(len(index_TK))[:, None].expand(-1, 2)
    assert torch.equal(cut.token_N[cut.row_TK[cut.used_TK]], tokens[cut.used_TK])
    assert sorted(cut.row_TK[cut.used_TK].tolist()) == list(range(len(plan.token_N)))
    # Rows stand in the order of chunks, in a chunk in that of experts, and so many as the counts say.
    expert_N = torch.empty_like(cut.token_N)
    expert_N[cut.row_TK[cut.used_TK]] = index_TK[cut.used_TK]
    counts_CE = chunk_counts(plan.counts_E, chunks)
    assert torch.equal(counts_CE.sum(0), plan.counts_E)
    assert int((counts_CE.amax(0) - counts_CE.amin(0)).max()) <= 1
    assert torch.equal(expert_N, torch.arange(EXPERTS).repeat(chunks).repeat_interleave(counts_CE.flatten()))


def test_what_stands_where_no_pair_is_used_does_not_matter() -> None:
    plan = dispatch(torch.tensor([[0, -1], [-1, -1], [1, 0]]), EXPERTS)
    wild = replace(plan, row_TK=torch.where(plan.used_TK, plan.row_TK, 10**6))
    cut, also = in_chunks(plan, 2), in_chunks(wild, 2)
    assert torch.equal(cut.row_TK[plan.used_TK], also.row_TK[plan.used_TK])


def test_experts_of_one_process_get_their_rows_in_one_piece() -> None:
    torch.manual_seed(0)
    index = torch.tensor([[0], [2], [-1], [0]])
    weights = [
        ExpertWeights(torch.randn(3, 16), torch.randn(16), torch.randn(16, 3), torch.randn(3))
        for _ in range(EXPERTS)
    ]
    hidden, seen = torch.randn(4, 3), []

    def experts(rows: torch.Tensor, counts: list[int]) -> torch.Tensor:
        seen.append(counts)
        return expert_ffn(rows, counts, weights)

    out = mix_experts(experts, EXPERTS, hidden, index, torch.ones(4, 1))
    assert seen == [[2, 0, 1, 0]]
    assert torch.equal(out, sparse_ffn(hidden, index, torch.ones(4, 1), weights))


def test_one_chunk_is_the_plan_itself() -> None:
    plan: Dispatch = dispatch(torch.tensor([[0], [2]]), EXPERTS)
    assert in_chunks(plan, 1) is plan
