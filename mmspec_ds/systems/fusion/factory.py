"""A fusion model from the settings of a run and what it reads and tells."""

from mmspec_ds.errors import ConfigError
from mmspec_ds.moe.expert_parallel import ALONE, Placement
from mmspec_ds.moe.layer import SparseFeedForward
from mmspec_ds.settings import nearest
from mmspec_ds.systems.fusion.encoder import ModalityEncoder
from mmspec_ds.systems.fusion.model import FusionModel
from mmspec_ds.systems.fusion.run_settings import FusionRun
from mmspec_ds.systems.fusion.schema import Schema


def make_model(
    run: FusionRun,
    schema: Schema,
    *,
    placement: Placement = ALONE,
    sparse_class: type[SparseFeedForward] = SparseFeedForward,
    in_training: bool = False,
) -> FusionModel:
    """The model of a run, its weights from torch's generator.

    Args:
        run: the settings.
        schema: what it reads and tells.
        placement: which experts live in this process.
        sparse_class: the plain sparse layer, or DeepSpeed's.
        in_training: with what a training alone needs: the sums of the structural loss, checkpointing.

    Raises:
        ConfigError: an expert is of a modality that the model does not read.
    """
    for number, expert in enumerate(run.moe.experts if run.moe else ()):
        for name in expert.modalities:
            if name not in schema.modalities:
                raise ConfigError(
                    f"moe.experts[{number}].modalities: {name!r} is not read;"
                    f" {nearest(name, schema.modalities, 'modalities')}"
                )
    encoder = ModalityEncoder(
        run.model,
        schema.modalities,
        run.tokens.patch,
        run.moe,
        structure_margin=run.routing.margin if in_training and run.moe and run.routing.structure else None,
        placement=placement,
        sparse_class=sparse_class,
        activation_checkpointing=in_training and run.training.activation_checkpointing,
    )
    return FusionModel(encoder, run.model, run.fusion, schema, run.tokens.patch)
