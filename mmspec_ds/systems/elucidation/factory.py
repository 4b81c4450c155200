"""An elucidator from its settings: dense, or with the sparse layer in its encoder, and in its decoder if
wanted."""

from collections.abc import Mapping

from mmspec_ds.moe.expert_parallel import ALONE, Placement
from mmspec_ds.moe.expert_settings import MoESettings, ObjectiveSettings
from mmspec_ds.moe.layer import SparseFeedForward
from mmspec_ds.nn.model_settings import ModelSettings
from mmspec_ds.spectra.records import Modality, table_rows
from mmspec_ds.spectra.tokens import TokenSchema
from mmspec_ds.systems.elucidation.model import Elucidator

TARGET = "target"
"""The one kind of token that a decoder's router has: tokens of SMILES."""


def structure_margin(objective: ObjectiveSettings) -> float | None:
    """gamma of the sparse layers of a training: None if nothing needs the pooled outputs of experts."""
    return objective.margin if objective.structure or objective.interactions else None


def build_elucidator(
    settings: ModelSettings,
    moe: MoESettings | None,
    schemas: Mapping[Modality, TokenSchema],
    vocabulary_size: int,
    *,
    structure_margin: float | None = None,
    placement: Placement = ALONE,
    sparse_class: type[SparseFeedForward] = SparseFeedForward,
    activation_checkpointing: bool = False,
) -> Elucidator:
    """Build the model of a run.

    Args:
        settings: sizes.
        moe: the sparse layer; None for the dense baseline.
        schemas: the fields of each modality's tokens.
        vocabulary_size: SMILES tokens, specials included.
        structure_margin: gamma of the structural loss; None leaves its sums out.
        placement: which experts live in this process.
        sparse_class: the plain layer, or DeepSpeed's.
        activation_checkpointing: keep the inputs of the encoder's layers only, in training.
    """
    if moe is None:
        return Elucidator(settings, schemas, vocabulary_size, activation_checkpointing=activation_checkpointing)
    modalities = tuple(modality.name.lower() for modality in list(Modality)[: table_rows(schemas)])

    def make_feedforward(layer: int) -> SparseFeedForward:
        return sparse_class(settings.d_model, moe, modalities, structure_margin, placement)

    def make_decoder_feedforward(layer: int) -> SparseFeedForward:
        return sparse_class(settings.d_model, moe.for_decoder(), (TARGET,), None, placement)

    return Elucidator(
        settings,
        schemas,
        vocabulary_size,
        make_feedforward,
        make_decoder_feedforward if moe.decoder else None,
        activation_checkpointing=activation_checkpointing,
    )
