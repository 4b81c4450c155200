"""The weights and optimizer states that a rank holds, as named pieces that do not depend on the topology.

One of the two files that touch DeepSpeed's private names: ZeRO keeps a parameter's fp32 weight and states in
flat partitions, and `_hp_mapping` says which elements of which parameter lie where. The contract is that of
deepspeed 0.19.8 and is tested in tests/trainer/test_engine_state.py.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mmspec_ds.trainer.task import Sharding

WEIGHT = "weight"


@dataclass(frozen=True)
class Piece:
    """Consecutive elements of a weight or of one of its optimizer states.

    Attributes:
        kind: "weight", or the optimizer's name of a state, such as "exp_avg".
        name: of the tensor in files that they belong to, see `Sharding.parts`.
        start: the first element, counted in that tensor when it is flattened.
        values: the elements, [n], a view of what the engine works with, in fp32.
        owned: whether it is this rank that saves them; others may hold the same.
    """

    kind: str
    name: str
    start: int
    values: Tensor
    owned: bool


@dataclass(frozen=True)
class EngineState:
    """The state of an engine, in pieces.

    Args:
        engine: DeepSpeed's, at any of ZeRO's stages 0 to 2.
        model: the model within, whose names count.
        sharding: which parameters differ between ranks.
    """

    engine: Any
    model: nn.Module
    sharding: Sharding

    def shapes(self) -> dict[str, list[int]]:
        """The shape of every parameter that lives here, by its name in files."""
        return {
            part: list(shape)
            for name, parameter in self.model.named_parameters()
            for part, shape in self.sharding.parts(name, parameter.shape)
        }

    def buffers(self) -> list[tuple[str, Tensor]]:
        """The model's buffers by name, the same on every rank."""
        buffers = {name for name, _ in self.model.named_buffers()}
        return [(name, value) for name, value in self.model.state_dict().items() if name in buffers]

    def topology(self) -> dict[str, Any]:
        """Ranks, sharding, stage of ZeRO and precision of this engine."""
        return {
            "ranks": dist.get_world_size(),
            "ep_size": self.sharding.size,
            "zero_stage": self.engine.zero_optimization_stage(),
            "bf16": self.engine.bfloat16_enabled(),
        }

    def pieces(self) -> Iterator[Piece]:
        """Everything that this rank holds and a step changes, in an order that is the same in every run."""
        return self._partitions() if self.engine.zero_optimization_stage() else self._replicas()

    def state_kinds(self) -> tuple[str, ...]:
        """The optimizer's states that have an element for each of the weight's: none for SGD, or before the
        first update."""
        states = self._inner.state.values()
        return tuple(sorted({kind for state in states for kind, value in state.items() if _is_whole(value)}))

    def updates(self) -> int:
        """Number of updates that the optimizer has counted."""
        counts = [int(state["step"]) for state in self._inner.state.values() if "step" in state]
        return max(counts, default=0)

    def open_states(self, kinds: Iterable[str], updates: int) -> None:
        """Give every parameter of the optimizer zeros as states, as if it had counted so many updates: what a
        checkpoint's values can be written to."""
        kinds = tuple(kinds)
        if not kinds:
            return
        for group in self._inner.param_groups:
            on_device = bool(group.get("fused")) or bool(group.get("capturable"))
            for parameter in group["params"]:
                device = parameter.device if on_device else torch.device("cpu")
                state = {kind: torch.zeros_like(parameter) for kind in kinds}
                step = torch.tensor(float(updates), dtype=torch.float32, device=device)
                self._inner.state[parameter] = {"step": step, **state}

    def refresh_weights(self) -> None:
        """Copy the fp32 pieces into the weights with which the model computes. Every rank calls this."""
        if self.engine.zero_optimization_stage():
            self.engine.optimizer.update_lp_params()

    @property
    def _inner(self) -> torch.optim.Optimizer:
        """torch's optimizer, which ZeRO wraps."""
        optimizer = self.engine.optimizer
        inner: torch.optim.Optimizer = (
            optimizer.optimizer if self.engine.zero_optimization_stage() else optimizer
        )
        return inner

    def _cut(
        self,
        kind: str,
        parts: Sequence[tuple[str, tuple[int, ...]]],
        start: int,
        values: Tensor,
        *,
        owned: bool,
    ) -> Iterator[Piece]:
        """Elements of a parameter from `start` on, cut where its parts end."""
        first, stop = 0, start + values.numel()
        for name, shape in parts:
            begin, end = max(first, start), min(first + math.prod(shape), stop)
            if begin < end:
                yield Piece(kind, name, begin - first, values[begin - start : end - start], owned)
            first += math.prod(shape)

    def _partitions(self) -> Iterator[Piece]:
        """ZeRO 1 and 2: the partition of this rank, the only copy.

        The states are looked up in torch's optimizer: DeepSpeed's own links to them are made when the first of
        several parameter groups has stepped, and are empty for the others.
        """
        partitions = self.engine.optimizer.single_partition_of_fp32_groups
        for name, parameter in self.model.named_parameters():
            mapping = parameter._hp_mapping  # type: ignore[attr-defined]
            if mapping is None:
                continue
            start, place = mapping.lp_fragment_address.start, mapping.hp_fragment_address
            parts = self.sharding.parts(name, parameter.shape)
            yield from self._cut(WEIGHT, parts, start, mapping.hp_fragment.detach(), owned=True)
            state = self._inner.state.get(partitions[mapping.param_group_index], {})
            for kind, values in sorted(state.items()):
                if _is_whole(values):
                    fragment = values.narrow(0, place.start, place.numel)
                    yield from self._cut(kind, parts, start, fragment, owned=True)

    def _replicas(self) -> Iterator[Piece]:
        """Without ZeRO several ranks hold the same weight: all ranks, or those with the same shard. They take
        turns in saving them."""
        rank, world, size = dist.get_rank(), dist.get_world_size(), self.sharding.size
        for number, (name, parameter) in enumerate(self.model.named_parameters()):
            sharded = self.sharding.is_sharded(name)
            copies, turn = (world // size, rank // size) if sharded else (world, rank)
            owned = number % copies == turn
            parts = self.sharding.parts(name, parameter.shape)
            yield from self._cut(WEIGHT, parts, 0, parameter.detach().view(-1), owned=owned)
            state: Mapping[str, Any] = self._inner.state.get(parameter, {})
            for kind, value in sorted(state.items()):
                if _is_whole(value):
                    yield from self._cut(kind, parts, 0, value.view(-1), owned=owned)


def _is_whole(value: object) -> bool:
    """Whether a state has elements like the weight, and is no counter."""
    return isinstance(value, Tensor) and value.ndim > 0
