"""The `training` block of a run file."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from mmspec_ds.settings import Settings

BUDGETS = ("steps", "epochs", "samples", "flops", "minutes")
"""The settings of which one is the budget."""


class TrainingSettings(Settings):
    """Budget, batches, optimizer and logging. Exactly one of steps, epochs, samples, flops and minutes is the
    budget.

    Attributes:
        ep_size: expert-parallel size, a divisor of the number of ranks and of the number of experts.
        batch_size: samples for each rank and step.
        steps, epochs, samples, flops: the budget. Samples are molecules seen, repeats included; FLOPs are those
            of forward and backward passes; both are counted over all ranks. The schedules follow it, and the
            run ends with the first step that reaches it.
        minutes: a budget for who must stop by the clock. The schedules follow it, so that a run of the same
            seed is not the same run twice, and two models that are compared differ in what they have seen.
        warmup: fraction of the budget over which the learning rate rises linearly.
        final_learning_rate: what the cosine ends at, as a fraction of `learning_rate`.
        gradient_clipping: largest norm of the whole gradient; 0 is off.
        activation_checkpointing: keep only the input of each encoder layer for the backward pass and compute
            the layer again there: less memory for about a third more arithmetic in the encoder.
        validate_every: steps between validations, each with a checkpoint.
        keep_checkpoints: how many of the newest are kept beside the best; with two, there is one to go back to
            when the newest turns out to be damaged.
        snapshots: how many times the weights alone are kept in `RUN/snapshots`, at even parts of the budget, so
            that one can see how the model changed.
        trace_steps: updates, after the first few, that torch's profiler traces for TensorBoard and Perfetto.
        threads: CPU threads for each process; default: the cores of the machine shared by its processes.
        timeout_minutes: how long a rank waits for the others before it gives up.
        start_from: the folder of a trained model (a run, an export, an upcycled one) whose weights and
            vocabulary a new run begins with.
    """

    ep_size: int = Field(1, ge=1)
    batch_size: int = Field(64, ge=1)
    gradient_accumulation: int = Field(1, ge=1)
    steps: int | None = Field(None, ge=1)
    epochs: float | None = Field(None, gt=0)
    samples: int | None = Field(None, ge=1)
    flops: float | None = Field(None, gt=0)
    minutes: float | None = Field(None, gt=0)
    optimizer: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = Field(5e-4, gt=0)
    final_learning_rate: float = Field(0.0, ge=0, le=1)
    warmup: float = Field(0.05, ge=0, lt=1)
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = Field(1e-8, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    gradient_clipping: float = Field(1.0, ge=0)
    activation_checkpointing: bool = False
    validate_every: int = Field(500, ge=1)
    log_every: int = Field(10, ge=1)
    keep_checkpoints: int = Field(2, ge=1)
    snapshots: int = Field(0, ge=0)
    trace_steps: int = Field(0, ge=0)
    threads: int | None = Field(None, ge=1)
    timeout_minutes: float = Field(30, gt=0)
    start_from: Path | None = None

    @model_validator(mode="after")
    def _one_budget(self) -> Self:
        given = [name for name in BUDGETS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"exactly one of {', '.join(BUDGETS[:-1])} and {BUDGETS[-1]} is the budget,"
                f" found {' and '.join(given) or 'none'}"
            )
        return self
