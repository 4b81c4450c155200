"""Axes: B samples, S places, Q places that ask, D model width."""

import pytest
import torch
from torch import Tensor, nn

from mmspec_ds.nn.attention import CrossAttention, SelfAttention, attendable

D, HEADS = 12, 3


def reference(attention: SelfAttention | CrossAttention) -> nn.MultiheadAttention:
    """Torch's own attention with the same weights."""
    theirs = nn.MultiheadAttention(D, HEADS, batch_first=True, dtype=torch.float64)
    state = attention.state_dict()
    if isinstance(attention, SelfAttention):
        weight, bias = state["query_key_value.weight"], state["query_key_value.bias"]
    else:
        weight = torch.cat([state["query.weight"], state["key_value.weight"]])
        bias = torch.cat([state["query.bias"], state["key_value.bias"]])
    theirs.load_state_dict(
        {
            "in_proj_weight": weight,
            "in_proj_bias": bias,
            "out_proj.weight": state["output.weight"],
            "out_proj.bias": state["output.bias"],
        }
    )
    return theirs


def randomise(module: nn.Module) -> nn.Module:
    """Biases too."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module


@pytest.fixture
def mask_BS() -> Tensor:
    return torch.tensor([[True, True, True, True, True], [True, True, False, True, False]])


def test_self_attention_equals_torchs(mask_BS: Tensor) -> None:
    torch.manual_seed(0)
    ours = SelfAttention(D, HEADS).double()
    randomise(ours)
    hidden_BSD = torch.randn(2, 5, D, dtype=torch.float64)
    expected, _ = reference(ours)(hidden_BSD, hidden_BSD, hidden_BSD, key_padding_mask=~mask_BS)
    torch.testing.assert_close(ours(hidden_BSD, attendable(mask_BS)), expected, rtol=1e-12, atol=1e-12)


def test_causal_self_attention_equals_torchs() -> None:
    torch.manual_seed(1)
    ours = SelfAttention(D, HEADS).double()
    randomise(ours)
    hidden_BSD = torch.randn(2, 5, D, dtype=torch.float64)
    future = torch.ones(5, 5, dtype=torch.bool).triu(1)
    expected, _ = reference(ours)(hidden_BSD, hidden_BSD, hidden_BSD, attn_mask=future)
    torch.testing.assert_close(ours(hidden_BSD, causal=True), expected, rtol=1e-12, atol=1e-12)


def test_cross_attention_equals_torchs(mask_BS: Tensor) -> None:
    torch.manual_seed(2)
    ours = CrossAttention(D, HEADS).double()
    randomise(ours)
    asking_BQD, memory_BSD = torch.randn(2, 3, D).double(), torch.randn(2, 5, D).double()
    expected, _ = reference(ours)(asking_BQD, memory_BSD, memory_BSD, key_padding_mask=~mask_BS)
    found = ours(asking_BQD, ours.remember(memory_BSD), attendable(mask_BS))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_a_sample_without_tokens_attends_to_its_padding() -> None:
    mask_BS = torch.tensor([[False, False], [True, False]])
    assert attendable(mask_BS)[:, 0, 0].tolist() == [[True, True], [True, False]]


def test_a_fused_projection_starts_like_the_three_that_it_replaces() -> None:
    torch.manual_seed(0)
    fused = SelfAttention(256, 4).query_key_value.weight
    # Variance 2 / (256 + 256); the estimate from 196,608 draws is off by 0.2 % (one standard error).
    assert fused.std().item() == pytest.approx((2 / 512) ** 0.5, rel=0.01)
