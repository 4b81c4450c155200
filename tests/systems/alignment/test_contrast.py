"""The contrastive loss against its sums written out, and retrieval with ties."""

import math

import pytest
import torch

from mmspec_ds.systems.alignment.contrast import choice_loss, contrastive_loss, retrieved


def test_the_loss_by_hand() -> None:
    generator = torch.Generator().manual_seed(0)
    objects = torch.nn.functional.normalize(torch.randn(3, 4, generator=generator, dtype=torch.float64), dim=1)
    texts = torch.nn.functional.normalize(torch.randn(4, 4, generator=generator, dtype=torch.float64), dim=1)
    own = torch.tensor([2, 0, 2])  # two objects share a description; 1 and 3 are of none
    s = [[3.0 * float(o @ t) for t in texts] for o in objects]
    found = -sum(s[g][int(own[g])] - math.log(sum(map(math.exp, s[g]))) for g in range(3)) / 3
    sought = 0.0
    for text, mine in ((0, [1]), (2, [0, 2])):
        total = math.log(sum(math.exp(s[g][text]) for g in range(3)))
        sought -= sum(s[g][text] - total for g in mine) / len(mine) / 2
    loss = contrastive_loss(objects, texts, own, 3.0)
    assert float(loss) == pytest.approx((found + sought) / 2, abs=1e-12)


def test_equal_descriptions_are_no_negatives() -> None:
    """Two objects at one place with one description, far from the other: nothing to gain, but for the share."""
    one, other = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    texts = torch.stack([one, other])
    same = contrastive_loss(torch.stack([one, one, other]), texts, torch.tensor([0, 0, 1]), 50.0)
    assert float(same) == pytest.approx(math.log(2) / 4, abs=1e-5)  # of two directions and two descriptions


def test_the_loss_among_possible_answers_by_hand() -> None:
    generator = torch.Generator().manual_seed(0)
    objects = torch.nn.functional.normalize(torch.randn(3, 4, generator=generator, dtype=torch.float64), dim=1)
    texts = torch.nn.functional.normalize(torch.randn(5, 4, generator=generator, dtype=torch.float64), dim=1)
    own = torch.tensor([2, 0, 4])
    choices = torch.tensor([[0, 2, -1], [-1, -1, -1], [3, 1, 4]])  # the second may be answered freely
    expected = 0.0
    for object_, answer, possible in ((0, 2, (0, 2)), (2, 4, (3, 1, 4))):
        mean = sum(texts[text] for text in possible) / len(possible)
        apart = {text: texts[text] - mean for text in possible}
        cosines = {text: float(objects[object_] @ one / one.norm()) for text, one in apart.items()}
        total = sum(math.exp(3.0 * cosine) for cosine in cosines.values())
        expected -= (3.0 * cosines[answer] - math.log(total)) / 2
    assert float(choice_loss(objects, texts, own, choices, 3.0)) == pytest.approx(expected, abs=1e-12)
    assert choice_loss(objects, texts, own, torch.full((3, 2), -1), 3.0) == 0
    assert choice_loss(objects, texts, own, torch.zeros((3, 0), dtype=torch.int64), 3.0) == 0


def test_a_tie_is_no_hit() -> None:
    objects = torch.eye(3)
    texts = torch.eye(3)[[0, 1, 1]]
    own = torch.tensor([0, 1, 2])
    assert retrieved(objects, texts, own, 1).tolist() == [True, False, False]
    assert retrieved(objects, texts, own, 2).tolist() == [True, True, False]
    assert retrieved(objects, texts, own, 3).all()
