"""Folds of a cohort: stratified by class, whole patients, repeated, by a seed.

Axes: N samples of a cohort or of a training side.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mmspec_ds.errors import DataError
from mmspec_ds.systems.fusion.cohort.analysis_settings import FoldSettings
from mmspec_ds.systems.fusion.cohort.cohort import Cohort, IntArray

_ENOUGH = "expected two or more for the inner folds: more samples, or more analysis.folds.outer"
_LEAST = 10
"""Samples of a stratum, unless there are more folds."""


@dataclass(frozen=True)
class Split:
    """One outer fold: places of samples in the cohort.

    Attributes:
        repeat: from 0.
        train: what all is fitted on.
        test: what is predicted.
        seed: for what is drawn on the training side.
    """

    repeat: int
    train: IntArray
    test: IntArray
    seed: int


def outer_splits(cohort: Cohort, settings: FoldSettings) -> Iterator[Split]:
    """Yield the outer folds of all repeats; each sample is tested once a repeat.

    Raises:
        DataError: a class with fewer patients than folds, or a patient with two classes.
    """
    units_N = kept_together(cohort, keep_batches=settings.keep_batches)
    check_units(cohort, units_N, settings)
    stratum_N = _strata(cohort, max(_LEAST, settings.outer))
    for repeat in range(settings.repeats):
        seeds = np.random.SeedSequence([settings.seed, repeat]).generate_state(settings.outer + 1)
        fold_N = fold_numbers(stratum_N, units_N, settings.outer, int(seeds[-1]))
        for fold in range(settings.outer):
            train, test = (np.flatnonzero(chosen) for chosen in (fold_N != fold, fold_N == fold))
            yield Split(repeat, train, test, int(seeds[fold]))


def inner_folds(cohort: Cohort, train: IntArray, settings: FoldSettings, seed: int) -> IntArray:
    """Return the number of the inner fold of each training sample, [len(train)].

    There are fewer folds where a class has fewer patients on this side.

    Raises:
        DataError: a class has fewer than two there.
    """
    side = cohort.subset(train)
    units_N = kept_together(side, keep_batches=settings.keep_batches)
    counts = [len(np.unique(units_N[side.label_N == label])) for label in range(len(side.classes))]
    if min(counts) < 2:
        raise DataError(
            f"class {side.classes[int(np.argmin(counts))]} has {min(counts)} of its {_what(settings)} on a"
            f" training side: {_ENOUGH}"
        )
    folds = min(settings.inner, *counts)
    return fold_numbers(_strata(side, max(_LEAST, folds)), units_N, folds, seed)


def kept_together(cohort: Cohort, *, keep_batches: bool) -> IntArray:
    """Return a number for each sample, equal for samples that must be on one side: those of one patient and, if
    wanted, of one batch, directly or through others."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    _, patient_N = np.unique(cohort.group_N, return_inverse=True)
    if not keep_batches or cohort.batch_N is None:
        return patient_N.astype(np.int64)
    _, batch_N = np.unique(cohort.batch_N, return_inverse=True)
    size = int(patient_N.max() + batch_N.max()) + 2
    links = coo_array((np.ones(len(patient_N)), (patient_N, patient_N.max() + 1 + batch_N)), shape=(size, size))
    return connected_components(links, directed=False)[1][patient_N].astype(np.int64)


def fold_numbers(stratum_N: IntArray, units_N: IntArray, folds: int, seed: int) -> IntArray:
    """Return a fold for each sample, so that each has a like share of every stratum and units stay whole."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    single = len(np.unique(units_N)) == len(units_N)
    splitter = (StratifiedKFold if single else StratifiedGroupKFold)(folds, shuffle=True, random_state=seed)
    fold_N = np.empty(len(stratum_N), dtype=np.int64)
    parts = splitter.split(stratum_N, stratum_N, None if single else units_N)
    for fold, (_, test) in enumerate(parts):
        fold_N[test] = fold
    return fold_N


def check_units(cohort: Cohort, units_N: IntArray, settings: FoldSettings) -> None:
    """Refuse a cohort that cannot be parted into folds with every class on both sides.

    Raises:
        DataError: see `outer_splits`.
    """
    for group in np.unique(cohort.group_N):
        members = np.flatnonzero(cohort.group_N == group)
        labels = np.unique(cohort.label_N[members])
        if len(labels) > 1:
            names = " and ".join(cohort.classes[label] for label in labels)
            raise DataError(
                f"the patient of sample {cohort.samples[members[0]]} has samples of the classes {names}:"
                " expected one class for each patient"
            )
    for label, name in enumerate(cohort.classes):
        count = len(np.unique(units_N[cohort.label_N == label]))
        if count < settings.outer:
            raise DataError(
                f"class {name} has {count} {_what(settings)}: expected at least folds.outer = {settings.outer}"
            )


def check_folds(cohort: Cohort, settings: FoldSettings) -> None:
    """Refuse a cohort where some inner fold, held out, leaves a table without a class. All folds are drawn, as
    the analysis draws them: which samples a table has decides it, and not their number alone.

    Raises:
        DataError: see `outer_splits` and `inner_folds`; or a table lacks a class.
    """
    for split in outer_splits(cohort, settings):
        fold_N = inner_folds(cohort, split.train, settings, split.seed)
        label_N = cohort.label_N[split.train]
        for block in cohort.blocks:
            present_N = block.present_N[split.train]
            for label, name in enumerate(cohort.classes):
                if len(np.unique(fold_N[present_N & (label_N == label)])) < 2:
                    count = int((block.present_N & (cohort.label_N == label)).sum())
                    raise DataError(
                        f"{block.name}: measured {count} samples of class {name}, of which all on a training"
                        f" side are in one inner fold: {_ENOUGH}"
                    )


def _what(settings: FoldSettings) -> str:
    return "patients or batches kept together" if settings.keep_batches else "patients"


def _strata(cohort: Cohort, least: int) -> IntArray:
    """Return a number for the class of each sample and the blocks that it has.

    Samples whose blocks fewer than `least` of their class have count with the most frequent ones of the
    class."""
    pattern_N = np.zeros(len(cohort.samples), dtype=np.int64)
    for block in cohort.blocks:
        pattern_N = 2 * pattern_N + block.present_N
    stratum_N = np.empty_like(pattern_N)
    for label in range(len(cohort.classes)):
        members = np.flatnonzero(cohort.label_N == label)
        _, place, count = np.unique(pattern_N[members], return_inverse=True, return_counts=True)
        if len(members):
            place = np.where(count[place] < least, count.argmax(), place)
        stratum_N[members] = label * (1 << len(cohort.blocks)) + place
    return stratum_N
