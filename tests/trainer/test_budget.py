"""How much is done, and the learning rate, against values worked out by hand."""

import math

import pytest

from mmspec_ds.trainer.budget import Budget, learning_rate_at
from mmspec_ds.trainer.training_settings import TrainingSettings


@pytest.mark.parametrize(
    ("budget", "step", "seconds", "expected"),
    [
        (Budget(steps=40), 0, 99.0, 0.0),
        (Budget(steps=40), 10, 0.0, 0.25),
        (Budget(steps=40), 50, 0.0, 1.0),
        (Budget(seconds=60), 1000, 15.0, 0.25),
        (Budget(seconds=60), 0, 61.0, 1.0),
        # 96 samples and 3e9 operations were counted.
        (Budget(samples=384), 1000, 99.0, 0.25),
        (Budget(samples=90), 0, 0.0, 1.0),
        (Budget(flops=6e9), 1000, 99.0, 0.5),
    ],
    ids=str,
)
def test_progress(budget: Budget, step: int, seconds: float, expected: float) -> None:
    assert budget.progress(step, seconds, 96.0, 3e9) == expected


@pytest.mark.parametrize(
    ("budget", "step", "expected"),
    [
        (Budget(steps=40), 3, 0.1),
        (Budget(seconds=60), 3, 0.25),
        # Three steps took 96 samples, so that a fourth takes 32 more.
        (Budget(samples=384, samples_per_step=50.0), 3, 128 / 384),
        (Budget(flops=8e9), 3, 0.5),
    ],
    ids=str,
)
def test_progress_after_the_next_step(budget: Budget, step: int, expected: float) -> None:
    assert budget.progress_after_next(step, 15.0, 96.0, 3e9) == pytest.approx(expected, rel=1e-12)


def test_before_the_first_step() -> None:
    assert Budget(samples=384, samples_per_step=32.0).progress_after_next(0, 0.0) == pytest.approx(1 / 12)
    assert Budget(flops=8e9).progress_after_next(0, 0.0) == 0.0


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"steps": 7}, Budget(steps=7)),
        ({"minutes": 1.5}, Budget(seconds=90)),
        ({"epochs": 3}, Budget(steps=30)),
        ({"epochs": 0.25}, Budget(steps=2)),
        ({"epochs": 0.001}, Budget(steps=1)),
        # An update takes four of the ten batches of an epoch.
        ({"epochs": 2, "gradient_accumulation": 4}, Budget(steps=5)),
        ({"steps": 7, "gradient_accumulation": 4}, Budget(steps=7)),
        ({"flops": 1e12}, Budget(flops=1e12)),
        # Two batches of 16 on each of three ranks.
        (
            {"samples": 5000, "batch_size": 16, "gradient_accumulation": 2},
            Budget(samples=5000, samples_per_step=96),
        ),
    ],
    ids=str,
)
def test_budget_of_ten_batches_an_epoch(settings: dict[str, float], expected: Budget) -> None:
    assert Budget.of(TrainingSettings.model_validate(settings), 10, 3) == expected


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        (0.0, 0.0),
        (0.1, 0.5),
        (0.2, 1.0),
        (0.4, 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi / 4))),
        (0.6, 0.55),
        (1.0, 0.1),
    ],
)
def test_warm_up_and_cosine(progress: float, expected: float) -> None:
    settings = TrainingSettings(steps=1, learning_rate=1.0, warmup=0.2, final_learning_rate=0.1)
    assert learning_rate_at(progress, settings) == pytest.approx(expected, abs=1e-12)


def test_without_warm_up_it_begins_at_the_peak() -> None:
    settings = TrainingSettings(steps=1, learning_rate=0.3, warmup=0.0)
    assert learning_rate_at(0.0, settings) == pytest.approx(0.3)
    assert learning_rate_at(1.0, settings) == pytest.approx(0.0, abs=1e-12)
