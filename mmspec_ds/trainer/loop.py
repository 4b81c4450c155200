"""The loop of a run: batches in, checkpoints out.

train            prepare (session.py), then steps until the budget is spent or somebody asks to stop
  run_steps      one update after another, with validations and checkpoints
    Updates      batches, loss, backward, update, log
"""

import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from mmspec_ds.errors import ConfigError, UserError
from mmspec_ds.trainer.budget import learning_rate_at
from mmspec_ds.trainer.checkpoints import CHECKPOINTS, TASK_STATE, CheckpointFolder, TrainerState
from mmspec_ds.trainer.counts import Counts
from mmspec_ds.trainer.distributed import (
    StopRequest,
    is_lost_contact,
    largest,
    process_group,
    stop_requested,
)
from mmspec_ds.trainer.engine import FirstFault, set_learning_rate, update
from mmspec_ds.trainer.engine_file import read_engine
from mmspec_ds.trainer.monitor.rates import Rates
from mmspec_ds.trainer.prefetch import prefetch
from mmspec_ds.trainer.run_lock import run_lock
from mmspec_ds.trainer.run_settings import RunSettings
from mmspec_ds.trainer.session import Session, prepare
from mmspec_ds.trainer.snapshots import Snapshots
from mmspec_ds.trainer.task import Batch, StepLoss, System, Task, count_parameters

DATA, STEP, LOGGING = "data", "step", "logging"
"""Parts of an update, as `Updates` times them."""


def train(run: RunSettings, system: System, *, resume: bool = False, overwrite: bool = False) -> bool:
    """Train as the run file says, in this process or as one of those that a launcher started.

    Args:
        run: the settings.
        system: makes the task of such settings.
        resume: go on from the newest whole checkpoint of the run's folder, if there is one.
        overwrite: discard what the run's folder holds.

    Returns:
        Whether the budget was spent; False after SIGTERM or SIGINT, which end a run with a checkpoint.

    Raises:
        UserError: a fault in settings, data or run, such as a rank that is lost.
    """
    engine_file = read_engine(run.engine)
    with process_group(run.training.timeout_minutes), run_lock(run.folder), stop_requested() as stop:
        try:
            session, state = prepare(run, system, engine_file, resume=resume, overwrite=overwrite)
            with session.monitor:
                return run_steps(session, state, stop)
        except RuntimeError as error:
            if not is_lost_contact(error):
                raise
            raise UserError(_lost(run, error)) from error


def run_steps(session: Session, state: TrainerState, stop: StopRequest) -> bool:
    """Steps from where `state` stands to the end of the budget; returns whether it is spent.

    Raises:
        UserError: a gradient is not finite.
        ConfigError: the budget counts what the task does not.
    """
    settings = session.run.training
    started = time.monotonic() - state.seconds
    agree_every = 1 if session.budget.seconds is not None else settings.log_every
    seconds, stopping = state.seconds, False
    updates = Updates(session, state)
    snapshots = Snapshots(session.run.folder, settings.snapshots, updates.progress(seconds))
    try:
        while True:
            if updates.step % agree_every == 0:
                asked, seconds = largest([float(stop.asked), time.monotonic() - started], session.device)
                stopping = asked > 0
            if stopping or updates.progress(seconds) >= 1:
                break
            updates.advance(seconds)
            done = updates.progress(seconds)
            snapshots.after(updates.step, done, session.engine_state, session.about)
            if updates.step % settings.validate_every == 0:
                state = _checkpoint(session, updates.position(state, seconds))
                updates.rates.restart()
    finally:
        updates.close()
    (seconds,) = largest([time.monotonic() - started], session.device)
    finished = updates.progress(seconds) >= 1
    if updates.step > state.step or state.score is None:
        state = updates.position(state, seconds)
        if stopping:
            state = _save(session, state)
        if finished or not stopping:  # a run that has spent its budget is validated, asked to stop or not
            state = _checkpoint(session, state)
    _conclude(session, state, seconds, finished)
    return finished


