"""A cohort: samples of one class each, measured by one or several methods, whose tables are the blocks.

Axes in the names of arrays: N samples, F features of a block, C classes, M blocks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

FloatMatrix = npt.NDArray[np.float64]
FloatVector = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

MOST_BLOCKS = 6
"""Exact Shapley values of M blocks ask for 2^M coalitions."""


@dataclass(frozen=True)
class Block:
    """The values of one method of measurement, such as "nmr" or "ms".

    Attributes:
        name: of the method.
        features: [F], names as the table has them.
        values_NF: NaN where a value is missing, and for samples that were not measured. Rows follow
            `Cohort.samples`.
        present_N: whether a sample was measured by this method at all.
        position_F: chemical shift or m/z of each feature, NaN for single ones without; None without any.
        unit: of the positions: "ppm" or "m/z", None without positions.
    """

    name: str
    features: tuple[str, ...]
    values_NF: FloatMatrix
    present_N: BoolArray
    position_F: FloatVector | None = None
    unit: str | None = None

    def __post_init__(self) -> None:
        samples, features = self.values_NF.shape
        if features != len(self.features) or self.present_N.shape != (samples,):
            raise ValueError(
                f"{self.name}: values of shape {self.values_NF.shape} for {len(self.features)} features and"
                f" {self.present_N.shape} flags"
            )
        if self.position_F is not None and self.position_F.shape != (features,):
            raise ValueError(f"{self.name}: {self.position_F.shape} positions of {features} features")
        if np.isfinite(self.values_NF[~self.present_N]).any():
            raise ValueError(f"{self.name}: values of samples that were not measured")

    def subset(self, indices: Sequence[int] | IntArray) -> "Block":
        """The same features of these samples, in this order."""
        return replace(self, values_NF=self.values_NF[indices], present_N=self.present_N[indices])


@dataclass(frozen=True)
class Cohort:
    """Samples with their classes and what was measured of them.

    Attributes:
        samples: [N], their names, each once.
        group_N: the patient of each sample, or what else must stay on one side of a split, as a number.
        batch_N: the batch in which it was measured, as a number; None where that is not known.
        classes: [C], names of the classes.
        label_N: the class of each sample, a place in `classes`.
        blocks: at most `MOST_BLOCKS`; each sample is present in one at least.
        covariates: by name, [N] values as the table has them, "" where nothing is known.
        remarks: what was assumed or left out while the tables were read, with counts.
    """

    samples: tuple[str, ...]
    group_N: IntArray
    batch_N: IntArray | None
    classes: tuple[str, ...]
    label_N: IntArray
    blocks: tuple[Block, ...]
    covariates: Mapping[str, tuple[str, ...]]
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.samples)
        lengths = {
            "groups": len(self.group_N),
            "batches": count if self.batch_N is None else len(self.batch_N),
            "labels": len(self.label_N),
            **{f"rows of block {block.name}": len(block.values_NF) for block in self.blocks},
            **{f"values of {name}": len(values) for name, values in self.covariates.items()},
        }
        wrong = [f"{found} {what}" for what, found in lengths.items() if found != count]
        if wrong:
            raise ValueError(f"{count} samples, but {', '.join(wrong)}")
        if not 1 <= len(self.blocks) <= MOST_BLOCKS:
            raise ValueError(f"{len(self.blocks)} blocks: expected 1 to {MOST_BLOCKS}")
        if count and not 0 <= self.label_N.min() <= self.label_N.max() < len(self.classes):
            raise ValueError(
                f"labels {self.label_N.min()} to {self.label_N.max()} of {len(self.classes)} classes"
            )

    @property
    def counts(self) -> dict[str, int]:
        """Samples of each class, by its name."""
        found = np.bincount(self.label_N, minlength=len(self.classes))
        return dict(zip(self.classes, map(int, found)))

    def subset(self, indices: Sequence[int] | IntArray) -> "Cohort":
        """These samples, in this order; numbers of classes, patients and batches stay as they are."""
        chosen = np.asarray(indices, dtype=np.int64)
        return replace(
            self,
            samples=tuple(self.samples[at] for at in chosen),
            group_N=self.group_N[chosen],
            batch_N=None if self.batch_N is None else self.batch_N[chosen],
            label_N=self.label_N[chosen],
            blocks=tuple(block.subset(chosen) for block in self.blocks),
            covariates={name: tuple(some[at] for at in chosen) for name, some in self.covariates.items()},
        )

    def choose(self, classes: Sequence[str]) -> "Cohort":
        """The samples of these classes, which are numbered in the order given.

        Raises:
            ValueError: a class that the cohort does not have, or one named twice.
        """
        unknown = [name for name in classes if name not in self.classes]
        if unknown or len(set(classes)) != len(classes):
            raise ValueError(
                f"classes {', '.join(classes)}: expected different ones of {', '.join(self.classes)}"
            )
        number = np.full(len(self.classes), -1, dtype=np.int64)
        number[[self.classes.index(name) for name in classes]] = np.arange(len(classes))
        label_N = number[self.label_N]
        kept = np.flatnonzero(label_N >= 0)
        return replace(self.subset(kept), classes=tuple(classes), label_N=label_N[kept])
