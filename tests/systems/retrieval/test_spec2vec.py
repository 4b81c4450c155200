"""Spec2Vec: its words, its vectors, and that spectra which share words come to lie close."""

import numpy as np
import pytest

from mmspec_ds.errors import UserError
from mmspec_ds.spectra.records import ElectronIonisationMS, Record, TandemMS
from mmspec_ds.systems.retrieval.spec2vec import Spec2VecSettings, train_spec2vec, words_of

SETTINGS = Spec2VecSettings(width=16, epochs=30)


def record(mz: list[float], intensity: list[float] | None = None, precursor: float | None = None) -> Record:
    heights = np.array(intensity or [1.0] * len(mz))
    return Record("", (TandemMS(np.array(mz), heights, precursor_mz=precursor),))


def test_words_are_peaks_and_losses() -> None:
    one = record([57.0699, 105.0335, 120.0, 300.0], [5.0, 100.0, 0.5, 20.0], precursor=123.0441)
    assert words_of(one, SETTINGS) == [
        ("peak@57.07", 0.05),
        ("peak@105.03", 1.0),
        ("peak@300.00", 0.2),  # 120 is noise
        ("loss@65.97", 0.05),
        ("loss@18.01", 1.0),  # no loss below 5 or above 200 Da
    ]
    electrons = Record("", (ElectronIonisationMS(np.array([43.2]), np.array([9.0])),))
    assert words_of(electrons, Spec2VecSettings(decimals=0)) == [("peak@43", 1.0)]
    assert words_of(Record(""), SETTINGS) == []


@pytest.fixture(scope="module")
def training() -> list[Record]:
    """Two families of spectra, each of peaks of its own."""
    random = np.random.default_rng(0)
    return [
        record(sorted(50.0 + family * 100 + random.choice(12, 6, replace=False)))
        for _ in range(60)
        for family in (0, 1)
    ]


def test_spectra_of_one_family_lie_close(training: list[Record]) -> None:
    pytest.importorskip("gensim")
    model = train_spec2vec(training, SETTINGS)
    vectors = model.embed(training)
    assert vectors.shape == (120, 16)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(120), abs=1e-5)
    alike = vectors @ vectors.T - 2 * np.eye(120)
    assert (alike.argmax(axis=1) % 2 == np.arange(120) % 2).all()  # the nearest other one is of the same family


def test_the_vector_is_the_weighted_sum_of_its_words(training: list[Record]) -> None:
    pytest.importorskip("gensim")
    model = train_spec2vec(training, SETTINGS)
    first, second = model.embed([record([50.0]), record([51.0])])
    both = model.embed([record([50.0, 51.0], [100.0, 25.0])])[0]
    lengths = [
        float(np.linalg.norm(model._vectors[model._places[word]])) for word in ("peak@50.00", "peak@51.00")
    ]
    expected = lengths[0] * first + 0.5 * lengths[1] * second
    assert both == pytest.approx(expected / np.linalg.norm(expected), abs=1e-5)
    assert (model.embed([record([999.0]), Record("")]) == 0).all()


def test_two_trainings_give_one_model(training: list[Record]) -> None:
    pytest.importorskip("gensim")
    first, second = (train_spec2vec(training[:40], SETTINGS) for _ in range(2))
    assert first.identity == second.identity
    other = train_spec2vec(training[:40], SETTINGS.model_copy(update={"seed": 1}))
    assert other.identity != first.identity


def test_nothing_to_learn_from_is_one_line() -> None:
    pytest.importorskip("gensim")
    with pytest.raises(UserError, match="none of 1 training records"):
        train_spec2vec([Record("")], SETTINGS)
