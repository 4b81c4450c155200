"""Peak memory of a run, in a fresh process that holds nothing else.

On a GPU the allocator counts. On a CPU it is the resident set: its growth from just before the model is built,
less what grows meanwhile in mapped files and shared memory (libraries that load late, buffers of gloo), with
glibc told to give back what is freed. A small model of the same kinds goes first in that process, for what is
loaded on first use.
"""

import gc
import multiprocessing
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mmspec_ds.errors import UserError
from mmspec_ds.profiling.resident import (
    give_back_what_is_freed,
    is_measured,
    memory_of_process,
    reset_peak,
)
from mmspec_ds.profiling.run_data import run_data
from mmspec_ds.profiling.stopwatch import BACKWARD, FORWARD, OPTIMIZER, observed
from mmspec_ds.profiling.trainee import Trainee
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun

PASSES = 3
"""Micro-batches of the longest samples; what is allocated once is there after the first update."""


@dataclass(frozen=True)
class PeakMemory:
    """Bytes of a rank. Kinds are at their most at different times, so that they do not sum up to the peak.

    Attributes:
        peak: the most at once, from before the model was built.
        weights: parameters and buffers, flat copies included that hold them.
        gradients: what a pass leaves behind, and ZeRO's copies of it.
        optimizer: its states, and ZeRO's copy of the weights in float32.
        activations: what the forward pass leaves for the backward pass.
    """

    peak: float
    weights: float
    gradients: float
    optimizer: float
    activations: float


@dataclass(frozen=True)
class Task:
    """What a process is to measure; `meeting` is a file where the processes of all ranks find each other."""

    run: ElucidationRun
    scratch: Path
    meeting: Path
    rank: int
    world: int
    generated: bool
    tokens: int | None


def measurable() -> bool:
    """Whether this machine tells what a process takes."""
    return torch.cuda.is_available() or is_measured()


def measure_peak(task: Task) -> PeakMemory:
    """Start the process and wait for what it finds. Every rank calls this.

    Raises:
        UserError: it failed.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_tell, args=(task, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        answer = ours.recv()
    except EOFError:
        process.join()
        answer = f"{task.run.name}: the process that measures its memory ended with status {process.exitcode}"
    finally:
        ours.close()
    process.join()
    if isinstance(answer, str):
        raise UserError(answer)
    found: PeakMemory = answer
    return found


def _tell(task: Task, answer: Any) -> None:
    """The process: a `PeakMemory`, or one line of text that says what went wrong."""
    try:
        with _process_group(task):
            found: PeakMemory | str = _measure(task)
    except UserError as error:
        found = " ".join(str(error).split())
    answer.send(found)
    answer.close()


@contextmanager
def _process_group(task: Task) -> Iterator[None]:
    store = dist.FileStore(str(task.meeting), task.world)
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    minutes = timedelta(minutes=task.run.training.timeout_minutes)
    dist.init_process_group(backend, store=store, rank=task.rank, world_size=task.world, timeout=minutes)
    try:
        yield
        dist.barrier()
    finally:
        dist.destroy_process_group()


def _measure(task: Task) -> PeakMemory:
    give_back_what_is_freed()
    data = run_data(task.run, task.world, generated=task.generated, tokens=task.tokens)
    first = Trainee(_small(task.run), data, task.scratch)
    first.pass_once(first.longest(1)[0])
    first.close()
    del first
    gc.collect()
    memory: _Memory = _OfGPU() if torch.cuda.is_available() else _OfProcess()
    memory.start()
    trainee = Trainee(task.run, data, task.scratch)
    probe = _Probe(trainee.session.engine, memory)
    with observed(trainee.session.engine, probe):
        for batch in trainee.longest(1) * (PASSES * task.run.training.gradient_accumulation):
            trainee.pass_once(batch)
    trainee.close()
    weights, optimizer = _held(trainee.session.engine)
    return PeakMemory(memory.peak(), weights, probe.gradients, optimizer, probe.activations)


def _small(run: ElucidationRun) -> ElucidationRun:
    """A run of the same kinds of operations in a model of a few thousand parameters."""
    model = run.model.model_copy(
        update={"d_model": 32, "heads": 1, "encoder_layers": 1, "decoder_layers": 1, "ffn_width": 32}
    )
    moe = run.moe
    if moe is not None:
        experts = tuple(expert.model_copy(update={"width": 16}) for expert in moe.experts)
        moe = moe.model_copy(update={"experts": experts})
    training = run.training.model_copy(update={"start_from": None})
    return run.model_copy(update={"model": model, "moe": moe, "training": training})


class _Memory(Protocol):
    """Bytes of this process: let them begin, now, and at most."""

    def start(self) -> None: ...
    def now(self) -> float: ...
    def peak(self) -> float: ...


class _OfGPU:
    """The allocator's figures."""

    def start(self) -> None:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        self._before = torch.cuda.memory_allocated()

    def now(self) -> float:
        return float(torch.cuda.memory_allocated() - self._before)

    def peak(self) -> float:
        return float(torch.cuda.max_memory_allocated() - self._before)


