"""Poolings of token states, by hand."""

import math

import pytest
import torch

from mmspec_ds.nn.pooling import AttentionPooling, IntensityPooling, MeanPooling

HIDDEN = torch.tensor([[[1.0, 2.0], [3.0, 5.0], [7.0, 7.0]], [[0.0, 1.0], [9.0, 9.0], [9.0, 9.0]]])
MASK = torch.tensor([[True, True, False], [True, False, False]])


def test_mean_of_the_tokens() -> None:
    assert MeanPooling()(HIDDEN, MASK).tolist() == [[2.0, 3.5], [0.0, 1.0]]
    assert MeanPooling()(HIDDEN, torch.zeros_like(MASK)).tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_attention_weighs_each_head_for_itself() -> None:
    pooling = AttentionPooling(2, heads=2)
    with torch.no_grad():
        pooling.score.weight.copy_(torch.tensor([[0.5, 0.0], [0.0, 1.0]]))
    found = pooling(HIDDEN, MASK)
    first, second = 1 / (1 + math.exp(1.0)), 1 / (1 + math.exp(3.0))
    assert found[0].tolist() == pytest.approx(
        [first + 3 * (1 - first), 2 * second + 5 * (1 - second)], abs=1e-6
    )
    assert found[1].tolist() == pytest.approx([0.0, 1.0], abs=1e-6)
    assert not pooling(HIDDEN, torch.zeros_like(MASK)).any()


def test_intensities_weigh_as_in_a_cosine_of_roots() -> None:
    pooled, weight = IntensityPooling(2)(HIDDEN, torch.tensor([[0.36, 0.64, 0.0], [1.0, 0.0, 0.0]]))
    assert weight.tolist() == [pytest.approx([0.6, 0.8, 0.0]), pytest.approx([1.0, 0.0, 0.0])]
    assert pooled.tolist() == [pytest.approx([3.0, 5.2]), pytest.approx([0.0, 1.0])]


def test_intensities_of_zero_give_finite_gradients() -> None:
    pooling, hidden = IntensityPooling(2), HIDDEN.clone().requires_grad_()
    pooling(hidden, torch.zeros(2, 3))[0].sum().backward()
    assert hidden.grad is not None
    assert hidden.grad.isfinite().all()