class Updates:
    """Makes the updates of a run one after the other. Profiling makes and times them through this class.

    Args:
        session: of the run.
        state: where it begins.
        timing: gives a context for a part of an update, `DATA`, `STEP` or `LOGGING`.
        see: is given each micro-batch, on the device, with its loss.

    Attributes:
        step: updates so far.
        batches: micro-batches so far.
        counts: samples and FLOPs so far, on all ranks.
        rates: throughput since the last log.
    """

    def __init__(
        self,
        session: Session,
        state: TrainerState,
        *,
        timing: Callable[[str], AbstractContextManager[Any]] = nullcontext,
        see: Callable[[Any, Any], None] = lambda batch, loss: None,
    ) -> None:
        self.session, self.step, self.batches = session, state.step, state.batches
        self.counts = Counts(state.samples, state.flops, session.device)
        self.rates = Rates(session.device, dist.get_world_size())
        self._timing, self._see = timing, see
        self._fault = FirstFault(session.device)
        self._batches = numbered_batches(session.task, state.batches)
        self._began = time.monotonic() - state.seconds

    def progress(self, seconds: float) -> float:
        """The fraction of the budget that is spent, 0 to 1, after `seconds` of training."""
        return self.session.budget.progress(*self._spent(seconds))

    def _spent(self, seconds: float) -> tuple[int, float, float, float]:
        return self.step, seconds, self.counts.samples or 0.0, self.counts.flops or 0.0

    def advance(self, seconds: float) -> None:
        """One update, logged if it is due; `seconds` of training have gone by so far.

        Raises:
            UserError: a gradient was not finite.
            ConfigError: the budget counts what the task does not.
        """
        session, settings = self.session, self.session.run.training
        progress = self.progress(seconds)
        rate = learning_rate_at(session.budget.progress_after_next(*self._spent(seconds)), settings)
        norm: Tensor | None = None
        while norm is None:
            with self._timing(DATA):
                number, made = next(self._batches)
                batch = made.to(session.device)
            with self._timing(STEP):
                norm, loss = training_step(session, batch, progress, rate, number)
            self.rates.count(loss.tokens, made.samples)
            flops = session.task.flops(batch, loss)
            self.counts.add(made.samples, flops)
            self._see(batch, loss)
        self.step, self.batches = self.step + 1, number + 1
        if session.budget.is_counted:
            self.counts.gather()
            self._refuse_uncounted()
        session.monitor.trace.after(self.step)
        self._fault.record(self.step, norm)
        if self.step % settings.log_every == 0:
            with self._timing(LOGGING):
                self._refuse_fault()
                values = step_scalars(loss, norm, rate) | session.task.scalars(loss, progress)
                everywhere = float(flops) * dist.get_world_size()  # the other ranks' batches are like this one
                self._log(values | self.rates.scalars(everywhere / max(float(loss.tokens), 1.0)))
                self.rates.restart()

    def position(self, state: TrainerState, seconds: float) -> TrainerState:
        """The state after these updates, to be saved. Every rank calls this.

        Raises:
            UserError: a gradient was not finite, and the weights are spoilt.
        """
        self._refuse_fault()
        self.counts.gather()
        return replace(
            state,
            step=self.step,
            batches=self.batches,
            seconds=seconds,
            samples=self.counts.samples,
            flops=self.counts.flops,
        )

    def close(self) -> None:
        """End the thread that makes the batches, if there is one."""
        self._batches.close()

    def _refuse_uncounted(self) -> None:
        if self.session.budget.flops is not None and not self.counts.flops:
            raise ConfigError(
                f"training.flops: {self.session.run.system} counts no operations: expected another budget"
            )

    def _log(self, values: dict[str, float]) -> None:
        seconds = time.monotonic() - self._began
        session, done = self.session, self.progress(seconds)
        if not np.isfinite(values["loss/total"]):
            raise UserError(f"{session.run.name}: the loss is {values['loss/total']} at step {self.step}")
        session.monitor.step(self.step, done, seconds * (1 - done) / max(done, 1e-9), values)

    def _refuse_fault(self) -> None:
        step, run = self._fault.step(), self.session.run
        if step is not None:
            raise UserError(
                f"{run.name}: the gradient is not finite at step {step}; {_kept(run)}; a fault that comes again"
                " needs a smaller training.learning_rate or other data"
            )


