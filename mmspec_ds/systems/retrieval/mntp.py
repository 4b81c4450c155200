"""Masked next-token prediction, the first step of LLM2Vec: a hidden token is told from the state before it.

Axes: B records, L positions, P tokens of a position, K hidden tokens, D model width, V tokens.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmspec_ds.systems.retrieval.batch import TextBatch
from mmspec_ds.systems.retrieval.language_model import LanguageModel


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
