"""Batches with new noise and other spellings: how often, for whom, and what stays the same."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mmspec_ds.data.augmentation import AugmentSettings, augmented, respelled
from mmspec_ds.data.data_settings import DataSettings
from mmspec_ds.data.dataset import SpectraDataset
from mmspec_ds.data.reading import TrainingData, read_training
from mmspec_ds.molecules.smiles import canonical_smiles
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.spectra.packed import bounds_of
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.registry import CompressionSettings

NOISE = AugmentSettings.model_validate(
    {
        "h_nmr": {"missing": 0.5, "shift_ppm": 0.2, "missing_peak": 0.1, "false_peak": 0.1},
        "c_nmr": {"missing": 0.2, "shift_ppm": 2.0},
        "ir": {"missing": 0.5, "noise": 0.02},
        "ms": {"missing": 0.9, "mz_ppm": 5.0},
        "formula": {"missing": 0.3},
    }
)


@pytest.fixture
def data(write: Callable[..., Path]) -> TrainingData:
    settings = DataSettings(train=(write(),), formula=True, validation_fraction=0.3)
    return read_training(settings, any_spelling=True)


@pytest.fixture
def train(data: TrainingData) -> SpectraDataset:
    assert isinstance(data.train, SpectraDataset)
    return data.train


def test_no_noise_by_default(train: SpectraDataset) -> None:
    same = augmented(train, np.arange(len(train)), (0, 0), AugmentSettings(), CompressionSettings())
    for modality, packed in train.tokens.items():
        np.testing.assert_array_equal(same.tokens[modality].discrete, packed.discrete)
        np.testing.assert_array_equal(same.tokens[modality].offsets, packed.offsets)
        np.testing.assert_allclose(same.tokens[modality].continuous, packed.continuous, atol=1e-7)


def test_noise_does_not_depend_on_how_a_batch_is_shared(train: SpectraDataset) -> None:
    indices = np.array([5, 2, 7, 0, 3, 6])
    whole, *parts = (
        augmented(train.subset(part), part, (3, 11), NOISE, CompressionSettings())
        for part in (indices, indices[:2], indices[2:])
    )
    for modality, packed in whole.tokens.items():
        for name in ("discrete", "continuous"):
            joined = np.concatenate([getattr(part.tokens[modality], name) for part in parts])
            np.testing.assert_array_equal(getattr(packed, name), joined)
    again = augmented(train.subset(indices), indices, (3, 12), NOISE, CompressionSettings())
    assert not np.array_equal(whole.tokens[Modality.C_NMR].discrete, again.tokens[Modality.C_NMR].discrete)


def test_modalities_are_missing_each_with_its_own_probability(train: SpectraDataset) -> None:
    many = train.subset(np.zeros(8000, dtype=np.int64))
    found = augmented(many, np.arange(8000), (0, 0), NOISE, CompressionSettings())
    present = {m: packed.counts > 0 for m, packed in found.tokens.items()}
    instruments = np.stack([kept for m, kept in present.items() if m != Modality.FORMULA])
    assert instruments.any(axis=0).all()
    # All four would be missing in 0.5 * 0.2 * 0.5 * 0.9 = 0.045 of the samples, where one stays.
    for modality, missing in {
        Modality.H_NMR: 0.5,
        Modality.C_NMR: 0.2,
        Modality.IR: 0.5,
        Modality.MS: 0.9,
    }.items():
        assert missing - 0.045 - 0.03 < 1 - present[modality].mean() < missing + 0.03
    assert present[Modality.FORMULA].mean() == pytest.approx(0.7, abs=5 * np.sqrt(0.21 / 8000))


def texts(dataset: SpectraDataset, vocabulary: Vocabulary) -> list[str]:
    assert dataset.targets is not None
    ids = dataset.targets.values.tolist()
    return ["".join(vocabulary.decode(ids[start:end])) for start, end in bounds_of(dataset.targets.counts)]


def test_other_spellings_are_of_the_same_molecules(data: TrainingData, train: SpectraDataset) -> None:
    target, spelled = data.vocabularies.target, set[str]()
    indices = np.arange(len(train))
    for number in range(40):
        batch = respelled(train, indices, (0, number), 1.0, target, 40)
        assert batch.targets is not None
        assert (batch.targets.values[batch.targets.offsets[:-1]] == Vocabulary.BOS).all()
        assert (batch.targets.values[batch.targets.offsets[1:] - 1] == Vocabulary.EOS).all()
        found = texts(batch, target)
        assert [canonical_smiles(one) for one in found] == list(train.smiles)
        spelled |= set(found)
    assert len(spelled) > 3 * len(train)
    again = respelled(train, indices, (0, 39), 1.0, target, 40)
    assert texts(again, target) == found


@pytest.mark.parametrize(
    ("probability", "words", "most_tokens"), [(0.0, None, 40), (1.0, (), 40), (1.0, None, 0)]
)
def test_targets_stay_where_another_spelling_is_not_wanted_or_has_no_place(
    data: TrainingData, probability: float, words: tuple[str, ...] | None, most_tokens: int
) -> None:
    assert isinstance(data.train, SpectraDataset)
    target = data.vocabularies.target
    vocabulary = target if words is None else Vocabulary(words)
    found = respelled(data.train, np.arange(len(data.train)), (0, 0), probability, vocabulary, most_tokens)
    assert texts(found, target) == list(data.train.smiles)
