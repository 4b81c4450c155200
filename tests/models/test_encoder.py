"""Axes: B samples, S places, D model width."""

import torch
from torch import Tensor, nn

from mmspec_ds.data.batch import PADDING
from mmspec_ds.models.encoder import Encoder
from mmspec_ds.spectra.records import Modality


class Recorder(nn.Module):
    """A feed-forward network that adds nothing and reports how it was called."""

    def __init__(self, layer: int) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, hidden_BSD: Tensor, modality_BS: Tensor, temperature: float) -> tuple[Tensor, object]:
        return torch.zeros_like(hidden_BSD), (self.layer, modality_BS, temperature)


def test_the_injected_network_of_each_layer_gets_modalities_and_temperature(workshop) -> None:
    encoder = Encoder(workshop.settings, Recorder)
    modality_BS = torch.tensor([[0, 2, PADDING]])
    encoded = encoder(torch.randn(1, 3, 16), modality_BS, temperature=0.25)
    assert [(layer, tau) for layer, _, tau in encoded.reports] == [(0, 0.25), (1, 0.25)]
    assert all(modality is modality_BS for _, modality, _ in encoded.reports)
    assert encoded.modality_BS is modality_BS
    assert encoded.mask_BS.tolist() == [[True, True, False]]


def test_a_sample_is_encoded_alike_alone_and_in_any_batch(workshop) -> None:
    model, samples = workshop.model(), workshop.samples(5)
    together = model.encode(workshop.spectra(samples, padding=3))
    for row, sample in enumerate(samples):
        single = model.encode(workshop.spectra([sample])).hidden_BSD[0]
        torch.testing.assert_close(together.hidden_BSD[row, : len(single)], single, rtol=1e-12, atol=1e-12)
        assert not together.mask_BS[row, len(single) :].any()


def test_every_token_matters_to_every_other(workshop) -> None:
    model, sample = workshop.model(), workshop.sample(1, {Modality.H_NMR: 2, Modality.IR: 2})
    before = model.encode(workshop.spectra([sample])).hidden_BSD
    sample[Modality.IR][1][1, 0] += 1.0
    moved = (model.encode(workshop.spectra([sample])).hidden_BSD - before).abs().amax(dim=2)[0]
    assert moved.min().item() > 1e-6


def test_order_matters_to_windows_and_not_to_peaks(workshop) -> None:
    model = workshop.model()
    sample = workshop.sample(2, {Modality.H_NMR: 3, Modality.IR: 3})

    def pooled(modality: Modality) -> Tensor:
        turned = {
            m: tuple(f.flip(0) for f in fields) if m == modality else fields for m, fields in sample.items()
        }
        return model.encode(workshop.spectra([turned])).hidden_BSD.sum(dim=1)

    plain = model.encode(workshop.spectra([sample])).hidden_BSD.sum(dim=1)
    torch.testing.assert_close(pooled(Modality.H_NMR), plain, rtol=1e-12, atol=1e-12)
    assert (pooled(Modality.IR) - plain).abs().max().item() > 1e-3


def test_a_sample_without_any_token_gives_finite_states(workshop) -> None:
    model = workshop.model()
    spectra = workshop.spectra([workshop.sample(0, {}), workshop.sample(1, {Modality.MS: 4})])
    assert spectra.mask_BS.sum(dim=1).tolist() == [0, 4]
    encoded = model.encode(spectra)
    assert encoded.hidden_BSD.isfinite().all()
    logits = model.decoder(torch.tensor([[1, 4], [1, 4]]), encoded.hidden_BSD, encoded.mask_BS)
    wider = workshop.spectra([workshop.sample(0, {}), workshop.sample(1, {Modality.MS: 4})], padding=5)
    encoded = model.encode(wider)
    again = model.decoder(torch.tensor([[1, 4], [1, 4]]), encoded.hidden_BSD, encoded.mask_BS)
    assert logits.isfinite().all()
    torch.testing.assert_close(again, logits, rtol=1e-12, atol=1e-12)
