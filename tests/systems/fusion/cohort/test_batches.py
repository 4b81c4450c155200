"""Batches of measurement: those that share a sample count as one."""

from pathlib import Path

import pytest

from mmspec_ds.systems.fusion.cohort.batches import joined_batches, told_of_batches
from mmspec_ds.systems.fusion.cohort.folds import kept_together
from tests.systems.fusion.cohort.tables import read


def test_batches_are_joined_through_others() -> None:
    """a and b share a sample, and b and c: these are one. d is its own, and so are samples without any."""
    batches = [["d"], ["a", "b"], ["c"], [], ["b", "c"], ["a"], []]
    assert joined_batches(batches).tolist() == [0, 1, 1, 2, 1, 1, 2]
    (told,) = told_of_batches([f"S{at}" for at in range(7)], batches)
    assert (
        told == "2 samples of more than one batch, whose batches count as one: S1, S4; so 4 batches count as 2"
    )
    assert told_of_batches(["S0", "S1"], [["a"], ["b"]]) == []


def test_batches_that_tables_tell_apart_are_told(tmp_path: Path) -> None:
    nmr = "sample,class,batch,3.05,2.05\nS1,ill,a,1.5,2\nS2,well,a,2.5,4\n"
    ms = "sample,batch,urea,alanine\nS1,b,1.5,2\nS2,a,2.5,4\n"
    cohort = read(tmp_path, {"nmr.csv": nmr, "ms.csv": ms}, batch="batch")
    told = "1 sample of more than one batch, whose batches count as one: S1; so 2 batches count as 1"
    assert told in cohort.remarks
    assert cohort.batch_N is not None
    assert cohort.batch_N.tolist() == [0, 0]


IN_BATCHES = """sample,class,batch,3.05,2.05
S1,ill,a,1.5,2
S1,ill,b,2.5,4
S2,well,b,3.5,5
S3,ill,c,4.5,7
S4,well,,5.5,8
"""


@pytest.mark.parametrize(
    ("repeats", "batches"),
    [("mean", [0, 0, 1, 2]), ("first", [0, 1, 2, 3]), ("keep", [0, 1, 1, 2, 3])],
)
def test_a_sample_measured_in_two_batches_joins_them(tmp_path: Path, repeats: str, batches: list[int]) -> None:
    """S1 is averaged over the batches a and b, of which b has S2; its first value is of a alone; kept apart,
    its repeats are of one patient, who joins both batches in the folds."""
    cohort = read(tmp_path, {"nmr.csv": IN_BATCHES}, batch="batch", repeats=repeats)
    assert cohort.batch_N is not None
    assert cohort.batch_N.tolist() == batches
    told = any("of more than one batch" in one for one in cohort.remarks)
    assert told is (repeats == "mean")
    units = kept_together(cohort, keep_batches=True)
    first_of_b = cohort.samples.index("S2")
    assert bool(units[0] == units[first_of_b]) is (repeats != "first")
