"""The first embeddings of the tokens that a language model learns for spectra.

Axes: V tokens, D model width.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mmspec_ds.language.model_folder import embedded
from mmspec_ds.spectra.peak_tokens import in_words

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_NOISE = 0.1
_ADDED = ("<d_", "<i_")


@torch.no_grad()
def first_rows(model: Any, tokenizer: "Tokenizer", tokens: Sequence[str], *, summed: bool) -> Tensor:
    """The embeddings [V, D] that new tokens begin with: the mean of those of the number's digits, or of the
    name's tokens, weighted by 1, 2, 3, ... so that 57 is not 75.

    To them comes noise from torch's generator, a tenth as large as embeddings are, so that 5 is not 55. Where
    tokens share a position (`summed`), those of hundredths and levels begin as noise alone: the position begins
    as its m/z.

    Args:
        model: of transformers, with its embeddings.
        tokenizer: of the model.
        tokens: the new ones.
        summed: whether tokens share positions.
    """
    spread = float(embedded(model, torch.arange(min(tokenizer.get_vocab_size(), 1000))).std())
    rows = []
    for token in tokens:
        ids = tokenizer.encode(in_words(token), add_special_tokens=False).ids
        states_ND = embedded(model, torch.tensor(ids, dtype=torch.long))
        weight_N = torch.arange(1.0, len(ids) + 1)
        row = (weight_N / weight_N.sum()) @ states_ND
        rows.append(torch.zeros_like(row) if summed and token.startswith(_ADDED) else row)
    rows_VD = torch.stack(rows)
    return rows_VD + _NOISE * spread * torch.randn_like(rows_VD)
