"""One trained model whose test spectra are incomplete: the settings S0 to S6 of table 2, and the seven
combinations of modalities. Nothing is learnt anew."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

from mmspec_ds.data.batch import Batch
from mmspec_ds.data.dataset import SpectraDataset
from mmspec_ds.molecules.smiles import canonical_smiles
from mmspec_ds.nn.packed_weights import packed
from mmspec_ds.studies.elucidation.measures.asking import (
    batches,
    device_of,
    ranks_of,
    read_molecules,
    search,
    shares,
)
from mmspec_ds.studies.elucidation.measures.masking import CHANNELS, mask_tokens, only_channels, remove_channels
from mmspec_ds.studies.plan import Budget, MeasureContext
from mmspec_ds.systems.elucidation.trained import TrainedModel

SETTINGS: dict[str, dict[str, float]] = {
    name: dict(zip(("nmr", "ms", "ir"), ratios))
    for name, ratios in {
        "S0": (0.0, 0.0, 0.0),
        "S1": (0.1, 0.1, 0.1),
        "S2": (0.3, 0.3, 0.3),
        "S3": (0.6, 0.6, 0.6),
        "S4": (0.6, 0.1, 0.1),
        "S5": (0.1, 0.6, 0.1),
        "S6": (0.1, 0.1, 0.6),
    }.items()
}
"""The missing ratios of table 2 by channel."""

SEED = 0
"""Of the draws of what is missing: the same for every model."""

SHARE, FEWEST, BEAM = 0.5, 12, 5
"""Thirteen searches are made for each molecule, so they are made for this share of the molecules of a budget,
with this beam at most; the list has ten proposals all the same."""

Change = Callable[[Batch, Sequence[int]], Batch]
"""What is missing in a batch of samples with these numbers."""


def missing(context: MeasureContext) -> dict[str, Any]:
    """The measure `missing`: `n`, `beam`, and Top-1 to Top-10 with the rank of each molecule for each setting,
    under `tokens` where a share of the tokens is masked and under `channels` where whole channels are
    removed."""
    changes: dict[str, Change] = {}
    for name, ratios in SETTINGS.items():
        changes[f"tokens {name}"] = _masking(ratios)
        if name != "S0":
            changes[f"channels {name}"] = _removing(ratios)
    dataset, beam = fewer_molecules(context)
    found = ask(context.trained, dataset, beam, changes)
    channels = {name: found["tokens S0" if name == "S0" else f"channels {name}"] for name in SETTINGS}
    tokens = {name: found[f"tokens {name}"] for name in SETTINGS}
    return {"n": len(dataset), "beam": beam, "tokens": tokens, "channels": channels}


def modality_subsets(context: MeasureContext) -> dict[str, Any]:
    """The measure `modality_subsets`: `n`, `beam`, and under `subsets` Top-1 to Top-10 and ranks where the
    model is given some channels alone, by their names joined with "+"."""
    dataset, beam = fewer_molecules(context)
    names = [name for name, members in CHANNELS.items() if any(m in dataset.tokens for m in members)]
    subsets = [one for size in range(1, len(names) + 1) for one in combinations(names, size)]
    changes: dict[str, Change] = {"+".join(one): _taking(one) for one in subsets}
    return {"n": len(dataset), "beam": beam, "subsets": ask(context.trained, dataset, beam, changes)}


def fewer_molecules(context: MeasureContext) -> tuple[SpectraDataset, int]:
    """The molecules for a measure with many searches, and the beam."""
    molecules, beam = fewer(context.budget)
    return read_molecules(context.trained, context.data.test, molecules), beam


def fewer(budget: Budget) -> tuple[int, int]:
    """How many molecules a measure with many searches is made on, and the beam."""
    limit = max(FEWEST, round(SHARE * budget.evaluate))
    return min(limit, budget.evaluate), min(BEAM, budget.beam)


def ask(
    trained: TrainedModel, dataset: SpectraDataset, beam: int, changes: Mapping[str, Change]
) -> dict[str, dict[str, Any]]:
    """Top-1 to Top-10 in per cent and `ranks` of the same molecules under each change of their spectra, in one
    pass over the batches."""
    truths = [None if one is None else canonical_smiles(one) for one in dataset.smiles]
    device, model = device_of(trained.model), packed(trained.model)
    ranks: dict[str, list[int | None]] = {name: [None] * len(truths) for name in changes}
    for part in batches(dataset):
        places = part.places_B.tolist()
        for name, change in changes.items():
            spectra = change(part.batch, places).to(device).spectra
            found = search(model, spectra, trained.vocabulary, beam)
            for place, rank in zip(places, ranks_of([truths[at] for at in places], found)):
                ranks[name][place] = rank
    return {name: {**shares(found), "ranks": found} for name, found in ranks.items()}


def _masking(ratios: Mapping[str, float]) -> Change:
    return lambda batch, numbers: mask_tokens(batch, ratios, SEED, numbers)


def _removing(ratios: Mapping[str, float]) -> Change:
    return lambda batch, numbers: remove_channels(batch, ratios, SEED, numbers)


def _taking(channels: Sequence[str]) -> Change:
    return lambda batch, numbers: only_channels(batch, channels)
