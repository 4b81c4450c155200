"""Accuracy on unseen molecules by the rule of the benchmark, with the rank of each, so that two models can be
compared molecule by molecule."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from mmspec_ds.data.dataset import SpectraDataset
from mmspec_ds.evaluation.metrics import tanimoto, validity_share
from mmspec_ds.molecules.smiles import canonical_smiles, parse_smiles
from mmspec_ds.nn.packed_weights import packed
from mmspec_ds.studies.elucidation.measures.asking import (
    batches,
    device_of,
    ranks_of,
    read_molecules,
    search,
    shares,
)
from mmspec_ds.studies.plan import MeasureContext
from mmspec_ds.systems.elucidation.model import sequence_loss
from mmspec_ds.systems.elucidation.trained import TrainedModel


def accuracy(context: MeasureContext) -> dict[str, Any]:
    """The measure `accuracy`: see `score`."""
    dataset = read_molecules(context.trained, context.data.test, context.budget.evaluate)
    return score(context.trained, dataset, context.budget.beam)


def score(trained: TrainedModel, dataset: SpectraDataset, beam: int) -> dict[str, Any]:
    """What a model finds among molecules with targets.

    Returns:
        `n`, `beam`, `top_1` .. `top_10` and `validity` in per cent, `tanimoto` of the first valid proposal,
        `loss` (nats of a target token), `seconds` of the search, and for each molecule, in the order of the
        dataset, `ranks` (None where it was not found) and `heavy_atoms`.
    """
    truths = [None if one is None else canonical_smiles(one) for one in dataset.smiles]
    device, model = device_of(trained.model), packed(trained.model)
    proposals: list[list[str | None]] = [[] for _ in truths]
    started = time.monotonic()
    for part in batches(dataset):
        found = search(model, part.batch.to(device).spectra, trained.vocabulary, beam)
        for place, row in zip(part.places_B.tolist(), found, strict=True):
            proposals[place] = row
    seconds = time.monotonic() - started
    ranks = ranks_of(truths, proposals)
    similar = [_similarity(truth, row) for truth, row in zip(truths, proposals)]
    return {
        "n": len(truths),
        "beam": beam,
        **shares(ranks),
        "validity": validity_share(proposals),
        "tanimoto": sum(similar) / len(similar),
        "loss": mean_loss(trained, dataset),
        "seconds": seconds,
        "ranks": ranks,
        "heavy_atoms": [_heavy_atoms(truth) for truth in truths],
    }


@torch.no_grad()
def mean_loss(trained: TrainedModel, dataset: SpectraDataset) -> float:
    """The mean cross entropy of a target token in nats, as a validation computes it."""
    device, total, tokens = device_of(trained.model), 0.0, 0.0
    for part in batches(dataset):
        batch = part.batch.to(device)
        logits_BLV = trained.model(batch).logits_BLV
        loss, count = sequence_loss(logits_BLV, batch.target_BL, batch.weight_B)
        total, tokens = total + float(loss), tokens + float(count)
    return total / tokens


def strata(result: Mapping[str, Any], edges: Sequence[int]) -> list[dict[str, Any]]:
    """The result of `score` by the number of heavy atoms.

    Args:
        result: of `score`.
        edges: the most heavy atoms of each bin but the last.

    Returns:
        For each bin `least` and `most` heavy atoms (None: no bound), `n`, and `top_1` .. `top_10` where n is
        not 0.
    """
    bins = []
    for low, high in zip([None, *edges], [*edges, None]):
        inside = [
            rank
            for rank, size in zip(result["ranks"], result["heavy_atoms"], strict=True)
            if (low is None or size > low) and (high is None or size <= high)
        ]
        least = None if low is None else low + 1
        bins.append({"least": least, "most": high, "n": len(inside), **(shares(inside) if inside else {})})
    return bins


def thirds(sizes: Sequence[int]) -> tuple[int, int]:
    """Two edges for `strata` that cut molecules of these sizes, their numbers of heavy atoms, as nearly into
    thirds as whole sizes allow.

    Raises:
        ValueError: there are fewer than three sizes.
    """
    kinds = sorted(set(sizes))
    if len(kinds) < 3:
        raise ValueError(f"molecules of {len(kinds)} sizes cannot be cut into three bins")
    pairs = [(one, other) for at, one in enumerate(kinds[:-2]) for other in kinds[at + 1 : -1]]

    def unevenness(edges: tuple[int, int]) -> int:
        small, middle = (sum(size <= edge for size in sizes) for edge in edges)
        counts = (small, middle - small, len(sizes) - middle)
        return sum(count * count for count in counts)

    return min(pairs, key=unevenness)


def _similarity(truth: str | None, row: Sequence[str | None]) -> float:
    guess = next((one for one in row if one is not None), None)
    return 0.0 if guess is None or truth is None else tanimoto(truth, guess)


def _heavy_atoms(smiles: str | None) -> int:
    return 0 if smiles is None else int(parse_smiles(smiles).GetNumHeavyAtoms())
