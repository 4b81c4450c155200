"""The run file of a retrieval model."""

from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from mmspec_ds.data.augmentation import AugmentSettings
from mmspec_ds.errors import ConfigError
from mmspec_ds.moe.expert_settings import MoESettings, RouterObjective
from mmspec_ds.nn.model_settings import EncoderSettings, Positive
from mmspec_ds.nn.pooling import Pooling
from mmspec_ds.settings import Settings
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.registry import CompressionSettings, modality_by_name
from mmspec_ds.trainer.run_settings import RunSettings, scalars_of
from mmspec_ds.trainer.training_settings import TrainingSettings


class RetrievalData(Settings):
    """Files of spectra of known molecules, and how they become tokens."""

    train: tuple[Path, ...] = Field((), description="files to learn from, of any format that the readers know")
    train_where: dict[str, str] = Field({}, description="keep what has these values in its metadata")
    validation: tuple[Path, ...] = Field((), description="files to measure on; none: those of `train`")
    validation_where: dict[str, str] = Field(
        {}, description="of these files (or of those of `train`), what to measure on, such as split: val"
    )
    validation_fraction: float = Field(
        0.05, gt=0, lt=1, description="share of the molecules of `train` held back, if nothing else says which"
    )
    split_seed: int = Field(0, description="decides which molecules are held back")
    allow_shared_molecules: bool = Field(False, description="let molecules occur on both sides")
    modalities: tuple[str, ...] = Field(("ms",), min_length=1, description="the kinds of spectra to read")
    compression: CompressionSettings = CompressionSettings()

    @field_validator("modalities")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            try:
                modality_by_name(name)
            except ConfigError as error:
                raise ValueError(str(error)) from error
        return names

    @model_validator(mode="after")
    def _the_same_spectra_are_not_both(self) -> Self:
        if self.validation and set(self.validation) & set(self.train) and not self.validation_where:
            raise ValueError(
                f"data.validation names {min(set(self.validation) & set(self.train))}, which is trained on:"
                " expected data.validation_where to say which of its records are held back"
            )
        return self

    def chosen_modalities(self) -> tuple[Modality, ...]:
        """The modalities to read, in the order in which a sample lays them out."""
        return tuple(sorted({modality_by_name(name) for name in self.modalities}))


class SpectrumEncoderSettings(EncoderSettings):
    """Sizes of our own encoder.

    Attributes:
        width: of the vectors.
        pooling: how the states of the tokens become one: a weighted mean that is learnt, or the mean.
    """

    d_model: Positive = 128
    heads: Positive = 4
    encoder_layers: Positive = 2
    ffn_width: Positive = 256
    dropout: float = Field(0.0, ge=0, lt=1)
    width: Positive = 256
    pooling: Pooling = "attention"


class RetrievalObjective(Settings):
    """What the vectors are trained for.

    Attributes:
        kind: "structure", spectra of one molecule and of similar ones lie close; or "dropout_pairs", two
            readings of one spectrum lie close, which differ by dropout and noise alone (SimCSE, Gao et al.
            2021).
        scale: multiplies the cosines before the softmax.
        soft_weight: share of the targets that follows the similarity of structures, the rest being spread over
            the other spectra of the same molecule.
        sharpness: multiplies the Tanimoto similarities before their softmax.
        mine_every: updates after which the hardest wrong molecules are sought anew; 0 is never.
        mine_neighbours: how many of them come into a batch beside a molecule.
    """

    kind: Literal["structure", "dropout_pairs"] = "structure"
    scale: float = Field(20.0, gt=0)
    soft_weight: float = Field(0.0, ge=0, le=1)
    sharpness: float = Field(10.0, gt=0)
    mine_every: int = Field(0, ge=0)
    mine_neighbours: int = Field(3, ge=1)

    @model_validator(mode="after")
    def _pairs_know_no_molecule(self) -> Self:
        if self.kind == "dropout_pairs" and (self.soft_weight or self.mine_every):
            name = "soft_weight" if self.soft_weight else "mine_every"
            raise ValueError(f"objective.kind is 'dropout_pairs', which knows no molecules: expected {name} 0")
        return self


