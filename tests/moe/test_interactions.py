"""The supervision of experts by masked modalities, against loops in Python's floats.

Axes: B samples, E experts, D model width, M modalities.
"""

import math
from collections import Counter
from typing import cast

import pytest
import torch
from mmspec_kernels import PoolSums
from torch import Tensor

from mmspec_ds.moe.expert_settings import ExpertSettings, MoESettings
from mmspec_ds.moe.experts import physical_order
from mmspec_ds.moe.interactions import (
    Families,
    PooledReport,
    interaction_loss,
    interaction_sums,
    masked_modality,
)
from mmspec_ds.moe.layer import SparseFeedForward

NAMES = ("a", "b", "c")
EXPERTS = (
    ExpertSettings(family="shared", width=32),
    ExpertSettings(family="modality", width=16, modalities=("a",)),
    ExpertSettings(family="modality", width=48, modalities=("b", "c")),
    ExpertSettings(family="interaction", width=16),
    ExpertSettings(family="shared", width=16),
)
SETTINGS = MoESettings(experts=EXPERTS, k=2)
FAMILIES = Families.of(SETTINGS, NAMES)


def cosine(one: list[float], two: list[float]) -> float:
    dot = sum(a * b for a, b in zip(one, two))
    return dot / math.sqrt(sum(a * a for a in one) * sum(b * b for b in two))


def pools(seed: int) -> PoolSums:
    source = torch.Generator().manual_seed(seed)
    weight_BE = torch.rand(6, len(EXPERTS), generator=source)
    weight_BE = weight_BE * (weight_BE > 0.2)
    return PoolSums(torch.randn(6, len(EXPERTS), 4, generator=source) * weight_BE[..., None], weight_BE)


@pytest.mark.parametrize("modality", [0, 1, 2], ids=NAMES)
def test_sums_of_each_family_by_a_loop(modality: int) -> None:
    whole, masked = pools(1), pools(2)
    counts_B = torch.tensor([True, True, False, True, True, True])
    found = interaction_sums(whole, masked, counts_B, FAMILIES, modality).tolist()
    expected = [0.0] * 6
    for b in range(6):
        for e, spec in enumerate(physical_order(EXPERTS)):
            if not counts_B[b] or not whole.weight_BP[b, e] or not masked.weight_BP[b, e]:
                continue
            c = cosine(whole.output_BPD[b, e].tolist(), masked.output_BPD[b, e].tolist())
            if spec.family == "modality":
                at, loss = 0, max(0.0, c) if NAMES[modality] in spec.modalities else 1 - c
            elif spec.family == "interaction":
                at, loss = 2, c
            else:
                at, loss = 4, 1 - c
            expected[at] += loss
            expected[at + 1] += 1
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-6)
    means = [expected[i] / max(1, expected[i + 1]) for i in (0, 2, 4)]
    assert float(interaction_loss(torch.tensor(expected))) == pytest.approx(sum(means), rel=1e-6)


def test_absent_pools_have_no_gradient_and_no_nan() -> None:
    whole = PoolSums(torch.zeros(2, 5, 4, requires_grad=True), torch.zeros(2, 5))
    sums = interaction_sums(whole, whole, torch.ones(2, dtype=torch.bool), FAMILIES, 0)
    assert sums.tolist() == [0.0] * 6
    interaction_loss(sums).backward()
    assert whole.output_BPD.grad is not None
    assert torch.count_nonzero(whole.output_BPD.grad) == 0


def test_the_two_terms_of_a_step_bound_the_triplet() -> None:
    for p in torch.linspace(0, 2, 21).tolist():
        for n in torch.linspace(0, 2, 21).tolist():
            assert max(0.0, p - n + 1) <= p + max(0.0, 1 - n) + 1e-12


def test_a_layer_gives_the_pooled_outputs_of_its_experts() -> None:
    torch.manual_seed(0)
    layer = SparseFeedForward(8, SETTINGS, NAMES, structure_margin=1.0)
    modality = torch.tensor([[0, 0, 1, 2, -1], [2, 1, -1, -1, -1]])
    hidden = torch.randn(2, 5, 8)
    plain, report = layer(hidden, modality, 1.3)
    layer.deepspeed_moe.gives_pools = True
    out, pooled = layer(hidden, modality, 1.3)
    assert isinstance(pooled, PooledReport)
    assert torch.equal(out, plain)
    assert torch.equal(pooled.report.load_ME, report.load_ME)
    with torch.no_grad():
        routing = layer.deepspeed_moe.gate(hidden.flatten(0, 1), modality.flatten(), 1.3)
        experts = layer.deepspeed_moe.experts.weights()
        output = torch.zeros(2, 5, 8, dtype=torch.float64)
        weight = torch.zeros(2, 5, dtype=torch.float64)
        for t, (chosen, weights) in enumerate(zip(routing.index_TK.tolist(), routing.weight_TK.double())):
            for e, w in zip(chosen, weights):
                if e < 0:
                    continue
                w1, b1, w2, b2 = (one.double() for one in experts[e])
                inner = hidden.flatten(0, 1)[t].double() @ w1 + b1
                output[t // 5, e] += w * (torch.nn.functional.gelu(inner) @ w2 + b2)
                weight[t // 5, e] += w
    torch.testing.assert_close(pooled.pools.output_BPD.double(), output, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(pooled.pools.weight_BP.double(), weight, rtol=1e-5, atol=1e-6)
    assert isinstance(layer.eval()(hidden, modality, 1.3)[1], type(report)), "in evaluation there are none"


def test_one_modality_is_masked_at_a_time_each_as_often() -> None:
    drawn = [masked_modality(3, step / 3000, (0, 1, 3)) for step in range(3000)]
    counts = Counter(drawn)
    assert set(counts) == {0, 1, 3}
    assert min(counts.values()) > 900  # 1,000 expected, standard deviation 26
    assert drawn == [masked_modality(3, step / 3000, (0, 1, 3)) for step in range(3000)]
    assert drawn != [masked_modality(4, step / 3000, (0, 1, 3)) for step in range(3000)]


def test_descending_the_loss_makes_the_families_what_they_are_for() -> None:
    torch.manual_seed(0)
    layer = SparseFeedForward(8, MoESettings(experts=EXPERTS, k=5), NAMES, structure_margin=1.0)
    layer.deepspeed_moe.gives_pools = True
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.01)
    modality = torch.tensor([[0, 0, 1, 1, 2, 2]] * 4)
    hidden = torch.randn(4, 6, 8)
    everyone = torch.ones(4, dtype=torch.bool)

    def compare(masked: int) -> Tensor:
        pooled = [cast(PooledReport, layer(hidden, where, 1.0)[1]).pools for where in (
            modality, modality.masked_fill(modality == masked, -1)
        )]  # fmt: skip
        return interaction_sums(*pooled, everyone, FAMILIES, masked)

    losses = []
    for step in range(120):
        loss = interaction_loss(compare(step % 3))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-3:]) < 0.5 * sum(losses[:3])
