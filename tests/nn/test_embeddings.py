"""Axes: B samples, S places, D model width."""

import math
from collections.abc import Callable

import pytest
import torch

from mmspec_ds.data.batch import ModalityTokens, SpectraBatch
from mmspec_ds.nn.embeddings import Sinusoids, SpectraEmbedding, geometric_wavelengths
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.tokens import ContinuousField, DiscreteField, TokenSchema


def wave(value: float, wavelengths: list[float]) -> list[float]:
    """The features by the definition."""
    angles = [2 * math.pi * value / w for w in wavelengths]
    return [math.sin(a) for a in angles] + [math.cos(a) for a in angles]


def test_wavelengths_are_geometric() -> None:
    assert geometric_wavelengths(2.0, 54.0, 4) == pytest.approx([2.0, 6.0, 18.0, 54.0])
    assert geometric_wavelengths(2.0, 54.0, 1) == [2.0]


def test_a_token_is_the_sum_of_its_parts(workshop) -> None:
    torch.manual_seed(0)
    embedding = SpectraEmbedding(workshop.schemas, 16, 4).double()
    for parameter in embedding.parameters():
        torch.nn.init.normal_(parameter)
    sample = {
        Modality.H_NMR: (torch.tensor([[3, 4]]), torch.tensor([[2.0]])),
        Modality.IR: (torch.empty(2, 0, dtype=torch.int64), torch.tensor([[0.5, 0.25], [1.0, 0.125]])),
        Modality.MS: (torch.tensor([[1]]), torch.tensor([[57.5, 0.75]])),
    }
    found = embedding(workshop.spectra([sample], padding=2))[0]
    # Rows: 20 shifts of 1H, 5 multiplicities, 30 shifts of 13C, 2 polarities, then the four modalities.
    table = embedding.discrete.table.weight
    ordinal = embedding.discrete.ordinal_projections[0]
    real = {m: embedding.real[m.name].weight_RD for m in (Modality.H_NMR, Modality.IR, Modality.MS)}

    def row(values: list[float]) -> torch.Tensor:
        return torch.tensor([values], dtype=torch.float64)

    hydrogen = (
        table[3]
        + table[20 + 4]
        + table[57]
        + row(wave(3, [2.0, 80.0])) @ ordinal
        + row([2.0]) @ real[Modality.H_NMR]
    )
    infrared = [
        table[59] + row([*values, *wave(place, [2.0, 4096.0])]) @ real[Modality.IR]
        for place, values in enumerate([[0.5, 0.25], [1.0, 0.125]])
    ]
    mass = table[55 + 1] + table[60] + row([0.75, *wave(57.5, [0.1, 1000.0])]) @ real[Modality.MS]
    # The table of the ordinal field's sinusoids is kept in float32.
    torch.testing.assert_close(found[:4], torch.cat([hydrogen, *infrared, mass]), rtol=0, atol=5e-6)
    assert torch.equal(found[4:], torch.zeros(2, 16, dtype=torch.float64))


def test_neighbouring_bins_start_more_alike_than_distant_ones(alone: Callable) -> None:
    torch.manual_seed(0)
    schemas = {Modality.C_NMR: TokenSchema((DiscreteField("shift", 2000, ordinal=True),))}
    rows = SpectraEmbedding(schemas, 128).discrete.effective_table()[:2000]
    alike = torch.nn.functional.cosine_similarity
    near = alike(rows[:-1], rows[1:]).mean().item()
    far = alike(rows[:-700], rows[700:]).mean().item()

    def expected(distance: int) -> float:
        """Half of a row's variance is its own; of the other half neighbours share the mean cosine."""
        return sum(math.cos(2 * math.pi * distance / w) for w in geometric_wavelengths(2.0, 8000.0, 32)) / 64

    # A cosine in 128 dimensions scatters by 1 / sqrt(128); its mean over the rows does so much less.
    assert near == pytest.approx(expected(1), abs=0.05)
    assert far == pytest.approx(expected(700), abs=0.05)
    assert far < near - 0.15


