"""Which classes are compared, and what would spoil it: found before the analysis begins."""

from dataclasses import replace

import numpy as np
import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.systems.fusion.cohort.analysis_settings import (
    AnalysisSettings,
    FoldSettings,
    PreparationSettings,
)
from mmspec_ds.systems.fusion.cohort.cohort import Block, Cohort
from mmspec_ds.systems.fusion.cohort.comparisons import compared
from mmspec_ds.systems.fusion.cohort.run_settings import ClassSettings

ANALYSIS = AnalysisSettings(folds=FoldSettings(outer=3))
PAIRS = ClassSettings(column=("class",))


def cohort(count: int = 12, classes: int = 3) -> Cohort:
    label_N = np.arange(count) % classes
    values_NF = np.random.default_rng(0).normal(size=(count, 2))
    block = Block("nmr", ("a", "b"), values_NF, np.ones(count, dtype=bool), np.array([1.0, 2.0]), "ppm")
    names = tuple("abc"[:classes])
    samples = tuple(f"S{at}" for at in range(count))
    return Cohort(samples, np.arange(count), None, names, label_N, (block,), {}, ("read",))


def test_pairs_all_and_lists() -> None:
    assert list(compared(cohort(), PAIRS, ANALYSIS)) == ["a against b", "a against c", "b against c"]
    every = compared(cohort(), ClassSettings(column=("class",), compare="all"), ANALYSIS)
    assert list(every) == ["a against b against c"]
    chosen = compared(cohort(), ClassSettings(column=("class",), compare=(("c", "a"),)), ANALYSIS)
    assert chosen["c against a"].classes == ("c", "a")
    assert len(chosen["c against a"].samples) == 8


def test_one_class_alone() -> None:
    with pytest.raises(DataError, match="all 12 samples are of class 'a': expected two classes"):
        compared(cohort(classes=1), PAIRS, ANALYSIS)


def test_fewer_patients_than_folds() -> None:
    with pytest.raises(DataError, match=r"class b has 2 patients: expected at least folds.outer = 3"):
        compared(cohort(5, 2), PAIRS, ANALYSIS)


def test_samples_of_one_patient_are_one_patient() -> None:
    """Six samples of a class, of two patients."""
    some = replace(cohort(12, 2), group_N=np.array([0, 10, 0, 11, 0, 12, 1, 13, 1, 14, 1, 15]))
    with pytest.raises(DataError, match="class a has 2 patients"):
        compared(some, PAIRS, ANALYSIS)


def test_a_patient_of_two_classes() -> None:
    some = replace(cohort(12, 2), group_N=np.array([0, 0, *range(1, 11)]))
    with pytest.raises(DataError, match="the patient of sample S0 has samples of the classes a and b"):
        compared(some, PAIRS, ANALYSIS)


def test_an_unknown_class() -> None:
    settings = ClassSettings(column=("class",), compare=(("a", "d"),))
    with pytest.raises(DataError, match=r"classes.compare names 'd': the tables have a, b, c"):
        compared(cohort(), settings, ANALYSIS)


def test_a_code_of_the_class_is_left_out() -> None:
    whole = cohort(12, 2)
    block = whole.blocks[0]
    coded = np.where(whole.label_N == 0, 1.0, 2.0)
    nearly = np.where(np.arange(12) == 0, 1.5, coded)
    values_NF = np.column_stack([block.values_NF[:, 0], coded, nearly])
    block = replace(
        block, features=("a", "code", "nearly"), values_NF=values_NF, position_F=np.array([1.0, 2.0, 3.0])
    )
    part = compared(replace(whole, blocks=(block,)), PAIRS, ANALYSIS)["a against b"]
    assert part.blocks[0].features == ("a", "nearly")
    assert part.blocks[0].position_F is not None
    assert part.blocks[0].position_F.tolist() == [1.0, 3.0]
    assert any("1 feature with one value or a few for each class" in one for one in part.remarks)


def test_a_table_that_lacks_a_class() -> None:
    whole = cohort()
    present_N = whole.label_N == 2
    other = Block("ms", ("x",), np.where(present_N, 1.0, np.nan)[:, None], present_N)
    parts = compared(replace(whole, blocks=(whole.blocks[0], other)), PAIRS, ANALYSIS)
    assert [[block.name for block in part.blocks] for part in parts.values()] == [["nmr"]] * 3
    assert "ms: measured no sample of a and b, left out" in parts["a against b"].remarks
    assert "ms: measured no sample of a, left out" in parts["a against c"].remarks
    with pytest.raises(DataError, match="no table measured samples of all of a, b"):
        compared(replace(whole, blocks=(other,)), PAIRS, ANALYSIS)


