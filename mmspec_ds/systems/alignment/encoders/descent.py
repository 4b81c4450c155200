"""A plain training loop for the small encoders: AdamW, a warm-up, a cosine to zero."""

import math
from collections.abc import Callable
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from mmspec_ds.settings import Settings

WARMUP = 0.05
"""The share of the steps in which the rate rises."""


class DescentSettings(Settings):
    """How long and how fast is learnt.

    Attributes:
        steps: updates.
        batch: objects of an update.
        learning_rate: the highest.
        weight_decay: of AdamW.
        seed: of weights, order and masks; with one thread two trainings give the same weights.
    """

    steps: Annotated[int, Field(gt=0)] = 2000
    batch: Annotated[int, Field(gt=0)] = 128
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    seed: Annotated[int, Field(ge=0)] = 0


def descend(
    model: nn.Module,
    settings: DescentSettings,
    loss: Callable[[int], Tensor],
    progress: Callable[[float], None],
) -> None:
    """Train a model by the loss of each step, and leave it in evaluation mode. Gradients of a norm above 1 are
    scaled to it.

    Args:
        model: what is trained, where it is.
        settings: steps and rates; their `seed` and `batch` are for the caller.
        loss: the scalar of a step, from 0.
        progress: given the share that is done, 0 to 1.
    """
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_at(step / settings.steps))
    model.train()
    for step in range(settings.steps):
        optimizer.zero_grad()
        loss(step).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        progress((step + 1) / settings.steps)
    model.eval()


def rate_at(share: float) -> float:
    """The rate after a share of the steps, as part of the highest."""
    if share < WARMUP:
        return (share + 1e-3) / (WARMUP + 1e-3)
    return 0.5 * (1 + math.cos(math.pi * (share - WARMUP) / (1 - WARMUP)))
