"""What a student needs beside itself while it learns: a projection to its teacher's width, or a flow."""

from torch import nn

from mmspec_ds.nn.initialization import init_linear
from mmspec_ds.systems.fusion.distillation.flow import FeatureFlow
from mmspec_ds.systems.fusion.distillation.settings import DistillationSettings

TRANSFER = "transfer"
"""The attribute of a student that holds it: saved in training, left out at use."""


def make_transfer(
    settings: DistillationSettings, student_width: int, teacher_width: int, modalities: int
) -> nn.Linear | FeatureFlow | None:
    """The module for a kind of distillation, drawn from torch's generator; None where probabilities alone are
    compared."""
    if settings.kind == "logit":
        return None
    if settings.kind == "feature":
        return init_linear(nn.Linear(student_width, teacher_width))
    return FeatureFlow(student_width, teacher_width, modalities, settings.steps, settings.width)
