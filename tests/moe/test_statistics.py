"""What a layer reports, against loops over samples and tokens in float64."""

import itertools
import math

import pytest
import torch
from mmspec_kernels import PoolSums, Routing
from torch import Tensor

from mmspec_ds.moe.statistics import (
    RoutingReport,
    routing_report,
    sum_over_ranks,
    to_vector,
    with_values,
)
from mmspec_ds.moe.structure import StructuralSums

SAMPLES, MODALITIES, EXPERTS, WIDTH = 5, 4, 6, 3
SERVES_EM = torch.zeros(EXPERTS, MODALITIES, dtype=torch.bool)
SERVES_EM[2, [0, 1]] = SERVES_EM[3, 2] = SERVES_EM[4, [1, 3]] = True
SHARED_E = torch.tensor([True, True, False, False, False, False])


def structure_sums(rows: Tensor, weights: Tensor, bins: Tensor, samples: int) -> Tensor:
    """Those of rows in bins of (sample, modality, expert), with margin 1."""
    sample, modality, expert = bins // (MODALITIES * EXPERTS), bins // EXPERTS % MODALITIES, bins % EXPERTS
    structure = StructuralSums(SERVES_EM, SHARED_E, 1.0)
    place = sample * structure.count + structure.pool_ME[modality, expert]
    size = (samples, structure.count)
    outputs = torch.zeros(samples * structure.count, rows.shape[1])
    sums: Tensor = structure(
        PoolSums(
            outputs.index_add(0, place, rows * weights[:, None]).unflatten(0, size),
            torch.zeros(samples * structure.count).index_add(0, place, weights).unflatten(0, size),
        )
    )
    return sums


def test_pools_are_those_of_modality_and_expert() -> None:
    structure = StructuralSums(SERVES_EM, SHARED_E, 1.0)
    modality, index = torch.tensor([0, 2, 3, -1]), torch.tensor([[0, 2], [3, 2], [1, -1], [-1, -1]])
    pools = structure.pools(modality, index, 2)
    assert (pools.samples, pools.pools) == (2, 4 * 2 + 2 * 3 + 1)
    # Shared experts 0 and 1: modality * 2 + expert. Modality experts 2, 3, 4: 8 to 10 inside, 11 to 13 outside.
    assert pools.pool_TK[:2].tolist() == [[0, 8], [9, 11]]
    assert pools.places(index >= 0).tolist() == [[0, 8], [9, 11], [15 + 7, -1], [-1, -1]]


