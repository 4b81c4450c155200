"""A retrieval model and its encoding from the settings of a run."""

from typing import Any

from mmspec_ds.moe.expert_parallel import ALONE, Placement
from mmspec_ds.moe.layer import SparseFeedForward
from mmspec_ds.systems.retrieval.language_model import LanguageModel
from mmspec_ds.systems.retrieval.model import Encoding, RetrievalModel
from mmspec_ds.systems.retrieval.run_settings import RetrievalRun
from mmspec_ds.systems.retrieval.spectrum_encoder import SpectrumEncoder, SpectrumEncoding
from mmspec_ds.systems.retrieval.text_encoding import TextEncoding


def make_encoding(run: RetrievalRun) -> Encoding[Any]:
    """How records become what the model of a run reads."""
    if run.language is not None:
        masked = run.objective.kind == "mntp"
        return TextEncoding(run.language, masked=masked, energies=run.data.collision_energy)
    data = run.data
    return SpectrumEncoding(
        data.chosen_modalities(), data.compression, run.training.augment, data.collision_energy
    )


def make_model(
    run: RetrievalRun,
    *,
    placement: Placement = ALONE,
    sparse_class: type[SparseFeedForward] = SparseFeedForward,
    in_training: bool = False,
) -> RetrievalModel[Any]:
    """The model of a run, its weights from torch's generator.

    Args:
        run: the settings.
        placement: which experts live in this process.
        sparse_class: the plain sparse layer, or DeepSpeed's.
        in_training: with what a training alone needs: the sums of the structural loss, checkpointing.
    """
    if run.language is not None:
        return LanguageModel(run.language)
    encoding = SpectrumEncoding(run.data.chosen_modalities(), run.data.compression)
    return SpectrumEncoder(
        run.model,
        encoding.schemas,
        run.moe,
        structure_margin=run.routing.margin if in_training and run.routing.structure else None,
        placement=placement,
        sparse_class=sparse_class,
        activation_checkpointing=in_training and run.training.activation_checkpointing,
    )
