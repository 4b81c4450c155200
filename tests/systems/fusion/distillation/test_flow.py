"""The flow between vectors, where its path is known, and the losses, against values worked out by hand."""

import math

import pytest
import torch
import torch.nn.functional as F

from mmspec_ds.systems.fusion.distillation.flow import FeatureFlow, walk
from mmspec_ds.systems.fusion.distillation.losses import alignment, soft_loss


def test_a_straight_path_ends_at_the_teacher() -> None:
    start, end = torch.randn(3, 2, 5, dtype=torch.float64), torch.randn(3, 2, 5, dtype=torch.float64)
    predicted, reached = walk(start, lambda at, step: start - end, 8)
    assert predicted.shape == (8, 3, 2, 5)
    torch.testing.assert_close(predicted, end.expand(8, -1, -1, -1))
    torch.testing.assert_close(reached, end)


def test_a_curved_path_by_hand() -> None:
    """With the velocity z, Euler's steps multiply by 1 - 1/N, and each step predicts start - z."""
    predicted, reached = walk(torch.ones(1), lambda at, step: at, 4)
    assert predicted.squeeze(1).tolist() == pytest.approx([0, 1 - 3 / 4, 1 - 9 / 16, 1 - 27 / 64])
    assert reached.item() == pytest.approx((3 / 4) ** 4)


def test_steps_are_told_apart_in_order() -> None:
    seen: list[int] = []

    def velocity(at: torch.Tensor, step: int) -> torch.Tensor:
        seen.append(step)
        return torch.full_like(at, float(step))

    predicted, reached = walk(torch.zeros(1), velocity, 3)
    assert seen == [0, 1, 2]
    assert predicted.squeeze(1).tolist() == [0, -1, -2]
    assert reached.item() == -1  # less 0/3, 1/3 and 2/3


def test_at_the_start_every_step_predicts_the_projected_vector() -> None:
    torch.manual_seed(0)
    flow, vectors = FeatureFlow(6, 10, 2, 4, 16), torch.randn(3, 2, 6)
    assert torch.equal(flow(vectors), flow.project(vectors).expand(4, -1, -1, -1))


def test_it_learns_to_carry_vectors_that_a_projection_cannot() -> None:
    """The teacher's vectors are the student's plus their absolute values: no linear map gives them."""
    torch.manual_seed(0)
    vectors = torch.randn(256, 2, 4)
    target, present = vectors + vectors.abs(), torch.ones(256, 2, dtype=torch.bool)

    def trained(module: torch.nn.Module, steps: int) -> float:
        optimizer = torch.optim.Adam(module.parameters(), lr=1e-2)
        for _ in range(200):
            predicted = module(vectors)
            predicted = predicted if steps else predicted[None]
            loss = torch.stack([alignment(one, target, present) for one in predicted]).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            told = module(vectors).mean(0) if steps else module(vectors)
            return float(alignment(told, target, present).mean())

    linear = trained(torch.nn.Linear(4, 4), 0)
    # Absolute values do not correlate with their numbers: what the best linear map leaves is their variance.
    assert linear == pytest.approx(1 - 2 / math.pi, abs=0.04)
    assert trained(FeatureFlow(4, 4, 2, 4, 64), 4) < linear / 5


def test_soft_loss_of_classes_against_kl_div() -> None:
    logits, target = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64)
    expected = F.kl_div(
        (logits / 3).log_softmax(-1), (target / 3).log_softmax(-1), log_target=True, reduction="none"
    )
    found = soft_loss(logits, target, "classes", 3.0)
    torch.testing.assert_close(found.double(), 9 * expected.sum(1), rtol=1e-5, atol=1e-6)
    assert soft_loss(target, target, "classes", 3.0).abs().max() < 1e-6


def test_soft_loss_of_groups_by_hand() -> None:
    # One group: the teacher says 3/4 (logit ln 3), the student 1/2.
    found = soft_loss(torch.zeros(1, 1), torch.tensor([[math.log(3)]]), "groups", 1.0)
    assert found.item() == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5), rel=1e-5)
    several = soft_loss(torch.zeros(1, 2), torch.tensor([[math.log(3), 0.0]]), "groups", 1.0)
    assert several.item() == pytest.approx(found.item() / 2, rel=1e-5)


def test_the_gradient_of_the_soft_loss_keeps_its_size() -> None:
    """Hinton's factor: for small logits the gradient at any temperature is that at 1, divided by nothing."""
    gradients = []
    for temperature in (1.0, 10.0):
        logits = torch.zeros(1, 3, requires_grad=True)
        soft_loss(logits, torch.tensor([[0.003, -0.003, 0.0]]), "classes", temperature).sum().backward()
        assert logits.grad is not None
        gradients.append(logits.grad)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=0.02, atol=1e-5)


def test_alignment_counts_present_modalities_alone() -> None:
    predicted = torch.tensor([[[1.0, 3.0], [9.0, 9.0]], [[0.0, 2.0], [2.0, 2.0]]])
    present = torch.tensor([[True, False], [True, True]])
    # (1 + 9) / 2; the mean of (0 + 4) / 2 and (4 + 4) / 2
    assert alignment(predicted, torch.zeros(2, 2, 2), present).tolist() == [5.0, 3.0]
    assert alignment(predicted, torch.zeros(2, 2, 2), torch.zeros(2, 2, dtype=torch.bool)).tolist() == [0, 0]
