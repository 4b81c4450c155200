"""The run file of an elucidation model."""

from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from mmspec_ds.data.augmentation import AugmentSettings
from mmspec_ds.data.data_settings import DataSettings
from mmspec_ds.moe.expert_settings import MoESettings, ObjectiveSettings
from mmspec_ds.nn.axis_embedding import check_patch
from mmspec_ds.nn.model_settings import ModelSettings
from mmspec_ds.spectra.registry import schema_of
from mmspec_ds.systems.elucidation.modality_gradients.balance_settings import BlendingSettings, OgmGeSettings
from mmspec_ds.systems.sparse_runs import check_experts, shown_settings
from mmspec_ds.trainer.run_settings import RunSettings
from mmspec_ds.trainer.training_settings import TrainingSettings


class ElucidationTraining(TrainingSettings):
    """The `training` block with what elucidation adds.

    Attributes:
        tokens_per_batch: train on batches of like lengths instead, of as many samples as have at most that many
            encoder tokens for each rank and step, padding included; `batch_size` is then that of validation
            alone.
        pictures: how many held-back molecules are drawn at each validation with the structures that are
            proposed for them; 0 leaves out these and the maps of the routing.
        conflict_samples: held-back samples on which the gradients of the modalities are compared at each
            validation; 0 is off.
        augment: noise that training batches draw anew; validation has none.
        randomise_smiles: the probability with which a target is written in a random order of its atoms.
        modality_gradients: what is done about modalities that learn at unequal speed or against each other:
            nothing, OGM-GE, PCGrad or gradient blending (`modality_gradients`).
        ogm_ge, blending: their settings.
        encoder_from: the folder of a trained fusion model, such as one that was pretrained on spectra alone,
            whose embedding and encoder a new run with `model.embedding` "axis" begins with; the sizes must be
            the same, and of a sparse one the experts and the kinds of spectra.
    """

    tokens_per_batch: int | None = Field(None, ge=1)
    pictures: int = Field(4, ge=0)
    conflict_samples: int = Field(16, ge=0)
    augment: AugmentSettings = AugmentSettings()
    randomise_smiles: float = Field(0.0, ge=0, le=1)
    modality_gradients: Literal["none", "ogm_ge", "pcgrad", "blending"] = "none"
    ogm_ge: OgmGeSettings = OgmGeSettings()
    blending: BlendingSettings = BlendingSettings()
    encoder_from: Path | None = None


