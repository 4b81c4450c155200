"""One vector of a protein of the states that a transformer has of its residues."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

ReadsResidues = Callable[[Tensor, Tensor], Tensor]
"""From token ids and a mask [B, L] to states [B, L, D]; the first and the last token of each row frame it."""


def mean_states(
    ids: Sequence[Sequence[int]],
    frame: tuple[int, int],
    read: ReadsResidues,
    *,
    width: int,
    window: int,
    tokens_at_once: int = 4096,
) -> NDArray[np.float32]:
    """The mean of the states of all residues of each protein, [N, D].

    A protein that is longer than the window is read in pieces of equal length, as few as possible.

    Args:
        ids: the token of each residue of each protein.
        frame: tokens before and after a piece; their states do not count.
        read: the transformer.
        width: D.
        window: residues of a piece at most.
        tokens_at_once: of a batch, padding included.
    """
    pieces = [(at, piece) for at, one in enumerate(ids) for piece in _pieces(one, window)]
    pieces.sort(key=lambda piece: len(piece[1]))
    total = np.zeros((len(ids), width))
    start = 0
    while start < len(pieces):
        end = start + 1
        while end < len(pieces) and (end + 1 - start) * (len(pieces[end][1]) + 2) <= tokens_at_once:
            end += 1
        some = pieces[start:end]
        length = max(len(piece) for _, piece in some) + 2
        tokens_BL = torch.zeros(len(some), length, dtype=torch.long)
        mask_BL = torch.zeros(len(some), length, dtype=torch.long)
        for row, (_, piece) in enumerate(some):
            tokens_BL[row, : len(piece) + 2] = torch.tensor([frame[0], *piece, frame[1]])
            mask_BL[row, : len(piece) + 2] = 1
        with torch.inference_mode():
            states = read(tokens_BL, mask_BL)
        for row, (at, piece) in enumerate(some):
            total[at] += states[row, 1 : len(piece) + 1].double().sum(0).numpy()
        start = end
    return (total / np.array([[max(1, len(one))] for one in ids])).astype(np.float32)


def _pieces(ids: Sequence[int], window: int) -> list[Sequence[int]]:
    count = -(-len(ids) // window)
    bounds = [round(len(ids) * at / count) for at in range(count + 1)] if count else []
    return [ids[first:last] for first, last in pairwise(bounds)]
