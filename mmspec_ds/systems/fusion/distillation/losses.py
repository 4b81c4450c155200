"""Losses that compare a student with its teacher, one value for each sample.

Axes: B samples, M modalities, D width of a vector, C classes or groups, N steps.
"""

import torch.nn.functional as F
from torch import Tensor

from mmspec_ds.systems.fusion.schema import Kind


def soft_loss(logits_BC: Tensor, target_BC: Tensor, kind: Kind, temperature: float) -> Tensor:
    """The divergence of a student's probabilities from those of the logits `target_BC`, nats [B].

    Both logits are divided by the temperature, and the divergence is multiplied by its square, so that the
    size of the gradient does not depend on it (Hinton et al. 2015). Groups are binary each: their mean counts.
    """
    student_BC, teacher_BC = logits_BC.float() / temperature, target_BC.float() / temperature
    if kind == "groups":
        share_BC = teacher_BC.sigmoid()
        rest_BC = F.logsigmoid(-teacher_BC) - F.logsigmoid(-student_BC)
        of_group_BC = share_BC * (F.logsigmoid(teacher_BC) - F.logsigmoid(student_BC))
        divergence_B = (of_group_BC + (1 - share_BC) * rest_BC).mean(1)
    else:
        log_BC = teacher_BC.log_softmax(-1)
        divergence_B = (log_BC.exp() * (log_BC - student_BC.log_softmax(-1))).sum(1)
    return divergence_B * temperature**2


def alignment(predicted_BMD: Tensor, target_BMD: Tensor, present_BM: Tensor) -> Tensor:
    """The squared distance of vectors, the mean over their components and over the modalities that are present,
    [B]; 0 for a sample without any."""
    square_BM = (predicted_BMD.float() - target_BMD.float()).square().mean(-1) * present_BM
    return square_BM.sum(1) / present_BM.sum(1).clamp_min(1)
