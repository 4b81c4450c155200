"""A flow that carries a student's modality vectors to the teacher's: FM-KT (Shao et al. 2024,
arXiv:2402.02012).

At time 1 a path is at the student's projected vector Z1, at time 0 at the teacher's Z0. The velocity of a
straight path is Z1 - Z0 everywhere, so a velocity g predicts Z0 as Z1 - g. The path that g makes is walked in
N steps, Z <- Z - g(Z + emb(t)) / N, and each step predicts Z0. Training walks the same path as use, so that
errors of early steps are seen by later ones.

Axes: B samples, M modalities, D width of the teacher's vectors, N steps.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmspec_ds.nn.initialization import init_embedding, init_linear
from mmspec_ds.nn.module_flops import Cost, Pass

Velocity = Callable[[Tensor, int], Tensor]
"""The velocity at a point of the path, and the number of the step, from 0 at time 1."""


def walk(start: Tensor, velocity: Velocity, steps: int) -> tuple[Tensor, Tensor]:
    """Walk the path from `start`, of any shape [...], to time 0.

    Returns:
        What each step predicts of the end, [N, ...]; and where the path ends, [...].
    """
    at, predicted = start, []
    for step in range(steps):
        speed = velocity(at, step)
        predicted.append(start - speed)
        at = at - speed / steps
    return torch.stack(predicted), at


class FeatureFlow(nn.Module):
    """The projection of a student's vectors, and the velocity: a network of one hidden layer, which knows the
    step and the modality. At the start the velocity is 0: each step predicts the projected vector.

    Args:
        student_width, teacher_width: of their vectors; the latter is D.
        modalities: M.
        steps: N.
        hidden: width of the hidden layer.
    """

    def __init__(
        self, student_width: int, teacher_width: int, modalities: int, steps: int, hidden: int
    ) -> None:
        super().__init__()
        self.steps = steps
        self.project = init_linear(nn.Linear(student_width, teacher_width))
        self.of_step = init_embedding(nn.Embedding(steps, teacher_width))
        self.of_modality = init_embedding(nn.Embedding(modalities, teacher_width))
        self.widen = init_linear(nn.Linear(teacher_width, hidden))
        self.narrow = nn.Linear(hidden, teacher_width)
        for one in (self.narrow.weight, self.narrow.bias):
            nn.init.zeros_(one)

    def forward(self, vectors_BMD: Tensor) -> Tensor:
        """What each step predicts of the teacher's vectors, [N, B, M, D], from the student's, [B, M, width]."""
        return walk(self.project(vectors_BMD), self.velocity, self.steps)[0]

    def cost(self, samples: float) -> Cost:
        """FLOPs of the predictions of all steps for so many samples."""
        rows, first, step = samples * self.of_modality.num_embeddings, Pass(), Pass()
        first.linear(self.project, rows)
        step.linear(self.widen, rows)
        step.linear(self.narrow, rows)
        return first.cost + step.cost * self.steps

    def velocity(self, at_BMD: Tensor, step: int) -> Tensor:
        """Return the velocity g(Z + emb(t)), [B, M, D], at a point `at_BMD` of the path and the step of this
        number."""
        told_BMD = at_BMD + self.of_step.weight[step] + self.of_modality.weight
        return self.narrow(F.gelu(self.widen(told_BMD)))
