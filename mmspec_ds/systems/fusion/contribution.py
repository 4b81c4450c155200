"""What each modality contributes to what a model tells of a sample: exact Shapley values, and a head that
predicts them in one pass.

The game of a sample (Shapley 1953): the players are its modalities, and a coalition is worth the
log-likelihood, in nats, of some target when the model fuses these modalities alone; no modality is worth that
of the prior. A modality that the sample lacks changes nothing, so its value is 0 and it changes no other's: one
list of coalitions serves all samples.

Axes: B samples, M modalities, K = 2^M coalitions, C classes or groups, D width of a vector.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmspec_ds.evaluation import shapley
from mmspec_ds.nn.initialization import init_linear
from mmspec_ds.nn.module_flops import Cost, Pass, learns, product
from mmspec_ds.systems.fusion.schema import Kind

MOST_MODALITIES = 6
"""Coalitions are counted out: 64 for six modalities."""


def coalitions(modalities: int) -> Tensor:
    """Which modalities each coalition has, bool [K, M], in the order of `evaluation.shapley.coalitions`.

    Raises:
        ValueError: there are too many modalities to count out.
    """
    if not 1 <= modalities <= MOST_MODALITIES:
        raise ValueError(f"{modalities} modalities: expected 1 to {MOST_MODALITIES}, for exact Shapley values")
    return torch.from_numpy(shapley.coalitions(modalities))


def log_likelihood(logits_BC: Tensor, target_BC: Tensor, kind: Kind) -> Tensor:
    """The log-likelihood of targets [..., C] in nats, [...]: of one class among several, or of which groups are
    there (1 or 0), summed over the groups. Targets and logits are broadcast to each other. Computed in float32
    at least."""
    logits = logits_BC.float() if logits_BC.element_size() < 4 else logits_BC
    if kind == "groups":  # log(1 - p), and log(p / (1 - p)) more for each that is there
        return torch.addcmul(F.logsigmoid(-logits), target_BC.to(logits.dtype), logits).sum(-1)
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
    """The logits of every coalition of each sample's modalities, [K, B, C], without a gradient.

    Raises:
        ValueError: as `coalitions`.
    """
    has_KM = coalitions(present_BM.shape[1]).to(present_BM.device)
    present_KBM = has_KM[:, None] & present_BM
    many = vectors_BMD.expand(len(has_KM), -1, -1, -1)
    return fuse(many.flatten(0, 1), present_KBM.flatten(0, 1)).unflatten(0, (len(has_KM), -1))


def exact_contributions(logits_KBC: Tensor, target_BC: Tensor, kind: Kind) -> Tensor:
    """The Shapley value of each modality in nats, [B, M]; 0 for one that a sample lacks. Their sum is the
    log-likelihood with all modalities less that with none."""
    worth_KB = log_likelihood(logits_KBC, target_BC, kind)
    after_MW, before_MW, share_MW = shapley.marginals(len(logits_KBC).bit_length() - 1)
    gain_MWB = worth_KB[after_MW] - worth_KB[before_MW]
    return torch.einsum("mw,mwb->bm", torch.from_numpy(share_MW).to(worth_KB), gain_MWB)


def contributions_cost(samples: float, modalities: int) -> Cost:
    """FLOPs of `exact_contributions`, without those of the coalitions' logits."""
    return product(modalities * 2 ** (modalities - 1) * samples, 0)


class Predicted(NamedTuple):
    """What the head predicts of each modality in nats, [B, M], 0 where it is absent: `of_truth_BM`, its
    contribution to the true class, as far as the vectors tell it; `of_answer_BM`, that to the class that the
    model predicts."""

    of_truth_BM: Tensor
    of_answer_BM: Tensor


def own_log_likelihood(logits_BC: Tensor, kind: Kind) -> Tensor:
    """The log-likelihood of what the logits [..., C] tell as likeliest (`predicted`), nats [...]."""
    if kind == "groups":
        return F.logsigmoid(logits_BC.abs()).sum(-1)
    return logits_BC.log_softmax(-1).amax(-1)


