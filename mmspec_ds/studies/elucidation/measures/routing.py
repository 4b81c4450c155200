"""What the routers of a trained sparse model do with unseen molecules.

Axes: Y layers, M modalities, E experts in physical order, T tokens, K choices.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from mmspec_ds.data.dataset import SpectraDataset
from mmspec_ds.errors import DataError
from mmspec_ds.moe.experts import physical_order
from mmspec_ds.moe.layer import SparseFeedForward
from mmspec_ds.moe.routing_tables import FAMILIES, RoutingTable, RoutingTally
from mmspec_ds.moe.statistics import RoutingReport
from mmspec_ds.spectra.records import Modality
from mmspec_ds.studies.elucidation.measures.asking import batches, device_of, read_molecules
from mmspec_ds.studies.plan import MeasureContext
from mmspec_ds.systems.elucidation.model import Elucidator
from mmspec_ds.systems.elucidation.trained import TrainedModel

Array = npt.NDArray[np.float64]


def routing(context: MeasureContext) -> dict[str, Any]:
    """The measure `routing`: see `routing_figures`.

    Raises:
        DataError: the model is dense.
    """
    dataset = read_molecules(context.trained, context.data.test, context.budget.evaluate)
    return routing_figures(context.trained, dataset)


def routing_figures(trained: TrainedModel, dataset: SpectraDataset) -> dict[str, Any]:
    """Shares of experts and how they are spread.

    Returns:
        `n` molecules; `experts`: family, width and modalities of each; `modalities`: names of those that
        occur. `share` [Y][M][E] of a modality's token-expert pairs, `share_all` [Y][E] of all pairs, `top_1`
        [Y][E] the fraction of tokens whose first choice an expert is, and `top_1_by_modality` [Y][M][E].
        `families` [F][M] the share of a modality's pairs by `family_names`, over all layers. `entropy` [Y][M]
        of a token's router in nats; `effective` [Y], the effective number of experts exp(H) of `share_all`,
        and `effective_by_modality` [Y][M] of `share`.

    Raises:
        DataError: the model is dense.
    """
    moe = trained.run.moe
    if moe is None:
        raise DataError("the model is dense: expected one with experts, whose routing can be measured")
    table, first_YME = observe_routing(trained.model, dataset)
    seen = [m for m in trained.run.data.chosen_modalities() if table.tokens_YM[:, m].any()]
    share_YE = _normal(table.load_YME.sum(1))
    share_YME = table.share_YME[:, seen]
    return {
        "n": len(dataset),
        "experts": [
            {"family": one.family, "width": one.width, "modalities": list(one.modalities)}
            for one in physical_order(moe.experts)
        ],
        "modalities": [m.name.lower() for m in seen],
        "share": share_YME.tolist(),
        "share_all": share_YE.tolist(),
        "top_1": _normal(first_YME.sum(1)).tolist(),
        "top_1_by_modality": _normal(first_YME[:, seen]).tolist(),
        "family_names": list(FAMILIES),
        "families": table.families_FM(moe.experts)[:, seen].tolist(),
        "entropy": (table.entropy_YM[:, seen] / table.tokens_YM[:, seen]).tolist(),
        "effective": effective_number(share_YE).tolist(),
        "effective_by_modality": effective_number(share_YME).tolist(),
    }


@torch.no_grad()
def observe_routing(model: Elucidator, dataset: SpectraDataset) -> tuple[RoutingTable, Array]:
    """The sums of a sparse model's routing over a dataset, and how often an expert was a token's first choice,
    [Y, M, E]."""
    device, tally = device_of(model), RoutingTally()
    with _first_choices(model) as counts:
        for part in batches(dataset):
            encoded = model.encode(part.batch.to(device).spectra)
            tally.add(cast(tuple[RoutingReport, ...], encoded.reports))
    table = tally.table()
    assert table is not None
    return table, np.stack([one.double().cpu().numpy() for one in counts])


def effective_number(shares: Array) -> Array:
    """exp of the entropy over the last axis: E for an even load, 1 where one expert has all."""
    logarithms = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    return np.asarray(np.exp(-(shares * logarithms).sum(-1)))


@contextmanager
def _first_choices(model: Elucidator) -> Iterator[list[Tensor]]:
    """Within, counts [M, E] for each layer of the tokens whose first choice each expert is."""
    counts: list[Tensor] = []
    handles = []

    def note(layer: int) -> Any:
        def hook(_: nn.Module, given: tuple[Any, ...], routing: Any) -> None:
            first_T, modality_T = routing.index_TK[:, 0], given[1]
            experts = routing.probability_TE.shape[1]
            routed_T = (modality_T >= 0) & (first_T >= 0)
            pair_T = modality_T[routed_T] * experts + first_T[routed_T]
            counts[layer] += torch.bincount(pair_T, minlength=counts[layer].numel()).view_as(counts[layer])

        return hook

    for number, layer in enumerate(model.encoder.layers):
        sparse = cast(SparseFeedForward, layer.feedforward)
        experts = len(sparse.settings.experts)
        counts.append(torch.zeros(len(Modality), experts, dtype=torch.int64, device=device_of(model)))
        handles.append(sparse.deepspeed_moe.gate.register_forward_hook(note(number)))
    try:
        yield counts
    finally:
        for handle in handles:
            handle.remove()


def _normal(counts: Array) -> Array:
    """Counts divided by their sum over the last axis; 0 where there are none."""
    whole = counts.sum(-1, keepdims=True)
    return np.divide(counts, whole, out=np.zeros_like(counts), where=whole > 0)
