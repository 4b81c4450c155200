"""Ways to fuse the vectors of a sample's modalities into logits, a class each.

Every one takes any subset of modalities, so that a coalition costs a fusion and no encoding. The prior, the
logits without any modality, is added by the model.

Axes: B samples, M modalities, D width of a vector, C classes or groups.
"""

import math
from abc import ABC, abstractmethod
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmspec_ds.nn.initialization import init_linear
from mmspec_ds.nn.module_flops import Cost, Pass, product
from mmspec_ds.systems.fusion.contribution import ContributionHead, Predicted
from mmspec_ds.systems.fusion.schema import Kind

FuserKind = Literal["contribution", "contribution_vectors", "late_mean", "gated", "concatenated"]


class Fused(NamedTuple):
    """`logits_BC` without the prior; `weight_BM` of the modalities, with the sum 1 where any is there;
    `predicted` contributions, where the fuser has a head."""

    logits_BC: Tensor
    weight_BM: Tensor
    predicted: Predicted | None = None


class Fuser(nn.Module, ABC):
    """Makes logits of classes or groups [B, C] of the vectors of a sample's modalities [B, M, D]."""

    @abstractmethod
    def forward(self, vectors_BMD: Tensor, present_BM: Tensor, prior_C: Tensor) -> Fused:
        """Fuse the vectors of the modalities that are `present_BM`, bool [B, M]; what absent ones hold does not
        matter. `prior_C` are the logits without any modality, which the result is without."""

    @abstractmethod
    def cost(self, samples: float) -> Cost:
        """FLOPs of a pass of so many samples whose vectors have a gradient, and of the gradient of the logits;
        that of predicted contributions is `ContributionHead.cost`."""


