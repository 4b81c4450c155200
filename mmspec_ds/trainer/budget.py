"""Progress of a run through its budget, and the learning rate at each point."""

import math
from dataclasses import dataclass

from mmspec_ds.trainer.training_settings import TrainingSettings


@dataclass(frozen=True)
class Budget:
    """Steps, seconds, samples or floating-point operations (FLOPs), whichever is given.

    Samples and FLOPs are those of training on all ranks, as they are counted. `samples_per_step` is how many a
    full batch has: what the first step is expected to take of a budget of samples.
    """

    steps: int | None = None
    seconds: float | None = None
    samples: float | None = None
    flops: float | None = None
    samples_per_step: float = 0.0

    @classmethod
    def of(cls, settings: TrainingSettings, batches_per_epoch: int, ranks: int = 1) -> "Budget":
        """The budget of a run file; a step is an update, of `gradient_accumulation` batches of each rank."""
        if settings.minutes is not None:
            return cls(seconds=60 * settings.minutes)
        if settings.steps is not None:
            return cls(steps=settings.steps)
        if settings.samples is not None:
            full = settings.batch_size * settings.gradient_accumulation * ranks
            return cls(samples=settings.samples, samples_per_step=full)
        if settings.flops is not None:
            return cls(flops=settings.flops)
        assert settings.epochs is not None
        return cls(steps=max(1, round(settings.epochs * batches_per_epoch / settings.gradient_accumulation)))

    @property
    def is_counted(self) -> bool:
        """Whether what is done has to be counted over all ranks after each step."""
        return self.samples is not None or self.flops is not None

    def progress(self, step: int, seconds: float, samples: float = 0.0, flops: float = 0.0) -> float:
        """The fraction that is done after so many steps, seconds, samples and FLOPs of training, 0 to 1."""
        for done, whole in (
            (step, self.steps),
            (seconds, self.seconds),
            (samples, self.samples),
            (flops, self.flops),
        ):
            if whole is not None:
                return min(1.0, done / whole)
        raise AssertionError("a budget has one size")

    def progress_after_next(self, step: int, seconds: float, samples: float = 0.0, flops: float = 0.0) -> float:
        """The fraction that will be done after one more step, which decides the learning rate of that step.

        A step is expected to take as many samples or FLOPs as the steps before took on average. Nothing is
        known of the FLOPs of the first one, and nothing of seconds: these count as they stand.
        """
        so_far = max(step, 1)
        one = samples / so_far if step else self.samples_per_step
        return self.progress(step + 1, seconds, samples + one, flops + flops / so_far)


def learning_rate_at(progress: float, settings: TrainingSettings) -> float:
    """Linear warm-up to the peak, then a cosine down to `final_learning_rate` of it."""
    peak = settings.learning_rate
    if progress < settings.warmup:
        return peak * progress / settings.warmup
    through = (progress - settings.warmup) / (1 - settings.warmup)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, through)))
    return peak * (settings.final_learning_rate + (1 - settings.final_learning_rate) * cosine)
