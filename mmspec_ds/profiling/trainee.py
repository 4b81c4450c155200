"""A run under measurement: it trains by training's own step and decodes by the search's own call.

It imports training, as no other room but the commands does: what is measured must be what `mmspec train` does,
and not a second loop beside it.

Axes: Y encoder layers, E experts.
"""

import io
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from mmspec_ds.data.batch import Batch
from mmspec_ds.data.collate import collate
from mmspec_ds.moe.statistics import RoutingReport
from mmspec_ds.nn.beam import beam_search
from mmspec_ds.nn.packed_weights import packed
from mmspec_ds.profiling.run_data import RunData
from mmspec_ds.profiling.sizes import model_sizes
from mmspec_ds.profiling.stopwatch import (
    ALL_TO_ALL,
    BACKWARD,
    FORWARD,
    HOOKS,
    OPTIMIZER,
    Stopwatch,
    observed,
)
from mmspec_ds.systems.elucidation.flops import (
    BatchSize,
    Dimensions,
    PassFlops,
    computed_rows,
    expert_flops,
    pass_flops,
)
from mmspec_ds.systems.elucidation.model import Elucidator
from mmspec_ds.systems.elucidation.objective import ElucidationLoss
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun
from mmspec_ds.systems.elucidation.task import SYSTEM, ElucidationTask
from mmspec_ds.trainer.budget import learning_rate_at
from mmspec_ds.trainer.distributed import device_of_rank, gather_objects, largest
from mmspec_ds.trainer.engine_file import read_engine
from mmspec_ds.trainer.loop import DATA, LOGGING, STEP, Updates, training_step
from mmspec_ds.trainer.session import prepare

TOTAL = "total"

MODEL = (FORWARD, BACKWARD, OPTIMIZER)
"""The model's own operations; all else of a step is overhead."""

LATENCY_SAMPLES = 4
"""Samples that are decoded one at a time for the latency of one run."""


@dataclass(frozen=True)
class TrainingRun:
    """What some steps took, of all ranks together.

    Attributes:
        steps: updates.
        seconds: of the slowest rank.
        processor_seconds: of all threads of all ranks.
        samples, spectrum_tokens, target_tokens: that were learnt from; padding and fill do not count.
        shares: of the time of a step, mean of the ranks: data, forward, backward, optimizer, engine, logging,
            loop, which make up the whole; all-to-all, which lies within forward and backward; and hooks, the
            part of engine that runs within the backward pass.
        all_to_all_bytes: that a rank sends to others in a step, mean of the ranks.
        flops: of all steps on all ranks.
        active: parameters that worked for a spectrum token: the dense part and the experts that it was sent
            to.
    """

    steps: int
    seconds: float
    processor_seconds: float
    samples: float
    spectrum_tokens: float
    target_tokens: float
    shares: Mapping[str, float]
    all_to_all_bytes: float
    flops: PassFlops
    active: float


@dataclass(frozen=True)
class DecodingRun:
    """`latency`: mean seconds of one sample decoded alone, of the slowest rank; `samples_per_second` of all
    ranks, decoded in one batch for each rank."""

    latency: float
    samples_per_second: float


@dataclass(frozen=True)
class _Seen:
    """What one micro-batch leaves behind, on the device, to be read when the run of steps is over: this rank's
    samples, and of all ranks the tokens."""

    size: BatchSize
    mask_BS: Tensor
    weight_B: Tensor
    routed_tokens: Tensor
    target_tokens: Tensor
    reports: tuple[RoutingReport, ...]

    @property
    def samples(self) -> float:
        """Those that do not only fill up the batch."""
        return float(self.weight_B.sum())

    @property
    def spectrum_tokens(self) -> float:
        """Of these samples."""
        return float(self.weight_B @ self.mask_BS.sum(1).float())