def test_each_summand_starts_with_the_same_spread(workshop) -> None:
    torch.manual_seed(0)
    embedding = SpectraEmbedding(workshop.schemas, 4096, 64)
    own = embedding.discrete.table.weight[:20]
    both = embedding.discrete.effective_table()[:20]
    assert own.std().item() == pytest.approx(0.02, rel=0.02)
    assert (both - own).std().item() == pytest.approx(0.02, rel=0.1)
    place = embedding.real["IR"].order(torch.arange(256), torch.float32) @ embedding.real["IR"].weight_RD[2:]
    assert place.std().item() == pytest.approx(0.02, rel=0.1)


def test_the_phase_of_mz_survives_bfloat16() -> None:
    waves = Sinusoids((0.01, 1000.0), 8)
    values = torch.tensor([500.1234, 57.0706], dtype=torch.float32)
    expected = torch.tensor([wave(v, geometric_wavelengths(0.01, 1000.0, 4)) for v in values.tolist()])
    found = waves.bfloat16()(values, torch.bfloat16)
    assert found.dtype == torch.bfloat16
    # Rounding of a value up to 1 to 8 bits: at most 2^-9.
    assert (found.double() - expected.double()).abs().max().item() <= 2**-9
    torch.testing.assert_close(waves.float()(values, torch.float32), expected, rtol=0, atol=1e-6)


def test_a_modality_that_a_batch_lacks_leaves_no_parameter_without_gradient(workshop) -> None:
    embedding = SpectraEmbedding(workshop.schemas, 16, 4)
    spectra = workshop.spectra([workshop.sample(0, {Modality.C_NMR: 3})])
    embedding(spectra).square().sum().backward()
    assert [name for name, p in embedding.named_parameters() if p.grad is None] == []
    assert embedding.real["MS"].weight_RD.grad.abs().max().item() == 0


def test_a_batch_without_any_token_is_zero(workshop) -> None:
    embedding = SpectraEmbedding(workshop.schemas, 16, 4)
    assert torch.equal(embedding(SpectraBatch(torch.full((2, 3), -1), {})), torch.zeros(2, 3, 16))


def test_nothing_but_parameters_is_saved(workshop) -> None:
    embedding = SpectraEmbedding(workshop.schemas, 16, 4)
    assert set(embedding.state_dict()) == {name for name, _ in embedding.named_parameters()}


def test_what_does_not_fit_the_schema_is_refused(workshop, alone: Callable) -> None:
    spectra = workshop.spectra(workshop.samples(2))
    carbon = SpectraEmbedding(alone(Modality.C_NMR).schemas, 16)
    with pytest.raises(ValueError, match=r"the batch holds H_NMR.*, but the model was built for C_NMR"):
        carbon(spectra)
    bad = workshop.sample(0, {Modality.C_NMR: 2})
    bad[Modality.C_NMR][0][1] = 30
    with pytest.raises(ValueError, match=r"a discrete value of C_NMR is outside 0 \.\. size-1"):
        carbon(workshop.spectra([bad]))
    none = torch.empty(0, dtype=torch.int64)
    wide = ModalityTokens(none, none, torch.empty(0, 2, dtype=torch.int64), torch.empty(0, 0))
    with pytest.raises(
        ValueError, match="C_NMR tokens have 2 discrete and 0 continuous fields, the schema has 1 and 0"
    ):
        carbon(SpectraBatch(torch.full((1, 1), -1), {Modality.C_NMR: wide}))
    with pytest.raises(ValueError, match="at least one modality"):
        SpectraEmbedding({}, 16)
    backwards = TokenSchema((), (ContinuousField("mz", (5.0, 1.0)),))
    with pytest.raises(ValueError, match=r"shortest < longest, not 5.0 and 1.0"):
        SpectraEmbedding({Modality.MS: backwards}, 16)
