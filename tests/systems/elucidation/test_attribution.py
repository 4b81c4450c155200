"""What each kind of spectrum adds, against the model's own loss for every set of them."""

from itertools import combinations, permutations

import numpy as np
import pytest
import torch

from mmspec_ds.data.collate import collate
from mmspec_ds.data.encoding import InputEncoding
from mmspec_ds.data.reading import pack
from mmspec_ds.moe.expert_settings import ExpertSettings, MoESettings
from mmspec_ds.molecules.smiles import spellings, tokenize_smiles
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.nn.model_settings import ModelSettings
from mmspec_ds.spectra.records import (
    CarbonNMR,
    HydrogenNMR,
    Modality,
    Multiplet,
    Record,
    TandemMS,
)
from mmspec_ds.systems.elucidation.attribution import modality_contributions, record_routing
from mmspec_ds.systems.elucidation.factory import build_elucidator
from mmspec_ds.systems.elucidation.model import sequence_loss
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun
from mmspec_ds.systems.elucidation.trained import TrainedModel

SMILES = "CCO"
RECORD = Record(
    "r",
    (
        HydrogenNMR((Multiplet(1.2, 1.3, 1.1, "t", 3, (7.0,)), Multiplet(3.7, 3.8, 3.6, "q", 2, (7.0,)))),
        CarbonNMR((58.3, 18.4)),
        *(
            TandemMS(np.array([29.0, 47.0]), np.array([1.0, energy]), "positive", energy)
            for energy in (10.0, 20.0)
        ),
    ),
    None,
    "C2H6O",
)
KINDS = {"h_nmr": Modality.H_NMR, "c_nmr": Modality.C_NMR, "ms": Modality.MS}
EXPERTS = tuple(ExpertSettings(family=family, width=16) for family in ("shared", "interaction"))


@pytest.fixture(params=["dense", "sparse", "axis"])
def trained(request: pytest.FixtureRequest) -> TrainedModel:
    """An untrained model that reads three kinds of spectra and the formula."""
    moe = MoESettings(experts=EXPERTS, k=1) if request.param == "sparse" else None
    settings = ModelSettings(
        d_model=16, heads=2, encoder_layers=2, decoder_layers=1, ffn_width=16, max_target_tokens=12,
        sinusoid_features=8, embedding="axis" if request.param == "axis" else "modality",
    )  # fmt: skip
    encoding = InputEncoding((*KINDS.values(), Modality.FORMULA))
    vocabulary = Vocabulary.build([tokenize_smiles(SMILES), tokenize_smiles("C(C)O")])
    torch.manual_seed(3)
    model = build_elucidator(settings, moe, encoding.schemas, len(vocabulary)).eval()
    with torch.no_grad():  # untrained weights hardly look at the spectra
        for name, weight in model.named_parameters():
            if weight.ndim == 2 and "cross_attention" in name:
                weight.mul_(8)
    run = ElucidationRun.model_construct(moe=moe)
    return TrainedModel(run, model, vocabulary, encoding)


def log_probability(trained: TrainedModel, kinds: tuple[str, ...]) -> float:
    """By the loss of a batch that holds the spellings as targets, padded by a sample with all spectra."""
    kept = tuple(one for one in RECORD.spectra if one.modality in [KINDS[name] for name in kinds])
    records = [Record("part", kept, None, RECORD.formula), RECORD]
    dataset = pack([(one, trained.encoding.encode(one)) for one in records], trained.encoding.schemas)
    found = []
    for text in spellings(SMILES):
        batch = collate(dataset, [0, 1])
        ids = [Vocabulary.BOS, *trained.vocabulary.encode(tokenize_smiles(text)), Vocabulary.EOS]
        target_BL = torch.tensor([ids, ids])
        with torch.no_grad():
            encoded = trained.model.encode(batch.spectra)
            logits = trained.model.decoder(target_BL[:, :-1], encoded.hidden_BSD, encoded.mask_BS)
        loss, _ = sequence_loss(logits, target_BL, torch.tensor([1.0, 0.0]))
        found.append(-float(loss))
    return float(np.log(np.exp(found).sum()))


def test_against_the_loss_of_every_set(trained: TrainedModel) -> None:
    found = modality_contributions(trained, RECORD, SMILES)
    assert found is not None
    values = {
        frozenset(kinds): log_probability(trained, kinds)
        for size in range(len(KINDS) + 1)
        for kinds in combinations(KINDS, size)
    }
    expected = dict.fromkeys(KINDS, 0.0)
    for order in permutations(KINDS):
        for place, name in enumerate(order):
            expected[name] += (values[frozenset(order[: place + 1])] - values[frozenset(order[:place])]) / 6
    assert found.parts == pytest.approx(expected, abs=1e-5)
    assert max(map(abs, expected.values())) > 1e-3
    assert found.without == pytest.approx(values[frozenset()], abs=1e-5)
    assert found.complete == pytest.approx(values[frozenset(KINDS)], abs=1e-5)
    assert found.without + sum(found.parts.values()) == pytest.approx(found.complete, abs=1e-9)


def test_a_structure_that_cannot_be_written(trained: TrainedModel) -> None:
    assert modality_contributions(trained, RECORD, "CCN") is None


def test_tokens_of_experts(trained: TrainedModel) -> None:
    table = record_routing(trained, RECORD)
    if trained.run.moe is None:
        assert table is None
        return
    assert table is not None
    tokens = {modality: len(one) for modality, one in trained.encoding.encode(RECORD).items()}
    for layer in range(2):
        counts = table.load_YME[layer].sum(axis=1)
        assert {modality: counts[modality] for modality in tokens} == tokens
