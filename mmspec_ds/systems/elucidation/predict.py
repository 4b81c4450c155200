"""Proposed structures for every sample of a dataset."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from mmspec_ds.data.collate import collate
from mmspec_ds.data.dataset import SpectraDataset
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.nn.beam import beam_search
from mmspec_ds.nn.packed_weights import packed
from mmspec_ds.systems.elucidation.model import Elucidator


@dataclass(frozen=True, slots=True)
class ScoredSmiles:
    """A proposed structure and its score, the higher the better: of a model the mean log probability of a
    token, of the nearest-neighbour control a cosine."""

    smiles: str
    score: float


def predict_dataset(
    model: Elucidator,
    dataset: SpectraDataset,
    vocabulary: Vocabulary,
    *,
    beam: int = 10,
    n_best: int = 10,
    batch_size: int = 64,
    max_tokens: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[list[ScoredSmiles]]:
    """The proposals of each sample, best first, in the order of the dataset.

    Samples are decoded in batches of like length, the longest first, so that what does not fit into memory
    fails at once. On several ranks that share experts, every rank must be given the same dataset.

    Args:
        model: decodes on the device of its parameters.
        dataset: with or without structures; they are not looked at.
        vocabulary: of the model's output.
        beam: hypotheses per sample.
        n_best: proposals per sample, at most.
        batch_size: samples decoded together.
        max_tokens: of one proposal, the end included; the model's limit by default.
        progress: called with the number of samples done, after each batch.

    Raises:
        ValueError: a number that is not positive.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, not {batch_size}")
    device = next(model.parameters()).device
    model = packed(model)
    spectra_only = replace(dataset, targets=None)
    order = np.argsort(-dataset.lengths, kind="stable")
    proposals: list[list[ScoredSmiles]] = [[] for _ in range(len(dataset))]
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        spectra = collate(spectra_only, chosen).to(device).spectra
        with torch.no_grad():
            found = beam_search(model, spectra, beam=beam, n_best=n_best, max_tokens=max_tokens)
        for at, candidates in zip(chosen, found):
            proposals[at] = [ScoredSmiles("".join(vocabulary.decode(c.tokens)), c.score) for c in candidates]
        if progress is not None:
            progress(min(start + batch_size, len(order)))
    return proposals
