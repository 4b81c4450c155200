"""Masked next-token prediction, the first step of LLM2Vec: a hidden token is told from the state before it.

Axes: B records, L positions, P tokens of a position, K hidden tokens, D model width, V tokens.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmspec_ds.moe.statistics import sum_over_ranks
from mmspec_ds.systems.retrieval.batch import RetrievalBatch, TextBatch
from mmspec_ds.systems.retrieval.language_model import LanguageModel
from mmspec_ds.systems.retrieval.objective import RetrievalLoss


def masked_sums(model: LanguageModel, inputs: TextBatch) -> tuple[Tensor, Tensor]:
    """The sum of the cross entropies of all hidden tokens, and their number, both scalars.

    As a causal model tells a token from the state of the position before it, so does this one, which has learnt
    it in its pretraining (LLM2Vec, section 2.1). Where tokens share a position each of them is told from the
    same state.

    Args:
        model: which compares states with embeddings of tokens.
        inputs: with some positions hidden.

    Raises:
        ValueError: nothing says what is hidden.
    """
    if inputs.hidden_BL is None:
        raise ValueError("nothing is hidden: expected a batch with hidden_BL")
    states_BLD = model.states(inputs)
    target_BLP = torch.where(inputs.hidden_BL[..., None], inputs.ids_BLP, -1)[:, 1:]
    at = (target_BLP >= 0).nonzero()  # [K, 3]
    before_KD = states_BLD[at[:, 0], at[:, 1]]  # without the first place, number l is the state before l + 1
    logits_KV = (before_KD @ model.output_weight.to(before_KD.dtype).T).float()
    total = F.cross_entropy(logits_KV, target_BLP[tuple(at.T)], reduction="sum")
    return total, torch.tensor(float(len(at)), device=total.device)


class MaskedObjective(nn.Module):
    """A language model with this objective: what the engine calls.

    Args:
        model: reads batches of which some positions are hidden.
        group: the data-parallel group, None for one process.
    """

    def __init__(self, model: LanguageModel, group: Any | None = None) -> None:
        super().__init__()
        self.model, self.group = model, group

    def forward(self, batch: RetrievalBatch, progress: float) -> RetrievalLoss:
        """The mean cross entropy of the hidden tokens of the global batch."""
        found = [masked_sums(self.model, part) for part in batch.parts if isinstance(part, TextBatch)]
        total, count = sum_over_ranks(torch.stack([torch.stack(one) for one in found]).sum(0), self.group)
        task = total / count.detach().clamp_min(1)
        records = torch.tensor(float(len(batch.molecule_G)), device=task.device)
        return RetrievalLoss(total=task, parts={"task": task.detach()}, weight=count.detach(), tokens=records)
