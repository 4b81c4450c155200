"""Tables of a cohort as tokens: scaled by the samples that are learnt from alone, patients on one side."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.spectra.axes import Axis, Form
from mmspec_ds.systems.fusion.cohort.cohort import Block, Cohort
from mmspec_ds.systems.fusion.evaluate import read_samples
from mmspec_ds.systems.fusion.tables import (
    data_of_cohort,
    fit_scaling,
    scaled,
    sets_of_cohort,
    split_patients,
    table_points,
)
from mmspec_ds.systems.fusion.task import FusionTask, read_sets
from mmspec_ds.systems.fusion.tokens import TokenSettings
from mmspec_ds.systems.fusion.trained import TrainedFusion
from mmspec_ds.trainer.task import TaskContext
from mmspec_ds.trainer.weights import write_weights
from tests.systems.fusion.conftest import EXPERTS, learn, make_run, make_task

VALUES = np.array([[1.0, 8.0], [math.e**2, 0.0], [5.0, np.nan], [np.nan, np.nan]])
BLOCK = Block("ms", ("a", "b"), VALUES, np.array([True, True, True, False]), np.array([90.0, 91.5]), "m/z")


def make_cohort(samples: int = 120) -> Cohort:
    """Two classes of patients with two samples each; the first feature of each table tells the class."""
    rng = np.random.default_rng(0)
    group = np.arange(samples) // 2
    label = group % 2
    nmr, ms = (np.exp(rng.normal(size=(samples, width))) for width in (40, 6))
    nmr[:, 17] *= np.exp(1.5 * label)
    ms[:, 2] *= np.exp(2.5 * label)
    present = np.arange(samples) % 10 > 0
    ms[~present] = np.nan
    blocks = (
        Block(
            "nmr",
            tuple(f"n{at}" for at in range(40)),
            nmr,
            np.ones(samples, bool),
            np.linspace(9, 0, 40),
            "ppm",
        ),
        Block("ms", tuple(f"m{at}" for at in range(6)), ms, present, np.full(6, 150.0), "m/z"),
    )
    names = tuple(f"s{at}" for at in range(samples))
    return Cohort(names, group, None, ("healthy", "ill"), label, blocks, {})


def test_scaling_by_hand() -> None:
    scaling = fit_scaling(BLOCK, np.array([0, 1]), log=True, total=False)
    assert scaling.floor == pytest.approx([0.5, 4.0])
    # ln 1 and ln e^2: mean 1, deviation 1; ln 8 and ln 4, half of the smallest that is positive.
    assert scaling.centre == pytest.approx([1.0, (math.log(8) + math.log(4)) / 2])
    assert scaling.scale == pytest.approx([1.0, math.log(2) / 2])
    found = scaled(BLOCK, scaling)
    assert found[2, 0] == pytest.approx(math.log(5) - 1)
    assert np.isnan(found[2, 1])
    assert scaling.axis == "MZ"
    shares = fit_scaling(BLOCK, np.array([0, 1]), log=False, total=True)
    assert shares.centre[0] == pytest.approx((1 / 9 + 1) / 2)


def test_a_feature_that_is_constant_where_it_is_learnt_from_is_not_blown_up() -> None:
    values = np.full((38, 1), 3.7)
    values[37] = 3.7 * math.e
    block = Block("ms", ("a",), values, np.ones(38, bool))
    logged = np.log(values[:37])
    assert (logged - logged.sum() / 37).any(), "the mean of equal values is off by rounding"
    scaling = fit_scaling(block, np.arange(37), log=True, total=False)
    assert scaling.scale == (1.0,)
    assert scaled(block, scaling)[37, 0] == pytest.approx(1.0)


def test_a_code_of_the_class_is_left_out() -> None:
    cohort = make_cohort()
    ms = cohort.blocks[1]
    code = np.where(ms.present_N, 1.0 + cohort.label_N, np.nan)
    values = np.column_stack([ms.values_NF, code])
    coded = replace(ms, features=(*ms.features, "stage"), values_NF=values, position_F=None, unit=None)
    sets = sets_of_cohort(replace(cohort, blocks=(cohort.blocks[0], coded)), make_run())
    assert sets.schema.tables["ms"].features == ms.features
    assert sets.train.remarks[0].startswith("ms: 1 feature with one value or a few for each class")


def test_values_without_a_logarithm_are_told() -> None:
    cohort = make_cohort()
    ms = cohort.blocks[1]
    values = ms.values_NF.copy()
    values[1:4, 0] = -1.0
    below = replace(cohort, blocks=(cohort.blocks[0], replace(ms, values_NF=values)))
    told = "table ms: 3 values below zero (0.5 %) count as the smallest above it"  # of 108 samples times 6
    assert sets_of_cohort(below, make_run()).train.remarks[0].startswith(told)
    assert not sets_of_cohort(below, make_run(data={"logarithm": False})).train.remarks


def test_only_the_samples_that_are_learnt_from_decide() -> None:
    cohort = make_cohort()
    before = sets_of_cohort(cohort, make_run())
    _, held_back = split_patients(cohort, 0.1, 0)
    changed = [one.values_NF.copy() for one in cohort.blocks]
    for values in changed:
        values[held_back] *= 100
    blocks = tuple(replace(one, values_NF=values) for one, values in zip(cohort.blocks, changed))
    after = sets_of_cohort(replace(cohort, blocks=blocks), make_run())
    assert after.schema == before.schema
    np.testing.assert_array_equal(after.train.pieces[0].values_TW, before.train.pieces[0].values_TW)
    assert (after.validation.pieces[0].values_TW != before.validation.pieces[0].values_TW).any()


def test_no_patient_is_on_both_sides() -> None:
    cohort = make_cohort()
    train, held_back = split_patients(cohort, 0.25, 3)
    assert not set(cohort.group_N[train]) & set(cohort.group_N[held_back])
    assert sorted([*train, *held_back]) == list(range(120))
    assert np.bincount(cohort.label_N[held_back]).tolist() == [16, 16], "8 of 30 patients of each class"
    few = cohort.subset([0, 1, 2, 3])
    with pytest.raises(DataError, match="class healthy has 1 patients: expected some on both sides"):
        split_patients(few, 0.5, 0)


def test_tokens_of_small_and_of_large_tables() -> None:
    cohort = make_cohort()
    nmr, ms = cohort.blocks
    settings = TokenSettings(patch=16, table_points=8)
    scaling = {one.name: fit_scaling(one, np.arange(120), log=True, total=False) for one in cohort.blocks}
    curve = table_points(nmr, scaling["nmr"], settings)
    assert curve.counts.tolist() == [3] * 120
    assert set(curve.form_T.tolist()) == {Form.PATCH}
    rising = scaled(nmr, scaling["nmr"])[0, ::-1]
    np.testing.assert_allclose(curve.values_TW[:2].ravel(), rising[:32], rtol=1e-6)
    assert set(curve.axis_T.tolist()) == {Axis.H_PPM}
    single = table_points(ms, scaling["ms"], settings)
    assert single.counts[:2].tolist() == [0, 6], "the first sample was not measured"
    assert single.second_T[:6].tolist() == list(range(6)), "features of one m/z are told apart"


def test_another_table_is_refused() -> None:
    cohort = make_cohort()
    schema = sets_of_cohort(cohort, make_run()).schema
    with pytest.raises(DataError, match="the cohort has no table nmr, which the model reads: it has ms"):
        data_of_cohort(
            replace(cohort, blocks=cohort.blocks[1:]).subset(np.arange(1, 9)), schema, TokenSettings()
        )
    names = (*(f"other{at}" for at in range(21)), *cohort.blocks[0].features[21:])
    other = replace(cohort, blocks=(replace(cohort.blocks[0], features=names), cohort.blocks[1]))
    with pytest.raises(
        DataError, match="table nmr lacks 21 of the 40 features that the model knows, such as n0"
    ):
        data_of_cohort(other, schema, TokenSettings())
    unknown = replace(cohort, classes=("healthy", "worse"))
    with pytest.raises(DataError, match="class worse is not known to the model: expected healthy or ill"):
        data_of_cohort(unknown, schema, TokenSettings())


def test_features_are_found_by_their_names() -> None:
    cohort = make_cohort()
    schema = sets_of_cohort(cohort, make_run()).schema
    ms = cohort.blocks[1]
    order = [5, 2, 0, 1, 4]  # the fourth is not there, and a new one is
    features = (*(ms.features[at] for at in order), "new")
    moved = replace(ms, features=features, values_NF=ms.values_NF[:, [*order, 3]], position_F=None, unit=None)
    found, plain = (scaled(one, schema.tables["ms"]) for one in (moved, ms))
    assert np.isnan(found[:, 3]).all()
    np.testing.assert_array_equal(np.delete(found, 3, axis=1), np.delete(plain, 3, axis=1))
    data = data_of_cohort(replace(cohort, blocks=(cohort.blocks[0], moved)), schema, TokenSettings())
    assert data.remarks == ("table ms lacks 1 features that the model knows",)
    assert data.pieces[1].counts[1] == 5


def test_a_run_file_of_a_cohort_is_read(tmp_path: Path) -> None:
    lines = ["sample,kind,f1,f2", *(f"s{at},{'ab'[at % 2]},{at + 1.5},{2 * at + 3.25}" for at in range(40))]
    (tmp_path / "ms.csv").write_text("\n".join(lines) + "\n")
    table = {"name": "ms", "file": "ms.csv", "sample": "sample"}
    run_file = tmp_path / "cohort.yaml"
    run_file.write_text(yaml.safe_dump({"tables": [table], "classes": {"column": "kind"}}))
    run = make_run(data={"cohort": run_file})
    sets = read_sets(run, TaskContext(torch.device("cpu")), None)
    assert sets.schema.names == ("a", "b")
    assert (len(sets.train), len(sets.validation)) == (36, 4)
    row = sets.train.ids.index("s7")
    assert sets.train.target_NC[row].tolist() == [0, 1]
    wrong = make_run(data={"cohort": run_file, "classes": ["a", "c"]})
    with pytest.raises(ConfigError, match=r"data\.classes: classes a, c: expected different ones of a, b"):
        read_sets(wrong, TaskContext(torch.device("cpu")), None)


def test_a_study_without_a_class_of_the_model_is_refused(tmp_path: Path) -> None:
    lines = ["sample,kind,f1", *(f"s{at},{'ab'[at % 2]},{at + 1.5}" for at in range(20))]
    (tmp_path / "ms.csv").write_text("\n".join(lines) + "\n")
    study = tmp_path / "study.yaml"
    study.write_text(
        yaml.safe_dump({"tables": [{"name": "ms", "file": "ms.csv"}], "classes": {"column": "kind"}})
    )
    schema = sets_of_cohort(replace(make_cohort(), classes=("a", "worse")), make_run()).schema
    trained = TrainedFusion(make_run(name="m"), schema, torch.nn.Identity(), "")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="has no sample of class worse, which model m tells: it has a, b"):
        read_samples(trained, [study])


def test_it_learns_the_classes_of_a_cohort() -> None:
    run = make_run(training={"batch_size": 24}, data={"validation_fraction": 0.3})
    sets = sets_of_cohort(make_cohort(240), run)
    task = FusionTask(run, TaskContext(torch.device("cpu")), sets)
    learn(task, 200)
    validation = task.validate()
    assert validation.score > 0.85
    assert validation.scalars["contribution/ms"] > 0


def test_an_encoder_is_pretrained_on_tables(tmp_path: Path) -> None:
    """And begins a run on spectra, for it is dense: no weight of it depends on the modalities."""
    run = make_run(objective={"kind": "masked"}, seed=5)
    sets = sets_of_cohort(make_cohort(), run)
    assert (sets.schema.kind, sets.schema.names, sets.train.target_NC.shape[1]) == ("none", (), 0)
    source = FusionTask(run, TaskContext(torch.device("cpu")), sets)
    before = source.validate().score
    learn(source, 30)
    assert source.validate().score < before
    write_weights(source.model.state_dict(), tmp_path / "model.safetensors")
    source.save_files(tmp_path)
    theirs = source.model.state_dict()
    state = make_task(training={"encoder_from": tmp_path}).model.state_dict()
    names = [name for name in state if name.startswith("encoder.")]
    assert names
    assert all(torch.equal(state[name], theirs[name]) for name in names)
    with pytest.raises(DataError, match="reads nmr, ms, this run c_nmr, ms: expected the same modalities"):
        make_task(training={"encoder_from": tmp_path}, moe={"k": 2, "experts": EXPERTS})
