"""What measures share: the molecules that a model is asked about, in batches, and what it answers.

Axes: B samples, S places.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from mmspec_ds.data.batch import Batch, SpectraBatch
from mmspec_ds.data.collate import collate
from mmspec_ds.data.dataset import SpectraDataset
from mmspec_ds.data.formats import ReadOptions
from mmspec_ds.data.reading import read_dataset
from mmspec_ds.evaluation.metrics import canonical_or_none, rank_of, top_k_shares
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.nn.beam import beam_search
from mmspec_ds.spectra.packed import IntArray
from mmspec_ds.systems.elucidation.model import Elucidator
from mmspec_ds.systems.elucidation.trained import TrainedModel

BATCH = 64
"""Samples of a batch."""

LISTED = 10
"""Proposals for a molecule."""


def read_molecules(trained: TrainedModel, files: Sequence[Path], limit: int | None) -> SpectraDataset:
    """The first `limit` usable molecules of the files (None: all), with targets, as the model reads them."""
    options = replace(ReadOptions.from_settings(trained.run.data), max_records=limit)
    return read_dataset(tuple(files), trained.encoding, options).with_targets(trained.vocabulary)


@dataclass(frozen=True)
class PlacedBatch:
    """A batch on the CPU, and the places of its samples in the dataset, [B]."""

    places_B: IntArray
    batch: Batch


def batches(dataset: SpectraDataset, size: int = BATCH) -> Iterator[PlacedBatch]:
    """The whole dataset in batches of like length, the longest first."""
    order = np.argsort(-dataset.lengths, kind="stable")
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        yield PlacedBatch(chosen, collate(dataset, chosen))


def device_of(model: Elucidator) -> torch.device:
    """Where the model's parameters are."""
    return next(model.parameters()).device


def search(
    model: Elucidator, spectra: SpectraBatch, vocabulary: Vocabulary, beam: int
) -> list[list[str | None]]:
    """The ten best proposals for each sample as canonical SMILES, by the rule of the benchmark: invalid ones
    (None) and repeated ones keep their rank. The model is one that `nn.packed_weights.packed` gave; `spectra`
    are on its device."""
    found = beam_search(model, spectra, beam=beam, n_best=LISTED)
    return [[canonical_or_none("".join(vocabulary.decode(one.tokens))) for one in row] for row in found]


def ranks_of(truths: Sequence[str | None], proposals: Sequence[Sequence[str | None]]) -> list[int | None]:
    """The rank of each canonical structure among its proposals, from 1, None where it is not among them."""
    return [
        rank_of(truth, row) if truth is not None else None for truth, row in zip(truths, proposals, strict=True)
    ]


def shares(ranks: Sequence[int | None]) -> dict[str, float]:
    """Top-1 to Top-10 in per cent, as `top_1` and so on."""
    return {f"top_{k}": share for k, share in top_k_shares(ranks).items()}
