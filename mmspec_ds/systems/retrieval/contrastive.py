"""The contrastive loss of a batch of vectors, with in-batch negatives.

Axes: G records of all ranks, W width of a vector, B records of a rank, X bytes of a fingerprint.
"""

import torch
from torch import Tensor

NEVER = -1e9


def tanimoto_matrix(fingerprint_GX: Tensor) -> Tensor:
    """Tanimoto similarities of all pairs of packed fingerprints (uint8), float32 [G, G]; 0 where neither has a
    bit."""
    shift_8 = torch.arange(8, device=fingerprint_GX.device, dtype=torch.uint8)
    bits_GF = ((fingerprint_GX[..., None] >> shift_8) & 1).flatten(1).float()
    common_GG = bits_GF @ bits_GF.T
    count_G = bits_GF.sum(1)
    return common_GG / (count_G[:, None] + count_G - common_GG).clamp_min(1)


def contrastive_targets(
    molecule_G: Tensor, fingerprint_GX: Tensor, soft_weight: float, sharpness: float
) -> tuple[Tensor, Tensor]:
    """What each record should find among the others.

    The share 1 - `soft_weight` is spread evenly over the other records of its molecule; the share `soft_weight`
    is a softmax over all other records of `sharpness` times the Tanimoto similarity of the structures, 1 within
    a molecule. A record whose molecule has no other in the batch has the second part alone, as its whole
    target.

    Args:
        molecule_G: number of the molecule.
        fingerprint_GX: packed Morgan fingerprints.
        soft_weight, sharpness: see `RetrievalObjective`.

    Returns:
        Probabilities [G, G], 0 on the diagonal, and whether a record has a target [G].
    """
    itself_GG = torch.eye(len(molecule_G), dtype=torch.bool, device=molecule_G.device)
    same_GG = molecule_G[:, None] == molecule_G
    positive_GG = (same_GG & ~itself_GG).float()
    count_G1 = positive_GG.sum(1, keepdim=True)
    hard_GG, has_G = positive_GG / count_G1.clamp_min(1), count_G1.squeeze(1) > 0
    if not soft_weight:
        return hard_GG, has_G
    similar_GG = torch.where(same_GG, 1.0, tanimoto_matrix(fingerprint_GX))
    soft_GG = (sharpness * similar_GG).masked_fill(itself_GG, NEVER).softmax(1)
    share_G1 = torch.where(has_G[:, None], soft_weight, 1.0)
    return (1 - share_G1) * hard_GG + share_G1 * soft_GG, torch.ones_like(has_G)


def contrastive_loss(vectors_GW: Tensor, target_GG: Tensor, has_G: Tensor, scale: float) -> Tensor:
    """The mean over the records that have a target of the cross entropy, in nats, between it and the softmax
    over the other records of `scale` times the cosine (InfoNCE, van den Oord et al. 2018; with soft targets as
    in LLM4MS, Xu et al. 2025); 0 where no record has one.

    Args:
        vectors_GW: of length 1.
        target_GG, has_G: see `contrastive_targets`.
        scale: the inverse of a temperature.
    """
    itself_GG = torch.eye(len(vectors_GW), dtype=torch.bool, device=vectors_GW.device)
    logits_GG = (scale * (vectors_GW @ vectors_GW.T)).masked_fill(itself_GG, NEVER)
    entropy_G = -(target_GG * logits_GG.log_softmax(1)).sum(1)
    return (entropy_G * has_G).sum() / has_G.sum().clamp_min(1)
