"""Settings of the analysis of a cohort: how values are prepared, what is learned, by which folds it is
judged."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from mmspec_ds.settings import Settings

ALONE = "alone"
"""Not one method but one for each block: what it tells without the others."""

Method = Literal[
    "alone", "concatenated", "block_scaled", "late_mean", "late_weighted", "stacked", "contribution"
]
"""How blocks are fused: `methods.py` and `contribution.py` say what each does."""

Learner = Literal["logistic", "pls"]


class PreparationSettings(Settings):
    """What is done to the values of a block. All that it takes from data, it takes from the training
    samples."""

    normalisation: Literal["none", "total", "pqn"] = "none"
    """total: each sample is divided by the sum of its absolute values. pqn: by the median of its quotients to a
    reference, the median sample (probabilistic quotient normalisation, Dieterle et al. 2006)."""
    transform: Literal["none", "log", "sqrt"] = "none"
    """log: of the value and a tenth of the feature's median; values below zero count as zero. sqrt: the
    same."""
    scaling: Literal["auto", "pareto", "centre"] = "auto"
    """Features are centred, and divided by their standard deviation (auto) or its square root (pareto)."""
    least_present: float = Field(0.0, ge=0, le=1)
    """A feature that a smaller share of the training samples has, with another value than 0, is not used."""


class LearnerSettings(Settings):
    """The models of a block. Inner folds choose the kind and its strength."""

    kinds: tuple[Learner, ...] = ("logistic", "pls")
    strengths: tuple[float, ...] = (0.3, 3.0, 30.0)
    """Of logistic regressions: the inverse of the L2 penalty, where the samples have a mean square of 1."""
    components: tuple[int, ...] = (1, 2, 3, 5)
    """Of PLS discriminant analyses."""

    @model_validator(mode="after")
    def _has_candidates(self) -> "LearnerSettings":
        if not self.kinds or ("logistic" in self.kinds and not self.strengths):
            raise ValueError("expected a kind of model and, for logistic ones, strengths")
        if "pls" in self.kinds and not self.components:
            raise ValueError("expected components for pls")
        if any(one <= 0 for one in (*self.strengths, *self.components)):
            raise ValueError("expected strengths and components above zero")
        return self


class FoldSettings(Settings):
    """Nested, repeated cross-validation, stratified by class; a patient is never on both sides."""

    outer: int = Field(5, ge=2)
    inner: int = Field(5, ge=2)
    repeats: int = Field(10, ge=1)
    seed: int = Field(0, ge=0)
    keep_batches: bool = False
    """Whether samples of one batch stay on one side, too."""


class CorruptionSettings(Settings):
    """Copies of training samples with corrupted blocks, from which the contribution head learns."""

    copies: int = Field(8, ge=0)
    """Of each training sample."""
    rate: float = Field(0.4, ge=0, le=1)
    """The probability that a block of a copy is corrupted."""


class ControlSettings(Settings):
    """Analyses of data in which there is nothing to find; each takes as long as one repeat."""

    permutations: int = Field(20, ge=0)
    """With labels drawn anew among the patients."""
    shuffled_blocks: bool = True
    """For each block, its rows exchanged between samples: the others must do without it."""


class AnalysisSettings(Settings):
    """How a cohort is analysed: the methods that are compared, how values are prepared, folds and controls."""

    methods: tuple[Method, ...] = (
        "alone",
        "concatenated",
        "block_scaled",
        "late_mean",
        "late_weighted",
        "stacked",
        "contribution",
    )
    preparation: Mapping[str, PreparationSettings] = {}
    """By the name of a block; others are autoscaled."""
    learner: LearnerSettings = LearnerSettings()
    folds: FoldSettings = FoldSettings()
    corruption: CorruptionSettings = CorruptionSettings()
    controls: ControlSettings = ControlSettings()
    markers: int = Field(30, ge=1)
    """Features of each block in the report, those with the largest coefficients."""

    @model_validator(mode="after")
    def _has_contribution(self) -> "AnalysisSettings":
        if not self.methods or len(set(self.methods)) != len(self.methods):
            raise ValueError("methods: expected some, none twice")
        return self

    def prepared(self, block: str) -> PreparationSettings:
        """Return the preparation of the block of this name, autoscaled where none is given."""
        return self.preparation.get(block, PreparationSettings())
