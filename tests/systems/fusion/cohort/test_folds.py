"""Folds: patients and batches on one side, classes in like shares, one seed one result."""

from dataclasses import replace

import numpy as np
import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.systems.fusion.cohort.analysis_settings import FoldSettings
from mmspec_ds.systems.fusion.cohort.folds import check_folds, inner_folds, kept_together, outer_splits
from tests.systems.fusion.cohort.made_cohort import make_cohort


def test_no_patient_is_on_both_sides_and_each_sample_is_tested_once_a_repeat() -> None:
    cohort = make_cohort(count=80, twice=15)
    settings = FoldSettings(repeats=3, seed=4)
    tested = np.zeros((3, 80), dtype=int)
    for split in outer_splits(cohort, settings):
        assert not set(cohort.group_N[split.train]) & set(cohort.group_N[split.test])
        assert len(split.train) + len(split.test) == 80
        tested[split.repeat, split.test] += 1
        fold_N = inner_folds(cohort, split.train, settings, split.seed)
        for group in np.unique(cohort.group_N[split.train]):
            assert len(np.unique(fold_N[cohort.group_N[split.train] == group])) == 1
    np.testing.assert_array_equal(tested, 1)


def test_classes_have_like_shares_in_all_folds() -> None:
    cohort = make_cohort(count=65, classes=3)
    for split in outer_splits(cohort, FoldSettings(repeats=1)):
        counts = np.bincount(cohort.label_N[split.test], minlength=3)
        assert counts.min() >= 3  # 65 samples: 21 or 22 of each class, in five folds
        assert counts.max() <= 6


def test_one_seed_gives_one_result_and_repeats_differ() -> None:
    cohort = make_cohort()
    first, again, other = (
        [split.test.tolist() for split in outer_splits(cohort, FoldSettings(repeats=2, seed=seed))]
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other
    assert first[:5] != first[5:]


def test_batches_are_kept_together_through_patients() -> None:
    """Patient 0 was measured in batches 0 and 1, so both belong together, with patient 1 of batch 1."""
    cohort = replace(
        make_cohort(count=6, twice=1),
        group_N=np.array([0, 0, 1, 2, 3, 3]),
        batch_N=np.array([0, 1, 1, 2, 2, 3]),
        label_N=np.zeros(6, dtype=np.int64),
    )
    found = kept_together(cohort, keep_batches=True)
    assert len({*found[:3]}) == 1
    assert len({*found[3:]}) == 1
    assert found[0] != found[3]
    np.testing.assert_array_equal(kept_together(cohort, keep_batches=False), [0, 0, 1, 2, 3, 3])


def test_a_patient_with_two_classes_is_refused() -> None:
    cohort = make_cohort(count=40)
    cohort = replace(cohort, group_N=np.array([0, 0, *range(2, 40)]))
    with pytest.raises(
        DataError, match="the patient of sample s0 has samples of the classes class0 and class1"
    ):
        next(outer_splits(cohort, FoldSettings()))


def test_fewer_patients_than_folds_are_refused() -> None:
    patient_N = np.arange(20) // 2  # ten patients, five of each class, each measured twice
    cohort = replace(make_cohort(count=20), group_N=patient_N, label_N=patient_N % 2)
    assert len(list(outer_splits(cohort, FoldSettings(repeats=1)))) == 5
    with pytest.raises(DataError, match=r"class class0 has 5 patients: expected at least folds\.outer = 6"):
        next(outer_splits(cohort, FoldSettings(outer=6)))


def test_a_class_too_small_for_the_inner_folds_is_refused_at_the_start() -> None:
    """Of three patients of a class, two outer folds leave one on a training side: none, without its inner fold.
    Three folds leave two."""
    cohort = replace(make_cohort(count=23), label_N=np.array([0] * 3 + [1] * 20))
    told = r"class class0 has 1 of its patients on a training side: expected two or more for the inner folds"
    with pytest.raises(DataError, match=told):
        check_folds(cohort, FoldSettings(outer=2))
    check_folds(cohort, FoldSettings(outer=3))


def test_a_table_that_measured_too_few_of_a_class_is_refused_at_the_start() -> None:
    """Ten patients of each class, of whom the second table measured three and all: with two outer folds one of
    these three is alone on a training side at times."""
    cohort = replace(make_cohort(count=20), label_N=np.array([0] * 10 + [1] * 10))
    first, second = cohort.blocks[:2]
    present_N = np.arange(20) >= 7
    values_NF = np.where(present_N[:, None], second.values_NF, np.nan)
    second = replace(second, present_N=present_N, values_NF=values_NF)
    cohort = replace(cohort, blocks=(first, second))
    with pytest.raises(
        DataError, match=rf"{second.name}: measured 3 samples of class class0, of which all on a"
    ):
        check_folds(cohort, FoldSettings(outer=2))


def test_more_folds_than_samples_with_the_same_blocks() -> None:
    """Each class has 30 samples, about half of them without the second block."""
    cohort = make_cohort(count=60, missing=0.5)
    splits = list(outer_splits(cohort, FoldSettings(outer=18, repeats=1)))
    assert sorted(np.concatenate([split.test for split in splits]).tolist()) == list(range(60))
