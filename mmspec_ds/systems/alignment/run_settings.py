"""The run file of an alignment: which encoders are read through projections into which language model."""

from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from mmspec_ds.language.adapters import LoraSettings
from mmspec_ds.settings import Settings
from mmspec_ds.systems.alignment.frozen_language import Precision
from mmspec_ds.systems.alignment.objects import KINDS, Kind
from mmspec_ds.systems.alignment.projection_settings import ProjectionSettings
from mmspec_ds.trainer.run_settings import RunSettings, scalars_of
from mmspec_ds.trainer.training_settings import TrainingSettings


class LanguageSettings(Settings):
    """The language model, whose weights do not change.

    Attributes:
        base: folder of the model, see `language.model_folder`.
        precision: of weights and arithmetic.
        compile: in training, make one kernel of many small steps of each layer. Takes a minute or two at the
            start, and a C++ compiler where there is no GPU.
        format: how a dialogue is written, a name in `prompt.FORMATS`; "auto" is what the vocabulary tells.
        system: what a dialogue begins with.
        longest: most tokens of a prompt with its answer.
        lora: adapters, which change what the language model does; none without.
    """

    base: Path
    precision: Precision = "float32"
    compile: bool = False
    format: str = "auto"
    system: str = ""
    longest: int = Field(1024, ge=8)
    lora: LoraSettings | None = None


class EncoderChoice(Settings):
    """An encoder by its name in the registry, and its own options."""

    name: str
    options: dict[str, Any] = {}


class NeighbourSettings(Settings):
    """The description of the nearest known molecule in the prompt that asks to describe a molecule.

    Attributes:
        least_similarity: Tanimoto similarity below which a prompt stays as it is.
        most_tokens: of the description, which is cut after a sentence.
        place: where it stands, behind the question or as a turn of the dialogue before it, which the model
            reads as an answer of its own.
    """

    least_similarity: float = Field(0.3, ge=0, le=1)
    most_tokens: int = Field(256, ge=8)
    place: Literal["question", "turn"] = "question"


class AlignmentData(Settings):
    """Files of examples, and where what is computed once is kept.

    Attributes:
        train, validation: files of questions, as `mmspec questions` writes them. Without `validation`, a part
            of the groups of `train` is held back.
        validation_fraction: that part.
        validation_most: most examples to validate on.
        split_seed: decides which groups and examples these are.
        tasks: keep the examples of these tasks; all without.
        questions_together: most questions about an object in one training sequence, as a dialogue, see
            `together`; 1 for each by itself. Held-back questions are by themselves.
        general_text: files of text, of which each line is one more description that fits no object.
        cache: folder for the vectors of objects and descriptions.
    """

    train: tuple[Path, ...] = ()
    validation: tuple[Path, ...] = ()
    validation_fraction: float = Field(0.05, gt=0, lt=1)
    validation_most: int = Field(512, ge=2)
    split_seed: int = 0
    tasks: tuple[str, ...] = ()
    questions_together: int = Field(1, ge=1)
    general_text: tuple[Path, ...] = ()
    cache: Path = Path("alignment_cache")


class AlignmentObjective(Settings):
    """What the projections are trained for.

    Attributes:
        contrastive: weight of the contrastive loss between the objects of an example and the description that
            is its answer. Where it is not 0 (stage 1), a batch has objects of the same kinds.
        choices: weight of the contrastive loss among the possible answers of a question that states some, such
            as yes and no.
        autoregressive: weight of the loss of the answer's tokens, each answer counting the same.
        scale: multiplies the cosines before the softmax; 1 / 0.07 in BIOVERSE.
        layer: of the language model, whose states describe a text in the contrastive loss; 0 for the input
            embeddings.
        negatives: the descriptions among which an object must find its own: those of the "batch", or "all" of
            the training set.
    """

    contrastive: float = Field(0.0, ge=0)
    choices: float = Field(0.0, ge=0)
    autoregressive: float = Field(1.0, ge=0)
    scale: float = Field(14.3, gt=0)
    layer: int = Field(12, ge=0)
    negatives: Literal["batch", "all"] = "all"

    @model_validator(mode="after")
    def _something_is_learnt(self) -> Self:
        if not self.contrastive and not self.autoregressive:
            raise ValueError(
                "objective.contrastive and objective.autoregressive are both 0: expected one above"
            )
        if self.choices and not self.contrastive:
            raise ValueError(
                "objective.choices is above 0, but objective.contrastive is 0: expected both above"
            )
        return self