def training_step(
    session: Session, batch: Batch, progress: float, rate: float, number: int
) -> tuple[Tensor | None, StepLoss]:
    """Micro-batch `number` of the run.

    Args:
        session: of the training.
        batch: on its device.
        progress: the share of the budget that is spent, 0 to 1.
        rate: the learning rate.
        number: with the run's seed and the rank it decides all that is drawn.

    Returns:
        The norm of the gradient before clipping if an update was completed, else None; and the loss.
    """
    engine, task = session.engine, session.task
    # Dropout depends on seed, number and rank alone: a resumed run draws what the undisturbed one would have.
    torch.manual_seed(
        int(np.random.SeedSequence((session.run.seed, number, dist.get_rank())).generate_state(1)[0])
    )
    engine.train()
    set_learning_rate(engine, rate)
    loss: StepLoss = engine(batch, progress)
    engine.backward(loss.total)
    if not engine.is_gradient_accumulation_boundary():
        engine.step()
        return None, loss
    norm = update(engine, task.sharding.size, session.run.training.gradient_clipping)
    task.after_update(loss)
    return norm, loss


def numbered_batches(task: Task[Any, Any], start: int) -> Generator[tuple[int, Any], None, None]:
    """Yield micro-batches indefinitely, from number `start`, each with its number. On a GPU a thread makes them
    in advance, in memory that the GPU copies from by itself; on a CPU there is no core to spare for that."""
    if task.context.device.type == "cuda":
        return prefetch((number, task.batch(number).pinned()) for number in count(start))
    return ((number, task.batch(number)) for number in count(start))


def step_scalars(loss: StepLoss, norm: Tensor, rate: float) -> dict[str, float]:
    """The scalars of a step that every task has, by tag."""
    values = {"loss/total": float(loss.total.detach()), "loss/train": float(loss.parts["task"])}
    values["gradient/norm"] = float(norm)
    values |= {f"auxiliary/{name}": float(v) for name, v in loss.parts.items() if name != "task"}
    return values | {"schedule/learning_rate": rate}


def _checkpoint(session: Session, state: TrainerState) -> TrainerState:
    """Validate, report and save."""
    task, monitor = session.task, session.monitor
    validation = task.validate()
    score = validation.score
    if not np.isfinite(score):
        raise UserError(
            f"{session.run.name}: the {task.score_label} is {score} after {state.step} steps; not saved"
        )
    best = task.improves(score, state.best_score)
    if best:
        state = replace(state, best_score=score, best_step=state.step)
    line = f"{task.score_label} {score:.4f}{'  (best)' if best else ''}"
    values = {task.score_tag: score, **validation.scalars}
    spent = {"seconds": state.seconds, "samples": state.samples, "flops": state.flops}
    monitor.validation(state.step, line, values, spent | dict(validation.record))
    task.observe(state.step, validation, monitor)
    return _save(session, replace(state, score=score))


def _save(session: Session, state: TrainerState) -> TrainerState:
    """Save without validation: who asks a run to stop kills it soon after, and the launcher after 30 s. Weights
    are published as the best ones as long as no others were measured."""
    if state.best_score is None:
        state = replace(state, best_step=state.step)
    publish = state.best_step == state.step
    about = {**session.about, TASK_STATE: session.task.state()}
    session.checkpoints.save(session.engine_state, state, about, publish=publish)
    return state


def _conclude(session: Session, state: TrainerState, seconds: float, finished: bool) -> None:
    """Record and print how a part of a run ended."""
    label, best = session.task.score_label, "not validated"
    counts = {"samples": state.samples, "flops": state.flops, "parameters": count_parameters(session.task)}
    counts |= session.task.final_figures()
    figures = {"final/seconds": seconds}
    figures |= {f"final/{name}": float(value) for name, value in counts.items() if value is not None}
    if state.best_score is not None:
        figures[f"final/best_{label.replace(' ', '_')}"] = state.best_score
        best = f"best {label} {state.best_score:.4f}"
    if state.score is not None:
        figures[f"final/{label.replace(' ', '_')}"] = state.score
    session.monitor.end(state.step, finished, figures)
    session.monitor.say(
        f"{session.run.name}: {'done' if finished else 'stopped'} after {state.step} steps, {seconds:.0f} s, "
        f"{best}; {session.run.folder}"
    )


def _lost(run: RunSettings, error: RuntimeError) -> str:
    """The message where a rank does not answer."""
    why = " ".join(str(error).split())
    return f"{run.name}: rank {dist.get_rank()} has lost contact with another rank ({why[:160]}); {_kept(run)}"


def _kept(run: RunSettings) -> str:
    """The last saved step, for the message of a run that fails."""
    steps = CheckpointFolder(run.folder / CHECKPOINTS).steps()
    if not steps:
        return "no step is saved: start again"
    return f"step {steps[-1]} is the last that is saved: start again with --resume"
