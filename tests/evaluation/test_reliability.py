"""Reliability worked out by hand."""

import pytest

from mmspec_ds.evaluation.reliability import reliability


def test_expected_calibration_error_by_hand() -> None:
    # 0.9 and 0.95: stated 0.925, true 0.5; 0.1, 0.15, 0.1: stated 0.1167, true 1/3.
    found = reliability([0.9, 0.95, 0.1, 0.15, 0.1], [True, False, False, False, True])
    assert [one.count for one in found.bins] == [3, 2]
    assert found.error == pytest.approx((3 * abs(0.35 / 3 - 1 / 3) + 2 * abs(0.925 - 0.5)) / 5)
    assert found.to_json()["n"] == 5


def test_probability_1_falls_into_the_last_bin() -> None:
    found = reliability([1.0, 0.99], [True, True])
    assert len(found.bins) == 1
    assert found.error == pytest.approx(0.005)


@pytest.mark.parametrize(("stated", "true"), [([], []), ([0.5], [])])
def test_nothing_to_compare(stated: list[float], true: list[bool]) -> None:
    with pytest.raises(ValueError, match="probabilities for"):
        reliability(stated, true)
