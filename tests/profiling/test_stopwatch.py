"""Who is told what of a step, and what a stopwatch adds up."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn

from mmspec_ds.profiling import stopwatch
from mmspec_ds.profiling.stopwatch import Stopwatch, observed


class Told:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.bytes = 0.0

    def begin(self, part: str) -> None:
        self.events.append(f"{part} begins")

    def end(self, part: str) -> None:
        self.events.append(f"{part} ends")

    def sent(self, size: float) -> None:
        self.bytes += size


@pytest.fixture
def group() -> Iterator[None]:
    """A process group of one."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def make_engine(wrapped: bool) -> Any:
    """What `observed` needs of an engine: a module and its optimizer, within that of ZeRO or not."""
    module = nn.Linear(3, 2)
    optimizer: Any = torch.optim.SGD(module.parameters(), lr=0.1)
    return SimpleNamespace(
        module=module, optimizer=SimpleNamespace(optimizer=optimizer) if wrapped else optimizer
    )


@pytest.mark.parametrize("wrapped", [False, True], ids=["torch's optimizer", "within ZeRO's"])
def test_parts_of_a_step_in_their_order(wrapped: bool) -> None:
    engine, told = make_engine(wrapped), Told()
    step = (engine.optimizer.optimizer if wrapped else engine.optimizer).step

    def one_step() -> None:
        engine.module(torch.ones(1, 3)).sum().backward()
        step()

    backward = torch.autograd.backward
    one_step()
    assert told.events == []
    with observed(engine, told):
        one_step()
    names = [f"{part} {what}" for part in ("forward", "backward", "optimizer") for what in ("begins", "ends")]
    assert told.events == names
    assert torch.autograd.backward is backward
    one_step()
    assert told.events == names


class Zero:
    """What ZeRO's hook on a gradient calls, first and last."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer, self.called = optimizer, 0

    def should_refresh_expected_hook_count(self) -> bool:
        return True

    def update_hook_state_and_maybe_run_epilogue(self, expected: int) -> None:
        self.called += expected


def test_hooks_of_zero_within_the_backward_pass() -> None:
    module, told = nn.Linear(3, 2, bias=False), Told()
    zero = Zero(torch.optim.SGD(module.parameters(), lr=0.1))

    def hook(gradient: torch.Tensor) -> None:
        assert zero.should_refresh_expected_hook_count()
        zero.update_hook_state_and_maybe_run_epilogue(2)

    module.weight.register_hook(hook)
    with observed(SimpleNamespace(module=module, optimizer=zero), told):
        module(torch.ones(1, 3)).sum().backward()
    assert told.events[2:] == ["backward begins", "hooks begins", "hooks ends", "backward ends"]
    assert zero.called == 2
    module(torch.ones(1, 3)).sum().backward()
    assert (len(told.events), zero.called) == (6, 4)


@pytest.mark.usefixtures("group")
def test_an_all_to_all_is_its_launch_and_its_awaiting(monkeypatch: pytest.MonkeyPatch) -> None:
    told, exchange = Told(), dist.all_to_all_single
    monkeypatch.setattr(stopwatch, "bytes_to_others", lambda name, rows, splits, group: rows.numel() * 4)
    out, rows = torch.empty(3, 2), torch.arange(6.0).view(3, 2)
    with observed(make_engine(False), told):
        work = dist.all_to_all_single(out, rows, [3], [3], async_op=True)
        assert told.events == ["all-to-all begins", "all-to-all ends"]
        assert work is not None
        work.wait()
        assert told.events == ["all-to-all begins", "all-to-all ends"] * 2
        dist.all_to_all_single(out, rows)
    assert torch.equal(out, rows)
    assert len(told.events) == 6
    assert told.bytes == 48
    assert dist.all_to_all_single is exchange


def test_what_fails_leaves_nothing_behind() -> None:
    engine, backward = make_engine(False), torch.autograd.backward
    with pytest.raises(ZeroDivisionError), observed(engine, Told()):
        raise ZeroDivisionError
    assert torch.autograd.backward is backward


def test_a_stopwatch_adds_up_parts_within_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0.0, 1.0, 3.0, 10.0, 20.0, 25.0])
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: next(ticks))
    watch = Stopwatch(torch.device("cpu"))
    with watch.timing("step"), watch.timing("forward"):
        pass
    with watch.timing("step"):
        pass
    watch.sent(7)
    assert watch.bytes_sent == 7
    assert watch.read() == {"forward": 2.0, "step": 10.0 + 5.0}
    assert watch.read()["step"] == 0
    assert watch.bytes_sent == 0
