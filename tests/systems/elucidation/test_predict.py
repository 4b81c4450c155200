"""Proposals in the order of the dataset, whatever the batches were."""

import numpy as np
import pytest
import torch

from mmspec_ds.data.collate import collate
from mmspec_ds.data.dataset import SpectraDataset
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.nn.beam import beam_search
from mmspec_ds.nn.model_settings import ModelSettings
from mmspec_ds.spectra.packed import PackedTokens, offsets_of
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.tokens import DiscreteField, TokenSchema
from mmspec_ds.systems.elucidation.model import Elucidator
from mmspec_ds.systems.elucidation.predict import predict_dataset

SCHEMAS = {Modality.C_NMR: TokenSchema(discrete=(DiscreteField("shift", 50, ordinal=True),))}
VOCABULARY = Vocabulary.build([["C", "O", "N", "(", ")", "="]])


@pytest.fixture
def model():
    torch.manual_seed(0)
    sizes = ModelSettings(
        d_model=16,
        heads=2,
        encoder_layers=1,
        decoder_layers=1,
        ffn_width=32,
        max_target_tokens=12,
        sinusoid_features=8,
    )
    return Elucidator(sizes, SCHEMAS, len(VOCABULARY)).double().eval()


@pytest.fixture
def dataset():
    counts = [3, 1, 7, 2, 5, 4, 6]
    values = np.random.default_rng(0).integers(0, 50, (sum(counts), 1)).astype(np.int16)
    packed = PackedTokens(values, np.empty((len(values), 0), np.float32), offsets_of(counts))
    return SpectraDataset(tuple("abcdefg"), (None,) * 7, {Modality.C_NMR: packed}, SCHEMAS)


def test_each_sample_gets_its_own_proposals(model, dataset):
    done = []
    proposals = predict_dataset(
        model, dataset, VOCABULARY, beam=3, n_best=2, batch_size=3, max_tokens=6, progress=done.append
    )
    assert done == [3, 6, 7]
    for at, found in enumerate(proposals):
        (alone,) = beam_search(model, collate(dataset, [at]).spectra, beam=3, n_best=2, max_tokens=6)
        assert [one.smiles for one in found] == ["".join(VOCABULARY.decode(one.tokens)) for one in alone]
        assert [one.score for one in found] == pytest.approx([one.score for one in alone], abs=1e-9)
    assert len({found[0].score for found in proposals}) == 7


def test_batches_make_no_difference(model, dataset):
    texts = [
        [
            [one.smiles for one in row]
            for row in predict_dataset(model, dataset, VOCABULARY, beam=2, batch_size=size)
        ]
        for size in (1, 4, 64)
    ]
    assert texts[0] == texts[1] == texts[2]


def test_a_batch_needs_a_size(model, dataset):
    with pytest.raises(ValueError, match="batch_size"):
        predict_dataset(model, dataset, VOCABULARY, batch_size=0)
