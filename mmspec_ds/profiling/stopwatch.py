"""Time the parts of a training step by hooks on its module, optimizer and collectives.

On a GPU the times are those of the stream: events are recorded where a part is launched and read after the
measured steps, so that no step waits for the device.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

FORWARD, BACKWARD, OPTIMIZER, ALL_TO_ALL = "forward", "backward", "optimizer", "all-to-all"
HOOKS = "hooks"
"""ZeRO's work during the backward pass, gradient by gradient."""


class Observer:
    """Receives the events of a training step; a subclass takes those that it needs."""

    def begin(self, part: str) -> None:
        """A part of a step begins."""

    def end(self, part: str) -> None:
        """A part of a step ends."""

    def sent(self, size: float) -> None:
        """An all-to-all sends `size` bytes to other ranks."""


class Stopwatch(Observer):
    """Sums the time of each part. Parts may overlap.

    Args:
        device: where the work is done.

    Attributes:
        bytes_sent: since the last reading.
    """

    def __init__(self, device: torch.device) -> None:
        self._on_stream = device.type == "cuda"
        self._open: dict[str, list[Any]] = defaultdict(list)
        self._spans: list[tuple[str, Any, Any]] = []
        self.bytes_sent = 0.0

    def begin(self, part: str) -> None:
        """A part of a step begins."""
        self._open[part].append(self._now())

    def end(self, part: str) -> None:
        """A part of a step ends."""
        self._spans.append((part, self._open[part].pop(), self._now()))

    def sent(self, size: float) -> None:
        """An all-to-all sends `size` bytes to other ranks."""
        self.bytes_sent += size

    @contextmanager
    def timing(self, part: str) -> Iterator[None]:
        """Time the block as a part."""
        self.begin(part)
        yield
        self.end(part)

    def read(self) -> dict[str, float]:
        """Return the seconds of each part since the last reading; 0 for a part that did not occur."""
        if self._on_stream:
            torch.cuda.synchronize()
        seconds: dict[str, float] = defaultdict(float)
        for part, begun, ended in self._spans:
            seconds[part] += begun.elapsed_time(ended) / 1e3 if self._on_stream else ended - begun
        self._spans.clear()
        self.bytes_sent = 0.0
        return seconds

    def _now(self) -> Any:
        if not self._on_stream:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event


@contextmanager
def observed(engine: Any, observer: Observer) -> Iterator[None]:
    """Report the parts of each step of a DeepSpeed engine to the observer, inside the block.

    The forward pass is that of the engine's module. The backward pass is the run of autograd, including ZeRO's
    hooks, which are reported as well. The optimizer is torch's, without ZeRO's copies around it. An all-to-all
    is its launch and the wait for it; time hidden behind computation does not count.
    """
    optimizer = getattr(engine.optimizer, "optimizer", engine.optimizer)  # ZeRO's has torch's within
    handles = [
        engine.module.register_forward_pre_hook(lambda *_: observer.begin(FORWARD)),
        engine.module.register_forward_hook(lambda *_: observer.end(FORWARD)),
        optimizer.register_step_pre_hook(lambda *_: observer.begin(OPTIMIZER)),
        optimizer.register_step_post_hook(lambda *_: observer.end(OPTIMIZER)),
    ]
    with ExitStack() as stack:
        for handle in handles:
            stack.callback(handle.remove)
        stack.enter_context(replaced(torch.autograd, "backward", _observed_backward(observer)))
        stack.enter_context(replaced(dist, "all_to_all_single", _observed_all_to_all(observer)))
        for name, hook in _observed_hooks(engine.optimizer, observer).items():
            stack.enter_context(replaced(engine.optimizer, name, hook))
        yield


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Replace an attribute of a module or an object inside the block."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _observed_backward(observer: Observer) -> Callable[..., None]:
    backward = torch.autograd.backward

    def timed(*args: Any, **kwargs: Any) -> None:
        observer.begin(BACKWARD)
        backward(*args, **kwargs)
        observer.end(BACKWARD)

    return timed


def _observed_hooks(optimizer: Any, observer: Observer) -> dict[str, Callable[..., Any]]:
    """Report ZeRO 1 and 2's hook on each gradient, from the first function that it calls to the last
    (DeepSpeed 0.19.8, `create_gradient_handling_hooks`)."""
    first, last = "should_refresh_expected_hook_count", "update_hook_state_and_maybe_run_epilogue"
    if not (hasattr(optimizer, first) and hasattr(optimizer, last)):
        return {}
    begins, ends = getattr(optimizer, first), getattr(optimizer, last)

    def beginning() -> Any:
        observer.begin(HOOKS)
        return begins()

    def ending(expected: int) -> None:
        ends(expected)
        observer.end(HOOKS)

    return {first: beginning, last: ending}


def _observed_all_to_all(observer: Observer) -> Callable[..., Any]:
    exchange = dist.all_to_all_single

    def timed(out: Any, rows: Any, received: Any = None, sent: Any = None, **how: Any) -> Any:
        observer.begin(ALL_TO_ALL)
        observer.sent(bytes_to_others("all_to_all_single", rows, sent, how.get("group")))
        work = exchange(out, rows, received, sent, **how)
        observer.end(ALL_TO_ALL)
        return None if work is None else _ObservedWork(work, observer)

    return timed


class _ObservedWork:
    """A running collective that reports the time spent in `wait`."""

    def __init__(self, work: Any, observer: Observer) -> None:
        self._work, self._observer = work, observer

    def wait(self) -> Any:
        self._observer.begin(ALL_TO_ALL)
        done = self._work.wait()
        self._observer.end(ALL_TO_ALL)
        return done


def bytes_to_others(name: str, tensor: Tensor, splits: list[int] | None, group: Any) -> float:
    """Return the bytes that a rank sends to the other ranks of the group in a collective.

    Rows of an all-to-all that stay on the rank do not count. The others are those of a ring, which sends least:
    a rank passes on all parts but one, once or twice."""
    ranks, size = dist.get_world_size(group), tensor.numel() * tensor.element_size()
    if name == "all_to_all_single" and splits is not None:
        return size * (1 - splits[dist.get_rank(group)] / len(tensor)) if len(tensor) else 0.0
    if name.startswith("all_gather"):
        return (ranks - 1) * size
    return (2 if name == "all_reduce" else 1) * (ranks - 1) / ranks * size
