"""Factors of the gradients of modality vectors: larger for a modality that lags behind in a sample.

OGM-GE (Peng et al., CVPR 2022, arXiv:2203.15332) compares modalities by how well each does alone in a whole
batch. Here its coefficient takes the contributions of a sample: rho of a modality is exp(contribution) over the
mean of the others', the factor 1 - tanh(alpha (rho - 1)) where rho is above 1, else 1; and the factors of a
sample are divided by their mean, so that what a modality ahead loses goes to those behind, and the step keeps
its length.

Axes: B samples, M modalities, D width of a vector.
"""

import torch
from torch import Tensor

from mmspec_ds.data.batch import PADDING
from mmspec_ds.nn.modality_balance import ModulatedGradient, coefficients


def contribution_factors(contribution_BM: Tensor, present_BM: Tensor, alpha: float) -> Tensor:
    """The factor of each modality's gradient, [B, M], with the mean 1 over those of a sample that are present;
    1 for the others. Contributions are in nats."""
    there_BM = present_BM.to(contribution_BM.dtype)
    count_B1 = there_BM.sum(1, keepdim=True)
    score_BM = contribution_BM.clamp(-_MOST, _MOST).exp() * there_BM
    others_BM = (score_BM.sum(1, keepdim=True) - score_BM) / (count_B1 - 1).clamp_min(1)
    ratio_BM = torch.where(count_B1 > 1, score_BM / others_BM.clamp_min(1e-12), torch.ones_like(score_BM))
    factor_BM = (1 - torch.tanh(alpha * (ratio_BM - 1).clamp_min(0))) * there_BM
    mean_B1 = factor_BM.sum(1, keepdim=True) / count_B1.clamp_min(1)
    return torch.where(present_BM, factor_BM / mean_B1.clamp_min(1e-6), torch.ones_like(factor_BM))


_MOST = 8.0
"""Largest contribution that is told apart: beyond, a modality is ahead by a factor of e^16."""


def batch_factors(alone_M: Tensor, present_M: Tensor, like_BM: Tensor, alpha: float) -> Tensor:
    """OGM-GE's factors, the same for all samples, [B, M], from the mean loss of each modality alone, nats
    [M]."""
    factor_M: Tensor = coefficients(alone_M, present_M, alpha)
    return factor_M.to(like_BM.dtype).expand_as(like_BM)


def modulated(
    vectors_BMD: Tensor, present_BM: Tensor, factor_BM: Tensor, noise: float, chance: tuple[int, int]
) -> Tensor:
    """The same vectors, whose gradient is multiplied by the factors, and gets noise of its own size if `noise`
    is not 0; `chance` is a seed and the number of the first sample among those of all ranks."""
    numbers_M = torch.arange(present_BM.shape[1], device=present_BM.device)
    modality_BM = torch.where(present_BM, numbers_M, PADDING)
    found: Tensor = ModulatedGradient.apply(vectors_BMD, modality_BM, factor_BM, noise, chance)
    return found