def hints(logits_BMC: Tensor, mean_B1C: Tensor, count_B11: Tensor, prior_C: Tensor, kind: Kind) -> Tensor:
    """What the logits of the modalities say of their contributions without a fusion, nats [B, M, 3]; the answer
    is that of the mean of their logits:

    0. the likelihood of the answer with the modality alone, less that of the prior;
    1. that with the mean of all, less that with the mean of the others;
    2. the likelihood of the modality's own answer.

    Args:
        logits_BMC: of each modality alone, without the prior; of one that is absent the hints mean nothing.
        mean_B1C: of those that are there.
        count_B11: how many are there, at least 1.
        prior_C: the logits without any modality.
        kind: what is told.
    """
    all_B1C, alone_BMC = prior_C + mean_B1C, prior_C + logits_BMC
    sum_BMC = mean_B1C * count_B11 - logits_BMC
    others_BMC = torch.addcdiv(prior_C, sum_BMC, (count_B11 - 1).clamp_min(1))
    every = (alone_BMC, all_B1C.expand_as(alone_BMC), prior_C.expand_as(alone_BMC), others_BMC)
    # In one call: for one sample most of the time is that of calls.
    worth_BM4 = log_likelihood(torch.stack(every, 2), predicted(all_B1C, kind)[:, None], kind)
    gain_BM2 = worth_BM4[..., :2] - worth_BM4[..., 2:]
    return torch.cat([gain_BM2, own_log_likelihood(alone_BMC, kind)[..., None]], -1)


class ContributionHead(nn.Module):
    """Predicts Shapley values from the vectors in one pass.

    With even weights and two modalities the value is the mean of what a modality adds as the first and as the
    last, which follows from the logits alone (`hints`). A network adds to that, in one pass over the
    modalities: it sees a modality's vector, the logits that it gives alone, the hints, which modality it is,
    and the mean of what it makes of all modalities that are there. At the start it adds nothing.

    Its inputs have no gradient: it learns of the model without changing it.

    Args:
        d_model: D.
        modalities: M.
        classes: C.
        width: of the hidden layers.
        kind: what is told.
    """

    which_MM: Tensor

    def __init__(self, d_model: int, modalities: int, classes: int, width: int, kind: Kind) -> None:
        super().__init__()
        self.kind: Kind = kind
        self.classes = classes
        self.norm = nn.LayerNorm(d_model)
        self.read = init_linear(nn.Linear(d_model + classes + 3 + modalities, width))
        self.compare = init_linear(nn.Linear(2 * width + 2 * classes, width))
        self.deepen = init_linear(nn.Linear(width, width))
        self.tell = init_linear(nn.Linear(width, 2))
        nn.init.zeros_(self.tell.weight)
        self.share = nn.Parameter(torch.tensor([1.0, 0.0]))
        self.register_buffer("which_MM", torch.eye(modalities), persistent=False)

    def forward(
        self, vectors_BMD: Tensor, logits_BMC: Tensor, present_BM: Tensor, prior_C: Tensor
    ) -> Predicted:
        """See `Predicted`; no gradient reaches what comes in.

        Args:
            vectors_BMD: of the modalities.
            logits_BMC: of each modality alone, without the prior.
            present_BM: which modalities are there, bool; what absent ones hold does not matter.
            prior_C: the logits without any modality.
        """
        vectors_BMD, logits_BMC = vectors_BMD.detach(), logits_BMC.detach()
        there_BM1 = present_BM[..., None].to(vectors_BMD.dtype)
        count_B11 = there_BM1.sum(1, keepdim=True).clamp_min(1)
        share_B1M = (there_BM1 / count_B11).transpose(1, 2)
        mean_B1C = share_B1M @ logits_BMC
        hints_BM3 = hints(logits_BMC, mean_B1C, count_B11, prior_C, self.kind)
        which_BMM = self.which_MM.to(vectors_BMD.dtype).expand(len(present_BM), -1, -1)
        seen = torch.cat([self.norm(vectors_BMD), logits_BMC, hints_BM3, which_BMM], dim=-1)
        read_BMX = F.gelu(self.read(seen))
        mean_BMX = (share_B1M @ read_BMX).expand_as(read_BMX)
        both = (read_BMX, mean_BMX, mean_B1C.expand_as(logits_BMC), logits_BMC - mean_B1C)
        told_BM2 = self.tell(F.gelu(self.deepen(F.gelu(self.compare(torch.cat(both, dim=-1))))))
        both_BM1 = hints_BM3[..., :2].sum(-1, keepdim=True)
        told_BM2 = torch.addcmul(told_BM2, self.share, both_BM1, value=0.5) * there_BM1
        of_answer_BM, of_truth_BM = told_BM2.unbind(-1)
        return Predicted(of_truth_BM, of_answer_BM)

    def cost(self, samples: float) -> Cost:
        """FLOPs of a pass of so many samples, and of the gradient of what is predicted."""
        count = Pass(wanted=False)
        count.through(self.norm)
        rows, width = samples * len(self.which_MM), self.read.out_features
        for layer in (self.read, self.compare, self.deepen, self.tell):
            count.linear(layer, rows)
        means = product(rows * self.classes, 0) + product(rows * width, learns(self.read))
        return count.cost + means
