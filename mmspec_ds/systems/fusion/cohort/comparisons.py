"""Which classes of a cohort are compared, and what would spoil a comparison: found before the long work begins.

Axes in the names of arrays: N samples, F features.
"""

from dataclasses import replace
from itertools import combinations

import numpy as np

from mmspec_ds.errors import DataError
from mmspec_ds.readers.part import counted
from mmspec_ds.readers.sample_columns import shortened
from mmspec_ds.systems.fusion.cohort.analysis_settings import AnalysisSettings
from mmspec_ds.systems.fusion.cohort.cohort import Block, BoolArray, Cohort, IntArray
from mmspec_ds.systems.fusion.cohort.folds import check_folds, check_units, kept_together
from mmspec_ds.systems.fusion.cohort.preparation import check_preparation
from mmspec_ds.systems.fusion.cohort.run_settings import ClassSettings

MOST_CODES = 12
"""Different values of a code of classes."""


def compared(cohort: Cohort, classes: ClassSettings, analysis: AnalysisSettings) -> dict[str, Cohort]:
    """The part of a cohort for each comparison, by its name, ready to be analysed.

    Raises:
        DataError: one class alone, a class that is not there or has fewer patients than folds, a patient with
            samples of two classes that are compared, or values that cannot be prepared as the settings say.
    """
    names = cohort.classes
    if len(names) < 2:
        raise DataError(f"all {len(cohort.samples)} samples are of class {names[0]!r}: expected two classes")
    if classes.compare == "pairs":
        chosen: tuple[tuple[str, ...], ...] = tuple(combinations(names, 2))
    elif classes.compare == "all":
        chosen = (names,)
    else:
        chosen = classes.compare
        unknown = sorted({one for some in chosen for one in some} - set(names))
        if unknown:
            raise DataError(f"classes.compare names {unknown[0]!r}: the tables have {', '.join(names)}")
    parts = {" against ".join(some): _checked(cohort.choose(some), analysis) for some in chosen}
    if len(parts) > 1:  # what was read is told once for all of them
        told = len(cohort.remarks)
        parts = {name: replace(part, remarks=part.remarks[told:]) for name, part in parts.items()}
    return parts


def without_codes(cohort: Cohort) -> tuple[Cohort, list[str]]:
    """A cohort without tables that lack a class, without features that are a code of the class, and without
    samples of which nothing else was measured; and what was left out.

    Raises:
        DataError: no table is left.
    """
    blocks, remarks = [], []
    for block in cohort.blocks:
        measured = np.unique(cohort.label_N[block.present_N])
        if len(measured) < len(cohort.classes):
            lacking = [name for label, name in enumerate(cohort.classes) if label not in measured]
            remarks.append(f"{block.name}: measured no sample of {' and '.join(lacking)}, left out")
            continue
        told_F = _tells_class(block, cohort.label_N, len(cohort.classes))
        if told_F.any():
            names = [name for name, told in zip(block.features, told_F.tolist()) if told]
            remarks.append(
                f"{block.name}: {counted(len(names), 'feature')} with one value or a few for each class, as a"
                f" code of the class has, left out: {shortened(names)}"
            )
            if told_F.all():
                remarks.append(f"{block.name}: nothing else is measured, left out")
                continue
            block = _without(block, told_F)
        blocks.append(block)
    if not blocks:
        raise DataError(
            f"no table measured samples of all of {', '.join(cohort.classes)}: expected one at least"
        )
    cohort = replace(cohort, blocks=tuple(blocks))
    measured_N = np.any([block.present_N for block in blocks], axis=0)
    if not measured_N.all():
        lost = [name for name, measured in zip(cohort.samples, measured_N.tolist()) if not measured]
        remarks.append(
            f"{counted(len(lost), 'sample')} that no other table measured left out: {shortened(lost)}"
        )
        cohort = cohort.subset(np.flatnonzero(measured_N))
    return cohort, remarks


def _checked(cohort: Cohort, analysis: AnalysisSettings) -> Cohort:
    folds = analysis.folds
    check_units(cohort, kept_together(cohort, keep_batches=folds.keep_batches), folds)
    cohort, remarks = without_codes(cohort)
    for block in cohort.blocks:
        remarks += check_preparation(block, analysis.prepared(block.name))
    check_folds(cohort, folds)
    remarks += _batches(cohort)
    return replace(cohort, remarks=(*cohort.remarks, *remarks))


def _tells_class(block: Block, label_N: IntArray, classes: int) -> BoolArray:
    """Which features have one value throughout each class, and different ones: a code of the class, which is no
    measurement. At least three samples of each class must have a value.

    Where a class gathers several values of its column, such as stages, a code of these has a few whole numbers,
    three samples or more of each, and none in two classes: it is one, too."""
    known_NF = np.isfinite(block.values_NF)
    low_CF = np.empty((classes, len(block.features)))
    high_CF, count_CF = np.empty_like(low_CF), np.empty_like(low_CF)
    for label in range(classes):
        of_class_N = label_N == label
        known, values = known_NF[of_class_N], block.values_NF[of_class_N]
        low_CF[label] = np.where(known, values, np.inf).min(axis=0, initial=np.inf)
        high_CF[label] = np.where(known, values, -np.inf).max(axis=0, initial=-np.inf)
        count_CF[label] = known.sum(axis=0)
    one_value_F = ((low_CF == high_CF) & (count_CF >= 3)).all(axis=0)
    one_value_F &= low_CF.min(axis=0) < low_CF.max(axis=0)
    whole_F = (~known_NF | (block.values_NF == np.round(block.values_NF))).all(axis=0)
    for at in np.flatnonzero(whole_F & (count_CF >= 3).all(axis=0) & ~one_value_F).tolist():
        values, place_N, count = np.unique(
            block.values_NF[known_NF[:, at], at], return_inverse=True, return_counts=True
        )
        if len(values) <= MOST_CODES and count.min() >= 3:
            pairs = len(set(zip(place_N.tolist(), label_N[known_NF[:, at]].tolist())))
            one_value_F[at] = len(values) == pairs  # no value occurs in two classes
    return np.asarray(one_value_F)


def _without(block: Block, left_out_F: BoolArray) -> Block:
    kept_F = ~left_out_F
    return replace(
        block,
        features=tuple(name for name, kept in zip(block.features, kept_F.tolist()) if kept),
        values_NF=block.values_NF[:, kept_F],
        position_F=None if block.position_F is None else block.position_F[kept_F],
    )


def _batches(cohort: Cohort) -> list[str]:
    """What is told of batches that hold one class each."""
    if cohort.batch_N is None:
        return []
    batches = np.unique(cohort.batch_N)
    of_one = sum(len(np.unique(cohort.label_N[cohort.batch_N == batch])) == 1 for batch in batches)
    if len(batches) > 1 and of_one == len(batches):
        return [
            f"each of the {len(batches)} batches holds one class alone: what differs between batches cannot be"
            " told from what differs between classes, and the areas say nothing of the classes"
        ]
    return [f"{of_one} of {len(batches)} batches hold one class alone"] if of_one else []
