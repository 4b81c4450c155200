"""What a forward and backward pass holds in memory, part by part of the model, from a real run on the CPU.

No formula follows the modules' code here: the numbers are read off while the modules themselves run, so that
they change when the modules do.

Axes: B samples, S places, L target tokens, D model width, V vocabulary.
"""

import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mmspec_ds.data.batch import Batch
from mmspec_ds.moe.statistics import RoutingReport, to_vector
from mmspec_ds.systems.elucidation.model import Elucidator, sequence_loss

Part = Literal[
    "embedding",
    "first encoder layer",
    "encoder layer",
    "middle",
    "first decoder layer",
    "decoder layer",
    "head",
]
"""A pass in its order: embedding of the spectra; the encoder's layers; its last norm and the embedding of the
target; the decoder's layers; its last norm, logits and loss. First layers stand apart: what all decoder layers
read is kept once, by the first."""

PARTS: tuple[Part, ...] = get_args(Part)


def layer_parts(room: Literal["encoder", "decoder"], layers: int) -> list[Part]:
    """The parts that the layers of a room are."""
    first: Part = "first encoder layer" if room == "encoder" else "first decoder layer"
    other: Part = "encoder layer" if room == "encoder" else "decoder layer"
    return [first, *[other] * (layers - 1)]


@dataclass(frozen=True)
class PassBytes:
    """Bytes of one forward and backward pass, without weights and their gradients.

    Attributes:
        kept: what autograd keeps of each part for the backward pass.
        working: the most that was alive at once while a part ran, forward or backward, beyond what the parts
            before it keep. What the part itself keeps is within.
    """

    kept: Mapping[Part, int]
    working: Mapping[Part, int]


@dataclass
class Place:
    """Which part is running."""

    part: Part = "embedding"


def kept_bytes(model: Elucidator, batch: Batch) -> dict[Part, int]:
    """Bytes that autograd keeps for the backward pass, once for each storage, parameters and buffers
    excluded."""
    return _forward(model, batch, Place())[0]


def pass_bytes(model: Elucidator, batch: Batch) -> PassBytes:
    """Run one forward and backward pass and read its memory off. Gradients of the model are cleared."""
    model.zero_grad(set_to_none=True)
    place = Place()
    ledger = Ledger(place)
    ledger.ignore(_own_storages(model))
    with ledger:
        ledger.note(_tensors_of(batch))
        kept, loss = _forward(model, batch, place)
        loss.backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    most = ledger.most(gradients)
    model.zero_grad(set_to_none=True)
    before = dict(zip(PARTS, accumulate(kept.values(), initial=0)))
    working = {part: max(most[part] - before[part], kept[part]) for part in PARTS}
    return PassBytes(kept, working)


def _forward(model: Elucidator, batch: Batch, place: Place) -> tuple[dict[Part, int], Tensor]:
    """Bytes that each part keeps, and the loss, whose graph holds them: no address is given out twice."""
    seen = _own_storages(model)
    kept: dict[Part, int] = dict.fromkeys(PARTS, 0)

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in seen:
            seen.add(storage.data_ptr())
            kept[place.part] += storage.nbytes()
        return tensor

    with _marked(model, place), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = _loss(model, batch)
    return kept, loss


def _loss(model: Elucidator, batch: Batch) -> Tensor:
    """A scalar that depends on all that the objective depends on."""
    output = model(batch, 1.0)
    total, count = sequence_loss(output.logits_BLV, batch.target_BL, batch.weight_B)
    sums = [to_vector(report).sum() for report in output.reports if isinstance(report, RoutingReport)]
    return total / count + sum(sums, start=torch.zeros(()))


def _own_storages(model: nn.Module) -> set[int]:
    return {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}


def _tensors_of(batch: Batch) -> list[Tensor]:
    of_tokens = [t for part in batch.spectra.tokens.values() for t in vars(part).values()]
    return [batch.spectra.modality_BS, batch.target_BL, batch.weight_B, *of_tokens]


@contextmanager
def _marked(model: Elucidator, place: Place) -> Iterator[None]:
    """Within, `place` follows the pass: forward by the modules that begin, backward by the gradients that
    arrive."""
    encoder, decoder = model.encoder.layers, model.decoder.layers
    parts: list[tuple[nn.Module, Part]] = [
        *zip(encoder, layer_parts("encoder", len(encoder))),
        (model.encoder.norm, "middle"),
        *zip(decoder, layer_parts("decoder", len(decoder))),
        (model.decoder.norm, "head"),
    ]
    before: Part = "embedding"
    place.part = before
    handles = []
    for module, part in parts:
        handles.append(module.register_forward_pre_hook(_at_start(place, part, before)))
        before = part
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _at_start(place: Place, begins: Part, ends: Part) -> Callable[[nn.Module, tuple[Any, ...]], None]:
    def arrived(gradient: Tensor) -> None:
        place.part = ends

    def started(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        place.part = begins
        if inputs[0].requires_grad:
            inputs[0].register_hook(arrived)

    return started


@dataclass
class _Entry:
    """A storage came into being (`size` > 0) or went."""

    storage: int
    size: int
    part: Part


@dataclass
class _Book:
    entries: list[_Entry] = field(default_factory=list)
    live: dict[int, tuple[int, int]] = field(
        default_factory=dict
    )  # address of the storage: its number and size
    numbers: int = 0


class Ledger(TorchDispatchMode):
    """Writes down when the storages of all results of operations come into being and when they go."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place, self.book = place, _Book()
        self._ignored: set[int] = set()

    def ignore(self, addresses: set[int]) -> None:
        """Storages by the addresses of their data."""
        self._ignored |= addresses

    def note(self, tensors: list[Tensor]) -> None:
        """Add tensors whose storages are new."""
        for tensor in tensors:
            storage = tensor.untyped_storage()
            key = storage._cdata
            if key in self.book.live or storage.nbytes() == 0 or storage.data_ptr() in self._ignored:
                continue
            number, size = self.book.numbers, storage.nbytes()
            self.book.numbers += 1
            self.book.live[key] = (number, size)
            self.book.entries.append(_Entry(number, size, self.place.part))
            weakref.finalize(storage, self._gone, key)

    def most(self, without: list[Tensor]) -> dict[Part, int]:
        """The most bytes alive at once during each part, the storages of some tensors left out."""
        keys = [t.untyped_storage()._cdata for t in without]
        left_out = {self.book.live[key][0] for key in keys if key in self.book.live}
        alive, most = 0, dict.fromkeys(PARTS, 0)
        for entry in self.book.entries:
            if entry.storage not in left_out:
                alive += entry.size
                most[entry.part] = max(most[entry.part], alive)
        return most

    def _gone(self, key: int) -> None:
        number, size = self.book.live.pop(key)
        self.book.entries.append(_Entry(number, -size, self.place.part))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        self.note([leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor)])
        return out
