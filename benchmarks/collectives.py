"""Count the collectives that a process makes through torch.distributed, and the bytes that it sends."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch.distributed as dist

from mmspec_ds.profiling.stopwatch import bytes_to_others

INPUTS = {
    "all_to_all_single": "input",
    "all_reduce": "tensor",
    "reduce": "tensor",
    "broadcast": "tensor",
    "reduce_scatter_tensor": "input",
    "all_gather": "tensor",
    "all_gather_into_tensor": "input_tensor",
}
"""The functions that move data, and their arguments that hold what is sent."""


@dataclass(frozen=True)
class Call:
    """One collective of this rank: when, by which name, whether of floating-point numbers, and the bytes that
    it sends to other ranks."""

    phase: str
    name: str
    floating: bool
    bytes: float


class Counter:
    """Counts while a phase is named."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.phase: str | None = None

    @contextmanager
    def during(self, phase: str) -> Iterator[None]:
        """Within, collectives are counted under this name."""
        self.phase = phase
        yield
        self.phase = None

    def watch(self) -> None:
        """Wrap the functions of torch.distributed, for the rest of this process."""
        for name in INPUTS:
            setattr(dist, name, partial(self._call, name, getattr(dist, name)))

    def _call(self, name: str, function: Any, *args: Any, **kwargs: Any) -> Any:
        phase, self.phase = self.phase, None  # some are made of others
        try:
            if phase is not None:
                given = inspect.signature(function).bind(*args, **kwargs).arguments
                tensor = given[INPUTS[name]]
                sent = bytes_to_others(name, tensor, given.get("input_split_sizes"), given.get("group"))
                self.calls.append(Call(phase, name, tensor.is_floating_point(), sent))
            return function(*args, **kwargs)
        finally:
            self.phase = phase
