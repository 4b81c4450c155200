"""Bytes that are alive during a forward and backward pass, stage by stage.

Nothing is derived from the modules' code: the ledger watches the storages of all results while the modules run,
so its figures change when the modules do. It works on real tensors and on meta tensors, which only have shapes.
"""

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mmspec_ds.profiling.sizes import stages
from mmspec_ds.systems.elucidation.model import Elucidator


@dataclass(frozen=True)
class StageBytes:
    """Bytes of one stage of a pass.

    Attributes:
        name: see `sizes.stages`.
        kept: what the forward pass of the stage leaves in memory.
        working: the most that is alive during the stage, forward or backward, beyond what earlier stages keep.
    """

    name: str
    kept: float
    working: float


class Ledger(TorchDispatchMode):
    """Records when the storage of each result is allocated and freed.

    Args:
        first: the stage that runs at the beginning; `stage` is set as the pass goes on.
    """

    def __init__(self, first: str) -> None:
        super().__init__()
        self.stage = first
        self._changes: list[tuple[int, int, str]] = []  # storage number, bytes (negative: freed), stage
        self._live: dict[int, tuple[int, int]] = {}  # storage key: number, bytes
        self._ignored: set[int] = set()
        self._count = 0

    def ignore(self, tensors: Sequence[Tensor]) -> None:
        """Leave out the storages of these tensors."""
        self._ignored |= {_key(tensor) for tensor in tensors}

    def note(self, tensors: Sequence[Tensor]) -> None:
        """Record those of these storages that are new."""
        for tensor in tensors:
            storage, key = tensor.untyped_storage(), _key(tensor)
            if key in self._live or key in self._ignored or not storage.nbytes():
                continue
            self._live[key] = (self._count, storage.nbytes())
            self._changes.append((self._count, storage.nbytes(), self.stage))
            self._count += 1
            weakref.finalize(storage, self._freed, key)

    def timeline(self, without: Sequence[Tensor] = ()) -> list[tuple[str, int]]:
        """Stage and bytes alive after each change, the storages of some tensors left out."""
        left_out = {self._live[_key(tensor)][0] for tensor in without if _key(tensor) in self._live}
        changes = [(stage, size) for number, size, stage in self._changes if number not in left_out]
        return list(zip((stage for stage, _ in changes), accumulate(size for _, size in changes)))

    def _freed(self, key: int) -> None:
        number, size = self._live.pop(key)
        self._changes.append((number, -size, self.stage))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        self.note([leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor)])
        return out


def watch_pass(model: Elucidator, inputs: Sequence[Tensor], loss: Callable[[], Tensor]) -> list[StageBytes]:
    """Run a forward and backward pass and return the bytes of its stages, without weights and their gradients.

    Gradients of the model are cleared.

    Args:
        model: in the mode in which it is to run.
        inputs: tensors of the batch, which count as kept by the first stage.
        loss: computes the scalar from which the backward pass begins.
    """
    names = stages(len(model.encoder.layers), len(model.decoder.layers))
    model.zero_grad(set_to_none=True)
    ledger = Ledger(names[0])
    ledger.ignore([*model.parameters(), *model.buffers()])
    with _stages_marked(model, names, ledger), ledger:
        ledger.note(inputs)
        scalar = loss()
        forward = len(ledger.timeline())
        scalar.backward()
    timeline = ledger.timeline([p.grad for p in model.parameters() if p.grad is not None])
    model.zero_grad(set_to_none=True)
    found, before = [], 0
    for name in names:
        after = [alive for stage, alive in timeline[:forward] if stage == name][-1]
        most = max(alive for stage, alive in timeline if stage == name)
        found.append(StageBytes(name, max(0, after - before), max(0, most - before, after - before)))
        before = after
    return found


def _key(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


@contextmanager
def _stages_marked(model: Elucidator, names: Sequence[str], ledger: Ledger) -> Iterator[None]:
    """Keep `ledger.stage` up to date: forward when a module starts, backward when the gradient of its input
    arrives."""
    firsts = [*model.encoder.layers, model.encoder.norm, *model.decoder.layers, model.decoder.norm]
    handles = [
        module.register_forward_pre_hook(_at_start(ledger, begins, ends))
        for module, begins, ends in zip(firsts, names[1:], names)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _at_start(ledger: Ledger, begins: str, ends: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
    def arrived(gradient: Tensor) -> None:
        ledger.stage = ends

    def started(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        ledger.stage = begins
        if inputs[0].requires_grad:
            inputs[0].register_hook(arrived)

    return started
