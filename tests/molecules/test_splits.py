"""Who is on which side of a split."""

import numpy as np
import pytest
from pydantic import ValidationError

from mmspec_ds.molecules.splits import SPLITS, SplitSettings, assign_splits, draw_of

TRAIN, VALIDATION, TEST = range(3)


def draws(*shares: float) -> np.ndarray:
    """Draws at given places of their range."""
    return np.array([int(share * 2**64) for share in shares], dtype=np.uint64)


def test_a_draw_belongs_to_group_and_seed() -> None:
    # sha256 of "0:LFQSCWFLJHTTHZ" begins with these eight bytes (coreutils sha256sum)
    assert draw_of("LFQSCWFLJHTTHZ", 0) == 0xE4B8849554C3C381
    assert draw_of("LFQSCWFLJHTTHZ", 0) != draw_of("LFQSCWFLJHTTHZ", 1)


def test_by_inchikey_the_draw_decides() -> None:
    settings = SplitSettings(validation=0.2, test=0.3)
    found = assign_splits(settings, draws(0.0, 0.199, 0.201, 0.499, 0.501, 0.999))
    assert found.tolist() == [VALIDATION, VALIDATION, TEST, TEST, TRAIN, TRAIN]
    assert found.dtype == np.uint8
    assert SPLITS == ("train", "validation", "test")


def test_without_a_share_there_is_no_such_split() -> None:
    found = assign_splits(SplitSettings(validation=0, test=0), draws(0.0, 0.5))
    assert found.tolist() == [TRAIN, TRAIN]


def test_by_scaffold_a_large_group_is_trained_on_and_the_shares_come_out() -> None:
    rng = np.random.default_rng(0)
    small = rng.integers(0, 2**63, 4000, dtype=np.uint64) * 2
    draw_N = np.concatenate([draws(0.0).repeat(6000), small.repeat(2)])
    found = assign_splits(SplitSettings(rule="scaffold", validation=0.1, test=0.2), draw_N)
    assert set(found[:6000]) == {TRAIN}
    assert set(found[6000::2] - found[6001::2]) == {0}
    # of 14,000 rows 1,400 and 2,800, within three standard deviations of a draw of 4,000 pairs
    assert abs(np.count_nonzero(found == VALIDATION) - 1400) < 3 * 2 * 29
    assert abs(np.count_nonzero(found == TEST) - 2800) < 3 * 2 * 37


def test_the_benchmarks_rule_is_that_of_scikit_learn() -> None:
    found = assign_splits(SplitSettings(rule="benchmark", seed=3245), np.zeros(41, dtype=np.uint64))
    # train_test_split(range(41), test_size=0.1, random_state=3245), then 0.05 of the rest (scikit-learn 1.9)
    assert np.flatnonzero(found == TEST).tolist() == [7, 11, 13, 17, 23]
    assert np.flatnonzero(found == VALIDATION).tolist() == [2, 24]


def test_a_split_must_leave_something_to_train_on() -> None:
    with pytest.raises(ValidationError, match="leave nothing to train on"):
        SplitSettings(validation=0.5, test=0.5)
