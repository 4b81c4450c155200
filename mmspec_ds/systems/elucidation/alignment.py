"""Contrastive alignment of the modalities of a molecule.

The states of each modality of a molecule are averaged and normalised to unit length. For each pair of
instruments the molecules of the global batch that have both are matched both ways: a spectrum of one kind shall
be nearer, by cosine, to that of the other kind of its own molecule than to those of all others (InfoNCE, van
den Oord et al. 2018, in the symmetric form of CLIP, Radford et al. 2021, arXiv:2103.00020). CLIP's learnt
projections and its learnt temperature are left out: nothing is added to the model, and the temperature is a
setting.

With one encoder over all tokens a modality's states already hold what the others say, so that the loss is easy
to make small; it means most with `model.fusion: late`.

Axes: B samples of a rank, G samples of all ranks, S places, D model width, M instruments.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from mmspec_ds.nn.encoder import EncoderOutput
from mmspec_ds.spectra.records import Modality


def alignment_loss(
    encoded: EncoderOutput,
    weight_B: Tensor,
    modalities: Sequence[Modality],
    temperature: float,
    group: Any | None = None,
) -> Tensor:
    """The mean of InfoNCE over both ways and all pairs of modalities, nats; 0 where no two samples have a pair.

    Every rank calls this. The value is that of the global batch, the same on all ranks; the gradient on each is
    that of its own samples, times the number of ranks, as `sum_over_ranks` has it.

    Args:
        encoded: states of the encoder.
        weight_B: 0 for a sample that only fills up the batch.
        modalities: the instruments, in an order that is the same on every rank.
        temperature: divides the cosines.
        group: of the ranks, None for one process.
    """
    pooled_BMD, present_BM = pooled_states(encoded, modalities)
    present_BM = present_BM & (weight_B > 0)[:, None]
    pooled_GMD, present_GM = _of_all_ranks(pooled_BMD, present_BM, group)
    losses = []
    for one, other in combinations(range(len(modalities)), 2):
        both_G = present_GM[:, one] & present_GM[:, other]
        losses.append(_both_ways(pooled_GMD[:, one], pooled_GMD[:, other], both_G, temperature))
    sums = torch.stack([torch.stack(pair) for pair in losses]) if losses else pooled_GMD.new_zeros(1, 2)
    loss = sums[:, 0].sum() / sums[:, 1].sum().clamp_min(1)
    ranks = 1 if group is None else dist.get_world_size(group)
    return loss.detach() + ranks * (loss - loss.detach())


def pooled_states(encoded: EncoderOutput, modalities: Sequence[Modality]) -> tuple[Tensor, Tensor]:
    """The mean state of each modality's tokens in each sample, of unit length, fp32 [B, M, D], and whether
    there are any [B, M]; zero where there are none."""
    wanted_M = torch.tensor([int(one) for one in modalities], device=encoded.modality_BS.device)
    of_it_BMS = (encoded.modality_BS[:, None, :] == wanted_M[:, None]).float()
    states_BSD = torch.where(encoded.mask_BS[..., None], encoded.hidden_BSD, 0).float()
    # The sum has the direction of the mean.
    pooled_BMD = F.normalize(of_it_BMS @ states_BSD, dim=-1, eps=1e-6)
    return pooled_BMD, of_it_BMS.any(-1)


def _both_ways(one_GD: Tensor, other_GD: Tensor, both_G: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """InfoNCE of a pair of modalities: its mean over both ways and the samples that have both, and 1; or 0 and
    0 where fewer than two have. Shapes are fixed, so that no device is waited for."""
    logits_GG = one_GD @ other_GD.T / temperature
    logits_GG = logits_GG.masked_fill(~(both_G[:, None] & both_G), -1e4)
    own_G = torch.arange(len(both_G), device=both_G.device)
    ways = [F.cross_entropy(one, own_G, reduction="none") for one in (logits_GG, logits_GG.T)]
    count = both_G.sum()
    counts = (count >= 2).to(logits_GG.dtype)
    mean = ((ways[0] + ways[1]) / 2 * both_G).sum() / count.clamp_min(1)
    return mean * counts, counts


def _of_all_ranks(pooled_BMD: Tensor, present_BM: Tensor, group: Any | None) -> tuple[Tensor, Tensor]:
    """The rows of all ranks, of which those of this rank have a gradient. Ranks may have unequal numbers."""
    ranks = 1 if group is None else dist.get_world_size(group)
    if ranks == 1:
        return pooled_BMD, present_BM
    samples = len(pooled_BMD)
    most = torch.tensor(samples, device=pooled_BMD.device)
    dist.all_reduce(most, op=dist.ReduceOp.MAX, group=group)
    missing = int(most) - samples
    mine_XMD = F.pad(pooled_BMD, (0, 0, 0, 0, 0, missing))
    flags_XM = F.pad(present_BM.to(pooled_BMD.dtype), (0, 0, 0, missing))
    packed_XMD = torch.cat([mine_XMD.detach(), flags_XM[..., None]], dim=-1).contiguous()
    gathered = [torch.empty_like(packed_XMD) for _ in range(ranks)]
    dist.all_gather(gathered, packed_XMD, group=group)
    rows = [part[..., :-1] for part in gathered]
    rows[dist.get_rank(group)] = mine_XMD
    return torch.cat(rows), torch.cat([part[..., -1] > 0 for part in gathered])
