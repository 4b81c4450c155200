"""Profile one run, or two against each other in the same processes: A, B, A, B."""

import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch.distributed as dist

from mmspec_ds.errors import DataError, UserError
from mmspec_ds.evaluation.equality import Compared, Equality, equality_of
from mmspec_ds.profiling.measurements import (
    Figure,
    Figures,
    decoding_figures,
    memory_figures,
    ratios,
    training_figures,
)
from mmspec_ds.profiling.peak import PeakMemory, PeakRequest, measurable, measure_peak
from mmspec_ds.profiling.run_data import RunData, run_data
from mmspec_ds.profiling.trainee import Trainee
from mmspec_ds.systems.elucidation.compared import facts_of, samples_per_step
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun
from mmspec_ds.trainer.distributed import (
    broadcast_from_rank0,
    check_topology,
    device_of_rank,
    gather_objects,
    is_lost_contact,
    process_group,
)
from mmspec_ds.trainer.engine_file import read_engine
from mmspec_ds.trainer.monitor.environment import describe

Say = Callable[[str], None]


@dataclass(frozen=True)
class Effort:
    """The amount of measurement.

    Attributes:
        runs: of each kind, in turn for A and B.
        steps: updates of a training run.
        warm_up: updates before the first run, which are not counted.
        beams: beam widths of decoding.
        samples: decoded by each rank in a decoding run.
        memory, decoding: whether these are measured.
        generated, tokens: see `run_data`.
    """

    runs: int = 3
    steps: int = 20
    warm_up: int = 5
    beams: tuple[int, ...] = (5, 10)
    samples: int = 16
    memory: bool = True
    decoding: bool = True
    generated: bool = False
    tokens: int | None = None


@dataclass(frozen=True)
class Model:
    """The measured figures of one run; `about` describes its settings and its data."""

    name: str
    about: Mapping[str, Any]
    figures: Figures


@dataclass(frozen=True)
class Profile:
    """The result: one model or two, the ratios of the first to the second, how and where it was measured, and
    what of two was equal."""

    models: tuple[Model, ...]
    ratios: Figures
    effort: Effort
    environment: Mapping[str, Any]
    max_tokens: int | None = None
    equality: Equality | None = None


def profile(runs: Sequence[ElucidationRun], effort: Effort, say: Say) -> Profile | None:
    """Measure one run, or two against each other, in this process or in those that a launcher started.

    Args:
        runs: A, and B if there is one.
        effort: how much to measure.
        say: called on rank 0 with a line about each step of the work.

    Returns:
        The result on rank 0; None on the others.

    Raises:
        UserError: a run cannot be trained, or a process failed.
    """
    for run in runs:
        read_engine(run.engine)
    with process_group(max(run.training.timeout_minutes for run in runs)):
        device_of_rank()
        for run in runs:
            check_topology(run.training.ep_size)
        try:
            with _stoppable():
                return _profiled(runs, effort, say)
        except RuntimeError as error:
            if not is_lost_contact(error):
                raise
            why = " ".join(str(error).split())[:160]
            raise UserError(f"rank {dist.get_rank()} has lost contact with another rank ({why})") from error


