"""Sizes of an elucidation model that decide its number of operations."""

from collections.abc import Mapping
from dataclasses import replace

import torch

from mmspec_ds.nn.axis_embedding import make_embedding
from mmspec_ds.nn.flops import Dimensions
from mmspec_ds.spectra.records import Modality, table_rows
from mmspec_ds.spectra.tokens import TokenSchema
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun


def dimensions_of(run: ElucidationRun, schemas: Mapping[Modality, TokenSchema], vocabulary: int) -> Dimensions:
    """Those of a run's model in one pass.

    Args:
        run: the settings.
        schemas: the fields of each modality's tokens.
        vocabulary: number of SMILES tokens, specials included.
    """
    model = run.model
    with torch.device("meta"):
        embedding = make_embedding(model, schemas)
    features, waves = embedding.product_sizes()
    return Dimensions(
        d_model=model.d_model,
        encoder_ffn_width=model.dense_width,
        ffn_width=model.ffn_width,
        encoder_layers=model.encoder_layers,
        decoder_layers=model.decoder_layers,
        vocabulary=vocabulary,
        features=features,
        waves=waves,
        modalities=table_rows(schemas),
        checkpointing=run.training.activation_checkpointing,
        late=model.fusion == "late",
    ).with_experts(run.moe)


def dimensions_in_training(
    run: ElucidationRun, schemas: Mapping[Modality, TokenSchema], vocabulary: int
) -> Dimensions:
    """The same for a training step, which may make a second pass of the encoder."""
    passes = 2 if run.objective.interactions else 1
    return replace(dimensions_of(run, schemas, vocabulary), encoder_passes=passes)
