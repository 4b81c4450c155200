"""The interface between a system and the trainer, which knows a model by its `Task` alone.

A system is a class of run settings (see `run_settings`) and a `System`, which makes the task of a run.
`tests/trainer/denoiser_task.py` is a whole second system in one file.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar

import torch
from torch import Tensor, nn

from mmspec_ds.trainer.monitor.layout import Layout
from mmspec_ds.trainer.monitor.monitor import Monitor


class Batch(Protocol):
    """A batch: tensors that move to a device together."""

    @property
    def samples(self) -> float:
        """Samples of this rank that count; those that only fill up the batch do not."""

    def to(self, device: torch.device) -> Self:
        """The same batch on a device."""

    def pinned(self) -> Self:
        """The same batch in page-locked memory."""


@dataclass(frozen=True)
class StepLoss:
    """The loss of one micro-batch over all ranks.

    DeepSpeed averages gradients over the ranks. So `total` must be a mean over the global batch whose gradient
    on each rank is multiplied by the number of ranks, or a mean over equal shares.

    Attributes:
        total: scalar to differentiate.
        parts: detached scalars by name. `task` is what is learnt, logged as `loss/train`; every other part is
            an auxiliary loss, logged as `auxiliary/NAME`.
        weight: what `parts["task"]` counts for in a mean over several batches.
        tokens: tokens of the global batch, for the throughput.
    """

    total: Tensor
    parts: Mapping[str, Tensor]
    weight: Tensor
    tokens: Tensor


B = TypeVar("B", bound=Batch)
L = TypeVar("L", bound=StepLoss)


@dataclass(frozen=True)
class Validation:
    """The result of a validation, the same on every rank.

    Attributes:
        score: decides which weights are the best ones; see `Task.score_tag`.
        scalars: further figures by tag.
        record: what else `metrics.jsonl` says, in JSON's types.
        detail: anything for `Task.observe`.
    """

    score: float
    scalars: Mapping[str, float] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)
    detail: Any = None


class Sharding(Protocol):
    """Which parameters differ between ranks, such as the experts of a layer, and their names in files."""

    @property
    def size(self) -> int:
        """Consecutive ranks that hold different parts of the model; all other ranks hold copies."""

    def is_sharded(self, name: str) -> bool:
        """Whether a parameter of this rank's module lives on this rank and its copies alone."""

    def global_name(self, name: str) -> str:
        """The name in files of an entry of the state dict of this rank's module."""

    def parts(self, name: str, shape: Sequence[int]) -> list[tuple[str, tuple[int, ...]]]:
        """The tensors in files, by name and shape, that follow one another in a flattened parameter of this
        rank's module: one, unless the parameter holds what are several entries of the state dict."""


class Replicated:
    """Every rank holds the whole model."""

    size = 1

    def is_sharded(self, name: str) -> bool:
        """False for every parameter."""
        return False

    def global_name(self, name: str) -> str:
        """The name without a change."""
        return name

    def parts(self, name: str, shape: Sequence[int]) -> list[tuple[str, tuple[int, ...]]]:
        """The parameter itself."""
        return [(name, tuple(shape))]


REPLICATED = Replicated()


class Progress(Protocol):
    """Is told how much has been read before a run begins."""

    def __call__(self, done: int, what: str = "records", /) -> None:
        """So many of some things are read, such as 3 "records" or 3 "of 10 descriptions"."""


@dataclass(frozen=True)
class TaskContext:
    """The process in which a task is made.

    Attributes:
        device: of this rank.
        rank, world: this process among all.
        weights_from: the folder of the weights that the run begins with; a task reads there what these depend
            on, such as a vocabulary. None for new weights.
        progress: to be called now and then with what is read so far.
    """

    device: torch.device
    rank: int = 0
    world: int = 1
    weights_from: Path | None = None
    progress: Progress | None = None


