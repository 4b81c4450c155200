"""What each modality contributes to what a model tells of a sample: exact Shapley values, and a head that
predicts them in one pass.

The game of a sample (Shapley 1953): the players are its modalities, and a coalition is worth the
log-likelihood, in nats, of some target when the model fuses these modalities alone; no modality is worth that
of the prior. A modality that the sample lacks changes nothing, so its value is 0 and it changes no other's: one
matrix serves all samples.

Axes: B samples, M modalities, K = 2^M coalitions, C classes or groups, D width of a vector.
"""

from collections.abc import Callable
from math import comb
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmspec_ds.nn.initialization import init_linear
from mmspec_ds.systems.fusion.schema import Kind

MOST_MODALITIES = 6
"""Coalitions are counted out: 64 for six modalities."""


def coalitions(modalities: int) -> Tensor:
    """Which modalities each coalition has, bool [K, M]: coalition k has modality m where bit m of k is set.

    Raises:
        ValueError: there are too many modalities to count out.
    """
    if not 1 <= modalities <= MOST_MODALITIES:
        raise ValueError(f"{modalities} modalities: expected 1 to {MOST_MODALITIES}, for exact Shapley values")
    numbers_K1 = torch.arange(2**modalities)[:, None]
    return (numbers_K1 >> torch.arange(modalities)) & 1 == 1


def shapley_matrix(modalities: int) -> Tensor:
    """The Shapley values [M] of a game are this matrix, float64 [M, K], times the worths of its coalitions
    [K]."""
    has_KM = coalitions(modalities)
    size_K = has_KM.sum(1).tolist()
    rows = torch.zeros(modalities, len(has_KM), dtype=torch.float64)
    for coalition, size in enumerate(size_K):
        for player in range(modalities):
            if has_KM[coalition, player]:
                rows[player, coalition] = 1 / (modalities * comb(modalities - 1, size - 1))
            else:
                rows[player, coalition] = -1 / (modalities * comb(modalities - 1, size))
    return rows


def log_likelihood(logits_BC: Tensor, target_BC: Tensor, kind: Kind) -> Tensor:
    """The log-likelihood of a target in nats, [...]: of one class among several, or of which groups are there,
    summed over the groups. Computed in float32 at least."""
    logits = logits_BC.float() if logits_BC.element_size() < 4 else logits_BC
    if kind == "groups":
        target = target_BC.to(logits.dtype).expand_as(logits)
        loss = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        return -loss.sum(-1)
    return (logits.log_softmax(-1) * target_BC).sum(-1)


def predicted(logits_BC: Tensor, kind: Kind) -> Tensor:
    """The target that a model thinks likeliest, [B, C]: one class, or the groups with a probability above
    0.5."""
    if kind == "groups":
        return (logits_BC > 0).to(logits_BC.dtype)
    return F.one_hot(logits_BC.argmax(-1), logits_BC.shape[-1]).to(logits_BC.dtype)


Fuse = Callable[[Tensor, Tensor], Tensor]
"""Logits [B, C] from vectors [B, M, D] and which of them are there, bool [B, M]."""


@torch.no_grad()
def logits_of_coalitions(fuse: Fuse, vectors_BMD: Tensor, present_BM: Tensor) -> Tensor:
    """The logits of every coalition of each sample's modalities, [K, B, C]."""
    has_KM = coalitions(present_BM.shape[1]).to(present_BM.device)
    present_KBM = has_KM[:, None] & present_BM
    many = vectors_BMD.expand(len(has_KM), -1, -1, -1)
    return fuse(many.flatten(0, 1), present_KBM.flatten(0, 1)).unflatten(0, (len(has_KM), -1))


def exact_contributions(logits_KBC: Tensor, target_BC: Tensor, kind: Kind) -> Tensor:
    """The Shapley value of each modality in nats, [B, M]; 0 for one that a sample lacks. Their sum is the
    log-likelihood with all modalities less that with none."""
    worth_KB = log_likelihood(logits_KBC, target_BC, kind)
    players = len(logits_KBC).bit_length() - 1
    matrix_MK = shapley_matrix(players).to(worth_KB)
    return (matrix_MK @ worth_KB).T


class Predicted(NamedTuple):
    """What the head predicts of each modality in nats, [B, M], 0 where it is absent: `of_truth_BM`, its
    contribution to the true class, as far as the vectors tell it; `of_answer_BM`, that to the class that the
    model predicts."""

    of_truth_BM: Tensor
    of_answer_BM: Tensor


class ContributionHead(nn.Module):
    """Predicts Shapley values from the vectors in one pass: a network that sees a modality's vector, the logits
    that it gives alone, which modality it is, and the mean of what it makes of all modalities that are there.

    Its inputs have no gradient: it learns of the model without changing it.

    Args:
        d_model: D.
        modalities: M.
        classes: C.
        width: of the hidden layers.
    """

    def __init__(self, d_model: int, modalities: int, classes: int, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(d_model)
        self.read = init_linear(nn.Linear(d_model + 2 * classes + modalities, width))
        self.compare = init_linear(nn.Linear(2 * width + 3 * classes, width))
        self.deepen = init_linear(nn.Linear(width, width))
        self.tell = init_linear(nn.Linear(width, 2))
        self.register_buffer("which_MM", torch.eye(modalities), persistent=False)

    which_MM: Tensor

    def forward(self, vectors_BMD: Tensor, logits_BMC: Tensor, present_BM: Tensor) -> Predicted:
        """See `Predicted`; `logits_BMC` are those of each modality alone."""
        there_BM1 = present_BM[..., None].to(vectors_BMD.dtype)
        vectors_BMD, logits_BMC = vectors_BMD.detach() * there_BM1, logits_BMC.detach() * there_BM1
        sure_BMC = logits_BMC.log_softmax(-1)
        which_BMM = self.which_MM.expand(len(present_BM), -1, -1).to(vectors_BMD.dtype)
        seen = torch.cat([self.norm(vectors_BMD), logits_BMC, sure_BMC, which_BMM], dim=-1)
        read_BMX = F.gelu(self.read(seen)) * there_BM1
        count_B11 = there_BM1.sum(1, keepdim=True).clamp_min(1)
        mean_BMX = (read_BMX.sum(1, keepdim=True) / count_B11).expand_as(read_BMX)
        mean_BMC = (logits_BMC.sum(1, keepdim=True) / count_B11).expand_as(logits_BMC)
        beside_BMC = logits_BMC - mean_BMC
        both = torch.cat([read_BMX, mean_BMX, logits_BMC, mean_BMC, beside_BMC.abs()], dim=-1)
        told_BM2 = self.tell(F.gelu(self.deepen(F.gelu(self.compare(both))))) * there_BM1
        return Predicted(told_BM2[..., 0], told_BM2[..., 1])