@contextmanager
def _stoppable() -> Iterator[None]:
    """Let SIGTERM end the block like an exception (status 143), so that temporary files are removed."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _profiled(runs: Sequence[ElucidationRun], effort: Effort, say: Say) -> Profile | None:
    is_first = dist.get_rank() == 0
    speak: Say = say if is_first else lambda line: None
    world = dist.get_world_size()
    with _scratch_folder(runs[0].output) as scratch:
        data = [run_data(run, world, generated=effort.generated, tokens=effort.tokens) for run in runs]
        memory: list[dict[str, Figure]] = [{} for _ in runs]
        if effort.memory and measurable():
            for number, run in enumerate(runs):
                speak(f"memory of {run.name}, in a process of its own")
                memory[number] = memory_figures(_peak(run, effort, scratch / f"memory {number}"))
        trainees: list[Trainee] = []
        try:
            for number, (run, fed) in enumerate(zip(runs, data)):
                trainees.append(Trainee(run, fed, _folder(scratch / f"run {number}")))
            training = _train(trainees, effort, speak)
            decoding, limit = _decode(trainees, effort, speak) if effort.decoding else ([{}, {}], None)
        finally:
            for trainee in trainees:
                trainee.close()
    parts = zip(trainees, data, training, decoding, memory)
    models = tuple(_model(trainee, fed, {**a, **b, **c}) for trainee, fed, a, b, c in parts)
    two = len(models) == 2
    found = Profile(
        models=models,
        ratios=ratios(models[0].figures, models[1].figures) if two else {},
        effort=effort,
        environment=environment(),
        max_tokens=limit,
        equality=_equality(models, [trainee.run for trainee in trainees], world) if two else None,
    )
    return found if is_first else None


def _train(trainees: Sequence[Trainee], effort: Effort, say: Say) -> list[dict[str, Figure]]:
    """Warm up each, then time the runs in turn."""
    for trainee in trainees:
        say(f"training {trainee.run.name}, {effort.warm_up} steps to warm up")
        trainee.train(effort.warm_up)
    found: list[list[Any]] = [[] for _ in trainees]
    for number in range(effort.runs):
        for trainee, so_far in zip(trainees, found):
            say(f"training {trainee.run.name}, run {number + 1} of {effort.runs}, {effort.steps} steps")
            so_far.append(trainee.train(effort.steps))
    return [training_figures(trainee.sizes.total, runs) for trainee, runs in zip(trainees, found)]


def _decode(trainees: Sequence[Trainee], effort: Effort, say: Say) -> tuple[list[dict[str, Figure]], int]:
    """Warm up, then time the runs in turn. Also returns the maximum of tokens of a hypothesis, which is that of
    the longest target: an untrained model writes as many as it may."""
    inputs = [trainee.spectra(effort.samples) for trainee in trainees]
    own = max(batch.target_BL.shape[1] - 1 for batch, _ in inputs)
    limit = min([max(gather_objects(own)), *(t.run.model.max_target_tokens for t in trainees)])
    figures: list[dict[str, Figure]] = [{} for _ in trainees]
    for beam in effort.beams:
        found: list[list[Any]] = [[] for _ in trainees]
        for number in range(effort.runs + 1):
            say(f"decoding, beam {beam}, " + (f"run {number} of {effort.runs}" if number else "to warm up"))
            for trainee, (batch, alone), so_far in zip(trainees, inputs, found):
                so_far.append(trainee.decode(batch, alone, beam, limit))
        for one, runs in zip(figures, found):
            one |= decoding_figures(beam, runs[1:])
    return figures, limit


def _peak(run: ElucidationRun, effort: Effort, folder: Path) -> PeakMemory:
    """Return the memory of the rank that needs most."""
    request = PeakRequest(
        run=run,
        scratch=_folder(folder),
        rank=dist.get_rank(),
        world=dist.get_world_size(),
        generated=effort.generated,
        tokens=effort.tokens,
    )
    found: list[PeakMemory] = gather_objects(measure_peak(request))
    return max(found, key=lambda memory: memory.peak)


def _model(trainee: Trainee, data: RunData, figures: Figures) -> Model:
    run = trainee.run
    about = {
        "kind": "dense" if run.moe is None else f"sparse, {len(run.moe.experts)} experts, k {run.moe.k}",
        "data": data.about,
        "generated": data.generated,
        "batch_size": run.training.batch_size,
        "gradient_accumulation": run.training.gradient_accumulation,
        "ep_size": run.training.ep_size,
        "zero_stage": trainee.session.engine.zero_optimization_stage(),
        "precision": trainee.precision,
        "threads": trainee.threads,
        "weights": _weights(run),
        "run": run.model_dump(mode="json"),
    }
    return Model(run.name, about, figures)


def _weights(run: ElucidationRun) -> str:
    training = run.training
    if training.encoder_from is not None:
        return f"untrained, but for the encoder of {training.encoder_from}"
    return "untrained" if training.start_from is None else str(training.start_from)


def _equality(models: Sequence[Model], runs: Sequence[ElucidationRun], world: int) -> Equality:
    """Which counts and figures are equal between the steps of the models."""
    compared = []
    for model, run in zip(models, runs):
        means = {key: figure.mean for key, figure in model.figures.items()}
        counts = {
            "samples_per_step": samples_per_step(
                run, run.training.batch_size * run.training.gradient_accumulation * world
            ),
            "parameters": means["parameters/total"],
            "active_parameters": means["parameters/active"],
            "flops_per_sample": means["flops/per_sample"],
        }
        facts = {"data": model.about["data"], **facts_of(run), "precision": model.about["precision"]}
        compared.append(Compared(model.name, counts, facts))
    return equality_of(compared)


def environment() -> dict[str, Any]:
    """Describe the machine and the versions, in JSON's types."""
    device = device_of_rank()
    found, on_gpu = describe(device), device.type == "cuda"
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "ranks": dist.get_world_size(),
        "device": found["device"] if on_gpu else f"CPU ({found['device']})",
        "memory": "the allocator's peak" if on_gpu else "growth of the resident set",
        **{name: found["versions"][name] for name in ("python", "torch", "deepspeed", "mmspec-ds")},
    }


@contextmanager
def _scratch_folder(output: Path) -> Iterator[Path]:
    """Make a temporary folder inside `output`, which all ranks can see; remove it at the end, and `output` too
    if it did not exist before."""
    made = not output.exists()

    def make() -> Path | str:
        try:
            output.mkdir(parents=True, exist_ok=True)
            return Path(tempfile.mkdtemp(prefix=".profile-", dir=output)).resolve()
        except OSError as error:
            return f"cannot be written: {error.strerror}"

    folder = broadcast_from_rank0(make)
    if isinstance(folder, str):
        raise DataError(folder, path=output)
    try:
        yield folder
        dist.barrier()  # every rank has closed its files
    finally:
        if dist.get_rank() == 0:
            shutil.rmtree(folder, ignore_errors=True)
            if made and not any(output.iterdir()):
                output.rmdir()


def _folder(path: Path) -> Path:
    path.mkdir(exist_ok=True)
    return path
