"""The run file of a fusion model."""

from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from mmspec_ds.moe.expert_settings import MoESettings, RouterObjective
from mmspec_ds.nn.model_settings import EncoderSettings, Positive
from mmspec_ds.settings import Settings
from mmspec_ds.spectra.registry import modality_by_name
from mmspec_ds.systems.fusion.contribution import MOST_MODALITIES
from mmspec_ds.systems.fusion.corruption import CorruptionSettings
from mmspec_ds.systems.fusion.distillation.settings import DistillationSettings
from mmspec_ds.systems.fusion.domain_adapters_settings import AdaptSettings
from mmspec_ds.systems.fusion.fusers import FuserKind
from mmspec_ds.systems.fusion.tokens import MAKERS, TokenSettings
from mmspec_ds.systems.sparse_runs import check_expert_parallel, shown_settings
from mmspec_ds.systems.spectra_files import SpectraFiles
from mmspec_ds.trainer.run_settings import RunSettings
from mmspec_ds.trainer.training_settings import TrainingSettings


class FusionData(SpectraFiles):
    """What is learnt from: files of spectra with structures, or a cohort of samples in tables.

    Attributes:
        validation_fraction: share of the molecules, or of the patients, held back if nothing else says which.
        groups: how many functional groups are to be told, the most frequent ones.
        cohort: the run file of a cohort (`mmspec cohort`), whose tables are read instead of `train`; what is
            told are its classes.
        classes: of the cohort, those that are told apart; all without.
        logarithm, total: of a table's values, whether their logarithms are taken, and whether those of a sample
            are divided by their sum before that.
    """

    validation_fraction: float = Field(0.1, gt=0, lt=1)
    modalities: tuple[str, ...] = Field(("h_nmr", "c_nmr", "ms"), min_length=1, max_length=MOST_MODALITIES)
    groups: int = Field(40, ge=1)
    cohort: Path | None = None
    classes: tuple[str, ...] = ()
    logarithm: bool = True
    total: bool = False

    @field_validator("modalities")
    @classmethod
    def _have_tokens(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if modality_by_name(name) not in MAKERS:
                known = ", ".join(one.name.lower() for one in MAKERS)
                raise ValueError(f"{name} is no spectrum: expected some of {known}")
        return names

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.cohort is not None and (self.train or self.validation):
            raise ValueError("data.cohort and data.train are both given: expected one")
        if self.classes and self.cohort is None:
            raise ValueError("data.classes are those of a cohort: expected data.cohort, or no data.classes")
        return self


class FusionEncoderSettings(EncoderSettings):
    """Sizes of the encoder.

    Attributes:
        pooling: how the states of a piece's tokens become one vector: a weighted mean that is learnt
            ("attention"), or the mean.
        embedding_std: standard deviation of the components of embedded tokens at the start.
    """

    d_model: Positive = 128
    heads: Positive = 4
    encoder_layers: Positive = 2
    ffn_width: Positive = 256
    dropout: float = Field(0.1, ge=0, lt=1)
    pooling: Literal["attention", "mean"] = "attention"
    embedding_std: float = Field(0.5, gt=0)


class FusionSettings(Settings):
    """How the vectors of modalities become one answer.

    Attributes:
        kind: see `fusers`.
        width: of the hidden layers of the contribution head, or of the network that reads concatenated vectors.
        attention: layers of attention among the vectors of a sample's modalities before they are fused; 0 is
            none.
    """

    kind: FuserKind = "contribution"
    width: int = Field(128, ge=1)
    attention: int = Field(0, ge=0)


class BalanceSettings(Settings):
    """What is done about modalities that learn at unequal speed.

    Attributes:
        kind: nothing; "contribution", the gradient of each sample's modality vectors is larger for those that
            contribute less; "ogm_ge" (Peng et al., CVPR 2022); or "blending" (Wang et al., CVPR 2020), which
            weighs the losses of each modality alone and of all.
        alpha: how strongly the gradient of a modality that is ahead is reduced.
        noise: factor of the noise that "ogm_ge" adds to the gradient.
        every, batches, least_overfitting: of "blending": updates between two estimates, batches that each
            reads, and the least overfitting that is told from none, nats.
    """

    kind: Literal["none", "contribution", "ogm_ge", "blending"] = "none"
    alpha: float = Field(0.5, ge=0)
    noise: float = Field(1.0, ge=0)
    every: int = Field(200, ge=1)
    batches: int = Field(4, ge=1)
    least_overfitting: float = Field(0.02, gt=0)


class FusionObjective(Settings):
    """What is learnt.

    Attributes:
        kind: "classify", classes or functional groups; or "masked", intensities of hidden tokens are predicted,
            which needs spectra alone.
        alone: weight of the mean loss where each modality is known by itself.
        head: weight of the loss of the contribution head, which is of its own parameters alone.
        masked: share of the tokens that are hidden.
        label_smoothing: of classes.
    """

    kind: Literal["classify", "masked"] = "classify"
    alone: float = Field(0.0, ge=0)
    head: float = Field(1.0, ge=0)
    masked: float = Field(0.3, gt=0, lt=1)
    label_smoothing: float = Field(0.0, ge=0, lt=1)


class FusionTraining(TrainingSettings):
    """The `training` block with what fusion adds. `batch_size` counts samples.

    Attributes:
        modality_dropout: the probability with which the loss does without a modality of a sample; one always
            stays.
        corruption: of modalities of training samples, from which the contribution head learns what to distrust.
        predict_batch: samples at a time in validation.
        encoder_from: the folder of a trained fusion model whose encoder a new run begins with; the sizes must
            be the same, and of a sparse one the modalities.
    """

    modality_dropout: float = Field(0.0, ge=0, lt=1)
    corruption: CorruptionSettings = CorruptionSettings()
    predict_batch: int = Field(128, ge=1)
    encoder_from: Path | None = None


class FusionRun(RunSettings):
    """Everything that a run depends on.

    Attributes:
        data: files or tables.
        tokens: how spectra and tables become tokens.
        model: sizes of the encoder.
        moe: its sparse layer; absent for a dense one. Its modality experts name kinds of spectra or tables.
        fusion: how modalities are fused.
        balance: how their gradients are balanced.
        objective: what is learnt.
        routing: auxiliary losses of the routers.
        distillation: a teacher, from whom the model learns as well; none without.
        adapt: a trained model that is adapted to new data by few new weights; none without.
    """

    bound_keys: ClassVar[tuple[str, ...]] = (
        *RunSettings.bound_keys,
        *("data", "tokens", "model", "moe", "fusion", "objective.kind", "distillation", "adapt"),
    )
    free_keys: ClassVar[tuple[str, ...]] = (
        *(f"data.{name}" for name in ("train", "train_where", "validation", "validation_where")),
        "data.cohort",
        *(f"data.{name}" for name in ("validation_fraction", "split_seed", "allow_shared_molecules")),
        *(f"distillation.{name}" for name in ("teacher", "temperature", "soft", "align", "judged")),
        *(f"adapt.{name}" for name in ("base", "dropout", "most_share")),
        "model.dropout",
        "moe.mode",
        "moe.capacity_factor",
        "moe.exchange_chunks",
    )

    system: Literal["fusion"]
    data: FusionData = FusionData()
    tokens: TokenSettings = TokenSettings()
    model: FusionEncoderSettings = FusionEncoderSettings()
    moe: MoESettings | None = None
    fusion: FusionSettings = FusionSettings()
    balance: BalanceSettings = BalanceSettings()
    objective: FusionObjective = FusionObjective()
    routing: RouterObjective = RouterObjective()
    distillation: DistillationSettings | None = None
    adapt: AdaptSettings | None = None
    training: FusionTraining

    @model_validator(mode="after")
    def _experts_are_shared_evenly(self) -> Self:
        check_expert_parallel(self.moe, self.training.ep_size)
        if self.moe is not None and self.moe.decoder:
            raise ValueError("moe.decoder is true, but a fusion model has no decoder: expected false")
        return self

    @model_validator(mode="after")
    def _pretraining_tells_nothing(self) -> Self:
        if self.objective.kind == "masked" and self.balance.kind != "none":
            raise ValueError(
                f"objective.kind is 'masked', which fuses nothing, but balance.kind is {self.balance.kind!r}:"
                " expected 'none'"
            )
        return self

    @model_validator(mode="after")
    def _students_tell_something(self) -> Self:
        if self.objective.kind == "masked" and self.distillation is not None:
            raise ValueError("objective.kind is 'masked', which no teacher tells: expected no distillation")
        return self

    @model_validator(mode="after")
    def _adapters_alone_are_learnt(self) -> Self:
        if self.adapt is None:
            return self
        others = {
            "distillation": self.distillation,
            "training.start_from": self.training.start_from,
            "training.encoder_from": self.training.encoder_from,
        }
        for name, value in others.items():
            if value is not None:
                raise ValueError(f"adapt and {name} are both given: expected one")
        if self.objective.kind != "classify" or self.balance.kind != "none" or self.training.ep_size > 1:
            raise ValueError(
                "adapt needs objective.kind 'classify', balance.kind 'none' and training.ep_size 1"
            )
        return self

    @model_validator(mode="after")
    def _one_beginning(self) -> Self:
        if self.training.start_from is not None and self.training.encoder_from is not None:
            raise ValueError("training.start_from and training.encoder_from are both given: expected one")
        return self

    def without_paths(self) -> Self:
        """The same without the paths of this machine, those of the data included."""
        data = self.data.model_copy(update={"train": (), "validation": (), "cohort": None, "classes": ()})
        run = super().without_paths()
        training = run.training.model_copy(update={"encoder_from": None})
        student = self.distillation
        if student is not None:
            student = student.model_copy(update={"teacher": Path(student.teacher.name)})
        adapt = self.adapt
        if adapt is not None:
            adapt = adapt.model_copy(update={"base": Path(adapt.base.name)})
        update = {"data": data, "training": training, "distillation": student, "adapt": adapt}
        return run.model_copy(update=update)

    def hyperparameters(self) -> dict[str, str | int | float | bool]:
        """The settings that TensorBoard shows: of the data only the modalities."""
        return shown_settings(self, self.data.modalities, self.moe)


Run = FusionRun