def drawn(rows: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Outputs, weights and bins of random token-expert pairs, float64."""
    source = torch.Generator().manual_seed(seed)
    bins = torch.randint(SAMPLES * MODALITIES * EXPERTS, (rows,), generator=source)
    outputs = torch.randn(rows, WIDTH, generator=source, dtype=torch.float64) * 0.4
    return outputs, torch.rand(rows, generator=source, dtype=torch.float64) + 0.05, bins


def pooled(outputs: Tensor, weights: Tensor, chosen: Tensor) -> Tensor | None:
    """The weighted mean of the chosen rows."""
    if not chosen.any():
        return None
    return (outputs[chosen] * weights[chosen, None]).sum(0) / weights[chosen].sum()


def plain_structure(outputs: Tensor, weights: Tensor, bins: Tensor, margin: float) -> list[float]:
    """Equations 27 and 28, one molecule, one expert and one pair at a time."""
    sample, modality, expert = bins // (MODALITIES * EXPERTS), bins // EXPERTS % MODALITIES, bins % EXPERTS
    agreement, agreements, separation, separations = 0.0, 0, 0.0, 0
    for b, e in itertools.product(range(SAMPLES), range(EXPERTS)):
        here = (sample == b) & (expert == e)
        if SHARED_E[e]:
            for one, other in itertools.combinations(range(MODALITIES), 2):
                first = pooled(outputs, weights, here & (modality == one))
                second = pooled(outputs, weights, here & (modality == other))
                if first is not None and second is not None:
                    agreement += float((first - second).square().sum())
                    agreements += 1
        elif SERVES_EM[e].any():
            own = SERVES_EM[e][modality]
            inside = pooled(outputs, weights, here & own)
            outside = pooled(outputs, weights, here & ~own)
            if inside is not None and outside is not None:
                separation += max(0.0, margin - float((inside - outside).norm()))
                separations += 1
    return [agreement, agreements, separation, separations]


@pytest.mark.parametrize("rows", [0, 1, 40, 400])
def test_structure_is_that_of_a_loop_over_molecules(rows: int) -> None:
    outputs, weights, bins = drawn(rows, seed=rows)
    found = structure_sums(outputs.float(), weights.float(), bins, SAMPLES)
    expected = plain_structure(outputs, weights, bins, 1.0)
    torch.testing.assert_close(found.double(), torch.tensor(expected).double(), rtol=2e-5, atol=1e-6)
    if rows == 400:
        assert min(expected) > 0, "the example must exercise every sum"


def test_structure_worked_out_by_hand() -> None:
    # One molecule; shared expert 0 sees modality 0 twice, at (1, 0) and (4, 0) with weights 2 and 1, so (2, 0),
    # and modality 2 at (2, 3): squared distance 9. Expert 3 serves modality 2 at (0, 0.25), others at (0, 0).
    rows = torch.tensor([[1.0, 0], [4, 0], [2, 3], [0, 0.25], [0, 0]])
    weights = torch.tensor([2.0, 1.0, 0.5, 0.5, 0.5])
    bins = torch.tensor([0 * EXPERTS, 0, 2 * EXPERTS, 2 * EXPERTS + 3, 1 * EXPERTS + 3])
    found = structure_sums(rows, weights, bins, 1)
    assert found.tolist() == pytest.approx([9.0, 1.0, 0.75, 1.0], abs=1e-5)


def test_the_gradient_of_the_structure_is_the_numerical_one() -> None:
    outputs, weights, bins = drawn(60, seed=3)
    outputs32, weights32 = outputs.float().requires_grad_(), weights.float().requires_grad_()
    sums = structure_sums(outputs32, weights32, bins, SAMPLES)
    (sums[0] + sums[2]).backward()

    def plain() -> float:
        values = plain_structure(outputs, weights, bins, 1.0)
        return values[0] + values[2]

    step = 1e-5
    for values, gradient in ((outputs, outputs32.grad), (weights, weights32.grad)):
        assert gradient is not None
        flat = values.view(-1)
        for at in range(0, len(flat), 7):
            middle = float(flat[at])
            flat[at] = middle + step
            above = plain()
            flat[at] = middle - step
            below = plain()
            flat[at] = middle
            numerical = (above - below) / (2 * step)
            assert gradient.view(-1)[at].item() == pytest.approx(numerical, rel=1e-3, abs=1e-4)


def test_equal_pooled_outputs_have_a_finite_gradient() -> None:
    rows = torch.ones(2, 2, requires_grad=True)
    sums = structure_sums(rows, torch.ones(2), torch.tensor([3, 2 * EXPERTS + 3]), 1)
    sums[2].backward()
    assert sums[2].item() == pytest.approx(1.0, abs=1e-5)
    assert rows.grad is not None
    assert rows.grad.isfinite().all()


STRUCTURAL = ("agreement", "agreement_count", "separation", "separation_count")


def example() -> tuple[RoutingReport, Tensor]:
    """Two tokens of modality 0, one of modality 1 and one of padding; two of three experts."""
    probability = torch.tensor([[0.5, 0.25, 0.25], [0.25, 0.75, 0.0], [0.0, 0.5, 0.5], [0.0, 0.0, 0.0]])
    probability.requires_grad_()
    index = torch.tensor([[0, 1], [1, -1], [2, 1], [-1, -1]])
    kept = torch.tensor([[0, -1], [1, -1], [-1, -1], [-1, -1]])
    routing = Routing(
        index,
        torch.zeros(4, 2),
        probability,
        torch.tensor([1.0, -2.0, 3.0, 0.0]),
        torch.zeros(2, dtype=torch.int64),
    )
    modality = torch.tensor([0, 0, 1, -1])
    report = routing_report(routing, kept, modality, 2)
    assert [float(getattr(report, name)) for name in STRUCTURAL] == [0, 0, 0, 0]
    return report.with_structure(torch.tensor([6.0, 2.0, 1.0, 4.0])), probability


def test_report_worked_out_by_hand() -> None:
    report, probability = example()
    assert report.importance_ME.tolist() == [[0.75, 1.0, 0.25], [0.0, 0.5, 0.5]]
    assert report.load_ME.tolist() == [[1, 2, 0], [0, 1, 1]]
    assert report.dropped_M.tolist() == [1, 2]
    assert report.tokens_M.tolist() == [2, 1]
    ln = math.log
    first = 0.5 * ln(2) + 0.5 * ln(4) - 0.25 * ln(0.25) - 0.75 * ln(0.75)
    assert report.entropy_M.tolist() == pytest.approx([first, ln(2)], abs=1e-6)
    assert report.z.item() == 14
    assert [float(getattr(report, name)) for name in STRUCTURAL] == [6, 2, 1, 4]
    report.entropy_M.sum().backward()
    assert probability.grad is not None
    assert probability.grad.isfinite().all()
    assert probability.grad[0].tolist() == pytest.approx([-1 - ln(0.5), -1 - ln(0.25), -1 - ln(0.25)], abs=1e-6)


def test_only_probabilities_carry_a_gradient() -> None:
    report, _ = example()
    assert report.importance_ME.requires_grad
    for name in ("load_ME", "dropped_M", "tokens_M", "agreement_count", "separation_count"):
        assert not getattr(report, name).requires_grad, name


def test_reports_survive_the_way_through_one_vector() -> None:
    report, _ = example()
    values = torch.arange(2 * len(to_vector(report)), dtype=torch.float32)
    both = with_values([report, report], values)
    assert torch.equal(torch.cat([to_vector(r) for r in both]), values)
    assert both[1].load_ME.shape == report.load_ME.shape


def test_alone_a_sum_over_ranks_is_the_sum_itself() -> None:
    local = torch.tensor([1.0, 2.0], requires_grad=True)
    assert sum_over_ranks(local) is local


def test_the_gradient_of_a_report_is_that_of_its_formulas() -> None:
    source = torch.Generator().manual_seed(8)
    tokens, experts, k = 9, 4, 2
    modality = torch.randint(-1, 3, (tokens,), generator=source)
    routed = modality >= 0
    logits = torch.randn(tokens, experts, generator=source, dtype=torch.float64, requires_grad=True)
    probability, partition = logits.softmax(1) * routed[:, None], logits.logsumexp(1) * routed
    index = probability.detach().topk(k, 1).indices.masked_fill(~routed[:, None], -1)
    weight = probability.gather(1, index.clamp_min(0))
    routing = Routing(index, weight, probability, partition, index.new_zeros(4))
    report = routing_report(routing, index, modality, 3)
    goals = torch.randn(3, experts + 1, generator=source, dtype=torch.float64)

    importance = torch.stack([probability[modality == m].sum(0) for m in range(3)])
    entropies = -(logits.softmax(1) * logits.log_softmax(1)).sum(1)
    entropy = torch.stack([entropies[modality == m].sum() for m in range(3)])
    expected = (importance * goals[:, :experts]).sum() + (entropy * goals[:, experts]).sum()
    expected = expected + 0.3 * partition @ partition
    found = (report.importance_ME * goals[:, :experts]).sum() + (report.entropy_M * goals[:, experts]).sum()
    found = found + 0.3 * report.z
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    (ours,) = torch.autograd.grad(found, logits, retain_graph=True)
    (theirs,) = torch.autograd.grad(expected, logits)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
