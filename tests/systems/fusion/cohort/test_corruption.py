"""Corrupted blocks: what is changed, and by what."""

import numpy as np

from mmspec_ds.systems.fusion.cohort.corruption import corrupt, random_copies
from mmspec_ds.systems.fusion.cohort.views import batch_of
from tests.systems.fusion.cohort.made_cohort import make_cohort

COHORT = make_cohort(count=200, missing=0.3)
BATCH, DONORS = batch_of(COHORT, np.arange(100)), batch_of(COHORT, np.arange(100, 200))
ROWS = np.arange(0, 100, 2)


def test_noise_draws_the_share_that_is_asked_for_from_donors() -> None:
    found = corrupt(BATCH, DONORS, 0, ROWS, "noise", np.random.default_rng(0), 0.25)
    changed = found.values[0] != BATCH.values[0]
    assert abs(changed[ROWS].mean() - 0.25) < 0.05  # 600 values: a standard error of 0.018
    assert not changed[1::2].any()
    for feature in range(12):
        assert set(found.values[0][changed[:, feature], feature]) <= set(DONORS.values[0][:, feature])
    np.testing.assert_array_equal(found.values[1], BATCH.values[1])
    all_drawn = corrupt(BATCH, DONORS, 0, ROWS, "noise", np.random.default_rng(0), 1.0)
    assert (all_drawn.values[0] != BATCH.values[0])[ROWS].all()


def test_shuffled_rows_are_whole_rows_of_donors() -> None:
    found = corrupt(BATCH, DONORS, 0, ROWS, "shuffled", np.random.default_rng(0))
    theirs = {tuple(row) for row in DONORS.values[0]}
    assert all(tuple(row) in theirs for row in found.values[0][ROWS])


def test_a_missing_block_leaves_one_at_least() -> None:
    found = corrupt(BATCH, DONORS, 0, ROWS, "missing", np.random.default_rng(0))
    lone = ~BATCH.present_RM[:, 1]
    assert (found.present_RM.sum(1) >= 1).all()
    np.testing.assert_array_equal(found.present_RM[ROWS, 0], lone[ROWS])
    assert np.isnan(found.values[0][~found.present_RM[:, 0]]).all()
    assert BATCH.present_RM[:, 0].all()  # the batch itself is as it was


def test_a_block_that_is_not_there_is_not_corrupted() -> None:
    found = corrupt(BATCH, DONORS, 1, np.arange(100), "shuffled", np.random.default_rng(0))
    np.testing.assert_array_equal(found.present_RM, BATCH.present_RM)
    assert np.isnan(found.values[1][~BATCH.present_RM[:, 1]]).all()


def test_copies_are_corrupted_at_the_rate() -> None:
    found, kind_RM = random_copies(BATCH, DONORS, 0.4, np.random.default_rng(0))
    wanted_RM = kind_RM >= 0
    assert set(kind_RM.ravel().tolist()) == {-1, 0, 1, 2}
    assert abs(wanted_RM.mean() - 0.4) < 0.11  # 200 draws: a standard error of 0.035
    same_R = (found.values[0] == BATCH.values[0]).all(1)
    assert same_R[~wanted_RM[:, 0]].all()
    assert same_R[wanted_RM[:, 0]].mean() < 0.2