class Trainee:
    """A run, built as training builds it, in a folder that is thrown away.

    Args:
        run: the settings.
        data: what it is fed.
        scratch: an existing folder that all ranks see.

    Raises:
        UserError: what training would refuse.
    """

    def __init__(self, run: ElucidationRun, data: RunData, scratch: Path) -> None:
        self._open = ExitStack()
        device_of_rank()  # before the first collective: NCCL takes the GPU that is current then
        system = replace(SYSTEM, make_task=partial(ElucidationTask, data=data.data))
        run_here = run.model_copy(update={"output": scratch})
        with _silence():
            self.session, state = prepare(
                run_here, system, read_engine(run.engine), resume=False, overwrite=True
            )
        self._open.enter_context(self.session.monitor)
        self.task = cast(ElucidationTask, self.session.task)
        schemas, vocabulary = data.data.encoding.schemas, len(data.data.vocabularies.target)
        self.run, self.sizes = run, model_sizes(run, schemas, vocabulary)
        self.dimensions = Dimensions.of(run, schemas, vocabulary)
        self.threads = torch.get_num_threads()
        self._watch = Stopwatch(self.session.device)
        self._seen: list[_Seen] = []
        self._updates = Updates(self.session, state, timing=self._watch.timing, see=self._see)

    def close(self) -> None:
        """End the thread that makes its batches, if there is one, and close the files of its log."""
        self._updates.close()
        with _silence():
            self._open.close()

    @property
    def precision(self) -> str:
        """Of the weights: float32 or bfloat16."""
        return str(next(self.task.module.parameters()).dtype).removeprefix("torch.")

    def longest(self, count: int) -> list[Batch]:
        """Batches of the first epoch with the longest samples, the longest first."""
        task, lengths = self.task, self.task.data.train.lengths
        selections = sorted(task.sampler.epoch(0), key=lambda one: -int(lengths[one.indices].max()))
        return [task.batch_of(selection, 0).to(self.session.device) for selection in selections[:count]]

    def pass_once(self, batch: Batch) -> None:
        """One micro-batch, timed by nobody."""
        with _silence():
            rate = learning_rate_at(self.session.budget.progress(1, 0.0), self.run.training)
            training_step(self.session, batch, 0.0, rate, 0)

    def train(self, steps: int) -> TrainingRun:
        """So many updates. Every rank calls this."""
        torch.set_num_threads(self.threads)
        self._seen = []
        self._watch.read()
        dist.barrier()
        started, worked = time.perf_counter(), time.process_time()
        agree_every = 1 if self.session.budget.seconds is not None else self.run.training.log_every
        with observed(self.session.engine, self._watch), _silence(), self._watch.timing(TOTAL):
            for _ in range(steps):
                if self._updates.step % agree_every == 0:
                    largest([0.0, 0.0], self.session.device)  # the ranks' agreement on whether to stop
                self._updates.advance(0.0)
        self._wait()
        seconds = (time.perf_counter() - started, time.process_time() - worked)
        sent = self._watch.bytes_sent
        return self._told(steps, seconds, sent, self._watch.read(), self._seen)

    def _see(self, batch: Batch, loss: ElucidationLoss) -> None:
        given = (BatchSize.of(batch), batch.spectra.mask_BS, batch.weight_B)
        self._seen.append(_Seen(*given, loss.spectrum_tokens, loss.weight, loss.reports))

    def _wait(self) -> None:
        if self.session.device.type == "cuda":
            torch.cuda.synchronize()

    def _told(
        self,
        steps: int,
        seconds: tuple[float, float],
        sent: float,
        parts: Mapping[str, float],
        seen: Sequence[_Seen],
    ) -> TrainingRun:
        """What the ranks found, put together."""
        own = PassFlops.nothing()
        for one in seen:
            own += pass_flops(self.dimensions, one.size, [])
        samples, tokens = (sum(getattr(one, of) for one in seen) for of in ("samples", "spectrum_tokens"))
        everyone = gather_objects((seconds, samples, sent, _shares(parts), own, tokens))
        flops = expert_flops(self.dimensions, self._rows(seen))
        for rank in everyone:
            flops += rank[4]
        world = len(everyone)
        return TrainingRun(
            steps=steps,
            seconds=max(rank[0][0] for rank in everyone),
            processor_seconds=sum(rank[0][1] for rank in everyone),
            samples=sum(rank[1] for rank in everyone),
            spectrum_tokens=sum(rank[5] for rank in everyone),
            target_tokens=float(sum(one.target_tokens for one in seen)),
            shares={name: sum(rank[3][name] for rank in everyone) / world for name in everyone[0][3]},
            all_to_all_bytes=sum(rank[2] for rank in everyone) / world / steps,
            flops=flops,
            active=self._active(seen),
        )

    def _rows(self, seen: Sequence[_Seen]) -> list[list[float]]:
        """Token-expert pairs of all ranks, [Y, E]."""
        if self.run.moe is None:
            return []
        moe, total_YE = self.run.moe, torch.zeros(())
        for one in seen:
            rows_YE = torch.stack([computed_rows(report, moe) for report in one.reports])
            total_YE = total_YE + rows_YE.double().cpu()
        rows: list[list[float]] = total_YE.tolist()
        return rows

    def _active(self, seen: Sequence[_Seen]) -> float:
        """Parameters of the dense part, and of each layer's experts as often as a token was sent to them."""
        layers = self.run.model.encoder_layers
        each = [parameters / layers for parameters in self.sizes.by_expert]
        pairs = sum(n * size for layer in self._rows(seen) for n, size in zip(layer, each))
        return self.sizes.dense + pairs / max(1.0, float(sum(one.routed_tokens for one in seen)))

    def spectra(self, samples: int) -> tuple[Batch, list[Batch]]:
        """Records of this rank to decode, the first ones of the files: together, and some one by one."""
        train = self.task.data.train
        first = dist.get_rank() * samples
        chosen = np.arange(first, first + samples) % len(train)
        alone = [collate(train, [at]).to(self.session.device) for at in chosen[:LATENCY_SAMPLES]]
        return collate(train, chosen).to(self.session.device), alone

    def decode(self, batch: Batch, alone: Sequence[Batch], beam: int, max_tokens: int) -> DecodingRun:
        """Search for the structures of a batch, and of single samples one after the other. Every rank calls
        this, with as many samples."""
        torch.set_num_threads(self.threads)
        model = packed(self.task.model)  # as predictions do
        together = self._search_seconds(model, [batch], beam, max_tokens)
        one_by_one = self._search_seconds(model, alone, beam, max_tokens) / len(alone)
        slowest, latency = largest([together, one_by_one], self.session.device)
        return DecodingRun(latency, dist.get_world_size() * len(batch.weight_B) / slowest)

    def _search_seconds(self, model: Elucidator, batches: Sequence[Batch], beam: int, max_tokens: int) -> float:
        dist.barrier()
        started = time.perf_counter()
        for batch in batches:
            beam_search(model, batch.spectra, beam=beam, n_best=beam, max_tokens=max_tokens)
        self._wait()
        return time.perf_counter() - started


def _shares(parts: Mapping[str, float]) -> dict[str, float]:
    """Of the total, all parts of a step that do not lie within others, and the all-to-all."""
    total, step = parts[TOTAL], parts[STEP]
    found = {name: parts[name] for name in (DATA, *MODEL)}
    found[BACKWARD] -= parts[HOOKS]
    found["engine"] = step - sum(found[name] for name in MODEL)
    found[LOGGING] = parts[LOGGING]
    found["loop"] = total - step - parts[DATA] - parts[LOGGING]
    found |= {name: parts[name] for name in (HOOKS, ALL_TO_ALL)}
    return {name: seconds / total for name, seconds in found.items()}


@contextmanager
def _silence() -> Iterator[Any]:
    """Within, what is told of training goes nowhere: there is no terminal for its progress bar."""
    with redirect_stdout(io.StringIO()) as told:
        yield told
