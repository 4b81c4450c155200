"""Parameters and arithmetic of a trained model, counted with the experts that its routers really choose.

Axes: Y encoder layers, E experts.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import torch

from mmspec_ds.data.dataset import SpectraDataset
from mmspec_ds.moe.statistics import RoutingReport
from mmspec_ds.studies.measures.asking import batches, device_of, read_molecules
from mmspec_ds.studies.plan import MeasureContext
from mmspec_ds.systems.elucidation.equal_models import model_size
from mmspec_ds.systems.elucidation.flops import (
    FLOP_PARTS,
    BatchSize,
    Dimensions,
    FlopPart,
    PassFlops,
    computed_rows,
    pass_flops,
)
from mmspec_ds.systems.elucidation.trained import TrainedModel

ENCODER: tuple[FlopPart, ...] = ("embedding", "attention", "feed-forward", "routing")
"""The parts of a pass that the spectra go through."""


def compute(context: MeasureContext) -> dict[str, Any]:
    """The measure `compute`: see `counted`."""
    dataset = read_molecules(context.trained, context.data.test, context.budget.evaluate)
    return counted(context.trained, dataset)


@torch.no_grad()
def counted(trained: TrainedModel, dataset: SpectraDataset) -> dict[str, Any]:
    """Sizes of a model and of its forward pass over a dataset, as a prediction makes it.

    Returns:
        `parameters`; `active`, those that an average spectrum token uses: the dense part and the experts chosen
        for it; `nominal_active`, with k experts of mean size (and so in both for experts of the decoder).
        `tokens_per_sample` of the spectra. Forward FLOPs of a spectrum token, without padding: `feed_forward`
        (experts and router, or dense network), `encoder` (with embedding and attention) and by `parts`.
        `equal_total`: the same two for a dense model whose encoder has the total width of the experts and of
        what is always on, and `share_of_equal_total`, ours divided by these; absent for a dense model.
    """
    run, model = trained.run, trained.model
    schemas, words = trained.encoding.schemas, len(trained.vocabulary)
    dimensions = replace(Dimensions.of(run, schemas, words), checkpointing=False)
    ours, theirs = PassFlops.nothing(), PassFlops.nothing()
    tokens, rows_YE = 0.0, torch.zeros((), dtype=torch.float64)
    for part in batches(dataset):
        batch = part.batch.to(device_of(model))
        held = float(batch.spectra.mask_BS.sum())
        size = replace(BatchSize.of(batch), places=held / len(batch.weight_B))
        rows = None
        if run.moe is not None:
            reports = cast(tuple[RoutingReport, ...], model.encode(batch.spectra).reports)
            counts_YE = torch.stack([computed_rows(report, run.moe) for report in reports]).double().cpu()
            rows_YE, rows = rows_YE + counts_YE, counts_YE.tolist()
        ours += pass_flops(dimensions, size, rows)
        theirs += pass_flops(_as_dense(dimensions), size)
        tokens += held
    nominal = model_size(run, schemas=schemas, vocabulary=words)
    found = {
        "parameters": nominal.total,
        "active": nominal.active,
        "nominal_active": nominal.active,
        "tokens_per_sample": tokens / len(dataset),
        **_per_token(ours.forward, tokens),
    }
    if run.moe is None:
        return found
    pairs_YE: list[list[float]] = (rows_YE / tokens).tolist()
    if run.moe.decoder:
        experts = len(run.moe.experts)
        pairs_YE += [[run.moe.k / experts] * experts] * run.model.decoder_layers
    found["active"] = model_size(run, pairs_YE, schemas, words).active
    dense = {key: _per_token(theirs.forward, tokens)[key] for key in ("feed_forward", "encoder")}
    share = {key: found[key] / value for key, value in dense.items()}
    return {**found, "equal_total": dense, "share_of_equal_total": share}


def _as_dense(sizes: Dimensions) -> Dimensions:
    """The sizes of a dense model whose encoder's networks are as wide as all experts together."""
    width = sum(sizes.widths) + sizes.always_on or sizes.encoder_ffn_width
    return replace(
        sizes, widths=(), k=0, always_on=0, prior=False, decoder_experts=False, encoder_ffn_width=width
    )


def _per_token(forward: Mapping[FlopPart, float], tokens: float) -> dict[str, Any]:
    parts: dict[str, float] = {part: forward[part] / tokens for part in FLOP_PARTS}
    return {
        "feed_forward": parts["feed-forward"] + parts["routing"],
        "encoder": sum(parts[part] for part in ENCODER),
        "parts": parts,
    }