class RetrievalTraining(TrainingSettings):
    """The `training` block with what retrieval adds. `batch_size` counts records.

    Attributes:
        spectra_per_molecule: most records of a molecule in a batch.
        gradient_cache: records that are embedded at a time. Each piece is embedded without a graph, and again,
            with the same dropout, when the gradient of its vectors is known (Gao et al. 2021,
            arXiv:2101.06983): memory is that of one piece, whatever `batch_size` is. Without, the whole batch
            is embedded at once.
        embed_batch: records that are embedded at a time for validation and mining.
        augment: noise that training batches draw anew; validation has none.
    """

    spectra_per_molecule: int = Field(2, ge=1)
    gradient_cache: int | None = Field(None, ge=1)
    embed_batch: int = Field(64, ge=1)
    augment: AugmentSettings = AugmentSettings()


class RetrievalRun(RunSettings):
    """Everything that a run depends on.

    Attributes:
        encoder: what reads the spectra: "spectrum", our own encoder.
        data: files, kinds of spectra and their representation.
        model: sizes of our encoder.
        moe: its sparse layer; absent for a dense one.
        objective: the contrastive loss.
        routing: auxiliary losses of the routers.
    """

    bound_keys: ClassVar[tuple[str, ...]] = (
        *RunSettings.bound_keys,
        "encoder",
        "model",
        "moe",
        "data",
        "objective",
    )
    free_keys: ClassVar[tuple[str, ...]] = (
        *(f"data.{name}" for name in ("train", "train_where", "validation", "validation_where")),
        *(f"data.{name}" for name in ("validation_fraction", "split_seed", "allow_shared_molecules")),
        *(f"objective.{name}" for name in ("scale", "soft_weight", "sharpness")),
        "model.dropout",
        "moe.mode",
        "moe.capacity_factor",
        "moe.exchange_chunks",
    )

    system: Literal["retrieval"]
    encoder: Literal["spectrum"] = "spectrum"
    data: RetrievalData = RetrievalData()
    model: SpectrumEncoderSettings = SpectrumEncoderSettings()
    moe: MoESettings | None = None
    objective: RetrievalObjective = RetrievalObjective()
    routing: RouterObjective = RouterObjective()
    training: RetrievalTraining

    @model_validator(mode="after")
    def _experts_serve_known_modalities(self) -> Self:
        for number, expert in enumerate(self.moe.experts if self.moe else ()):
            for name in expert.modalities:
                try:
                    modality_by_name(name)
                except ConfigError as error:
                    raise ValueError(f"moe.experts[{number}].modalities: {error}") from None
        return self

    @model_validator(mode="after")
    def _ranks_can_share_the_experts(self) -> Self:
        size, experts = self.training.ep_size, len(self.moe.experts) if self.moe else 1
        if experts % size:
            what = (
                f"there are {experts} experts: expected a divisor"
                if self.moe
                else "the model is dense: expected 1"
            )
            raise ValueError(f"training.ep_size is {size}, but {what}")
        return self

    @model_validator(mode="after")
    def _the_encoder_has_no_decoder(self) -> Self:
        if self.moe is not None and self.moe.decoder:
            raise ValueError("moe.decoder is true, but a retrieval model has no decoder: expected false")
        return self

    @model_validator(mode="after")
    def _pieces_are_routed_alone(self) -> Self:
        cached = self.training.gradient_cache is not None
        if cached and self.moe is not None and self.moe.mode == "capacity":
            raise ValueError(
                "training.gradient_cache embeds a batch in pieces, and moe.mode 'capacity' limits the experts"
                " in each: expected 'dropless', or no gradient_cache"
            )
        if cached and self.training.activation_checkpointing:
            raise ValueError(
                "training.gradient_cache keeps no activations at all: expected no activation_checkpointing"
            )
        return self

    def without_paths(self) -> Self:
        """The same without the paths of this machine, those of the data included."""
        data = self.data.model_copy(update={"train": (), "validation": ()})
        return super().without_paths().model_copy(update={"data": data})

    def hyperparameters(self) -> dict[str, str | int | float | bool]:
        """The settings that TensorBoard shows: of the data only the modalities."""
        shown: dict[str, Any] = self.model_dump(
            mode="json", exclude={"system", "name", "engine", "output", "data"}
        )
        shown["data"] = {"modalities": ",".join(self.data.modalities)}
        if self.moe is not None:
            shown["moe"]["experts"] = ", ".join(f"{one.family} {one.width}" for one in self.moe.experts)
        return scalars_of(shown)


Run = RetrievalRun
