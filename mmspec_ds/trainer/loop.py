"""The loop of a run: batches in, checkpoints out.

train          prepare (session.py), then steps until the budget is spent or somebody asks to stop
  run_steps    one step after another: schedule, loss, backward, update, log
  validate     the loss on the held-back molecules
"""

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from mmspec_ds.config import RunConfig
from mmspec_ds.data.ahead import made_ahead
from mmspec_ds.data.batch import Batch
from mmspec_ds.data.collate import collate
from mmspec_ds.data.sampler import Selection
from mmspec_ds.errors import UserError
from mmspec_ds.moe.schedule import Curriculum, curriculum_at
from mmspec_ds.profiling.flops import BatchSize, computed_rows, pass_flops
from mmspec_ds.systems.elucidation.objective import StepLoss
from mmspec_ds.systems.elucidation.routing import RoutingTable, RoutingTally, routing_scalars
from mmspec_ds.trainer.budget import learning_rate_at
from mmspec_ds.trainer.checkpoints import CHECKPOINTS, CheckpointFolder, TrainerState
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
from mmspec_ds.trainer.run_lock import run_lock
from mmspec_ds.trainer.session import Session, prepare


def train(run: RunConfig, *, resume: bool = False, overwrite: bool = False) -> bool:
    """Train as the run file says, in this process or as one of those that a launcher started.

    Args:
        run: the settings.
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
            session, state = prepare(run, engine_file, resume=resume, overwrite=overwrite)
            with session.monitor:
                return run_steps(session, state, stop)
        except RuntimeError as error:
            if not is_lost_contact(error):
                raise
            raise UserError(_lost(run, error)) from error


def run_steps(session: Session, state: TrainerState, stop: StopRequest) -> bool:
    """Steps from where `state` stands to the end of the budget."""
    settings, budget = session.run.training, session.budget
    started = time.monotonic() - state.seconds
    agree_every = 1 if budget.seconds is not None else settings.log_every
    step, batches, seconds, stopping = state.step, state.batches, state.seconds, False
    rates = Rates(session.device, dist.get_world_size())
    faulty = FirstFault(session.device)
    for number, made in training_batches(session, state.batches):
        if step % agree_every == 0:
            asked, seconds = largest([float(stop.asked), time.monotonic() - started], session.device)
            stopping = asked > 0
        done = budget.progress(step, seconds)
        if stopping or done >= 1:
            break
        now = curriculum_at(done, session.run.objective)
        rate = learning_rate_at(budget.progress(step + 1, seconds), settings)
        batch = made.to(session.device)
        norm, loss = training_step(session, batch, now, rate, number)
        rates.count(loss.target_tokens + loss.spectrum_tokens, float(made.weight_B.sum()))
        if norm is None:
            continue
        step, batches = step + 1, number + 1
        session.monitor.trace.after(step)
        faulty.see(step, norm)
        if step % settings.log_every == 0:
            _refuse_faulty(session, faulty)
            values = step_scalars(loss, norm, now, rate) | rates.scalars(_flops_per_token(session, batch, loss))
            _log(session, step, budget.progress(step, seconds), seconds, values)
            rates.restart()
        if step % settings.validate_every == 0:
            _refuse_faulty(session, faulty)
            state = replace(state, step=step, batches=batches, seconds=seconds, temperature=now.temperature)
            state = _checkpoint(session, state)
            rates.restart()
    (seconds,) = largest([time.monotonic() - started], session.device)
    if step > state.step or state.validation_loss is None:
        _refuse_faulty(session, faulty)
        temperature = curriculum_at(budget.progress(step, seconds), session.run.objective).temperature
        state = replace(state, step=step, batches=batches, seconds=seconds, temperature=temperature)
        state = _save(session, state) if stopping else _checkpoint(session, state)
    finished = budget.progress(step, seconds) >= 1
    session.monitor.end(step, finished, _final(state, seconds))
    best = "not validated" if state.best_loss is None else f"best validation loss {state.best_loss:.4f}"
    session.monitor.say(
        f"{session.run.name}: {'done' if finished else 'stopped'} after {step} steps, {seconds:.0f} s, "
        f"{best}; {session.run.folder}"
    )
    return finished


def training_step(
    session: Session, batch: Batch, now: Curriculum, rate: float, number: int
) -> tuple[Tensor | None, StepLoss]:
    """Micro-batch `number` of the run: the norm of the gradient, if an update was completed, and its loss."""
    engine = session.engine
    # Dropout depends on seed, number and rank alone: a resumed run draws what the undisturbed one would have.
    torch.manual_seed(
        int(np.random.SeedSequence((session.run.seed, number, dist.get_rank())).generate_state(1)[0])
    )
    engine.train()
    set_learning_rate(engine, rate)
    loss: StepLoss = engine(batch, now)
    engine.backward(loss.total)
    if not engine.is_gradient_accumulation_boundary():
        engine.step()
        return None, loss
    norm = update(engine, session.held.placement, session.run.training.gradient_clipping)
    session.objective.rebalance(loss.reports)
    return norm, loss


def validate(session: Session, now_temperature: float) -> tuple[float, RoutingTable | None]:
    """Mean cross entropy per target token of the held-back molecules, over all ranks, in nats; and what the
    routers did with them, if there are any."""
    engine, objective = session.engine, session.objective
    engine.eval()
    total = torch.zeros((), dtype=torch.float64)
    count = torch.zeros((), dtype=torch.float64)
    tally = RoutingTally()
    with torch.no_grad():
        for indices, weights in session.validation.epoch(0):
            batch = collate(session.data.validation, indices, weights).to(session.device)
            loss = objective(batch, Curriculum(balance=0.0, temperature=now_temperature))
            total += float(loss.parts["task"]) * float(loss.target_tokens)
            count += float(loss.target_tokens)
            tally.add(loss.reports)
    return float(total / count), tally.table()


def _checkpoint(session: Session, state: TrainerState) -> TrainerState:
    """Validate, save, and say so."""
    loss, routing = validate(session, state.temperature)
    if not np.isfinite(loss):
        raise UserError(
            f"{session.run.name}: the validation loss is {loss} after {state.step} steps; not saved"
        )
    best = state.best_loss is None or loss < state.best_loss
    if best:
        state = replace(state, best_loss=loss, best_step=state.step)
    session.monitor.validation(state.step, loss, best, routing)
    session.observer.look(state.step, state.temperature, routing)
    return _save(session, replace(state, validation_loss=loss))


def _save(session: Session, state: TrainerState) -> TrainerState:
    """Save without validation: who asks a run to stop kills it soon after, and the launcher after 30 s. Weights
    are published as the best ones as long as no others were measured."""
    if state.best_loss is None:
        state = replace(state, best_step=state.step)
    publish = state.best_step == state.step
    session.checkpoints.save(session.held, state, session.about, publish=publish)
    return state


def _refuse_faulty(session: Session, faulty: FirstFault) -> None:
    """End a run whose weights are spoilt, before they are saved."""
    step = faulty.step()
    if step is not None:
        raise UserError(
            f"{session.run.name}: the gradient is not finite at step {step}; {_kept(session.run)}; a fault that"
            " comes again needs a smaller training.learning_rate or other data"
        )


def _lost(run: RunConfig, error: RuntimeError) -> str:
    """What to say when a rank does not answer."""
    why = " ".join(str(error).split())
    return f"{run.name}: rank {dist.get_rank()} has lost contact with another rank ({why[:160]}); {_kept(run)}"


def _kept(run: RunConfig) -> str:
    """What is left of a run that ends now."""
    steps = CheckpointFolder(run.folder / CHECKPOINTS).steps()
    if not steps:
        return "no step is saved: start again"
    return f"step {steps[-1]} is the last that is saved: start again with --resume"


def _selections(session: Session, start: int) -> Iterator[Selection]:
    epoch, skip = divmod(start, len(session.batches))
    while True:
        yield from session.batches.epoch(epoch)[skip:]
        epoch, skip = epoch + 1, 0


def training_batches(session: Session, start: int) -> Iterator[tuple[int, Batch]]:
    """Micro-batches for ever, from number `start`, each with its number. On a GPU a thread makes them ahead, in
    memory that the GPU copies from by itself; on a CPU there is no core to spare for that."""
    numbered = enumerate(_selections(session, start), start)
    made = ((number, batch_of(session, selection, number)) for number, selection in numbered)
    if session.device.type == "cuda":
        return made_ahead((number, batch.pinned()) for number, batch in made)
    return made


def batch_of(session: Session, selection: Selection, number: int) -> Batch:
    """Micro-batch `number` of the run, on the CPU."""
    dropout = session.run.data.modality_dropout
    rng = None
    if dropout:
        rng = np.random.default_rng((session.run.seed, number))
        # The draws of the ranks before this one: what is left out does not depend on how a batch is shared.
        rng.random((dist.get_rank() * len(selection.indices), len(session.data.train.schemas)))
    return collate(session.data.train, selection.indices, selection.weights, modality_dropout=dropout, rng=rng)


def step_scalars(loss: StepLoss, norm: Tensor, now: Curriculum, rate: float) -> dict[str, float]:
    """What a step logs, by tag."""
    values = {"loss/total": float(loss.total.detach()), "loss/train": float(loss.parts["task"])}
    values["gradient/norm"] = float(norm)
    values |= {f"auxiliary/{name}": float(v) for name, v in loss.parts.items() if name != "task"}
    values["schedule/learning_rate"] = rate
    if loss.reports:
        values |= {"schedule/lambda": now.balance, "schedule/tau": now.temperature}
    return values | routing_scalars(loss.reports)


def _flops_per_token(session: Session, batch: Batch, loss: StepLoss) -> float:
    """The model's operations in this step, forward and backward, by its tokens. This rank's batch stands for
    those of the others; what the experts had to do is of all ranks."""
    world, moe = dist.get_world_size(), session.run.moe
    rows_YE = [(computed_rows(report, moe) / world).tolist() for report in loss.reports] if moe else None
    flops = pass_flops(session.dimensions, BatchSize.of(batch), rows_YE).total * world
    return flops / max(float(loss.spectrum_tokens) + float(loss.target_tokens), 1.0)


def _final(state: TrainerState, seconds: float) -> dict[str, float]:
    figures = {"final/seconds": seconds}
    if state.best_loss is not None:
        figures["final/best_validation_loss"] = state.best_loss
    if state.validation_loss is not None:
        figures["final/validation_loss"] = state.validation_loss
    return figures


def _log(session: Session, step: int, done: float, seconds: float, values: dict[str, float]) -> None:
    if not np.isfinite(values["loss/total"]):
        raise UserError(f"{session.run.name}: the loss is {values['loss/total']} at step {step}")
    session.monitor.step(step, done, seconds * (1 - done) / max(done, 1e-9), values)
