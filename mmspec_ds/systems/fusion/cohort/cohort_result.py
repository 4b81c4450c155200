"""What the analysis of a cohort found, as plain values that can be written as JSON.

Axes: N samples, M blocks, C classes.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from mmspec_ds.evaluation.reliability import Reliability
from mmspec_ds.evaluation.roc import Area, AreaDifference
from mmspec_ds.systems.fusion.cohort.cohort import BoolArray, FloatMatrix, FloatVector, IntArray


@dataclass(frozen=True)
class Comparison:
    """Which classes are told from which: places in the classes of the cohort.

    Attributes:
        name: such as "cancer against healthy", or "cancer against the rest".
        cases: one class.
        controls: the others, or one of them.
    """

    name: str
    cases: int
    controls: tuple[int, ...]

    def score(self, probability_NC: FloatMatrix) -> FloatVector:
        """Return log odds of the case to the controls, [N], higher for cases."""
        bounded_NC = np.maximum(probability_NC, 1e-300)
        return np.log(bounded_NC[:, self.cases]) - np.log(bounded_NC[:, self.controls].sum(1))

    def share(self, probability_NC: FloatMatrix) -> FloatVector:
        """Return the probability of the case among the classes compared, [N]."""
        return np.asarray(1 / (1 + np.exp(-np.clip(self.score(probability_NC), -700, 700))))

    def among(self, label_N: IntArray) -> BoolArray:
        """Return which samples are of the classes compared, [N]."""
        return np.isin(label_N, (self.cases, *self.controls))


@dataclass(frozen=True)
class MethodScores:
    """How well one method tells the classes of one comparison.

    Attributes:
        area: of the log odds averaged over the repeats, with its interval.
        repeats: the area of each repeat.
        brier: mean squared error of the mean probability.
        calibration: of the mean probability of the case.
        against: by how much the area differs from that of the contribution-aware fusion, that fusion less this
            method; None for itself, and where it was not made.
        area_of_all: over all samples, also those that lack a block; None where none does.
    """

    area: Area
    repeats: tuple[float, ...]
    brier: float
    calibration: Reliability
    against: AreaDifference | None = None
    area_of_all: Area | None = None

    @property
    def mean(self) -> float:
        """The mean AUC over the repeats of the folds."""
        return float(np.mean(self.repeats))

    @property
    def deviation(self) -> float:
        """Their standard deviation; it says how much the folds matter, and nothing of other samples."""
        return float(np.std(self.repeats, ddof=1)) if len(self.repeats) > 1 else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return all attributes by name, in JSON's types."""
        return {
            "area": self.area.to_json(),
            "repeats": list(self.repeats),
            "mean_of_repeats": self.mean,
            "deviation_of_repeats": self.deviation,
            "brier": self.brier,
            "calibration": self.calibration.to_json(),
            "contribution_less_this": self.against.to_json() if self.against else None,
            "area_of_all": self.area_of_all.to_json() if self.area_of_all else None,
        }


@dataclass(frozen=True)
class SampleContributions:
    """What the blocks contributed to each held-out sample, means over the repeats.

    Attributes:
        weight_NM: weights of the blocks, which add up to 1.
        head_NM: contribution to the predicted class, by the head, in nats.
        exact_NM: the same, exact.
        true_NM: exact contribution to the true class.
        expected_NM: what the head expected of that.
        correlation: of head and exact contribution over all blocks, samples and repeats.
        correlation_true: of what was expected of the true class and what it was.
    """

    weight_NM: FloatMatrix
    head_NM: FloatMatrix
    exact_NM: FloatMatrix
    true_NM: FloatMatrix
    expected_NM: FloatMatrix
    correlation: float
    correlation_true: float


@dataclass(frozen=True)
class Marker:
    """A feature that the model of a block relies on.

    Attributes:
        block, feature: its names.
        position: in the unit, None without.
        unit: "ppm", "m/z" or None.
        toward: the class of which a larger value speaks where the coefficient is above zero.
        coefficient: change of the log odds for one standard deviation of the prepared value, the mean of all
            fits.
        agreement: the share of the fits in which it has this sign.
        chosen: the share of the fits in which it is among the largest.
        auc: of the feature alone, over all samples that have it; above 0.5 where cases have more.
        q_value: of no difference (Mann-Whitney), false discovery rate of the block (Benjamini and Hochberg
            1995).
    """

    block: str
    feature: str
    position: float | None
    unit: str | None
    toward: str
    coefficient: float
    agreement: float
    chosen: float
    auc: float
    q_value: float


@dataclass(frozen=True)
class Controls:
    """Areas where there is nothing to find, by comparison and method.

    Attributes:
        permuted: of each permutation of the labels.
        p_value: the share of permutations with an area at least that found with the true labels, that one
            counted as well.
        shuffled: by the block whose rows were exchanged between samples.
    """

    permuted: Mapping[str, Mapping[str, tuple[float, ...]]] = field(default_factory=dict)
    p_value: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    shuffled: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)


@dataclass(frozen=True)
class CohortResult:
    """All that was found.

    Attributes:
        classes, blocks, samples: names.
        label_N: classes of the samples.
        present_NM: which blocks they have.
        judged_N: the samples that all areas but `area_of_all` are of: those with all blocks.
        comparisons: of the classes.
        methods: names of the methods.
        probability: of each method, means over the repeats, [N, C].
        scores: by comparison and method.
        contributions: None with a single block.
        markers: of each block, the largest first.
        controls: with labels or blocks shuffled.
        by_patients: whether intervals resample patients, because some have several samples; else DeLong's.
        remarks: what a reader must know.
    """

    classes: tuple[str, ...]
    blocks: tuple[str, ...]
    samples: tuple[str, ...]
    label_N: IntArray
    present_NM: BoolArray
    judged_N: BoolArray
    comparisons: tuple[Comparison, ...]
    methods: tuple[str, ...]
    probability: Mapping[str, FloatMatrix]
    scores: Mapping[str, Mapping[str, MethodScores]]
    contributions: SampleContributions | None
    markers: tuple[Marker, ...]
    controls: Controls
    by_patients: bool
    remarks: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """All but the values of single samples, which belong into a table, in JSON's types. Areas are between 0
        and 1; `mean_weight` is that of the judged samples."""
        found = self.contributions
        counts = np.bincount(self.label_N[self.judged_N], minlength=len(self.classes))
        return {
            "classes": list(self.classes),
            "blocks": list(self.blocks),
            "samples": len(self.samples),
            "judged": {name: int(count) for name, count in zip(self.classes, counts)},
            "interval": "bootstrap of patients" if self.by_patients else "DeLong",
            "scores": {
                comparison: {method: one.to_json() for method, one in some.items()}
                for comparison, some in self.scores.items()
            },
            "contributions": None
            if found is None
            else {
                "mean_weight": dict(zip(self.blocks, found.weight_NM[self.judged_N].mean(0).tolist())),
                "correlation_of_head_and_exact": found.correlation,
                "correlation_with_the_true_class": found.correlation_true,
            },
            "markers": [asdict(one) for one in self.markers],
            "controls": asdict(self.controls),
            "remarks": list(self.remarks),
        }
