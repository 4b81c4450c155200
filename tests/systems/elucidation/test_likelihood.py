"""Log probabilities of structures, against the model's own loss and a plain loop over tokens."""

import numpy as np
import pytest
import torch

from mmspec_ds.data.collate import collate
from mmspec_ds.data.encoding import InputEncoding
from mmspec_ds.data.reading import pack
from mmspec_ds.molecules.smiles import tokenize_smiles
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.nn.model_settings import ModelSettings
from mmspec_ds.spectra.records import CarbonNMR, Modality, Record
from mmspec_ds.systems.elucidation.factory import build_elucidator
from mmspec_ds.systems.elucidation.likelihood import Likelihood
from mmspec_ds.systems.elucidation.model import sequence_loss
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun
from mmspec_ds.systems.elucidation.trained import TrainedModel

SMILES = ("CCO", "CC(C)=O", "C", "CCCCCCCC", "OCC")
RECORD = Record("r", (CarbonNMR((57.1, 18.3)),))


@pytest.fixture(scope="module")
def trained() -> TrainedModel:
    """A model in double precision with the weights that it was drawn with."""
    sizes = ModelSettings(
        d_model=16, heads=2, encoder_layers=1, decoder_layers=2, ffn_width=32, max_target_tokens=11,
        sinusoid_features=8,
    )  # fmt: skip
    encoding = InputEncoding((Modality.C_NMR,))
    vocabulary = Vocabulary.build(tokenize_smiles(one) for one in SMILES)
    torch.manual_seed(0)
    model = build_elucidator(sizes, None, encoding.schemas, len(vocabulary)).double().eval()
    run = ElucidationRun.model_validate({"name": "drawn", "engine": "none.json", "training": {"steps": 1}})
    return TrainedModel(run, model, vocabulary, encoding)


def by_hand(trained: TrainedModel, record: Record, smiles: str) -> float:
    """The sum of log softmax of each token and of the end, one token after the other."""
    tokens = trained.encoding.encode(record)
    batch = collate(pack([(record, tokens)], trained.encoding.schemas), [0])
    ids = [*trained.vocabulary.encode(tokenize_smiles(smiles)), Vocabulary.EOS]
    total = 0.0
    with torch.no_grad():
        encoded = trained.model.encode(batch.spectra)
        for place, wanted in enumerate(ids):
            written = torch.tensor([[Vocabulary.BOS, *ids[:place]]])
            logits = trained.model.decoder(written, encoded.hidden_BSD, encoded.mask_BS)[0, -1]
            total += float(logits.exp()[wanted].log() - logits.exp().sum().log())
    return total


def test_a_plain_loop_gives_the_same(trained: TrainedModel) -> None:
    found = Likelihood(trained, RECORD).log_probabilities(SMILES)
    assert found == pytest.approx([by_hand(trained, RECORD, one) for one in SMILES], rel=1e-9)
    assert found.dtype == np.float64


def test_the_loss_is_their_sum(trained: TrainedModel) -> None:
    targets = [[1, *trained.vocabulary.encode(tokenize_smiles(one)), 2] for one in SMILES]
    target_BL = torch.tensor([[*one, *[0] * (10 - len(one))] for one in targets])
    dataset = pack([(RECORD, trained.encoding.encode(RECORD))] * len(SMILES), trained.encoding.schemas)
    spectra = collate(dataset, range(len(SMILES))).spectra
    with torch.no_grad():
        encoded = trained.model.encode(spectra)
        logits = trained.model.decoder(target_BL[:, :-1], encoded.hidden_BSD, encoded.mask_BS)
    loss, tokens = sequence_loss(logits, target_BL, torch.ones(len(SMILES)))
    found = Likelihood(trained, RECORD).log_probabilities(SMILES)
    assert -found.sum() == pytest.approx(float(loss), rel=1e-9)
    assert int(tokens) == sum(len(tokenize_smiles(one)) + 1 for one in SMILES)


def test_batches_make_no_difference(trained: TrainedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    together = Likelihood(trained, RECORD).log_probabilities(SMILES)
    monkeypatch.setattr("mmspec_ds.systems.elucidation.likelihood.BATCH", 2)
    assert Likelihood(trained, RECORD).log_probabilities(SMILES) == pytest.approx(together, rel=1e-9)


def test_what_the_model_cannot_write(trained: TrainedModel) -> None:
    strange = ["CCN", "CCCCCCCCCCC", "C C", "CCO"]
    found = Likelihood(trained, RECORD).log_probabilities(strange)
    assert np.isneginf(found).tolist() == [True, True, True, False]


def test_spectra_matter_and_may_be_missing(trained: TrainedModel) -> None:
    there = Likelihood(trained, RECORD).log_probabilities(SMILES)
    nothing = Likelihood(trained, Record("n")).log_probabilities(SMILES)
    assert np.isfinite(nothing).all()
    assert (there != nothing).all()
