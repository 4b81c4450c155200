"""An encoder for each modality against encoders that are called by hand, one modality and sample at a time.

Axes: B samples, S places, D model width.
"""

import pytest
import torch

from mmspec_ds.data.batch import PADDING, SpectraBatch
from mmspec_ds.nn.beam import beam_search
from mmspec_ds.nn.late_fusion import LateFusionEncoder, places_of
from mmspec_ds.spectra.records import Modality


def test_places_of_a_modality_by_hand() -> None:
    modality_BS = torch.tensor([[0, 2, 2, 0], [2, PADDING, PADDING, PADDING], [0, 0, 0, PADDING]])
    place_BX, is_token_BX = places_of(modality_BS == Modality.IR)
    assert place_BX.tolist() == [[1, 2], [4, 5], [8, 9]]
    assert is_token_BX.tolist() == [[True, True], [True, False], [False, False]]
    absent_BX, is_token_BX = places_of(modality_BS == Modality.MS)
    assert absent_BX.shape == (3, 1)
    assert not is_token_BX.any()


def test_each_modality_is_encoded_by_its_own_encoder_alone(workshop) -> None:
    model, samples = workshop.model(fusion="late"), workshop.samples(5)
    encoder = model.encoder
    assert isinstance(encoder, LateFusionEncoder)
    together = model.encode(workshop.spectra(samples, padding=2))
    assert together.reports == ()
    for row, sample in enumerate(samples):
        start = 0
        for modality, tokens in sample.items():
            count = len(tokens[0])
            if count:
                spectra = workshop.spectra([{modality: tokens}])
                embedded = model.embedding(spectra)
                alone = encoder.by_modality[modality.name](embedded, spectra.modality_BS).hidden_BSD[0]
                found = together.hidden_BSD[row, start : start + count]
                torch.testing.assert_close(found, alone, rtol=1e-12, atol=1e-12)
            start += count
        assert not together.hidden_BSD[row, start:].any()


def test_every_parameter_has_a_gradient_without_a_modality_in_the_batch(workshop) -> None:
    model = workshop.model(fusion="late")
    spectra = workshop.spectra([workshop.sample(1, {Modality.H_NMR: 3}), workshop.sample(2, {})])
    memory = model.encode(SpectraBatch(spectra.modality_BS, spectra.tokens))
    logits = model.decoder(torch.tensor([[1, 5], [1, 6]]), memory.hidden_BSD, memory.mask_BS)
    logits.square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
    absent = model.encoder.by_modality["IR"].layers[0].attention.output.weight.grad
    assert not absent.any()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_the_number_of_parameters(workshop) -> None:
    early, late = workshop.model(), workshop.model(fusion="late")
    encoder = sum(p.numel() for p in early.encoder.parameters())
    sizes = [sum(p.numel() for p in model.parameters()) for model in (early, late)]
    assert sizes[1] - sizes[0] == (len(workshop.schemas) - 1) * encoder


@pytest.mark.parametrize("fusion", ["early", "late"])
def test_a_fused_model_writes(workshop, fusion: str) -> None:
    model = workshop.model(fusion=fusion)
    found = beam_search(model, workshop.spectra(workshop.samples(2)), beam=3, n_best=2)
    assert [len(hypotheses) for hypotheses in found] == [2, 2]
