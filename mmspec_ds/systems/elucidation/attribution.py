"""Why a model writes a structure for a record: what each kind of spectrum adds, and which experts read it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from math import isinf

import numpy as np
import torch

from mmspec_ds.data.collate import collate
from mmspec_ds.data.reading import pack
from mmspec_ds.evaluation.shapley import shapley_values
from mmspec_ds.moe.routing_tables import RoutingTable, RoutingTally
from mmspec_ds.molecules.smiles import spellings
from mmspec_ds.spectra.records import Record
from mmspec_ds.spectra.registry import REGISTRY
from mmspec_ds.systems.elucidation.layer_reports import routing_reports
from mmspec_ds.systems.elucidation.likelihood import Likelihood
from mmspec_ds.systems.elucidation.trained import TrainedModel


@dataclass(frozen=True)
class Contributions:
    """What a model's log p(structure | spectra), in nats, is made of.

    Attributes:
        without: of no spectrum at all, with what else the model was given (the formula, if it reads it).
        parts: by the name of each kind of spectrum, its Shapley value.
        complete: of all spectra: `without` and the sum of `parts`.
    """

    without: float
    parts: Mapping[str, float]
    complete: float


def modality_contributions(trained: TrainedModel, record: Record, smiles: str) -> Contributions | None:
    """The exact Shapley value of each kind of spectrum that the model reads, for the log probability of a
    structure: what the spectrum adds to a set of others, averaged over all orders in which they may be added.

    All spectra of one kind (MS/MS at several energies) count as one. What is no spectrum is in every set. The
    model runs once for each set of kinds. The probability of a structure is the sum over its SMILES that begin
    at each of its atoms, for a model may prefer another one than the canonical.

    Returns:
        None for a structure that the model cannot write.
    """
    written = spellings(smiles)

    @cache
    def log_probability(kinds: frozenset[str]) -> float:
        kept = tuple(one for one in record.spectra if REGISTRY[one.modality].name in kinds)
        likelihood = Likelihood(trained, replace(record, spectra=kept))
        return float(np.logaddexp.reduce(likelihood.log_probabilities(written)))

    kinds = [
        REGISTRY[modality].name
        for modality in trained.encoding.modalities
        if REGISTRY[modality].is_instrument and REGISTRY[modality].is_in(record)
    ]
    complete = log_probability(frozenset(kinds))
    if isinf(complete):
        return None
    return Contributions(log_probability(frozenset()), shapley_values(kinds, log_probability), complete)


def record_routing(trained: TrainedModel, record: Record) -> RoutingTable | None:
    """How often each layer of a sparse model sent tokens of each modality of a record to each expert; None for
    a dense model."""
    if trained.run.moe is None:
        return None
    tokens = trained.encoding.encode(record)
    device = next(trained.model.parameters()).device
    spectra = collate(pack([(record, tokens)], trained.encoding.schemas), [0]).to(device).spectra
    tally = RoutingTally()
    with torch.inference_mode():
        tally.add(routing_reports(trained.model.encode(spectra).reports))
    return tally.table()
