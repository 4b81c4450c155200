"""Peak memory of a run, measured in a new process that does nothing else.

On a GPU the figures are the allocator's. On a CPU they are the growth of the resident set from just before the
model is built, without the growth of mapped files and shared memory (libraries that load late, gloo's buffers);
glibc is told to return freed memory. A small model of the same kinds runs first, so that memory allocated on
first use is not counted.
"""

import gc
import multiprocessing
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

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
from mmspec_ds.profiling.stopwatch import BACKWARD, FORWARD, OPTIMIZER, Observer, observed
from mmspec_ds.profiling.trainee import Trainee
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun

PASSES = 3
"""Micro-batches of the longest samples; after the first update, everything that is allocated once exists."""


@dataclass(frozen=True)
class PeakMemory:
    """Bytes on one rank. The kinds peak at different times and do not sum up to `peak`.

    Attributes:
        peak: the largest total, counted from before the model was built.
        weights: parameters and buffers, and flat copies that hold them.
        gradients: after a pass, with ZeRO's copies of them.
        optimizer: its state, and ZeRO's copy of the weights in float32.
        activations: kept by the forward pass for the backward pass.
    """

    peak: float
    weights: float
    gradients: float
    optimizer: float
    activations: float


@dataclass(frozen=True)
class PeakRequest:
    """The run that a process measures. The processes of all ranks find each other through a file in
    `scratch`."""

    run: ElucidationRun
    scratch: Path
    rank: int
    world: int
    generated: bool
    tokens: int | None


def measurable() -> bool:
    """Return whether the memory of a process can be measured on this machine."""
    return torch.cuda.is_available() or is_measured()


def measure_peak(request: PeakRequest) -> PeakMemory:
    """Start the process and wait for its result. Every rank calls this.

    Raises:
        UserError: the process failed.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(request, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        answer = ours.recv()
    except EOFError:
        process.join()
        name = request.run.name
        answer = f"{name}: the process that measures its memory ended with status {process.exitcode}"
    finally:
        ours.close()
    process.join()
    if isinstance(answer, str):
        raise UserError(answer)
    found: PeakMemory = answer
    return found


def _answer(request: PeakRequest, pipe: Any) -> None:
    """Run in the new process; send a `PeakMemory`, or one line of text about a fault."""
    try:
        with _process_group(request):
            found: PeakMemory | str = _measure(request)
    except UserError as error:
        found = " ".join(str(error).split())
    pipe.send(found)
    pipe.close()


@contextmanager
def _process_group(request: PeakRequest) -> Iterator[None]:
    store = dist.FileStore(str(request.scratch / "meeting"), request.world)
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    minutes = timedelta(minutes=request.run.training.timeout_minutes)
    dist.init_process_group(backend, store=store, rank=request.rank, world_size=request.world, timeout=minutes)
    try:
        yield
        dist.barrier()
    finally:
        dist.destroy_process_group()


def _measure(request: PeakRequest) -> PeakMemory:
    give_back_what_is_freed()
    data = run_data(request.run, request.world, generated=request.generated, tokens=request.tokens)
    first = Trainee(_small(request.run), data, request.scratch)
    first.pass_once(first.longest(1)[0])
    first.close()
    del first
    gc.collect()
    memory = _MemoryOfGPU() if torch.cuda.is_available() else _MemoryOfProcess()
    trainee = Trainee(request.run, data, request.scratch)
    probe = _Probe(trainee.session.engine, memory)
    with observed(trainee.session.engine, probe):
        for batch in trainee.longest(1) * (PASSES * request.run.training.gradient_accumulation):
            trainee.pass_once(batch)
    trainee.close()
    weights, optimizer = _weights_and_optimizer(trainee.session.engine)
    return PeakMemory(memory.peak(), weights, probe.gradients, optimizer, probe.activations)


def _small(run: ElucidationRun) -> ElucidationRun:
    """Return the run with a model of a few thousand parameters and the same kinds of operations."""
    model = run.model.model_copy(
        update={"d_model": 32, "heads": 1, "encoder_layers": 1, "decoder_layers": 1, "ffn_width": 32}
    )
    moe = run.moe
    if moe is not None:
        experts = tuple(expert.model_copy(update={"width": 16}) for expert in moe.experts)
        moe = moe.model_copy(update={"experts": experts})
    training = run.training.model_copy(update={"start_from": None, "encoder_from": None})
    return run.model_copy(update={"model": model, "moe": moe, "training": training})


class _MemoryOfGPU:
    """Figures of the allocator: bytes since it was made, now and at the peak."""

    def __init__(self) -> None:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        self._before = torch.cuda.memory_allocated()

    def now(self) -> float:
        return float(torch.cuda.memory_allocated() - self._before)

    def peak(self) -> float:
        return float(torch.cuda.max_memory_allocated() - self._before)


class _MemoryOfProcess:
    """Figures of the resident set: bytes since it was made, now and at the peak."""

    def __init__(self) -> None:
        self._before = reset_peak()

    def now(self) -> float:
        return float(memory_of_process()["RssAnon"] - self._before["RssAnon"])

    def peak(self) -> float:
        after = memory_of_process()
        mapped = sum(after[key] - self._before[key] for key in ("RssFile", "RssShmem"))
        return float(after["VmHWM"] - self._before["VmRSS"] - mapped)


class _Probe(Observer):
    """Reads memory during a step.

    Attributes:
        activations: growth from the start of the last forward pass to its end.
        gradients: the most at the end of a backward pass or at the start of an update.
    """

    def __init__(self, engine: Any, memory: _MemoryOfGPU | _MemoryOfProcess) -> None:
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


def _gradient_bytes(engine: Any) -> float:
    """Bytes of the gradients and of ZeRO's copies, each address once. Not of their storages: ZeRO's reduce
    bucket may be one, and on a CPU only its used pages are resident."""
    optimizer = getattr(engine.optimizer, "optimizer", engine.optimizer)
    gradients = [p.grad for p in engine.module.parameters()]
    gradients += [p.grad for group in optimizer.param_groups for p in group["params"]]
    for averaged in getattr(engine.optimizer, "averaged_gradients", {}).values():
        gradients += averaged or []
    return float(sum({one.data_ptr(): one.nbytes for one in gradients if one is not None}.values()))


def _weights_and_optimizer(engine: Any) -> tuple[float, float]:
    """Bytes of the weights, and of the optimizer on their device: with offload it has none there."""
    module: nn.Module = engine.module
    weights = [*module.parameters(), *module.buffers()]
    optimizer = getattr(engine.optimizer, "optimizer", engine.optimizer)
    states = [value for state in optimizer.state.values() for value in state.values()]
    masters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    kept = [one for one in (*states, *masters) if isinstance(one, Tensor) and one.device == weights[0].device]
    return _storage_bytes(weights), _storage_bytes(kept, without=weights)


def _storage_bytes(tensors: Iterable[Tensor], without: Iterable[Tensor] = ()) -> float:
    """Bytes of the storages of tensors, each once, except those of the tensors in `without`."""
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}
    for tensor in without:
        storages.pop(tensor.untyped_storage().data_ptr(), None)
    return float(sum(storages.values()))