class AlignmentTraining(TrainingSettings):
    """The `training` block with what alignment adds. `batch_size` counts examples.

    Attributes:
        projections_from: trained runs or exports, such as of stage 1, whose projections a new run begins with;
            each gives those that it has and this run wants.
    """

    batch_size: int = Field(16, ge=1)
    learning_rate: float = Field(5e-4, gt=0)
    projections_from: tuple[Path, ...] = ()


class AlignmentRun(RunSettings):
    """Everything that a run depends on.

    Attributes:
        language: the frozen language model.
        encoders: by kind of object.
        projection: sizes of the projections.
        objective: what they are trained for.
        neighbour: puts the description of a similar molecule into prompts; none without.
        gene_levels: put the level in the cell behind each gene that a prompt names, see `gene_levels`.
        highest_markers: where a prompt lists types with marker genes, name in a sentence at the end the one
            whose genes the cell expresses most.
        data: examples.
    """

    bound_keys: ClassVar[tuple[str, ...]] = (
        *RunSettings.bound_keys,
        "language",
        "encoders",
        "projection",
        "objective",
        "neighbour",
        "gene_levels",
        "highest_markers",
    )
    free_keys: ClassVar[tuple[str, ...]] = (
        "language.base",
        "language.compile",
        "language.lora.dropout",
        "language.longest",
        "projection.dropout",
        "projection.input_dropout",
        "objective.scale",
    )

    system: Literal["alignment"]
    language: LanguageSettings
    encoders: dict[Kind, EncoderChoice] = Field(min_length=1)
    projection: ProjectionSettings = ProjectionSettings()
    objective: AlignmentObjective = AlignmentObjective()
    neighbour: NeighbourSettings | None = None
    gene_levels: bool = False
    highest_markers: bool = False
    data: AlignmentData = AlignmentData()
    training: AlignmentTraining

    @field_validator("encoders")
    @classmethod
    def _in_order(cls, encoders: dict[Kind, EncoderChoice]) -> dict[Kind, EncoderChoice]:
        return {kind: encoders[kind] for kind in KINDS if kind in encoders}

    @model_validator(mode="after")
    def _no_experts(self) -> Self:
        if self.training.ep_size != 1:
            raise ValueError(
                f"training.ep_size is {self.training.ep_size}, but there are no experts: expected 1"
            )
        return self

    @model_validator(mode="after")
    def _activations_are_kept(self) -> Self:
        if self.training.activation_checkpointing:
            raise ValueError(
                "training.activation_checkpointing is true, which the frozen language model does not know:"
                " expected false, and a smaller training.batch_size with training.gradient_accumulation"
            )
        return self

    @model_validator(mode="after")
    def _dialogues_fit(self) -> Self:
        together = self.data.questions_together
        if together > 1 and self.objective.contrastive:
            raise ValueError(
                f"data.questions_together is {together}, but objective.contrastive compares each object with"
                " one description: expected 1, or objective.contrastive=0"
            )
        if together > 1 and self.projection.question:
            raise ValueError(
                f"data.questions_together is {together}, but with projection.question an object stands in each"
                " question anew: expected 1, or projection.question=false and projection.compare=false"
            )
        if together > self.training.batch_size:
            raise ValueError(
                f"data.questions_together is {together}: expected at most training.batch_size,"
                f" {self.training.batch_size}, which counts questions"
            )
        return self

    @model_validator(mode="after")
    def _neighbours_fit(self) -> Self:
        if self.neighbour is not None and 2 * self.neighbour.most_tokens > self.language.longest:
            raise ValueError(
                f"neighbour.most_tokens is {self.neighbour.most_tokens}: expected at most half of"
                f" language.longest, {self.language.longest}"
            )
        return self

    @model_validator(mode="after")
    def _one_way_to_begin(self) -> Self:
        if self.training.start_from is not None and self.training.projections_from:
            raise ValueError("training.start_from and training.projections_from are both given: expected one")
        return self

    def without_paths(self) -> Self:
        """The same without the paths of this machine, those of the data included. A path among the options of
        an encoder stays, as the last place where it is looked for, see `encoder_folders`."""
        fields = type(self.data).model_fields
        names = ("train", "validation", "general_text", "cache")
        data = self.data.model_copy(update={name: fields[name].default for name in names})
        language = self.language.model_copy(update={"base": Path(self.language.base.name)})
        training = self.training.model_copy(update={"projections_from": (), "start_from": None})
        update = {"data": data, "language": language, "training": training}
        return super().without_paths().model_copy(update=update)

    def hyperparameters(self) -> dict[str, str | int | float | bool]:
        """The settings that TensorBoard shows: all but names and paths."""
        shown = self.model_dump(mode="json", exclude={"system", "name", "engine", "output", "data"})
        return scalars_of(shown)


Run = AlignmentRun