class Task(ABC, Generic[B, L]):
    """A model that learns from some data, as one rank sees it.

    Attributes:
        module: turns (batch, progress) into a `StepLoss`; `progress`, 0 to 1, is how much of the budget is
            spent. Drawn from the run's seed: the same on every rank, but for sharded parameters.
        model: the part of the module that is saved; its parameters' names stand in files.
        batches_per_epoch: of this rank, the same on all ranks.
        context: where the task was made.
        score_tag: of the validation's score for TensorBoard, `WHAT/validation`.
        higher_is_better: whether the best score is the largest.
        sharding: which parameters differ between ranks.
        layout: TensorBoard's charts, beside the trainer's own.
        summary: the data in words, for the first line of a run.
        about: what `metrics.jsonl` says of the start of a run, in JSON's types.
        remarks: what a user should know of the data.
        identity: what the weights depend on beside the settings, by the file that holds it. A checkpoint keeps
            it, and a run with another one is not resumed.
    """

    module: nn.Module
    model: nn.Module
    batches_per_epoch: int
    context: TaskContext
    score_tag: str = "loss/validation"
    higher_is_better: bool = False
    sharding: Sharding = REPLICATED
    layout: Layout = {}
    summary: str = ""
    about: Mapping[str, Any] = {}
    remarks: tuple[str, ...] = ()
    identity: Mapping[str, Any] = {}

    @abstractmethod
    def batch(self, number: int) -> B:
        """Micro-batch `number` of the run, from 0, on the CPU: it depends on the seed, the number and the rank
        alone, so that a resumed run goes on at the exact sample."""

    @abstractmethod
    def validation_batches(self) -> Iterable[B]:
        """The held-back samples of this rank, on the CPU; as many batches on every rank."""

    def validate(self) -> Validation:
        """The mean task loss of the held-back samples. Every rank calls this."""
        return Validation(self.mean_loss())

    def mean_loss(self, see: Callable[[L], None] = lambda loss: None) -> float:
        """The mean of the task loss over the validation batches, each by its weight; `see` is given the loss
        of each batch."""
        self.module.eval()
        total = weight = 0.0
        with torch.no_grad():
            for batch in self.validation_batches():
                loss = self.module(batch.to(self.context.device), 1.0)
                total += float(loss.parts["task"]) * float(loss.weight)
                weight += float(loss.weight)
                see(loss)
        return total / weight

    def improves(self, score: float, best: float | None) -> bool:
        """Whether a score beats the best one so far."""
        return best is None or (score > best if self.higher_is_better else score < best)

    @property
    def score_label(self) -> str:
        """The score in words, such as "validation loss"."""
        return " ".join(reversed(self.score_tag.split("/")))

    def after_update(self, loss: L) -> None:
        """Called on every rank after an update, with the loss of its last micro-batch."""

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of the task beside the model, in JSON's types; the same on every rank."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on with what `state` gave when the checkpoint was made; called on every rank."""

    def scalars(self, loss: L, progress: float) -> dict[str, float]:
        """Scalars of a logged step beside the losses, by tag."""
        return {}

    def flops(self, batch: B, loss: L) -> float | Tensor:
        """Floating-point operations of a micro-batch, forward and backward: this rank's share, so that the sum
        over the ranks is that of the global batch. 0 where they are not counted; a scalar on the device where
        the count depends on values there, so that no step waits for it."""
        return 0.0

    def final_figures(self) -> Mapping[str, float]:
        """What the record of the end of a run says beside counts and scores, by name."""
        return {}

    def observe(self, step: int, validation: Validation, monitor: Monitor) -> None:
        """Look at the model after a validation, and draw. Every rank calls this; rank 0 writes."""

    def save_files(self, folder: Path) -> None:
        """Write the files that the weights depend on, `System.files`, into a run's folder."""


@dataclass(frozen=True)
class System:
    """A kind of task, as commands know it.

    Attributes:
        make_task: the task of a run.
        files: names of the files beside the weights without which these mean nothing.
        extras: names of files that a run's folder may hold and that an export takes along.
        upgrade: adds in place what weights (or buffers) of older versions lack, given what was stored beside
            them.
    """

    make_task: Callable[[Any, TaskContext], Task[Any, Any]]
    files: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    upgrade: Callable[[dict[str, Tensor], Mapping[str, Any]], None] = lambda tensors, about: None


def count_parameters(task: Task[Any, Any]) -> int:
    """Parameters of the whole model, those that live on other ranks included."""
    counts = [(task.sharding.is_sharded(name), p.numel()) for name, p in task.model.named_parameters()]
    return sum(count * (task.sharding.size if sharded else 1) for sharded, count in counts)
