"""Exact Shapley values: by hand, against another implementation, and what the head is asked."""

import math

import pytest
import torch

from mmspec_ds.evaluation.shapley import shapley_values
from mmspec_ds.systems.fusion.contribution import (
    coalitions,
    exact_contributions,
    hints,
    log_likelihood,
    logits_of_coalitions,
    predicted,
)
from mmspec_ds.systems.fusion.outcome import head_correlations
from mmspec_ds.systems.fusion.schema import Kind
from tests.systems.fusion.conftest import learn, make_task


def test_seven_modalities_are_refused() -> None:
    with pytest.raises(ValueError, match="7 modalities: expected 1 to 6"):
        coalitions(7)


def test_log_likelihoods_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3.0)]])
    assert log_likelihood(logits, torch.tensor([[0.0, 1.0]]), "classes").tolist() == pytest.approx(
        [math.log(0.75)]
    )
    both = math.log(0.5) + math.log(0.75)
    assert log_likelihood(logits, torch.tensor([[1.0, 1.0]]), "groups").tolist() == pytest.approx([both])
    assert predicted(logits, "classes").tolist() == [[0, 1]]
    assert predicted(torch.tensor([[0.3, -2.0, 1.0]]), "groups").tolist() == [[1, 0, 1]]


def test_groups_of_several_coalitions_by_hand() -> None:
    """One modality takes the logits of two groups from 0 to ln 3: each group that is there gains ln 1.5."""
    logits_KBC = torch.tensor([[[0.0, 0.0]], [[math.log(3.0), math.log(3.0)]]])
    found = exact_contributions(logits_KBC, torch.tensor([[1.0, 0.0]]), "groups")
    assert found.tolist() == [pytest.approx([math.log(1.5) + math.log(0.5)])]


def test_a_missing_modality_changes_nothing() -> None:
    """The game of a sample without the second modality is that of the other two."""
    vectors = torch.randn(4, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    present = torch.tensor(
        [[True, True, True], [True, False, True], [False, False, True], [False, False, False]]
    )

    def fuse(some: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        return torch.tanh((some * there[..., None]).sum(1)) * (1 + there.sum(1, keepdim=True))

    target = torch.eye(2, dtype=torch.float64)[[0, 1, 0, 1]]
    logits = logits_of_coalitions(fuse, vectors, present)
    found = exact_contributions(logits, target, "classes")
    for row, there in enumerate(present.tolist()):
        names = [str(at) for at, has in enumerate(there) if has]

        def worth(coalition: frozenset[str], row: int = row) -> float:
            some = torch.tensor([[str(at) in coalition for at in range(3)]])
            one = fuse(vectors[row : row + 1], some)
            return float(log_likelihood(one, target[row : row + 1], "classes"))

        expected = shapley_values(names, worth) if names else {}
        assert found[row].tolist() == pytest.approx([expected.get(str(at), 0.0) for at in range(3)], abs=1e-12)


def test_hints_are_exact_for_two_modalities_in_even_shares() -> None:
    """Late fusion by mean of two modalities: the Shapley value is the mean of the first and of the last."""
    logits, prior = (
        torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(0)),
        torch.tensor([0.2, 0.1, -0.3]),
    )
    present = torch.tensor([[True, True]] * 4 + [[False, True]])
    for kind in ("classes", "groups"):

        def fuse(some: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
            share = there / there.sum(1, keepdim=True).clamp_min(1)
            return prior + torch.einsum("bm,bmc->bc", share, some)

        every = logits_of_coalitions(fuse, logits, present)
        exact = exact_contributions(every, predicted(every[-1], kind), kind)
        count = present.sum(1)[:, None, None]
        mean = (logits * present[..., None]).sum(1, keepdim=True) / count
        found = hints(logits, mean, count, prior, kind)[..., :2].mean(-1) * present
        torch.testing.assert_close(found, exact, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["classes", "groups"])
def test_hints_written_out(kind: Kind) -> None:
    """Three modalities, of which one, two or all are there, class by class in Python's own float64."""
    prior, given = [0.2, -0.1, 0.4], [[1.5, -2.0, 0.3], [-0.7, 0.9, 0.1], [30.0, -40.0, 2.0]]

    def mean_of(rows: list[int]) -> list[float]:
        return [prior[c] + sum(given[at][c] for at in rows) / max(len(rows), 1) for c in range(3)]

    def worth(logits: list[float], told: list[float]) -> float:
        if kind == "groups":
            return -sum(math.log1p(math.exp(-x if group else x)) for x, group in zip(logits, told))
        return math.log(sum(math.exp(x) * one for x, one in zip(logits, told)) / sum(map(math.exp, logits)))

    def answer(logits: list[float]) -> list[float]:
        return [float(x > 0 if kind == "groups" else x == max(logits)) for x in logits]

    logits = torch.tensor([given], dtype=torch.float64)
    for rows in ([0, 1, 2], [0, 2], [1]):
        mean = logits[:, rows].mean(1, keepdim=True)
        count = torch.full((1, 1, 1), float(len(rows)), dtype=torch.float64)
        found = hints(logits, mean, count, torch.tensor(prior, dtype=torch.float64), kind)[0]
        told = answer(mean_of(rows))
        for at in rows:
            alone, others = mean_of([at]), mean_of([one for one in rows if one != at])
            expected = [
                worth(alone, told) - worth(prior, told),
                worth(mean_of(rows), told) - worth(others, told),
                worth(alone, answer(alone)),
            ]
            assert found[at].tolist() == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_the_head_learns_exact_values_and_changes_nothing_else() -> None:
    task = make_task(training={"batch_size": 32, "corruption": {"share": 0.5}})
    whole = task.module(task.batch(0), 0.0)
    task.module.train()
    head = torch.autograd.grad(
        task.module(task.batch(0), 0.0).total - task.module(task.batch(0), 0.0).parts["task"],
        [p for n, p in task.model.named_parameters() if ".head." in n],
        allow_unused=True,
    )
    assert all(one is not None for one in head)
    assert set(whole.parts) == {"task", "head"}
    untrained = head_correlations(task.outcome())
    learn(task, 150)
    trained = head_correlations(task.outcome())
    assert trained["of_answer"] > 0.9
    assert trained["of_truth"] > 0.5 > untrained["of_truth"]


def test_the_loss_of_the_head_is_of_its_own_parameters_alone() -> None:
    task = make_task(objective={"head": 1.0})
    heavy = make_task(objective={"head": 5.0})
    for one in (task, heavy):
        one.module.train()
        one.module(one.batch(0), 0.0).total.backward()
    for (name, light), (_, other) in zip(task.model.named_parameters(), heavy.model.named_parameters()):
        if ".head." in name:
            torch.testing.assert_close(other.grad, 5 * light.grad, rtol=1e-4, atol=1e-7)
        else:
            torch.testing.assert_close(other.grad, light.grad, rtol=0, atol=0)
