"""One run, or two against each other, measured in the same processes: A, B, A, B."""

import platform
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from mmspec_ds.errors import DataError, UserError
from mmspec_ds.profiling.figures import (
    Figure,
    Figures,
    decoding_figures,
    memory_figures,
    ratios,
    training_figures,
)
from mmspec_ds.profiling.peak import PeakMemory, Task, measurable, measure_peak
from mmspec_ds.profiling.run_data import RunData, run_data
from mmspec_ds.profiling.trainee import Trainee
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

Say = Callable[[str], None]


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes:
        runs: of each kind, in turn for A and B.
        steps: updates of a training run.
        warm_up: updates before the first one, which are not counted.
        beams: beam widths of decoding.
        samples: that a decoding run decodes on each rank.
        memory, decoding: whether these are measured at all.
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
    """What was found of one run; `about` says what it is and what it was fed."""

    name: str
    about: Mapping[str, Any]
    figures: Figures


@dataclass(frozen=True)
class Profile:
    """What a profile found: one model or two, the first over the second, and where and how it was measured."""

    models: tuple[Model, ...]
    ratios: Figures
    effort: Effort
    environment: Mapping[str, Any]
    max_tokens: int | None = None


@dataclass
class _Contestant:
    """A run on its way to a `Model`."""

    run: ElucidationRun
    data: RunData
    memory: PeakMemory | None = None
    figures: dict[str, Figure] = field(default_factory=dict)
    trainee: Trainee | None = None


def profile(runs: Sequence[ElucidationRun], effort: Effort, say: Say) -> Profile | None:
    """Measure one run, or two against each other, in this process or in those that a launcher started.

    Args:
        runs: A, and B if there is one.
        effort: how much.
        say: is told on rank 0 what is being done.

    Returns:
        What was found, on rank 0; None on the others.

    Raises:
        UserError: what training would refuse, or a process that failed.
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
    """Within, SIGTERM ends this process in order (status 143), so that nothing is left behind."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _profiled(runs: Sequence[ElucidationRun], effort: Effort, say: Say) -> Profile | None:
    first = dist.get_rank() == 0
    spoken = say if first else _nothing_said
    with _scratch_folder(runs[0].output) as scratch:
        contestants = [_with_data(run, effort) for run in runs]
        if effort.memory and measurable():
            for number, one in enumerate(contestants):
                spoken(f"memory of {one.run.name}, in a process of its own")
                one.memory = _peak(one, effort, scratch / f"memory {number}")
        try:
            for number, one in enumerate(contestants):
                one.trainee = Trainee(one.run, one.data, _folder(scratch / f"run {number}"))
            found = _measured(contestants, effort, spoken)
            return found if first else None
        finally:
            for one in contestants:
                if one.trainee is not None:
                    one.trainee.close()


def _measured(contestants: list[_Contestant], effort: Effort, say: Say) -> Profile:
    _train(contestants, effort, say)
    limit = _decode(contestants, effort, say) if effort.decoding else None
    models = tuple(_model(one) for one in contestants)
    two = len(models) == 2
    return Profile(
        models=models,
        ratios=ratios(models[0].figures, models[1].figures) if two else {},
        effort=effort,
        environment=environment(),
        max_tokens=limit,
    )


def _train(contestants: list[_Contestant], effort: Effort, say: Say) -> None:
    """Warm-up of each, then the runs in turn."""
    trainees = [_built(one) for one in contestants]
    for trainee in trainees:
        say(f"training {trainee.run.name}, {effort.warm_up} steps to warm up")
        trainee.train(effort.warm_up)
    found: list[list[Any]] = [[] for _ in trainees]
    for number in range(effort.runs):
        for trainee, so_far in zip(trainees, found):
            say(f"training {trainee.run.name}, run {number + 1} of {effort.runs}, {effort.steps} steps")
            so_far.append(trainee.train(effort.steps))
    for one, trainee, runs in zip(contestants, trainees, found):
        one.figures |= training_figures(trainee.sizes.total, runs)


def _decode(contestants: list[_Contestant], effort: Effort, say: Say) -> int:
    """A warm-up, then the runs in turn; returns the most tokens of a hypothesis: an untrained model writes as
    many as it may, and both models may write as many as the longest of their targets has."""
    trainees = [_built(one) for one in contestants]
    inputs = [trainee.spectra(effort.samples) for trainee in trainees]
    own = max(batch.target_BL.shape[1] - 1 for batch, _ in inputs)
    limit = min([max(gather_objects(own)), *(t.run.model.max_target_tokens for t in trainees)])
    for beam in effort.beams:
        found: list[list[Any]] = [[] for _ in trainees]
        for number in range(effort.runs + 1):
            say(f"decoding, beam {beam}, " + (f"run {number} of {effort.runs}" if number else "to warm up"))
            for trainee, (batch, alone), so_far in zip(trainees, inputs, found):
                so_far.append(trainee.decode(batch, alone, beam, limit))
        for one, runs in zip(contestants, found):
            one.figures |= decoding_figures(beam, runs[1:])
    return limit


def _with_data(run: ElucidationRun, effort: Effort) -> _Contestant:
    data = run_data(run, dist.get_world_size(), generated=effort.generated, tokens=effort.tokens)
    return _Contestant(run, data)


def _built(one: _Contestant) -> Trainee:
    assert one.trainee is not None
    return one.trainee


def _peak(one: _Contestant, effort: Effort, folder: Path) -> PeakMemory:
    """Of the rank that takes most."""
    task = Task(
        run=one.run,
        scratch=_folder(folder),
        meeting=folder / "meeting",
        rank=dist.get_rank(),
        world=dist.get_world_size(),
        generated=effort.generated,
        tokens=effort.tokens,
    )
    found: list[PeakMemory] = gather_objects(measure_peak(task))
    return max(found, key=lambda memory: memory.peak)


def _model(one: _Contestant) -> Model:
    trainee, run, engine = _built(one), one.run, read_engine(one.run.engine)
    memory = memory_figures(one.memory) if one.memory else {}
    about = {
        "kind": "dense" if run.moe is None else f"sparse, {len(run.moe.experts)} experts, k {run.moe.k}",
        "data": one.data.about,
        "generated": one.data.generated,
        "batch_size": run.training.batch_size,
        "gradient_accumulation": run.training.gradient_accumulation,
        "ep_size": run.training.ep_size,
        "zero_stage": engine.stage,
        "precision": trainee.precision,
        "threads": trainee.threads,
        "weights": "untrained" if run.training.start_from is None else str(run.training.start_from),
        "run": run.model_dump(mode="json"),
    }
    return Model(run.name, about, one.figures | memory)


def environment() -> dict[str, Any]:
    """Where a profile was made."""
    on_gpu = torch.cuda.is_available()
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "ranks": dist.get_world_size(),
        "device": torch.cuda.get_device_name() if on_gpu else f"CPU ({_processor()})",
        "memory": "the allocator's peak" if on_gpu else "growth of the resident set",
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "deepspeed", "mmspec-ds")},
    }


def _processor() -> str:
    """The processor's name, where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


@contextmanager
def _scratch_folder(output: Path) -> Iterator[Path]:
    """A folder within that of runs, which all ranks see, for what training insists on writing; it is removed in
    the end, and with it the folder of runs if it was not there before."""
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
    """Made by whoever comes first."""
    path.mkdir(exist_ok=True)
    return path


def _nothing_said(line: str) -> None:
    """The voice of all ranks but the first."""
