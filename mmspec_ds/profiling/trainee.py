"""A run that is measured: it trains through the trainer's own `Updates` and decodes as predictions do.

Axes: Y encoder layers, E experts, B samples, S places.
"""

import io
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from mmspec_ds.data.batch import Batch
from mmspec_ds.data.collate import collate
from mmspec_ds.moe.routing_tables import RoutingTally
from mmspec_ds.moe.statistics import RoutingReport
from mmspec_ds.nn.beam import beam_search
from mmspec_ds.nn.flops import (
    BatchSize,
    PassFlops,
    computed_rows,
    expert_flops,
    pass_flops,
)
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
from mmspec_ds.systems.elucidation.activity import (
    Activity,
    count_routers,
    dense_activity,
    sparse_activity,
)
from mmspec_ds.systems.elucidation.dimensions import dimensions_in_training
from mmspec_ds.systems.elucidation.modality_gradients.cost import flops_alone
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
"""The model's own operations; the rest of a step is overhead."""

LATENCY_SAMPLES = 4
"""Samples that are decoded one at a time to measure the latency."""


@dataclass(frozen=True)
class TrainingRun:
    """Measurements of several training steps over all ranks.

    Attributes:
        steps: number of updates.
        seconds: wall time of the slowest rank.
        processor_seconds: summed over all threads of all ranks.
        samples, spectrum_tokens, target_tokens: trained on; padding and samples that fill up a batch are not
            counted.
        shares: fractions of the time of a step, averaged over the ranks. Data, forward, backward, optimizer,
            engine, logging and loop sum to 1. All-to-all is a part of forward and backward, and hooks is the
            part of engine that runs during the backward pass.
        all_to_all_bytes: sent to other ranks in a step, averaged over the ranks.
        flops: of all steps on all ranks.
        activity: what a spectrum token used on average, by the experts that were chosen for it.
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
    activity: Activity


@dataclass(frozen=True)
class DecodingRun:
    """`latency`: mean seconds to decode one sample alone, on the slowest rank; `samples_per_second`: of all
    ranks together, each decoding one batch."""

    latency: float
    samples_per_second: float


@dataclass(frozen=True)
class _MicroBatch:
    """Tensors of one micro-batch, read only after the measured steps, so that no step waits for the device.
    Token counts of the loss are those of all ranks; the rest is of this rank."""

    size: BatchSize
    mask_BS: Tensor
    weight_B: Tensor
    target_tokens: Tensor
    reports: tuple[RoutingReport, ...]
    decoder_reports: tuple[RoutingReport, ...]
    alone: PassFlops


class Trainee:
    """A run in a temporary folder, built as `mmspec train` builds it.

    Args:
        run: the settings.
        data: the records it is trained on.
        scratch: an existing folder that all ranks can see.

    Raises:
        UserError: the run cannot be trained.
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
        self.dimensions = dimensions_in_training(run, schemas, vocabulary)
        self.threads = torch.get_num_threads()
        self._watch = Stopwatch(self.session.device)
        self._seen: list[_MicroBatch] = []
        self._updates = Updates(self.session, state, timing=self._watch.timing, see=self._see)

    def close(self) -> None:
        """Stop the thread that makes batches, if there is one, and close the log files."""
        self._updates.close()
        with _silence():
            self._open.close()

    @property
    def precision(self) -> str:
        """The dtype of the weights: float32 or bfloat16."""
        return str(next(self.task.module.parameters()).dtype).removeprefix("torch.")

    def longest(self, count: int) -> list[Batch]:
        """Return the batches of the first epoch with the longest samples, the longest first."""
        task, lengths = self.task, self.task.data.train.lengths
        selections = sorted(task.sampler.epoch(0), key=lambda one: -int(lengths[one.indices].max()))
        return [task.batch_of(selection, 0).to(self.session.device) for selection in selections[:count]]

    def pass_once(self, batch: Batch) -> None:
        """Train on one micro-batch without timing it."""
        with _silence():
            rate = learning_rate_at(self.session.budget.progress(1, 0.0), self.run.training)
            training_step(self.session, batch, 0.0, rate, 0)

    def train(self, steps: int) -> TrainingRun:
        """Make and time this many updates. Every rank calls this."""
        torch.set_num_threads(self.threads)
        self._seen = []
        self._watch.read()
        dist.barrier()
        started, worked = time.perf_counter(), time.process_time()
        agree_every = 1 if self.session.budget.seconds is not None else self.run.training.log_every
        with observed(self.session.engine, self._watch), _silence(), self._watch.timing(TOTAL):
            for _ in range(steps):
                if self._updates.step % agree_every == 0:
                    largest([0.0, 0.0], self.session.device)  # as ranks agree in training on whether to stop
                self._updates.advance(0.0)
        self._wait()
        seconds, processor = time.perf_counter() - started, time.process_time() - worked
        sent = self._watch.bytes_sent
        samples = sum(float(one.weight_B.sum()) for one in self._seen)
        tokens = sum(float(one.weight_B @ one.mask_BS.sum(1).float()) for one in self._seen)
        flops = PassFlops.nothing()
        for one in self._seen:
            flops += pass_flops(self.dimensions, one.size, [], []) + one.alone
        shares = _shares(self._watch.read())
        ranks = gather_objects((seconds, processor, samples, tokens, sent, shares, flops))
        rows_YE = self._rows([one.reports for one in self._seen])
        decoder_rows_YE = self._rows([one.decoder_reports for one in self._seen])
        flops = expert_flops(self.dimensions, rows_YE, decoder_rows_YE)
        for rank in ranks:
            flops += rank[6]
        return TrainingRun(
            steps=steps,
            seconds=max(rank[0] for rank in ranks),
            processor_seconds=sum(rank[1] for rank in ranks),
            samples=sum(rank[2] for rank in ranks),
            spectrum_tokens=sum(rank[3] for rank in ranks),
            target_tokens=float(sum(one.target_tokens for one in self._seen)),
            shares={name: sum(rank[5][name] for rank in ranks) / len(ranks) for name in shares},
            all_to_all_bytes=sum(rank[4] for rank in ranks) / len(ranks) / steps,
            flops=flops,
            activity=self._activity(sum(rank[3] for rank in ranks) / sum(rank[2] for rank in ranks)),
        )

    def _see(self, batch: Batch, loss: ElucidationLoss) -> None:
        given = (BatchSize.of(batch, late=self.dimensions.late), batch.spectra.mask_BS, batch.weight_B)
        alone = flops_alone(self.run, self.dimensions, batch)
        reports = (*loss.reports, *loss.masked_reports), loss.decoder_reports
        self._seen.append(_MicroBatch(*given, loss.weight, *reports, alone))

    def _wait(self) -> None:
        if self.session.device.type == "cuda":
            torch.cuda.synchronize()

    def _rows(self, reports: Sequence[Sequence[RoutingReport]]) -> list[list[float]]:
        """Token-expert pairs of all ranks, [Y, E], of the layers that report; empty for dense ones."""
        if self.run.moe is None or not all(reports):
            return []
        total_YE = torch.zeros(())
        for one in reports:
            rows_YE = torch.stack([computed_rows(report, self.run.moe) for report in one])
            total_YE = total_YE + rows_YE.double().cpu()
        rows: list[list[float]] = total_YE.tolist()
        return rows

    def _activity(self, length: float) -> Activity:
        """By the experts that the routers of the encoder, and of a decoder with experts, chose, before
        capacity; `length` is that of a sample, in tokens."""
        if self.run.moe is None:
            encoders = len(self.task.data.train.schemas) if self.dimensions.late else 1
            return dense_activity(self.dimensions, self.sizes.total, length, encoders)
        tallies = RoutingTally(), RoutingTally()
        for one in self._seen:
            tallies[0].add(one.reports[: self.dimensions.encoder_layers])
            tallies[1].add(one.decoder_reports)
        tables = (tally.table() for tally in tallies)
        chosen_YE = np.concatenate([table.chosen_YE for table in tables if table is not None])
        return sparse_activity(
            self.dimensions, self.sizes.total, count_routers(self.task.model), chosen_YE, length
        )

    def spectra(self, samples: int) -> tuple[Batch, list[Batch]]:
        """Return the first records of this rank to decode: one batch of all, and several batches of one."""
        train = self.task.data.train
        # Ranks that share a decoder's experts must search for as many steps: they decode the same records.
        together = self.run.moe is not None and self.run.moe.decoder and self.run.training.ep_size > 1
        first = 0 if together else dist.get_rank() * samples
        chosen = np.arange(first, first + samples) % len(train)
        alone = [collate(train, [at]).to(self.session.device) for at in chosen[:LATENCY_SAMPLES]]
        return collate(train, chosen).to(self.session.device), alone

    def decode(self, batch: Batch, alone: Sequence[Batch], beam: int, max_tokens: int) -> DecodingRun:
        """Decode a batch, then single samples one after the other. Every rank calls this with the same number
        of samples."""
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
    """Divide the seconds of the parts of a step by its total; see `TrainingRun.shares`."""
    total, step = parts[TOTAL], parts[STEP]
    found = {name: parts[name] for name in (DATA, *MODEL)}
    found[BACKWARD] -= parts[HOOKS]
    found["engine"] = step - sum(found[name] for name in MODEL)
    found[LOGGING] = parts[LOGGING]
    found["loop"] = total - step - parts[DATA] - parts[LOGGING]
    found |= {name: parts[name] for name in (HOOKS, ALL_TO_ALL)}
    return {name: seconds / total for name, seconds in found.items()}


def _silence() -> redirect_stdout[io.StringIO]:
    """Discard what training prints."""
    return redirect_stdout(io.StringIO())
