"""The contrastive loss between objects and descriptions, in both directions.

Axes: G objects of all ranks, C descriptions among which they are sought, K possible answers of a question, W
width of a vector.
"""

import torch.nn.functional as F
from torch import Tensor

NEVER = -1e9


def contrastive_loss(objects_GW: Tensor, texts_CW: Tensor, description_G: Tensor, scale: float) -> Tensor:
    """The mean of two cross entropies, in nats (InfoNCE, van den Oord et al. 2018; in both directions as in
    CLIP, Radford et al. 2021): of an object's own description among all, and of a description's own objects
    among all objects. Objects with the same description are each other's positives, and share the target of
    the second. Descriptions of no object are negatives of the first alone.

    Args:
        objects_GW, texts_CW: of length 1.
        description_G: the place of each object's description.
        scale: multiplies the cosines.
    """
    logits_GC = scale * (objects_GW @ texts_CW.T)
    found = -logits_GC.log_softmax(1).gather(1, description_G[:, None]).mean()
    used_U = description_G.unique()
    own_GU = (description_G[:, None] == used_U).float()
    told_GU = logits_GC[:, used_U].log_softmax(0)
    sought = -(own_GU / own_GU.sum(0) * told_GU).sum(0).mean()
    return (found + sought) / 2


def choice_cosines(objects_GW: Tensor, texts_CW: Tensor, choices_GK: Tensor) -> Tensor:
    """How near objects are to the possible answers of their questions, [G, K]: the cosine with what parts an
    answer from the mean of these answers, for yes and no are alike beside long descriptions; `NEVER` where
    there is none.

    Args:
        objects_GW, texts_CW: see `contrastive_loss`.
        choices_GK: the places of the possible answers; -1 where there is none.
    """
    there_GK = choices_GK >= 0
    texts_GKW = texts_CW[choices_GK.clamp_min(0)] * there_GK[..., None]
    mean_G1W = texts_GKW.sum(1, keepdim=True) / there_GK.sum(1).clamp_min(1)[:, None, None]
    apart_GKW = F.normalize(texts_GKW - mean_G1W, dim=-1)
    return (objects_GW[:, None] * apart_GKW).sum(-1).masked_fill(~there_GK, NEVER)


def choice_loss(
    objects_GW: Tensor, texts_CW: Tensor, description_G: Tensor, choices_GK: Tensor, scale: float
) -> Tensor:
    """The mean cross entropy, in nats, of an object's own description among the possible answers of its
    question by `choice_cosines`, over those that state some; 0 where none does.

    Args:
        objects_GW, texts_CW, description_G, scale: see `contrastive_loss`.
        choices_GK: see `choice_cosines`; the own description is among them.
    """
    told_GK = (scale * choice_cosines(objects_GW, texts_CW, choices_GK)).log_softmax(1)
    own_GK = (choices_GK == description_G[:, None]).float()
    return -(own_GK * told_GK).sum() / own_GK.sum().clamp_min(1)


def retrieved(objects_NW: Tensor, texts_MW: Tensor, description_N: Tensor, count: int) -> Tensor:
    """Whether the description of each object is among the `count` nearest, bool [N]. One that is as near as the
    own one counts as nearer."""
    cosines_NM = objects_NW @ texts_MW.T
    own_N1 = cosines_NM.gather(1, description_N[:, None])
    others_NM = cosines_NM.scatter(1, description_N[:, None], NEVER)
    return (others_NM >= own_N1).sum(1) < count