class ElucidationRun(RunSettings):
    """Everything that a run depends on.

    Attributes:
        data: files, modalities and their representation.
        model: sizes.
        moe: the sparse layer; absent for a dense model.
        objective: weights of the auxiliary losses.
    """

    bound_keys: ClassVar[tuple[str, ...]] = (*RunSettings.bound_keys, "model", "moe", "data")
    free_keys: ClassVar[tuple[str, ...]] = (
        "data.train",
        "data.validation",
        "data.validation_fraction",
        "data.split_seed",
        "data.allow_shared_molecules",
        "data.skip_invalid",
        "data.skip_long_targets",
        "data.modality_dropout",
        "data.cache",
        "model.dropout",
        "moe.mode",
        "moe.capacity_factor",
        "moe.exchange_chunks",
    )

    system: Literal["elucidation"] = "elucidation"
    data: DataSettings = DataSettings()
    model: ModelSettings = ModelSettings()
    moe: MoESettings | None = None
    objective: ObjectiveSettings = ObjectiveSettings()
    training: ElucidationTraining

    @model_validator(mode="after")
    def _experts_are_known_and_shared(self) -> Self:
        check_experts(self.moe, self.training.ep_size)
        return self

    @model_validator(mode="after")
    def _the_model_has_room_for_every_target(self) -> Self:
        if self.data.max_target_tokens >= self.model.max_target_tokens:
            raise ValueError(
                f"model.max_target_tokens is {self.model.max_target_tokens}: expected at least"
                f" {self.data.max_target_tokens + 1}, data.max_target_tokens and one for the begin or the end"
            )
        return self

    @model_validator(mode="after")
    def _late_fusion_is_dense(self) -> Self:
        if self.model.fusion == "late" and self.moe is not None:
            raise ValueError("model.fusion is late, a dense baseline, but there are experts: expected no moe")
        return self

    @model_validator(mode="after")
    def _experts_have_widths_of_their_own(self) -> Self:
        if self.moe is not None and self.model.encoder_ffn_width is not None:
            raise ValueError(
                f"model.encoder_ffn_width is {self.model.encoder_ffn_width}, the width of a dense encoder, but"
                " there are experts: expected no encoder_ffn_width, or no moe"
            )
        return self

    @model_validator(mode="after")
    def _noise_is_for_compressed_spectra(self) -> Self:
        if self.data.representation == "text" and self.training.augment != AugmentSettings():
            raise ValueError("training.augment changes compressed spectra: expected none for text")
        return self

    @model_validator(mode="after")
    def _settings_of_a_way_that_is_not_chosen(self) -> Self:
        chosen, plain = self.training.modality_gradients, ElucidationTraining.model_fields
        for name in ("ogm_ge", "blending"):
            if chosen != name and getattr(self.training, name) != plain[name].default:
                raise ValueError(
                    f"training.{name} is set, but training.modality_gradients is {chosen!r}: expected {name!r},"
                    f" or no training.{name}"
                )
        return self

    @model_validator(mode="after")
    def _several_spectra_are_compared(self) -> Self:
        comparing = {
            "objective.interactions": self.objective.interactions > 0,
            "objective.alignment": self.objective.alignment > 0,
            "training.modality_gradients": self.training.modality_gradients != "none",
        }
        if len(self.data.modalities) < 2:
            for name in (name for name, used in comparing.items() if used):
                raise ValueError(
                    f"{name} compares the kinds of spectra of a molecule: expected at least two kinds in"
                    f" data.modalities, found {len(self.data.modalities)}"
                )
        return self

    @model_validator(mode="after")
    def _there_is_something_to_mask(self) -> Self:
        if not self.objective.interactions:
            return self
        if self.moe is None:
            raise ValueError("objective.interactions supervises experts, but the model is dense: expected 0")
        if self.training.modality_gradients != "none":
            raise ValueError(
                "objective.interactions needs a second pass of the encoder, which training.modality_gradients"
                f" {self.training.modality_gradients!r} does not make: expected 'none'"
            )
        return self

    @model_validator(mode="after")
    def _tokens_of_an_axis_are_compressed_and_fit(self) -> Self:
        if self.model.embedding != "axis":
            return self
        if self.data.representation == "text":
            raise ValueError(
                "model.embedding is 'axis', which reads compressed spectra, but data.representation is 'text':"
                " expected 'compressed'"
            )
        schemas = {one: schema_of(one, self.data.compression) for one in self.data.chosen_modalities()}
        check_patch(schemas, self.model.patch)
        return self

    @model_validator(mode="after")
    def _an_encoder_has_a_place(self) -> Self:
        if self.training.encoder_from is None:
            return self
        needed = {
            "model.embedding": (self.model.embedding, "axis"),
            "model.fusion": (self.model.fusion, "early"),
        }
        for name, (found, expected) in needed.items():
            if found != expected:
                raise ValueError(
                    f"training.encoder_from is given, but {name} is {found!r}: expected {expected!r}"
                )
        if self.training.start_from is not None:
            raise ValueError("training.start_from and training.encoder_from are both given: expected one")
        return self

    @property
    def compares_gradients(self) -> bool:
        """Whether validations compare the modalities' gradients on the weights that they share: with late
        fusion they share none of an encoder."""
        several = len(self.data.chosen_modalities()) > 1 and self.model.fusion == "early"
        return several and self.training.conflict_samples > 0

    def without_paths(self) -> Self:
        """The same without the paths of this machine, those of the data included."""
        data = self.data.model_copy(update={"train": (), "validation": (), "cache": None})
        run = super().without_paths()
        training = run.training.model_copy(update={"encoder_from": None})
        return run.model_copy(update={"data": data, "training": training})

    def hyperparameters(self) -> dict[str, str | int | float | bool]:
        """The settings that TensorBoard shows: of the data only the modalities."""
        return shown_settings(self, self.data.modalities, self.moe)


Run = ElucidationRun
