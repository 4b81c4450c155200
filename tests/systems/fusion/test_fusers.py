"""Ways to fuse: what is absent does not matter, weights are shares, and gradients are modulated as told."""

import math

import pytest
import torch

from mmspec_ds.systems.fusion.balance import contribution_factors, modulated
from mmspec_ds.systems.fusion.contribution import Predicted
from mmspec_ds.systems.fusion.fusers import (
    FUSERS,
    ContributionFuser,
    ContributionVectors,
    FuserKind,
    LateMean,
)
from tests.systems.fusion.conftest import make_task

PRESENT = torch.tensor([[True, True, True], [True, False, True], [False, True, False], [False, False, False]])

PRIOR = torch.tensor([0.1, -0.2])


@pytest.mark.parametrize("kind", list(FUSERS))
def test_what_is_absent_does_not_matter(kind: str) -> None:
    torch.manual_seed(0)
    fuser = FUSERS[kind](8, 3, 2, 16, "classes")
    vectors = torch.randn(4, 3, 8)
    found, other = (
        fuser(torch.where(PRESENT[..., None], vectors, filler), PRESENT, PRIOR) for filler in (0.0, 7.0)
    )
    torch.testing.assert_close(found.logits_BC, other.logits_BC)
    assert found.weight_BM.sum(1).tolist() == pytest.approx([1, 1, 1, 0])
    assert (found.weight_BM[~PRESENT] == 0).all()


@pytest.mark.parametrize("kind", list(FUSERS))
def test_without_any_modality_the_prior_is_told(kind: str) -> None:
    model = make_task(fusion={"kind": kind, "attention": 1}).model
    vectors = torch.randn(2, 2, 16)
    logits = model.fuse(vectors, torch.tensor([[False, False], [True, False]])).logits_BC
    assert torch.equal(logits[0], model.prior_C)
    assert not torch.equal(logits[1], model.prior_C)
    assert model.prior_C.softmax(0).sum().item() == pytest.approx(1)


def test_late_fusion_by_hand() -> None:
    torch.manual_seed(0)
    fuser, vectors = LateMean(8, 3, 2, 16, "classes"), torch.randn(4, 3, 8)
    logits = fuser.heads(vectors)
    found = fuser(vectors, PRESENT, PRIOR).logits_BC
    torch.testing.assert_close(found[0], logits[0].mean(0))
    torch.testing.assert_close(found[1], (logits[1, 0] + logits[1, 2]) / 2)
    torch.testing.assert_close(found[2], logits[2, 1])


def test_weights_follow_the_predicted_contributions() -> None:
    torch.manual_seed(0)
    fuser, vectors = ContributionFuser(8, 3, 2, 16, "classes"), torch.randn(4, 3, 8)
    found = fuser(vectors, PRESENT, PRIOR)
    assert found.predicted is not None
    told = found.predicted.of_truth_BM
    scale = math.log1p(math.e)
    expected = torch.softmax(scale * told[1, [0, 2]], 0)
    torch.testing.assert_close(found.weight_BM[1, [0, 2]], expected)
    torch.testing.assert_close(found.logits_BC[1], expected @ fuser.heads(vectors)[1, [0, 2]])
    assert (told[~PRESENT] == 0).all()


@pytest.mark.parametrize("kind", ["contribution", "contribution_vectors"])
def test_the_same_group_told_many_times_begins_with_the_same_weights(kind: FuserKind) -> None:
    found = []
    for count in (1, 40):
        torch.manual_seed(0)
        fuser = FUSERS[kind](8, 3, count, 16, "groups")
        assert isinstance(fuser, ContributionFuser | ContributionVectors)
        told = torch.tensor([[0.05, 0.01, -0.02]]) * count  # nats, of all groups together
        fuser.head.forward = lambda *_, told=told: Predicted(told, told)  # type: ignore[method-assign]
        found.append(fuser(torch.randn(1, 3, 8), PRESENT[:1], torch.zeros(count)).weight_BM)
    torch.testing.assert_close(
        found[0], torch.softmax(math.log1p(math.e) * torch.tensor([[0.05, 0.01, -0.02]]), 1)
    )
    torch.testing.assert_close(found[1], found[0])


def test_vectors_of_even_weights_are_concatenated() -> None:
    fuser, vectors = ContributionVectors(8, 3, 2, 16, "classes"), torch.randn(4, 3, 8)
    with torch.no_grad():
        fuser.scale[:] = -100.0
    found = fuser(vectors, PRESENT, PRIOR)
    torch.testing.assert_close(found.logits_BC, fuser.joint(vectors, PRESENT, PRIOR).logits_BC)


def test_factors_by_hand() -> None:
    contribution = torch.log(torch.tensor([[4.0, 1.0, 1.0], [4.0, 9.0, 1.0], [2.0, 3.0, 5.0]]))
    present = torch.tensor([[True, True, True], [True, False, True], [True, False, False]])
    found = contribution_factors(contribution, present, alpha=0.5)
    ahead = 1 - math.tanh(0.5 * (4 - 1))  # 4 against a mean of 1
    mean = (ahead + 2) / 3
    assert found[0].tolist() == pytest.approx([ahead / mean, 1 / mean, 1 / mean])
    mean = (ahead + 1) / 2
    assert found[1].tolist() == pytest.approx([ahead / mean, 1, 1 / mean])
    assert found[2].tolist() == [1, 1, 1], "alone it has no rival"


def test_gradients_are_multiplied() -> None:
    vectors = torch.randn(2, 3, 4, requires_grad=True)
    present = torch.tensor([[True, True, False], [True, True, True]])
    factor = torch.tensor([[0.5, 2.0, 1.0], [1.0, 3.0, 0.0]])
    found = modulated(vectors, present, factor, 0.0, (0, 0))
    assert torch.equal(found, vectors)
    found.square().sum().backward()
    torch.testing.assert_close(vectors.grad, 2 * vectors.detach() * factor[..., None])
