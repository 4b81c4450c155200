"""The analysis of small cohorts whose truth is known."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from mmspec_ds.errors import DataError
from mmspec_ds.evaluation.roc import area
from mmspec_ds.systems.fusion.cohort.analysis import analyse, permuted_labels, shuffled_block
from mmspec_ds.systems.fusion.cohort.analysis_settings import (
    AnalysisSettings,
    ControlSettings,
    CorruptionSettings,
    FoldSettings,
    LearnerSettings,
    PreparationSettings,
)
from tests.systems.fusion.cohort.made_cohort import make_cohort

LOG = PreparationSettings(transform="log")
SETTINGS = AnalysisSettings(
    preparation={"block0": LOG, "block1": LOG},
    learner=LearnerSettings(kinds=("logistic",), strengths=(0.3, 3.0)),
    folds=FoldSettings(outer=3, inner=3, repeats=2),
    corruption=CorruptionSettings(copies=2),
    controls=ControlSettings(permutations=3),
    markers=4,
)


def test_an_analysis_of_two_classes() -> None:
    cohort, steps = make_cohort(count=90, effects=(1.5, 1.0), missing=0.2), []
    found = analyse(cohort, SETTINGS, lambda done, total: steps.append((done, total)))
    assert steps == [(at, 3 * (2 + 3 + 2)) for at in range(1, 22)]
    (comparison,) = found.comparisons
    assert comparison.name == "class0 against class1"
    complete_N = cohort.blocks[1].present_N
    np.testing.assert_array_equal(found.judged_N, complete_N)
    scores = found.scores[comparison.name]
    assert list(scores) == list(found.methods) == list(found.probability)
    for name, one in scores.items():
        assert (one.area.cases, one.area.controls) == tuple(np.bincount(cohort.label_N[complete_N]))
        assert one.area.low < one.area.auc < one.area.high, name
        assert len(one.repeats) == 2
        assert (one.against is None) == (name == "contribution")
    assert scores["contribution"].area.auc > 0.7
    assert scores["contribution"].area_of_all is not None
    permuted = found.controls.permuted[comparison.name]["contribution"]
    assert len(permuted) == 3
    assert abs(np.mean(permuted) - 0.5) < 0.15  # about 0.06 a permutation
    assert found.controls.p_value[comparison.name]["contribution"] == pytest.approx(1 / 4)
    text = json.dumps(found.to_json())
    assert "NaN" not in text
    lacking = int((~complete_N).sum())
    assert any(f"{lacking} of 90 samples lack a block" in remark for remark in found.remarks)


def test_what_is_shuffled_tells_nothing_and_the_markers_are_found() -> None:
    cohort = make_cohort(count=150, effects=(2.0, 0.8))
    found = analyse(cohort, SETTINGS.model_copy(update={"controls": ControlSettings(permutations=0)}))
    (name,) = found.scores
    shuffled = found.controls.shuffled
    assert abs(shuffled["block0"][name]["block0 alone"] - 0.5) < 0.15
    assert shuffled["block1"][name]["block0 alone"] == pytest.approx(
        found.scores[name]["block0 alone"].repeats[0]
    )
    (
        first,
        *_,
    ) = (one for one in found.markers if one.block == "block0")
    assert (first.feature, first.toward, first.agreement, first.chosen) == ("0-0", "class0", 1.0, 1.0)
    assert first.coefficient < 0  # larger in class1
    values_N = cohort.blocks[0].values_NF[:, 0]
    assert first.auc == pytest.approx(area(values_N, cohort.label_N == 0))
    p_value = mannwhitneyu(
        values_N[cohort.label_N == 0], values_N[cohort.label_N == 1], method="asymptotic"
    ).pvalue
    assert first.q_value == pytest.approx(12 * p_value)  # the least of twelve
    assert (first.position, first.unit) == (0.0, "m/z")
    assert sum(one.block == "block1" for one in found.markers) == 4


def test_three_classes_are_compared_with_the_rest_and_in_pairs() -> None:
    cohort = make_cohort(count=90, classes=3, effects=(1.5, 1.0))
    found = analyse(cohort, SETTINGS.model_copy(update={"controls": ControlSettings(permutations=0)}))
    assert [one.name for one in found.comparisons] == [
        "class0 against the rest",
        "class1 against the rest",
        "class2 against the rest",
        "class0 against class1",
        "class0 against class2",
        "class1 against class2",
    ]
    of = {name: one["contribution"].area for name, one in found.scores.items()}
    assert (of["class0 against class2"].cases, of["class0 against class2"].controls) == (30, 30)
    assert (of["class0 against the rest"].cases, of["class0 against the rest"].controls) == (30, 60)
    assert of["class0 against class2"].auc > of["class0 against class1"].auc > 0.6


def test_patients_with_several_samples_are_resampled_as_a_whole() -> None:
    cohort = make_cohort(count=60, twice=12)
    found = analyse(cohort, SETTINGS.model_copy(update={"controls": ControlSettings(permutations=0)}))
    assert found.by_patients
    assert found.to_json()["interval"] == "bootstrap of patients"


def test_one_block_is_analysed_alone() -> None:
    cohort = make_cohort(count=60)
    found = analyse(replace(cohort, blocks=cohort.blocks[:1]), SETTINGS)
    assert found.methods == ("block0 alone",)
    assert found.contributions is None
    assert found.controls.shuffled == {}


def test_one_seed_gives_one_result() -> None:
    cohort = make_cohort(count=60)
    quick = SETTINGS.model_copy(update={"controls": ControlSettings(permutations=1)})
    assert analyse(cohort, quick).to_json() == analyse(cohort, quick).to_json()


def test_patients_keep_one_class_when_labels_are_exchanged() -> None:
    cohort = make_cohort(count=40, twice=10)
    found = permuted_labels(cohort, np.random.default_rng(0))
    assert (found.label_N != cohort.label_N).any()
    for group in np.unique(cohort.group_N):
        assert len(np.unique(found.label_N[cohort.group_N == group])) == 1


def test_rows_of_a_shuffled_block_are_those_of_others() -> None:
    cohort = make_cohort(count=40, missing=0.3)
    found = shuffled_block(cohort, 1, np.random.default_rng(0)).blocks[1]
    before = cohort.blocks[1]
    np.testing.assert_array_equal(found.present_N, before.present_N)
    has = before.present_N
    assert sorted(map(tuple, found.values_NF[has])) == sorted(map(tuple, before.values_NF[has]))
    assert (found.values_NF[has] != before.values_NF[has]).any()


def test_one_class_alone_is_refused() -> None:
    cohort = make_cohort(count=20, classes=1)
    with pytest.raises(DataError, match="one class, class0: expected two at least"):
        analyse(cohort, SETTINGS)


def test_labels_that_leave_a_block_without_a_class_are_drawn_again() -> None:
    """Ten samples have the second block, five of each class: many permutations leave too few of one."""
    cohort = make_cohort(count=60, effects=(1, 1), features=(5, 5))
    has_N = np.arange(60) < 10
    block = cohort.blocks[1]
    block = replace(block, values_NF=np.where(has_N[:, None], block.values_NF, np.nan), present_N=has_N)
    settings = SETTINGS.model_copy(
        update={
            "methods": ("alone",),
            "folds": FoldSettings(outer=5, inner=5, repeats=1),
            "controls": ControlSettings(permutations=10, shuffled_blocks=False),
        }
    )
    found = analyse(replace(cohort, blocks=(cohort.blocks[0], block)), settings)
    (permuted,) = found.controls.permuted.values()
    assert {len(values) for values in permuted.values()} == {10}
