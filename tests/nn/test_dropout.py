import pytest
import torch

from mmspec_ds.nn.dropout import Dropout


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
def test_drops_the_rate_and_scales_the_rest(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    ones = torch.ones(1001, 101, dtype=dtype, requires_grad=True)
    out = Dropout(0.3)(ones)
    out.sum().backward()
    kept = out != 0
    # 101,101 draws: the standard error of the share is 0.0014.
    assert 1 - kept.double().mean().item() == pytest.approx(0.3, abs=0.006)
    scale = torch.tensor(65536 / (65536 - 19661), dtype=dtype)
    assert torch.equal(out[kept], scale.expand(int(kept.sum())))
    assert ones.grad is not None
    assert torch.equal(ones.grad, out.detach())


def test_neighbours_that_share_a_draw_are_independent() -> None:
    torch.manual_seed(0)
    kept = (Dropout(0.5)(torch.ones(100_000, 4)) != 0).double()
    # Standard error of each correlation: 1 / sqrt(100,000) = 0.003.
    assert (torch.corrcoef(kept.T) - torch.eye(4)).abs().max().item() < 0.015


def test_a_seed_fixes_it_and_evaluation_turns_it_off() -> None:
    dropout, hidden = Dropout(0.1), torch.randn(33, 7)
    torch.manual_seed(5)
    first = dropout(hidden)
    torch.manual_seed(5)
    assert torch.equal(dropout(hidden), first)
    assert not torch.equal(dropout(hidden), first)
    assert dropout.eval()(hidden) is hidden
    assert Dropout(0.0)(hidden) is hidden


def test_all_is_dropped_at_no_rate() -> None:
    with pytest.raises(ValueError, match=r"must be in \[0, 1\), not 1.0"):
        Dropout(1.0)
