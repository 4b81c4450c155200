"""Progress of a run through its budget, and the learning rate at each point."""

import math
from dataclasses import dataclass

from mmspec_ds.trainer.training_settings import TrainingSettings


@dataclass(frozen=True)
class Budget:
    """Steps or seconds, whichever is given."""

    steps: int | None = None
    seconds: float | None = None

    @classmethod
    def of(cls, settings: TrainingSettings, batches_per_epoch: int) -> "Budget":
        """The budget of a run file; a step is an update, made of `gradient_accumulation` batches."""
        if settings.minutes is not None:
            return cls(seconds=60 * settings.minutes)
        if settings.steps is not None:
            return cls(steps=settings.steps)
        assert settings.epochs is not None
        return cls(steps=max(1, round(settings.epochs * batches_per_epoch / settings.gradient_accumulation)))

    def progress(self, step: int, seconds: float) -> float:
        """The fraction that is done after `step` steps and `seconds` of training, 0 to 1."""
        if self.steps is not None:
            return min(1.0, step / self.steps)
        assert self.seconds is not None
        return min(1.0, seconds / self.seconds)


def learning_rate_at(progress: float, settings: TrainingSettings) -> float:
    """Linear warm-up to the peak, then a cosine down to `final_learning_rate` of it."""
    peak = settings.learning_rate
    if progress < settings.warmup:
        return peak * progress / settings.warmup
    through = (progress - settings.warmup) / (1 - settings.warmup)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, through)))
    return peak * (settings.final_learning_rate + (1 - settings.final_learning_rate) * cosine)
