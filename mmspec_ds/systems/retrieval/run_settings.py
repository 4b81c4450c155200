"""The run file of a retrieval model."""

from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from mmspec_ds.data.augmentation import AugmentSettings
from mmspec_ds.moe.expert_settings import MoESettings, RouterObjective
from mmspec_ds.nn.initialization import EMBEDDING_STD
from mmspec_ds.nn.model_settings import EncoderSettings, Positive
from mmspec_ds.nn.pooling import Pooling
from mmspec_ds.settings import Settings
from mmspec_ds.spectra.registry import CompressionSettings
from mmspec_ds.systems.retrieval.language_settings import LanguageModelSettings
from mmspec_ds.systems.sparse_runs import check_experts, shown_settings
from mmspec_ds.systems.spectra_files import SpectraFiles
from mmspec_ds.trainer.run_settings import RunSettings
from mmspec_ds.trainer.training_settings import TrainingSettings


class RetrievalData(SpectraFiles):
    """Files of spectra of known molecules, and how they become tokens."""

    collision_energy: bool = Field(
        False, description="tell the model the collision energies, see `energies` for why not"
    )
    compression: CompressionSettings = CompressionSettings()


class SpectrumEncoderSettings(EncoderSettings):
    """Sizes of our own encoder.

    Attributes:
        width: of the vectors.
        pooling: how the states of the tokens become one: a weighted mean that is learnt ("attention"), the
            mean, or a sum weighted by the square roots of the peaks' intensities and a learnt factor
            ("intensity").
        skip: add a projection of the same sum of the sinusoids of the peaks' places (m/z), past the encoder: at
            the start the vectors then compare spectra much as a cosine with a tolerance does. It needs
            "intensity".
        intensity_forms: give each peak the square root and the logarithm of its intensity beside the value.
        embedding_std: standard deviation of the components of embedded tokens at the start.
    """

    d_model: Positive = 128
    heads: Positive = 4
    encoder_layers: Positive = 2
    ffn_width: Positive = 256
    dropout: float = Field(0.0, ge=0, lt=1)
    width: Positive = 256
    pooling: Pooling = "attention"
    skip: bool = False
    intensity_forms: bool = False
    embedding_std: float = Field(EMBEDDING_STD, gt=0)

    @model_validator(mode="after")
    def _what_is_skipped_is_weighted(self) -> Self:
        if self.skip and self.pooling != "intensity":
            raise ValueError(f"skip is true, but pooling is {self.pooling!r}: expected 'intensity'")
        return self


class RetrievalObjective(Settings):
    """What the vectors are trained for.

    Attributes:
        kind: "structure", spectra of one molecule and of similar ones lie close; "dropout_pairs", two readings
            of one spectrum lie close, which differ by dropout and noise alone (SimCSE, Gao et al. 2021); or
            "mntp", a language model tells hidden tokens from the state before them (LLM2Vec's first step).
        scale: multiplies the cosines before the softmax.
        soft_weight: share of the targets that follows the similarity of structures, the rest being spread over
            the other spectra of the same molecule.
        sharpness: multiplies the Tanimoto similarities before their softmax.
        mine_every: updates after which the hardest wrong molecules are sought anew; 0 is never.
        mine_neighbours: how many of them come into a batch beside a molecule.
        mine_share: share of the molecules beside which they come; the others come in random order.
    """

    kind: Literal["structure", "dropout_pairs", "mntp"] = "structure"
    scale: float = Field(20.0, gt=0)
    soft_weight: float = Field(0.0, ge=0, le=1)
    sharpness: float = Field(10.0, gt=0)
    mine_every: int = Field(0, ge=0)
    mine_neighbours: int = Field(3, ge=1)
    mine_share: float = Field(0.5, gt=0, le=1)

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
        repeat_records: a molecule with fewer records comes with repeats of them, which differ by noise and
            dropout alone.
        gradient_cache: records that are embedded at a time. Each piece is embedded without a graph, and again,
            with the same dropout, when the gradient of its vectors is known (Gao et al. 2021,
            arXiv:2101.06983): memory is that of one piece, whatever `batch_size` is. Without, the whole batch
            is embedded at once.
        embed_batch: records that are embedded at a time for validation and mining.
        augment: noise that training batches draw anew; validation has none.
    """

    spectra_per_molecule: int = Field(2, ge=1)
    repeat_records: bool = False
    gradient_cache: int | None = Field(None, ge=1)
    embed_batch: int = Field(64, ge=1)
    augment: AugmentSettings = AugmentSettings()


class RetrievalRun(RunSettings):
    """Everything that a run depends on.

    Attributes:
        encoder: what reads the spectra: "spectrum", our own encoder, or "language", a language model.
        language: the language model, which reads mass spectra alone; `model` and `moe` are not used then.
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
        "language",
        "data",
        "objective",
    )
    free_keys: ClassVar[tuple[str, ...]] = (
        *(f"data.{name}" for name in ("train", "train_where", "validation", "validation_where")),
        *(f"data.{name}" for name in ("validation_fraction", "split_seed", "allow_shared_molecules")),
        *(f"objective.{name}" for name in ("scale", "soft_weight", "sharpness")),
        *(f"language.{name}" for name in ("base", "attention_dropout", "missing", "masked", "lora.dropout")),
        "model.dropout",
        "moe.mode",
        "moe.capacity_factor",
        "moe.exchange_chunks",
    )

    system: Literal["retrieval"]
    encoder: Literal["spectrum", "language"] = "spectrum"
    language: LanguageModelSettings | None = None
    data: RetrievalData = RetrievalData()
    model: SpectrumEncoderSettings = SpectrumEncoderSettings()
    moe: MoESettings | None = None
    objective: RetrievalObjective = RetrievalObjective()
    routing: RouterObjective = RouterObjective()
    training: RetrievalTraining

    @model_validator(mode="after")
    def _the_encoder_has_its_block(self) -> Self:
        if (self.encoder == "language") != (self.language is not None):
            expected = "with the folder of a model, language.base" if self.language is None else "absent"
            raise ValueError(f"encoder is {self.encoder!r}: expected the block language to be {expected}")
        if self.language is not None and self.moe is not None:
            raise ValueError(
                "encoder is 'language': expected no block moe, for a language model has no experts"
            )
        if self.objective.kind == "mntp" and (self.language is None or self.training.gradient_cache):
            raise ValueError(
                "objective.kind is 'mntp': expected encoder 'language', and no training.gradient_cache, for no"
                " record of a batch needs another"
            )
        return self

    @model_validator(mode="after")
    def _experts_are_known_and_shared(self) -> Self:
        check_experts(self.moe, self.training.ep_size)
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
        language = self.language and self.language.at(Path(self.language.base.name))
        return super().without_paths().model_copy(update={"data": data, "language": language})

    def hyperparameters(self) -> dict[str, str | int | float | bool]:
        """The settings that TensorBoard shows: of the data only the modalities."""
        return shown_settings(self, self.data.modalities, self.moe)


Run = RetrievalRun
