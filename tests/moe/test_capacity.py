"""The queue of an expert, worked out by hand."""

import pytest
import torch

from mmspec_ds.moe.capacity import keep_within_capacity

# Six tokens, two choices of three experts; -1: padding, or an expert that dynamic activation left out.
CHOSEN = torch.tensor([[0, 1], [0, 2], [-1, -1], [1, 0], [0, -1], [2, 0], [0, 1]])


def test_first_choices_go_before_second_ones() -> None:
    # Six tokens are routed: capacity ceil(0.75 * 2 * 6 / 3) = 3. Expert 0 is the first choice of tokens 0, 1,
    # 4 and 6: the last of them and both second choices (3, 5) are too many. Expert 1: 3 first, then 0, 6.
    # Expert 2: 5 first, then 1.
    kept = keep_within_capacity(CHOSEN, 3, 0.75)
    assert kept.tolist() == [[0, 1], [0, 2], [-1, -1], [1, -1], [0, -1], [2, -1], [-1, 1]]


@pytest.mark.parametrize(
    ("factor", "capacity"),
    [(0.25, 1), (0.5, 2), (1.0, 4), (1.01, 5), (1.5, 6)],
)
def test_capacity_is_rounded_up_and_leaves_out_padding(factor: float, capacity: int) -> None:
    kept = keep_within_capacity(CHOSEN, 3, factor)
    wanted = torch.bincount(CHOSEN[CHOSEN >= 0], minlength=3)
    counts = torch.bincount(kept[kept >= 0], minlength=3)
    assert counts.tolist() == wanted.clamp_max(capacity).tolist()
    assert torch.equal(kept, torch.where(kept >= 0, CHOSEN, -1))


def test_earlier_tokens_go_first() -> None:
    kept = keep_within_capacity(torch.zeros(8, 1, dtype=torch.int64), 4, 1.5)
    assert kept.flatten().tolist() == [0, 0, 0, -1, -1, -1, -1, -1]


@pytest.mark.parametrize(
    "chosen", [torch.empty(0, 2, dtype=torch.int64), torch.full((3, 2), -1)], ids=["0", "3"]
)
def test_no_token_at_all(chosen: torch.Tensor) -> None:
    assert torch.equal(keep_within_capacity(chosen, 4, 1.25), chosen)
