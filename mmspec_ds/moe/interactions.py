"""Supervised uniqueness, synergy and redundancy of experts by masked modalities (I2MoE, Xin et al. 2025).

I2MoE gives each expert a whole sample and the same sample with a modality masked. A uniqueness expert of
modality m should change when m is masked and not when another is (a triplet of the three outputs), a synergy
expert should change whenever any is (a small cosine), and a redundancy expert should not change (a large
cosine).

What is adapted here, where experts see tokens and not samples:

- The output of an expert is its pooled output over all tokens of a molecule that were routed to it, the mean of
  FFN_e(h) weighted by the router, in every layer.
- Modality experts are the uniqueness experts of the modalities that they serve, interaction experts those of
  synergy, shared experts those of redundancy.
- A modality is masked by leaving its tokens out, as a missing spectrum is, and not by random vectors.
- One modality is masked in a step, drawn anew in each, so that a step has one further pass of the encoder and
  not one for each modality. A triplet needs two masked passes, so its bound is taken apart: with the cosine
  distances p from the pass where another modality is masked and n from the one where its own is,
  max(0, p - n + 1) <= p + max(0, 1 - n), and a step has the one of these two terms that its modality is for.
- A molecule counts if it has the masked modality and another one, and an expert if it had tokens in both passes
  of it.

Axes: B samples, E experts, D model width, M modalities.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from mmspec_kernels import PoolSums
from torch import Tensor
from torch.nn import functional as F

from mmspec_ds.moe.expert_settings import MoESettings
from mmspec_ds.moe.experts import physical_order
from mmspec_ds.moe.statistics import RoutingReport


@dataclass(frozen=True)
class PooledReport:
    """A layer's report, and the sums of each expert's weighted outputs over the tokens of each molecule."""

    report: RoutingReport
    pools: PoolSums


class Families(NamedTuple):
    """Which experts are supervised how: `serves_ME` bool, of modality experts alone; `interaction_E` and
    `shared_E` bool; in physical order."""

    serves_ME: Tensor
    interaction_E: Tensor
    shared_E: Tensor

    @classmethod
    def of(cls, settings: MoESettings, modalities: Sequence[str]) -> "Families":
        """Those of a layer's experts, for modalities in the order of their indices."""
        order = physical_order(settings.experts)
        return cls(
            torch.tensor([[m in e.modalities for e in order] for m in modalities]),
            torch.tensor([e.family == "interaction" for e in order]),
            torch.tensor([e.family == "shared" for e in order]),
        )


def masked_modality(seed: int, progress: float, choices: Sequence[int]) -> int:
    """The modality that is masked at this moment of a run, each as often as the others. It depends on the seed
    and the progress alone, so that it is the same on every rank and in a resumed run."""
    rng = np.random.default_rng((seed, int(progress * 2**40)))
    return int(choices[int(rng.integers(len(choices)))])


def interaction_sums(
    whole: PoolSums, masked: PoolSums, counts_B: Tensor, families: Families, modality: int
) -> Tensor:
    """Losses of one layer summed, and how many: [uniqueness, count, synergy, count, redundancy, count],
    float32.

    Args:
        whole, masked: the pools of the pass with every modality, and of the one without `modality`.
        counts_B: bool, whether a molecule has this modality and another one.
        families: of the experts.
        modality: the one that is masked.
    """
    present_BE = (whole.weight_BP > 0) & (masked.weight_BP > 0) & counts_B[:, None]
    # A sum and a mean have the same direction. The square root of 0 has no gradient: absent pools are replaced.
    one, two = (torch.where(present_BE[..., None], p.output_BPD, 1.0) for p in (whole, masked))
    cosine_BE = F.cosine_similarity(one, two, dim=-1)
    serves_ME, interaction_E, shared_E = families
    own_E = serves_ME[modality]
    foreign_E = serves_ME.any(0) & ~own_E
    zero = torch.zeros_like(cosine_BE)
    kinds = (
        (own_E | foreign_E, torch.where(own_E, F.relu(cosine_BE), 1 - cosine_BE)),
        (interaction_E, cosine_BE),
        (shared_E, 1 - cosine_BE),
    )
    sums = []
    for experts_E, loss_BE in kinds:
        counted_BE = present_BE & experts_E
        sums += [torch.where(counted_BE, loss_BE, zero).sum(), counted_BE.sum().detach().to(zero.dtype)]
    return torch.stack(sums)


def interaction_loss(sums: Tensor) -> Tensor:
    """Mean uniqueness + mean synergy + mean redundancy, of `interaction_sums` added over layers and ranks."""
    means: Tensor = sums[0::2] / sums[1::2].detach().clamp_min(1)
    return means.sum()
