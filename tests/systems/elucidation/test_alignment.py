"""The contrastive alignment against sums worked out one sample and one pair at a time in float64."""

import math
from itertools import combinations
from typing import cast

import numpy as np
import pytest
import torch

from mmspec_ds.data.batch import PADDING
from mmspec_ds.nn.encoder import EncoderOutput
from mmspec_ds.spectra.records import Modality
from mmspec_ds.systems.elucidation.alignment import alignment_loss, pooled_states

H, C, IR = Modality.H_NMR, Modality.C_NMR, Modality.IR
MODALITIES = (H, C, IR)


def encoded(seed: int = 0, samples: int = 5) -> EncoderOutput:
    """Random states; the second sample has no IR, the last nothing but IR."""
    source = torch.Generator().manual_seed(seed)
    hidden_BSD = torch.randn(samples, 6, 4, generator=source).requires_grad_()
    modality_BS = torch.tensor([[H, H, C, C, IR, PADDING]] * samples)
    modality_BS[1, 4] = PADDING
    modality_BS[-1] = torch.tensor([IR, IR, PADDING, PADDING, PADDING, PADDING])
    return EncoderOutput(hidden_BSD, modality_BS, ())


def by_hand(states: EncoderOutput, weights: list[float], temperature: float) -> float:
    hidden, modality = states.hidden_BSD.detach().double().numpy(), states.modality_BS.numpy()
    means = {}
    for b, weight in enumerate(weights):
        for m in MODALITIES:
            rows = hidden[b, modality[b] == m]
            if len(rows) and weight:
                means[b, m] = rows.mean(0) / np.linalg.norm(rows.mean(0))
    pairs = []
    for one, other in combinations(MODALITIES, 2):
        both = [b for b in range(len(weights)) if (b, one) in means and (b, other) in means]
        if len(both) < 2:
            continue
        nats = 0.0
        for first, second in ((one, other), (other, one)):
            for b in both:
                scores = [math.exp(means[b, first] @ means[c, second] / temperature) for c in both]
                nats -= math.log(scores[both.index(b)] / sum(scores)) / 2 / len(both)
        pairs.append(nats)
    return sum(pairs) / len(pairs) if pairs else 0.0


@pytest.mark.parametrize("weights", [[1, 1, 1, 1, 1], [1, 1, 0, 1, 1], [1, 0, 0, 0, 1]], ids=str)
def test_the_value_by_hand(weights: list[float]) -> None:
    states = encoded()
    found = alignment_loss(states, torch.tensor(weights, dtype=torch.float32), MODALITIES, 0.2)
    assert found.item() == pytest.approx(by_hand(states, weights, 0.2), rel=1e-5)


def test_a_perfect_alignment_costs_little_and_a_swapped_one_much() -> None:
    hidden_BSD = torch.eye(3)[:, None, :].expand(-1, 2, -1)
    modality_BS = torch.tensor([[H, C]] * 3)
    ones = torch.ones(3)
    own = alignment_loss(EncoderOutput(hidden_BSD, modality_BS, ()), ones, (H, C), 0.1).item()
    assert own == pytest.approx(math.log(1 + 2 * math.exp(-10)), rel=1e-3)
    swapped_BSD = hidden_BSD.clone()
    swapped_BSD[:, 1] = swapped_BSD[[1, 2, 0], 1]
    swapped = alignment_loss(EncoderOutput(swapped_BSD, modality_BS, ()), ones, (H, C), 0.1).item()
    assert swapped == pytest.approx(10 + own, rel=1e-3)


def test_what_is_missing_has_no_gradient_and_no_state() -> None:
    states = encoded()
    pooled_BMD, present_BM = pooled_states(states, MODALITIES)
    assert present_BM.int().tolist() == [[1, 1, 1], [1, 1, 0], [1, 1, 1], [1, 1, 1], [0, 0, 1]]
    assert not pooled_BMD[1, 2].any()
    alignment_loss(states, torch.ones(5), MODALITIES, 0.2).backward()
    gradient = cast(torch.Tensor, states.hidden_BSD.grad)
    assert torch.isfinite(gradient).all()
    assert not gradient[states.modality_BS == PADDING].any()
    assert not gradient[4].any()  # alone with its IR: no pair
    assert gradient[0, :5].abs().min().item() > 0


def test_one_modality_has_nothing_to_align() -> None:
    assert alignment_loss(encoded(), torch.ones(5), (H,), 0.2).item() == 0