class _OfProcess:
    """The kernel's figures of the resident set."""

    def start(self) -> None:
        self._before = reset_peak()

    def now(self) -> float:
        return float(memory_of_process()["RssAnon"] - self._before["RssAnon"])

    def peak(self) -> float:
        after = memory_of_process()
        mapped = sum(after[key] - self._before[key] for key in ("RssFile", "RssShmem"))
        return float(after["VmHWM"] - self._before["VmRSS"] - mapped)


class _Probe:
    """Reads memory off while a step runs.

    Attributes:
        activations: growth from the beginning of the last forward pass to its end.
        gradients: the most that they took, at the end of a backward pass or at the beginning of an update.
    """

    def __init__(self, engine: Any, memory: _Memory) -> None:
        self._engine, self._memory, self._before = engine, memory, 0.0
        self.activations = self.gradients = 0.0

    def begin(self, part: str) -> None:
        if part == FORWARD:
            self._before = self._memory.now()
        elif part == OPTIMIZER:
            self.gradients = max(self.gradients, _gradient_bytes(self._engine))

    def end(self, part: str) -> None:
        if part == FORWARD:
            self.activations = max(0.0, self._memory.now() - self._before)
        elif part == BACKWARD:
            self.gradients = max(self.gradients, _gradient_bytes(self._engine))

    def sent(self, size: float) -> None:
        """Of no interest."""


def _gradient_bytes(engine: Any) -> float:
    """Bytes of the gradients of weights and of ZeRO's copies of them, each address once. Not of their storages:
    of ZeRO's reduce bucket, which may be one, a CPU holds only the pages that were used."""
    optimizer = getattr(engine.optimizer, "optimizer", engine.optimizer)
    held = [p.grad for p in engine.module.parameters()]
    held += [p.grad for group in optimizer.param_groups for p in group["params"]]
    for gradients in getattr(engine.optimizer, "averaged_gradients", {}).values():
        held += gradients or []
    return float(sum({one.data_ptr(): one.nbytes for one in held if one is not None}.values()))


def _held(engine: Any) -> tuple[float, float]:
    """Bytes of weights, and of the optimizer on the weights' device: under offload it has none there."""
    module: nn.Module = engine.module
    weights = [*module.parameters(), *module.buffers()]
    optimizer = getattr(engine.optimizer, "optimizer", engine.optimizer)
    states = [value for state in optimizer.state.values() for value in state.values()]
    masters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    kept = [one for one in (*states, *masters) if isinstance(one, Tensor) and one.device == weights[0].device]
    return _storage_bytes(weights), _storage_bytes(kept, without=weights)


def _storage_bytes(tensors: Iterable[Tensor], without: Iterable[Tensor] = ()) -> float:
    """Bytes of tensors, each storage once, and none of those of others."""
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}
    for tensor in without:
        storages.pop(tensor.untyped_storage().data_ptr(), None)
    return float(sum(storages.values()))
