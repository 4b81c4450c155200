"""The cohort: subsets and choices of classes keep rows, labels and covariates together."""

import numpy as np
import pytest

from mmspec_ds.systems.fusion.cohort.cohort import Block, Cohort

NAN = float("nan")


def cohort() -> Cohort:
    values_NF = np.array([[1.0, 2.0], [3.0, NAN], [5.0, 6.0], [7.0, 8.0]])
    nmr = Block("nmr", ("a", "b"), values_NF, np.ones(4, dtype=bool), np.array([1.5, 2.5]), "ppm")
    ms = Block("ms", ("c",), np.array([[1.0], [NAN], [3.0], [4.0]]), np.array([True, False, True, True]))
    return Cohort(
        samples=("s0", "s1", "s2", "s3"),
        group_N=np.array([0, 0, 1, 2]),
        batch_N=None,
        classes=("healthy", "polyp", "cancer"),
        label_N=np.array([0, 0, 2, 1]),
        blocks=(nmr, ms),
        covariates={"age": ("61", "61", "", "40")},
    )


def test_counts_by_hand() -> None:
    assert cohort().counts == {"healthy": 2, "polyp": 1, "cancer": 1}


def test_subset_keeps_rows_together() -> None:
    part = cohort().subset([2, 1])
    assert part.samples == ("s2", "s1")
    assert part.label_N.tolist() == [2, 0]
    assert part.group_N.tolist() == [1, 0]
    assert part.covariates == {"age": ("", "61")}
    np.testing.assert_array_equal(part.blocks[0].values_NF, [[5.0, 6.0], [3.0, NAN]])
    assert part.blocks[1].present_N.tolist() == [True, False]
    assert part.classes == cohort().classes


def test_choose_numbers_classes_as_given() -> None:
    part = cohort().choose(["cancer", "healthy"])
    assert part.samples == ("s0", "s1", "s2")
    assert part.classes == ("cancer", "healthy")
    assert part.label_N.tolist() == [1, 1, 0]
    assert part.blocks[1].present_N.tolist() == [True, False, True]


@pytest.mark.parametrize("classes", [["cancer", "ill"], ["cancer", "cancer"]])
def test_choose_refuses(classes: list[str]) -> None:
    with pytest.raises(ValueError, match="expected different ones of healthy, polyp, cancer"):
        cohort().choose(classes)


def test_values_of_a_sample_that_was_not_measured_are_refused() -> None:
    with pytest.raises(ValueError, match="were not measured"):
        Block("ms", ("c",), np.array([[1.0]]), np.array([False]))


def test_lengths_must_agree() -> None:
    whole = cohort()
    with pytest.raises(ValueError, match="4 samples, but 3 labels"):
        Cohort(
            whole.samples, whole.group_N, None, whole.classes, whole.label_N[:3], whole.blocks, whole.covariates
        )
