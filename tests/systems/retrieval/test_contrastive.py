"""The contrastive loss against values worked out by hand, and by another formula."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmspec_ds.molecules.fingerprints import morgan_fingerprints, tanimoto_similarities
from mmspec_ds.systems.retrieval.contrastive import contrastive_loss, contrastive_targets, tanimoto_matrix

SMILES = ("CCO", "CCO", "CCCO", "c1ccccc1O")
BITS = morgan_fingerprints(SMILES)
MOLECULE = torch.tensor([0, 0, 1, 2])


def test_similarities_are_those_of_numpy() -> None:
    found = tanimoto_matrix(torch.from_numpy(BITS)).numpy()
    assert found == pytest.approx(tanimoto_similarities(BITS, BITS), abs=1e-6)


def test_without_soft_targets_only_molecules_with_two_records_count() -> None:
    target, has = contrastive_targets(MOLECULE, torch.from_numpy(BITS), 0.0, 10.0)
    assert has.tolist() == [True, True, False, False]
    assert target[:2].tolist() == [[0, 1, 0, 0], [1, 0, 0, 0]]


def test_soft_targets_follow_the_structures() -> None:
    target, has = contrastive_targets(MOLECULE, torch.from_numpy(BITS), 0.25, 2.0)
    similar = tanimoto_similarities(BITS, BITS)
    weights = [math.exp(2.0), math.exp(2 * similar[0, 2]), math.exp(2 * similar[0, 3])]
    soft = np.array([0, *weights]) / sum(weights)
    assert has.all()
    assert target[0].tolist() == pytest.approx(0.25 * soft + [0, 0.75, 0, 0], abs=1e-6)
    assert target.sum(1).tolist() == pytest.approx([1] * 4, abs=1e-6)
    alone = np.array([math.exp(2 * similar[2, 0])] * 2 + [0, math.exp(2 * similar[2, 3])])
    assert target[2].tolist() == pytest.approx(alone / alone.sum(), abs=1e-6), "no other record of it"


def test_two_molecules_by_hand() -> None:
    vectors = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0], [0.0, 1.0]])
    target, has = contrastive_targets(torch.tensor([0, 0, 1, 1]), torch.zeros(4, 256, dtype=torch.uint8), 0, 1)
    # Of each record: the exponentials of 2 x its cosines to the other three, its positive first.
    rows = [(1.2, 0, 0), (1.2, 1.6, 1.6), (2, 0, 1.6), (2, 0, 1.6)]
    expected = sum(math.log(sum(map(math.exp, row))) - row[0] for row in rows) / 4
    assert float(contrastive_loss(vectors, target, has, 2.0)) == pytest.approx(expected, abs=1e-6)


def test_one_positive_each_is_the_cross_entropy_of_torch() -> None:
    vectors = F.normalize(torch.randn(6, 5, generator=torch.manual_seed(0)), dim=1)
    molecule = torch.tensor([0, 0, 1, 1, 2, 2])
    target, has = contrastive_targets(molecule, torch.zeros(6, 256, dtype=torch.uint8), 0, 1)
    logits = (20 * vectors @ vectors.T).fill_diagonal_(-torch.inf)
    expected = F.cross_entropy(logits, torch.tensor([1, 0, 3, 2, 5, 4]))
    assert float(contrastive_loss(vectors, target, has, 20.0)) == pytest.approx(float(expected), abs=1e-5)


def test_nothing_to_find_costs_nothing() -> None:
    vectors = torch.eye(3, requires_grad=True)
    target, has = contrastive_targets(torch.arange(3), torch.zeros(3, 256, dtype=torch.uint8), 0, 1)
    loss = contrastive_loss(vectors, target, has, 20.0)
    loss.backward()
    assert float(loss.detach()) == 0
    assert vectors.grad is not None
    assert not vectors.grad.any()