class ModalityHeads(nn.Module):
    """A linear classifier for each modality: [B, M, D] to [B, M, C]."""

    def __init__(self, d_model: int, modalities: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(d_model)
        self.heads = nn.ModuleList(init_linear(nn.Linear(d_model, classes)) for _ in range(modalities))

    def forward(self, vectors_BMD: Tensor) -> Tensor:
        """The logits of each modality by itself, [B, M, C], without the prior."""
        normed_MBD = self.norm(vectors_BMD).unbind(1)
        return torch.stack([head(normed_BD) for head, normed_BD in zip(self.heads, normed_MBD)], dim=1)

    def cost(self, samples: float, gradients: int) -> Cost:
        """FLOPs of the heads and of a weighted sum of their logits, of whose two factors so many have a
        gradient."""
        count = Pass()
        for head in self.heads:
            assert isinstance(head, nn.Linear)
            count.linear(head, samples)
            count.cost += product(samples * head.out_features, gradients)
        return count.cost


def even_weights(present_BM: Tensor) -> Tensor:
    """The same weight for each modality that is there, float32 [B, M], with the sum 1; all 0 where none is."""
    there_BM = present_BM.float()
    return there_BM / there_BM.sum(1, keepdim=True).clamp_min(1)


def softmax_of_present(score_BM: Tensor, present_BM: Tensor) -> Tensor:
    """A softmax over the modalities that are there, float32 [B, M]; all 0 where none is."""
    return torch.where(present_BM, score_BM, -1e9).softmax(1, dtype=torch.float32) * present_BM


def scale_of_contributions(classes: int, kind: Kind) -> nn.Parameter:
    """What the softplus makes the scale of contributions, as it begins: 1.31 for each nat to a class, or to one
    of the groups in the mean. A contribution to many groups is as large as many to one: with the same scale
    their weights would be nearly those of one modality alone, whatever is spoilt."""
    told = classes if kind == "groups" else 1
    return nn.Parameter(torch.tensor([math.log(math.expm1(math.log1p(math.e) / told))]))


def weighted_sum(weight_BM: Tensor, values_BMC: Tensor) -> Tensor:
    """The sum of the modalities' values by their weights, [B, C]. For one sample an einsum takes six times as
    long as the product alone."""
    return torch.bmm(weight_BM[:, None].to(values_BMC.dtype), values_BMC).squeeze(1)


class LateMean(Fuser):
    """Late fusion: the mean of the logits that a linear classifier of each modality gives."""

    def __init__(self, d_model: int, modalities: int, classes: int, width: int, kind: Kind) -> None:
        super().__init__()
        self.heads = ModalityHeads(d_model, modalities, classes)

    def forward(self, vectors_BMD: Tensor, present_BM: Tensor, prior_C: Tensor) -> Fused:
        """See `Fuser`."""
        weight_BM = even_weights(present_BM)
        logits_BMC = self.heads(vectors_BMD)
        return Fused(weighted_sum(weight_BM, logits_BMC), weight_BM)

    def cost(self, samples: float) -> Cost:
        """See `Fuser`."""
        return self.heads.cost(samples, gradients=1)


class ContributionFuser(Fuser):
    """Late fusion with weights for each sample: softmax over the modalities that are there of a learnt scale
    times the contribution to the true class that a head predicts (`contribution.ContributionHead`).

    The weights are from the head's numbers without their gradient: the head learns exact Shapley values alone,
    and the task loss learns the scale.
    """

    def __init__(self, d_model: int, modalities: int, classes: int, width: int, kind: Kind) -> None:
        super().__init__()
        self.heads = ModalityHeads(d_model, modalities, classes)
        self.head = ContributionHead(d_model, modalities, classes, width, kind)
        self.scale = scale_of_contributions(classes, kind)

    def forward(self, vectors_BMD: Tensor, present_BM: Tensor, prior_C: Tensor) -> Fused:
        """See `Fuser`."""
        logits_BMC = self.heads(vectors_BMD)
        told = self.head(vectors_BMD, logits_BMC, present_BM, prior_C)
        weight_BM = softmax_of_present(F.softplus(self.scale) * told.of_truth_BM.detach(), present_BM)
        return Fused(weighted_sum(weight_BM, logits_BMC), weight_BM, told)

    def cost(self, samples: float) -> Cost:
        """See `Fuser`."""
        heads = self.heads.cost(samples, gradients=1 + self.scale.requires_grad)
        return heads + Cost(self.head.cost(samples).forward)


class ContributionVectors(Fuser):
    """Concatenation with weights for each sample: the vectors are multiplied by the weights of
    `ContributionFuser`, which have the mean 1 here, before one network reads all of them. So it can tell what
    modalities say together, as concatenation does, and lets go of one that the head distrusts."""

    def __init__(self, d_model: int, modalities: int, classes: int, width: int, kind: Kind) -> None:
        super().__init__()
        self.joint = Concatenated(d_model, modalities, classes, width, kind)
        self.head = ContributionHead(d_model, modalities, classes, width, kind)
        self.scale = scale_of_contributions(classes, kind)

    def forward(self, vectors_BMD: Tensor, present_BM: Tensor, prior_C: Tensor) -> Fused:
        """See `Fuser`."""
        with torch.no_grad():  # the head's inputs have no gradient
            only_MM = torch.eye(present_BM.shape[1], dtype=vectors_BMD.dtype, device=vectors_BMD.device)
            alone = [self.joint.weighted(vectors_BMD, one * present_BM) for one in only_MM]
        told = self.head(vectors_BMD, torch.stack(alone, dim=1), present_BM, prior_C)
        weight_BM = softmax_of_present(F.softplus(self.scale) * told.of_truth_BM.detach(), present_BM)
        factor_BM = weight_BM * present_BM.sum(1, keepdim=True)
        return Fused(self.joint.weighted(vectors_BMD, factor_BM), weight_BM, told)

    def cost(self, samples: float) -> Cost:
        """See `Fuser`."""
        joint, modalities = self.joint.cost(samples), len(self.head.which_MM)
        return joint + Cost(joint.forward * modalities + self.head.cost(samples).forward)


class Gated(Fuser):
    """Gated multimodal units (Arevalo et al. 2017, arXiv:1702.01992): tanh of a projection of each vector,
    weighted by gates that see all vectors, with zeros for those that are missing. The gates are a softmax over
    the modalities that are there, so that any number of them can be missing."""

    def __init__(self, d_model: int, modalities: int, classes: int, width: int, kind: Kind) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(d_model)
        self.units = nn.ModuleList(init_linear(nn.Linear(d_model, d_model)) for _ in range(modalities))
        self.gate = init_linear(nn.Linear(modalities * d_model, modalities))
        self.classify = init_linear(nn.Linear(d_model, classes))

    def forward(self, vectors_BMD: Tensor, present_BM: Tensor, prior_C: Tensor) -> Fused:
        """See `Fuser`."""
        normed_BMD = self.norm(vectors_BMD) * present_BM[..., None]
        units_BMD = torch.stack(
            [torch.tanh(unit(normed_BMD[:, at])) for at, unit in enumerate(self.units)], dim=1
        )
        weight_BM = softmax_of_present(self.gate(normed_BMD.flatten(1)), present_BM)
        return Fused(self.classify(weighted_sum(weight_BM, units_BMD)), weight_BM)

    def cost(self, samples: float) -> Cost:
        """See `Fuser`."""
        count = Pass()
        for layer in (*self.units, self.gate, self.classify):
            count.linear(layer, samples)
        return count.cost + product(samples * self.gate.in_features, 2)


class Concatenated(Fuser):
    """Early concatenation: all vectors side by side, zeros for missing ones, and which are there, into a
    network of one hidden layer. It has no weights: those that it states are even."""

    def __init__(self, d_model: int, modalities: int, classes: int, width: int, kind: Kind) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(d_model)
        self.widen = init_linear(nn.Linear(modalities * (d_model + 1), width))
        self.classify = init_linear(nn.Linear(width, classes))

    def forward(self, vectors_BMD: Tensor, present_BM: Tensor, prior_C: Tensor) -> Fused:
        """See `Fuser`."""
        return Fused(self.weighted(vectors_BMD, present_BM.float()), even_weights(present_BM))

    def weighted(self, vectors_BMD: Tensor, factor_BM: Tensor) -> Tensor:
        """The logits of vectors multiplied by factors, [B, C], without the prior. A factor of 0 stands for a
        missing modality: none is below."""
        factor_BM = factor_BM.to(vectors_BMD.dtype)
        there_BM = (factor_BM > 0).to(vectors_BMD.dtype)
        joined = torch.cat([(self.norm(vectors_BMD) * factor_BM[..., None]).flatten(1), there_BM], dim=1)
        logits_BC: Tensor = self.classify(F.gelu(self.widen(joined)))
        return logits_BC

    def cost(self, samples: float) -> Cost:
        """See `Fuser`."""
        count = Pass()
        count.linear(self.widen, samples)
        count.linear(self.classify, samples)
        return count.cost


FUSERS: dict[FuserKind, type[LateMean | ContributionFuser | ContributionVectors | Gated | Concatenated]] = {
    "contribution": ContributionFuser,
    "contribution_vectors": ContributionVectors,
    "late_mean": LateMean,
    "gated": Gated,
    "concatenated": Concatenated,
}
