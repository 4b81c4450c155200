"""Settings of the analysis of a cohort: how values are prepared, what is compared, and by which splits."""

from typing import Literal, Self

from pydantic import Field, model_validator

from mmspec_ds.settings import Settings

Normalisation = Literal["none", "total", "pqn"]
Scaling = Literal["none", "auto", "pareto"]
Learner = Literal["logistic", "pls", "pca"]
Method = Literal[
    "blocks", "concatenated", "block_scaled", "late_mean", "late_weighted", "stacked", "contribution"
]

METHODS: tuple[Method, ...] = (
    "blocks",
    "concatenated",
    "block_scaled",
    "late_mean",
    "late_weighted",
    "stacked",
    "contribution",
)


class Preparation(Settings):
    """What is done with the values of a block before a model sees them. Whatever is computed from several
    samples is computed from those of the training side alone.

    Attributes:
        normalisation: of each sample: "none"; "total", division by the sum of its values; "pqn", probabilistic
            quotient normalisation (Dieterle et al. 2006).
        log: whether to take logarithms.
        scaling: of each feature: "auto", to mean 0 and standard deviation 1; "pareto", divided by the square
            root of the standard deviation; "none".
        most_missing: features of which a larger share of the samples measured has no value are left out.
    """

    normalisation: Normalisation = "none"
    log: bool = False
    scaling: Scaling = "auto"
    most_missing: float = Field(0.5, ge=0, le=1)


class FoldSettings(Settings):
    """Nested and repeated cross-validation, stratified by class. Samples of one patient are in one fold.

    Attributes:
        outer: folds of which each is held out once; what is reported comes from these.
        inner: folds of the remaining samples, which choose the strength of regularisation and weights.
        repeats: of the whole, with other folds.
    """

    outer: int = Field(5, ge=2, le=20)
    inner: int = Field(5, ge=2, le=20)
    repeats: int = Field(10, ge=1, le=1000)


class AnalysisSettings(Settings):
    """How a cohort is analysed.

    Attributes:
        methods: what is compared, names of `METHODS`; "blocks" is each block alone.
        learner: the model of a block: "logistic", L2 logistic regression; "pls", PLS-DA; "pca", logistic
            regression on principal components.
        folds: of the cross-validation.
        permutations: repeats of the whole with labels that were shuffled between patients, which must give an
            AUC about 0.5; 0 for no such control.
        seed: of folds, shuffles and noise.
        preparation: by the name of a block; a block without an entry is prepared by the defaults.
    """

    methods: tuple[Method, ...] = Field(METHODS, min_length=1)
    learner: Learner = "logistic"
    folds: FoldSettings = FoldSettings()
    permutations: int = Field(10, ge=0, le=10_000)
    seed: int = Field(0, ge=0)
    preparation: dict[str, Preparation] = {}

    @model_validator(mode="after")
    def _each_method_once(self) -> Self:
        if len(set(self.methods)) != len(self.methods):
            raise ValueError("analysis.methods names a method twice")
        return self

    def preparation_of(self, block: str) -> Preparation:
        """How the values of a block are prepared."""
        return self.preparation.get(block, Preparation())
