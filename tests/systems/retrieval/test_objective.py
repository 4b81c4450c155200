"""The objective of a step: gradient caching changes nothing, and routers learn beside."""

from typing import Any

import pytest
import torch

from mmspec_ds.trainer.task import Task
from tests.systems.retrieval.conftest import EXPERTS, make_task

MOE = {"k": 2, "experts": EXPERTS, "selection_bias_rate": 0.01}
SOFT = {"soft_weight": 0.3, "scale": 10}


def gradients(task: Task[Any, Any], number: int = 0) -> tuple[float, dict[str, torch.Tensor]]:
    """The loss of a batch, and the gradient of every parameter."""
    torch.manual_seed(5)
    task.module.train()
    task.module.zero_grad()
    loss = task.module(task.batch(number), 0.3)
    loss.total.backward()
    return float(loss.total.detach()), {
        name: p.grad.clone() for name, p in task.model.named_parameters() if p.grad is not None
    }


@pytest.mark.parametrize("moe", [None, MOE], ids=["dense", "sparse"])
def test_pieces_that_are_embedded_twice_have_the_gradient_of_the_whole(moe: Any) -> None:
    """With dropout, so that it is the same in both passes."""
    dropout = {"dropout": 0.2}
    training = {"batch_size": 10, "gradient_cache": 3}
    kept = make_task(moe=moe, model=dropout, training=training, objective=SOFT)
    kept.objective.cached = False  # the same pieces, each with its graph
    cached = make_task(moe=moe, model=dropout, training=training, objective=SOFT)
    assert len(cached.batch(0).parts) == 4
    (loss, one), (again, other) = gradients(kept), gradients(cached)
    assert again == pytest.approx(loss, abs=1e-6)
    assert one.keys() == other.keys() == dict(kept.model.named_parameters()).keys()
    for name, gradient in one.items():
        torch.testing.assert_close(other[name], gradient, atol=1e-6, rtol=1e-5)


def test_pieces_have_the_gradient_of_the_whole_batch_without_dropout() -> None:
    (loss, one), (again, other) = (
        gradients(make_task(moe=MOE, training={"gradient_cache": cache}, objective=SOFT)) for cache in (None, 3)
    )
    assert again == pytest.approx(loss, abs=1e-5)
    for name, gradient in one.items():
        torch.testing.assert_close(other[name], gradient, atol=1e-5, rtol=1e-4)


def test_less_is_kept_for_the_backward_pass() -> None:
    def kept(cache: int | None) -> int:
        task = make_task(training={"batch_size": 12, "gradient_cache": cache})
        sizes = []

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            task.module(task.batch(0), 0.0)
        return sum(sizes)

    assert kept(2) < kept(None) / 5


def test_routers_learn_and_are_balanced() -> None:
    task = make_task(moe=MOE)
    loss = task.module(task.batch(0), 0.0)
    assert set(loss.parts) == {"task", "balance", "entropy", "cost", "structure"}
    tokens = sum(float(report.tokens_M.sum()) for report in loss.reports)
    assert tokens == sum(int(part.mask_BS.sum()) for part in task.batch(0).parts)
    total = float(loss.total.detach())
    weighted = 0.01 * float(loss.parts["balance"] + loss.parts["entropy"]) + 0.001 * float(
        loss.parts["cost"] + loss.parts["structure"]
    )
    assert total == pytest.approx(float(loss.parts["task"]) + weighted, abs=1e-5)
    before = {name: value.clone() for name, value in task.model.named_buffers()}
    task.after_update(loss)
    moved = [name for name, value in task.model.named_buffers() if not torch.equal(value, before[name])]
    assert any("selection_bias" in name for name in moved)
    tags = task.scalars(loss, 0.0)
    assert tags["schedule/tau"] == 2.0
    assert "load_ms/expert_0" in tags
    assert float(task.flops(task.batch(0), loss)) > 0
