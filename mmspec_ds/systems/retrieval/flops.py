"""Floating-point operations of our own encoder, counted as `nn.flops` counts.

Axes: B records, S places, W width of a vector.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from mmspec_ds.data.batch import SpectraBatch
from mmspec_ds.moe.expert_settings import MoESettings
from mmspec_ds.moe.statistics import RoutingReport
from mmspec_ds.nn.embeddings import SpectraEmbedding
from mmspec_ds.nn.flops import (
    BatchSize,
    Dimensions,
    computed_rows,
    flops_of_rows,
    pass_flops,
)
from mmspec_ds.spectra.records import table_rows
from mmspec_ds.systems.retrieval.run_settings import SpectrumEncoderSettings


def encoder_dimensions(
    settings: SpectrumEncoderSettings, embedding: SpectraEmbedding, moe: MoESettings | None, *, again: bool
) -> Dimensions:
    """Sizes that decide the operations of an encoder; `again` where its layers are computed once more in the
    backward pass."""
    features, waves = embedding.product_sizes()
    return Dimensions(
        d_model=settings.d_model,
        encoder_ffn_width=settings.ffn_width,
        ffn_width=0,
        encoder_layers=settings.encoder_layers,
        decoder_layers=0,
        vocabulary=0,
        features=features,
        waves=waves,
        modalities=table_rows(embedding.schemas),
        checkpointing=again,
    ).with_experts(moe)


def encoder_flops(sizes: Dimensions, settings: SpectrumEncoderSettings, inputs: SpectraBatch) -> float:
    """FLOPs of a forward and a backward pass without those of experts. The projection at the end counts three
    times its forward pass; what the pooling sums counts nothing."""
    records, places = inputs.modality_BS.shape
    tokens = {m: float(len(part.place_T)) for m, part in inputs.tokens.items()}
    projection = 6.0 * records * settings.d_model * settings.width
    return pass_flops(sizes, BatchSize(records, places, tokens, 0), [], []).total + projection


def expert_flops(sizes: Dimensions, moe: MoESettings, reports: Sequence[RoutingReport]) -> Tensor:
    """FLOPs of the experts, forward and backward, for the tokens of the layers' reports: a scalar, float64, on
    their device."""
    rows_YE = torch.stack([computed_rows(report, moe) for report in reports])
    return rows_YE.double().sum(0) @ flops_of_rows(sizes).to(rows_YE.device)