def test_batches_that_are_classes() -> None:
    whole = cohort(12, 2)
    told = compared(replace(whole, batch_N=whole.label_N), PAIRS, ANALYSIS)["a against b"].remarks
    assert any("each of the 2 batches holds one class alone" in one for one in told)
    mixed = replace(whole, batch_N=np.arange(12) // 4)
    assert not any("batch" in one for one in compared(mixed, PAIRS, ANALYSIS)["a against b"].remarks)


def test_samples_that_only_a_table_left_out_measured_are_left_out() -> None:
    whole = cohort(24, 2)
    only_N = np.arange(24) == 0
    nmr = whole.blocks[0]
    nmr = replace(nmr, values_NF=np.where(only_N[:, None], np.nan, nmr.values_NF), present_N=~only_N)
    ill_N = whole.label_N == 0
    ms = Block("ms", ("x",), np.where(ill_N, 1.0, np.nan)[:, None], ill_N)
    part = compared(replace(whole, blocks=(nmr, ms)), PAIRS, ANALYSIS)["a against b"]
    assert part.samples == whole.samples[1:]
    assert [len(block.values_NF) for block in part.blocks] == [23]
    assert "1 sample that no other table measured left out: S0" in part.remarks


def test_a_table_of_nothing_but_codes_is_left_out() -> None:
    whole = cohort(12, 2)
    code = Block("ms", ("code",), whole.label_N[:, None] + 1.0, np.ones(12, dtype=bool))
    part = compared(replace(whole, blocks=(*whole.blocks, code)), PAIRS, ANALYSIS)["a against b"]
    assert [block.name for block in part.blocks] == ["nmr"]
    with pytest.raises(DataError, match="no table measured samples of all of a, b"):
        compared(replace(whole, blocks=(code,)), PAIRS, ANALYSIS)


def test_a_code_of_what_a_class_gathers_is_left_out() -> None:
    """Stages 1 and 2 are class b. Counts that two classes share, and a value of a single sample, are kept."""
    whole = cohort(24, 2)
    stage = np.where(whole.label_N == 0, 0.0, 1.0 + np.arange(24) // 12)
    shared = np.where(np.arange(24) == 1, 0.0, stage)
    single = np.where(np.arange(24) == 1, 9.0, stage)
    values_NF = np.column_stack([whole.blocks[0].values_NF[:, 0], stage, shared, single])
    block = Block("nmr", ("a", "stage", "shared", "single"), values_NF, np.ones(24, dtype=bool))
    part = compared(replace(whole, blocks=(block,)), PAIRS, ANALYSIS)["a against b"]
    assert part.blocks[0].features == ("a", "shared", "single")


def prepared(transform: str, **others: str) -> AnalysisSettings:
    settings = PreparationSettings(transform=transform, **others)  # type: ignore[arg-type]
    return AnalysisSettings(folds=FoldSettings(outer=3), preparation={"nmr": settings})


@pytest.mark.parametrize(("transform", "what"), [("log", "logarithms"), ("sqrt", "roots")])
def test_values_below_zero_are_counted_where_they_count_as_zero(transform: str, what: str) -> None:
    whole = cohort(12, 2)
    values_NF = np.abs(whole.blocks[0].values_NF) + 0.1
    values_NF[:5, 0] *= -1
    values_NF[6, 1] = np.nan
    some = replace(whole, blocks=(replace(whole.blocks[0], values_NF=values_NF),))
    told = f"nmr: 5 values below zero (21.7 %) count as 0, for {what} are taken: `transform: none` takes none"
    assert told in compared(some, PAIRS, prepared(transform))["a against b"].remarks
    assert not any("below zero" in one for one in compared(some, PAIRS, ANALYSIS)["a against b"].remarks)


def test_a_table_that_is_mostly_below_zero_is_refused() -> None:
    whole = cohort(12, 2)
    values_NF = np.abs(whole.blocks[0].values_NF) + 0.1
    values_NF[:8, 1] *= -1
    some = replace(whole, blocks=(replace(whole.blocks[0], values_NF=values_NF),))
    told = r"nmr: 8 values below zero \(33.3 %\), most in column b: expected at most 30 % with `transform: log`"
    with pytest.raises(DataError, match=told):
        compared(some, PAIRS, prepared("log"))


def test_a_table_that_is_constant_once_prepared_is_refused() -> None:
    """Shares of the sum: of a single feature they are all 1."""
    whole = cohort(12, 2)
    values_NF = np.abs(whole.blocks[0].values_NF[:, :1]) + 0.1
    block = replace(whole.blocks[0], features=("a",), position_F=np.array([1.0]), values_NF=values_NF)
    with pytest.raises(DataError, match=r"nmr: no column varies once `prepare` is done \(a\)"):
        compared(replace(whole, blocks=(block,)), PAIRS, prepared("none", normalisation="total"))
