"""Parameters and arithmetic of a trained model, counted with the experts that its routers really choose.

Axes: Y layers with experts, E experts.
"""

from typing import Any, cast

import numpy as np
import torch

from mmspec_ds.data.dataset import SpectraDataset
from mmspec_ds.moe.routing_tables import RoutingTally
from mmspec_ds.moe.statistics import RoutingReport
from mmspec_ds.studies.elucidation.measures.asking import batches, device_of, read_molecules
from mmspec_ds.studies.plan import MeasureContext
from mmspec_ds.systems.elucidation.activity import (
    Activity,
    Array,
    count_routers,
    dense_activity,
    sparse_activity,
)
from mmspec_ds.systems.elucidation.dimensions import dimensions_of
from mmspec_ds.systems.elucidation.trained import TrainedModel


def compute(context: MeasureContext) -> dict[str, Any]:
    """The measure `compute`: see `counted`."""
    dataset = read_molecules(context.trained, context.data.test, context.budget.evaluate)
    return counted(context.trained, dataset)


def counted(trained: TrainedModel, dataset: SpectraDataset) -> dict[str, Any]:
    """Sizes of a model and of its forward pass over a dataset (`Activity`).

    Returns:
        `parameters`; `active`, those that an average spectrum token uses: the dense part and the experts chosen
        for it; `nominal_active`, with k experts of mean size (and so in both for experts of the decoder).
        `tokens_per_sample` of the spectra. Forward FLOPs of a spectrum token: `feed_forward` (experts and
        router, or dense network) and `encoder` (with attention). `equal_total`: the same two for the dense
        model of equal total parameters, and `share_of_equal_total`, ours divided by these; absent for a dense
        model.
    """
    found = activity_of(trained, dataset)
    counts: dict[str, Any] = {
        "parameters": found.parameters,
        "active": found.active,
        "nominal_active": found.nominal,
        "tokens_per_sample": float(dataset.lengths.mean()),
        "feed_forward": found.feedforward_flops,
        "encoder": found.encoder_flops,
    }
    if trained.run.moe is None:
        return counts
    equal = {"feed_forward": found.equal_feedforward_flops, "encoder": found.equal_encoder_flops}
    share = {"feed_forward": found.feedforward_share, "encoder": found.encoder_share}
    return {**counts, "equal_total": equal, "share_of_equal_total": share}


def activity_of(trained: TrainedModel, dataset: SpectraDataset) -> Activity:
    """What a spectrum token of a dataset uses on average, by the experts that the encoder's routers choose."""
    run, model, schemas = trained.run, trained.model, trained.encoding.schemas
    sizes = dimensions_of(run, schemas, len(trained.vocabulary))
    parameters, length = sum(p.numel() for p in model.parameters()), float(dataset.lengths.mean())
    if run.moe is None:
        return dense_activity(sizes, parameters, length, len(schemas) if sizes.late else 1)
    chosen_YE = _chosen(trained, dataset)
    if run.moe.decoder:
        even_YE = np.full((run.model.decoder_layers, len(sizes.widths)), run.moe.k / len(sizes.widths))
        chosen_YE = np.concatenate([chosen_YE, even_YE])
    return sparse_activity(sizes, parameters, count_routers(model), chosen_YE, length)


@torch.no_grad()
def _chosen(trained: TrainedModel, dataset: SpectraDataset) -> Array:
    """How often a token chooses each expert of the encoder's layers on average, [Y, E]."""
    model, tally = trained.model, RoutingTally()
    for part in batches(dataset):
        encoded = model.encode(part.batch.to(device_of(model)).spectra)
        tally.add(cast(tuple[RoutingReport, ...], encoded.reports))
    table = tally.table()
    assert table is not None
    return table.chosen_YE
