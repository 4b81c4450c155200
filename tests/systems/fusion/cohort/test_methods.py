"""Methods of fusion: the same numbers as scikit-learn's, nothing of held-out rows, blocks that are missing."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.cross_decomposition import PLSRegression
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mmspec_ds.errors import DataError
from mmspec_ds.evaluation.roc import area
from mmspec_ds.systems.fusion.cohort.analysis_settings import (
    AnalysisSettings,
    CorruptionSettings,
    LearnerSettings,
    PreparationSettings,
)
from mmspec_ds.systems.fusion.cohort.cohort import Cohort
from mmspec_ds.systems.fusion.cohort.corruption import corrupt
from mmspec_ds.systems.fusion.cohort.learners import candidate_shares, fit_candidates, fit_components
from mmspec_ds.systems.fusion.cohort.methods import FittedMethods, fit_methods
from mmspec_ds.systems.fusion.cohort.views import Batch, View, batch_of, fit_views
from tests.systems.fusion.cohort.made_cohort import make_cohort

SETTINGS = AnalysisSettings(
    preparation={"block0": PreparationSettings(normalisation="pqn", transform="log")},
    learner=LearnerSettings(strengths=(0.3, 3.0), components=(1, 2)),
    corruption=CorruptionSettings(copies=4),
)


def changed_rows(cohort: Cohort, rows: np.ndarray) -> Cohort:
    """Return the cohort with other values, classes and missing values in these rows."""
    random = np.random.default_rng(9)
    blocks = []
    for block in cohort.blocks:
        values_NF = block.values_NF.copy()
        values_NF[rows] = random.lognormal(3, 2, (len(rows), values_NF.shape[1]))
        values_NF[rows[0], 1] = np.nan
        values_NF[~block.present_N] = np.nan
        blocks.append(replace(block, values_NF=values_NF))
    label_N = cohort.label_N.copy()
    label_N[rows] = 1 - label_N[rows]
    return replace(cohort, blocks=tuple(blocks), label_N=label_N)


def predicted(methods: FittedMethods, batch: Batch) -> dict[str, np.ndarray]:
    """Return the probabilities of all methods, and weights and contributions."""
    found = methods.predict(batch)
    assert found.contributions is not None
    reasons = {"weights": found.contributions.weight_RM, "head": found.contributions.head_RM}
    return {**found.probability, **reasons}


def test_nothing_fitted_depends_on_held_out_rows() -> None:
    """Other values, classes and gaps in the held-out rows leave every prediction as it was, bit for bit."""
    cohort = make_cohort(count=60, missing=0.2)
    train, test = np.arange(45), np.arange(45, 60)
    other = changed_rows(cohort, test)
    assert not np.array_equal(cohort.blocks[0].values_NF, other.blocks[0].values_NF, equal_nan=True)
    probe = batch_of(make_cohort(seed=5, missing=0.3), np.arange(60))
    first, second = (predicted(fit_methods(one, train, SETTINGS, 3), probe) for one in (cohort, other))
    assert list(first) == list(second)
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name], err_msg=name)


def test_a_changed_training_row_changes_every_method() -> None:
    cohort, train = make_cohort(count=60), np.arange(45)
    other = changed_rows(cohort, np.array([7]))
    probe = batch_of(make_cohort(seed=5), np.arange(60))
    first, second = (predicted(fit_methods(one, train, SETTINGS, 3), probe) for one in (cohort, other))
    for name, values in first.items():
        assert np.abs(values - second[name]).max() > 1e-6, name


def test_a_sample_is_predicted_alike_alone_and_among_others() -> None:
    cohort = make_cohort(count=60, missing=0.2)
    methods = fit_methods(cohort, np.arange(45), SETTINGS, 3)
    whole, alone = (predicted(methods, batch_of(cohort, rows)) for rows in (np.arange(45, 60), np.array([50])))
    for name, values in whole.items():
        np.testing.assert_allclose(values[5:6], alone[name], atol=1e-9, err_msg=name)


def test_probabilities_add_up_and_missing_blocks_weigh_nothing() -> None:
    cohort = make_cohort(count=90, classes=3, missing=0.3)
    methods = fit_methods(cohort, np.arange(60), SETTINGS, 0)
    batch = batch_of(cohort, np.arange(60, 90))
    found = methods.predict(batch)
    assert tuple(found.probability) == methods.names
    for name, probability_RC in found.probability.items():
        np.testing.assert_allclose(probability_RC.sum(1), 1.0, err_msg=name)
        assert probability_RC.min() >= 0
    why = found.contributions
    assert why is not None
    assert (why.weight_RM[~batch.present_RM] == 0).all()
    assert (why.exact_RM[~batch.present_RM] == 0).all()
    np.testing.assert_allclose(why.weight_RM.sum(1), 1.0)
    lone = ~batch.present_RM[:, 1]
    np.testing.assert_allclose(found.probability["late_mean"][lone], found.probability["block0 alone"][lone])
    prior = np.bincount(cohort.label_N[:60]) / 60
    np.testing.assert_allclose(found.probability["block1 alone"][lone], np.tile(prior, (lone.sum(), 1)))


def test_weights_fall_as_a_block_is_noised() -> None:
    """The features of a block have three factors in common, which noise breaks."""
    random = np.random.default_rng(4)
    cohort = make_cohort(count=240, features=(40, 30))
    blocks = []
    for block, effect in zip(cohort.blocks, (1.5, 1.0)):
        factors = random.normal(size=(240, 3)) + effect * cohort.label_N[:, None] * np.array([1.0, 0.0, 0.0])
        wide = len(block.features)
        values_NF = factors @ random.normal(size=(3, wide)) + 0.5 * random.normal(size=(240, wide))
        blocks.append(replace(block, values_NF=values_NF))
    cohort = replace(cohort, blocks=tuple(blocks))
    settings = SETTINGS.model_copy(update={"preparation": {}})
    methods = fit_methods(cohort, np.arange(160), settings, 0)
    held_out = batch_of(cohort, np.arange(160, 240))
    for block in range(2):
        weights = []
        for share in (0.0, 0.5, 1.0):
            noised = corrupt(held_out, held_out, block, np.arange(80), "noise", np.random.default_rng(1), share)
            why = methods.predict(noised).contributions
            assert why is not None
            weights.append(why.weight_RM[:, block].mean())
        assert weights[0] > weights[1] > weights[2] - 1e-3
        assert weights[2] < 0.4 * weights[0]


def test_models_are_those_of_scikit_learn() -> None:
    """Logistic regression of more features than samples by components, against that of the features; PLS."""
    cohort = make_cohort(count=40, features=(90, 6))
    values, label = cohort.blocks[0].values_NF, cohort.label_N
    probe = make_cohort(seed=3, features=(90, 6)).blocks[0].values_NF
    settings = AnalysisSettings(learner=LearnerSettings(strengths=(3.0,), components=(2,)))
    view = fit_views([View("block0", (0,))], cohort, settings).views[0]
    scaler = StandardScaler().fit(values)
    prepared, asked = (scaler.transform(one) / np.sqrt(90) for one in (values, probe))
    logistic = LogisticRegression(C=3.0, tol=1e-10, max_iter=10_000).fit(prepared, label)
    scores = view.components.scores(scaler.transform(probe))
    found = view.models["logistic", 3.0].log_probabilities(scores)
    np.testing.assert_allclose(np.exp(found), logistic.predict_proba(asked), atol=1e-5)
    pls = PLSRegression(2, scale=False).fit(prepared, label)
    second = make_pipeline(StandardScaler(), LogisticRegression()).fit(pls.transform(prepared), label)
    found = view.models["pls", 2].log_probabilities(scores)
    np.testing.assert_allclose(np.exp(found), second.predict_proba(pls.transform(asked)), atol=1e-4)


def test_coefficients_are_the_slopes_of_the_log_odds() -> None:
    cohort = make_cohort(count=40, features=(90, 6))
    view = fit_views([View("block0", (0,))], cohort, AnalysisSettings()).views[0]
    found = view.coefficients(1)
    moved = np.zeros((91, 90))
    moved[np.arange(1, 91), np.arange(90)] = 1.0
    log_RC = view.model.log_probabilities(view.components.scores(moved))
    odds = log_RC[:, 1] - log_RC[:, 0]
    np.testing.assert_allclose(found, odds[1:] - odds[0], atol=1e-9)
    assert found.argmax() == 0  # the feature in which the classes differ


def test_components_of_many_and_of_few_features_agree_with_the_decomposition() -> None:
    random = np.random.default_rng(0)
    for shape in ((20, 50), (50, 20)):
        values = random.normal(size=shape)
        values -= values.mean(0)
        found = fit_components(values)
        singular = np.linalg.svd(values / found.scale, compute_uv=False)
        kept = singular > 1e-6
        np.testing.assert_allclose(found.variance_K, singular[kept] ** 2 / shape[0])
        np.testing.assert_allclose(found.axes_FK.T @ found.axes_FK, np.eye(kept.sum()), atol=1e-8)


def test_novelty_is_zero_for_usual_samples_and_tells_what_does_not_fit() -> None:
    """Three times as large a sample is as coherent, and by log 9 longer. Features of different samples are
    usual in length, and do not fit together."""
    random = np.random.default_rng(0)
    values = random.normal(size=(201, 3)) @ random.normal(size=(3, 30)) + 0.3 * random.normal(size=(201, 30))
    values -= values.mean(0)
    found = fit_components(values)
    assert np.abs(np.median(found.novelty(values), axis=0)).max() < 1e-6
    difference = found.novelty(3 * values[:1]) - found.novelty(values[:1])
    np.testing.assert_allclose(difference, [[0.0, np.log(9.0)]], atol=1e-7)
    drawn = np.column_stack([random.permutation(values[:, at]) for at in range(30)])
    assert area(np.r_[found.novelty(values)[:, 0], found.novelty(drawn)[:, 0]], np.arange(402) > 200) > 0.98
    assert np.abs(np.median(found.novelty(drawn)[:, 1])) < 0.5


def test_better_models_count_more() -> None:
    label_N = np.arange(40) % 2
    good, bad = np.zeros((40, 2)), np.zeros((40, 2))
    good[np.arange(40), label_N] = 2.0
    good[:4] = good[:4, ::-1]  # four are wrong
    bad[::2, 1] = 0.1
    found = candidate_shares({("logistic", 1.0): good, ("pls", 1): bad}, label_N)
    assert found["pls", 1] < 1e-4 * found["logistic", 1.0]
    heat = 1 / found["logistic", 1.0]  # at the best temperature 36 of 40 are right with probability 0.9
    assert 2.0 / heat == pytest.approx(np.log(9), rel=0.1)


def test_classes_of_models() -> None:
    random = np.random.default_rng(0)
    label_N = np.arange(90) % 3
    scores = random.normal(size=(90, 5)) + 3 * np.eye(5)[label_N]
    for name, model in fit_candidates(scores, label_N, 3, LearnerSettings()).items():
        assert (model.log_probabilities(scores).argmax(1) == label_N).mean() > 0.7, name


def test_fusion_gains_where_blocks_tell_different_things() -> None:
    cohort = make_cohort(count=300, effects=(1.5, 1.5), seed=1)
    methods = fit_methods(cohort, np.arange(200), SETTINGS, 0)
    found = methods.predict(batch_of(cohort, np.arange(200, 300))).probability
    truth = cohort.label_N[200:] == 1
    areas = {name: area(one[:, 1], truth) for name, one in found.items()}
    assert areas["contribution"] > max(areas["block0 alone"], areas["block1 alone"]) + 0.02


def test_a_block_that_a_class_lacks_is_refused() -> None:
    cohort = make_cohort(count=60)
    block = cohort.blocks[1]
    present_N = cohort.label_N == 0
    values_NF = np.where(present_N[:, None], block.values_NF, np.nan)
    cohort = replace(
        cohort, blocks=(cohort.blocks[0], replace(block, values_NF=values_NF, present_N=present_N))
    )
    with pytest.raises(
        DataError, match="block1: a training side lacks samples of a class: expected all classes"
    ):
        fit_methods(cohort, np.arange(45), SETTINGS, 0)


def test_models_of_values_that_do_not_vary_tell_the_shares_of_the_classes() -> None:
    """As on a training side without the only sample that differs."""
    label_N = np.array([0, 0, 0, 1] * 5)
    models = fit_candidates(np.zeros((20, 1)), label_N, 2, LearnerSettings())
    assert {kind for kind, _ in models} == {"logistic", "pls"}
    for model in models.values():
        np.testing.assert_allclose(np.exp(model.log_probabilities(np.zeros((1, 1)))), [[0.75, 0.25]], atol=1e-5)
