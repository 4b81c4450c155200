"""Adapters: a base that stays as it was, adapters that begin with nothing, and switching between several."""

from typing import Any

import pytest
import torch

from mmspec_ds.errors import ConfigError
from mmspec_ds.systems.fusion.batch import FusionBatch
from mmspec_ds.systems.fusion.domain_adapters import (
    adapter_names,
    adapter_parameters,
    add_adapter,
    base_parameters,
    use_adapter,
)
from mmspec_ds.systems.fusion.domain_adapters_settings import AdaptSettings
from mmspec_ds.systems.fusion.model import FusionModel
from tests.systems.fusion.conftest import EXPERTS, make_task

KINDS = ("bottleneck", "lora")
SPARSE = {"moe": {"k": 2, "experts": EXPERTS}}


def settings(kind: str, width: int = 1, share: float = 1.0) -> AdaptSettings:
    return AdaptSettings.model_validate({"base": "run", "kind": kind, "width": width, "most_share": share})


def vectors(model: FusionModel, batch: FusionBatch) -> torch.Tensor:
    model.eval()
    with torch.no_grad():
        return model.encode(batch.pieces).vectors_BMD


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("blocks", [{}, SPARSE], ids=["dense", "sparse"])
def test_a_new_adapter_changes_nothing_and_a_trained_one_does(kind: str, blocks: dict[str, Any]) -> None:
    task = make_task(**blocks)
    model, batch = task.objective.model, task.batch(0)
    before = vectors(model, batch)
    weights = {name: one.clone() for name, one in model.named_parameters()}
    torch.manual_seed(0)
    add_adapter(model, "new", settings(kind))
    assert torch.equal(vectors(model, batch), before)
    trained = [one for one in model.parameters() if one.requires_grad]
    own = adapter_parameters(model, "new")
    assert {id(one) for one in trained} == {id(one) for one in own.values()}
    task.objective.train()
    optimizer = torch.optim.SGD(trained, lr=1.0)
    for number in range(3):
        optimizer.zero_grad()
        task.objective(task.batch(number), 0.5).total.backward()
        optimizer.step()
    assert not torch.allclose(vectors(model, batch), before, atol=1e-4)
    assert base_parameters(model).keys() == weights.keys()
    assert all(torch.equal(one, weights[name]) for name, one in base_parameters(model).items())
    use_adapter(model, None)
    assert torch.equal(vectors(model, batch), before)
    assert not any(one.requires_grad for one in model.parameters())


@pytest.mark.parametrize("kinds", [("bottleneck", "bottleneck"), ("lora", "lora"), ("lora", "bottleneck")])
def test_adapters_are_switched(kinds: tuple[str, str]) -> None:
    task = make_task()
    model, batch = task.objective.model, task.batch(0)
    told: dict[str | None, torch.Tensor] = {None: vectors(model, batch)}
    for number, kind in enumerate(kinds):
        name = f"a{number}"
        add_adapter(model, name, settings(kind, width=number + 1))
        with torch.no_grad():
            for one in adapter_parameters(model, name).values():
                one.add_(0.3 * (number + 1))
        told[name] = vectors(model, batch)
    assert adapter_names(model) == ("a0", "a1")
    assert not any(torch.allclose(told[one], told[other]) for one, other in ((None, "a0"), ("a0", "a1")))
    for chosen in ("a0", None, "a1", "a0"):
        use_adapter(model, chosen)
        assert torch.equal(vectors(model, batch), told[chosen]), chosen
    with pytest.raises(ValueError, match="no adapter 'a2': expected one of a0, a1"):
        use_adapter(model, "a2")


def test_numbers_of_parameters_by_hand() -> None:
    model = make_task().objective.model  # one layer, width 16, feed-forward 32
    add_adapter(model, "narrow", settings("bottleneck", 3))
    # Two places of 16 x 3 + 3 and 3 x 16 + 16.
    assert sum(one.numel() for one in adapter_parameters(model, "narrow").values()) == 2 * (51 + 64)
    add_adapter(model, "low", settings("lora", 2))
    # Of each linear layer, rank times the sum of its sides: 16 + 48, 16 + 16, 16 + 32, 32 + 16.
    assert sum(one.numel() for one in adapter_parameters(model, "low").values()) == 2 * (64 + 32 + 48 + 48)


def test_too_many_parameters_are_refused() -> None:
    model = make_task().objective.model
    total = sum(one.numel() for one in model.parameters())
    with pytest.raises(ConfigError, match=rf"adapt\.width is 8.* % of the {total:,} parameters of the base"):
        add_adapter(model, "wide", settings("bottleneck", 8, share=0.03))


def test_names() -> None:
    model = make_task().objective.model
    add_adapter(model, "one", settings("bottleneck"))
    for name in ("one", "a.b", ""):
        with pytest.raises(ValueError, match="expected a new name"):
            add_adapter(model, name, settings("bottleneck"))
