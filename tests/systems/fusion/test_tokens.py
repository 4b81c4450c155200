"""Spectra as tokens, by hand, and their embedding."""

import math

import numpy as np
import pytest
import torch

from mmspec_ds.nn.token_embedding import TokenEmbedding
from mmspec_ds.spectra.axes import Axis, Form
from mmspec_ds.spectra.records import (
    HSQC,
    CarbonNMR,
    ElectronIonisationMS,
    HSQCPeak,
    HydrogenNMR,
    Infrared,
    Modality,
    Multiplet,
    Record,
    TandemMS,
)
from mmspec_ds.systems.fusion.batch import lay_out
from mmspec_ds.systems.fusion.embedding import embed_pieces
from mmspec_ds.systems.fusion.tokens import (
    Points,
    TokenSettings,
    of_records,
    of_spectra,
    patches,
    peaks,
)

SETTINGS = TokenSettings(patch=3, max_peaks=2)


def test_a_curve_in_patches_by_hand() -> None:
    found = patches(np.array([10.0, 8.0, 6.0, 4.0, 2.0]), np.arange(1.0, 6.0), Axis.WAVENUMBER, 3)
    assert found.position_T.tolist() == [8.0, 3.0], "the centre of 10 to 6 and that of 4 to 2"
    assert found.values_TW.tolist() == [[1, 2, 3], [4, 5, 0]]
    assert found.extent_T.tolist() == [4 / 2, 2 / 2], "in steps of 2 cm-1"
    assert set(found.form_T.tolist()) == {Form.PATCH}


def test_each_kind_of_spectrum_by_hand() -> None:
    hydrogen = of_spectra(
        [HydrogenNMR((Multiplet(1.2, 1.3, 1.1, "t", 3), Multiplet(7.0, 7.0, 7.0, "s", 1)))], SETTINGS
    )
    assert hydrogen.position_T.tolist() == [1.2, 7.0]
    assert hydrogen.values_TW[:, 0].tolist() == pytest.approx([0.3, 0.1])
    assert hydrogen.extent_T.tolist() == pytest.approx([0.2 / 0.005, 0])
    carbon = of_spectra([CarbonNMR((14.1, 60.0))], SETTINGS)
    assert (carbon.position_T.tolist(), carbon.axis_T.tolist()) == ([14.1, 60.0], [Axis.C_PPM, Axis.C_PPM])
    infrared = of_spectra([Infrared(np.array([0.0, 2.0, 4.0, 1.0]), 400, 1000)], SETTINGS)
    assert infrared.position_T.tolist() == [600, 1000]
    assert infrared.values_TW.tolist() == [[0, 0.5, 1], [0.25, 0, 0]]
    masses = TandemMS(np.array([50.0, 60.0, 70.0]), np.array([4.0, 1.0, 16.0]), "negative", precursor_mz=99.5)
    tandem = of_spectra([masses], SETTINGS)
    assert tandem.position_T.tolist() == [99.5, 50.0, 70.0], "the precursor, and the two strongest"
    assert tandem.values_TW[:, 0].tolist() == [0, 0.5, 1], "square roots of shares of the strongest"
    assert tandem.form_T.tolist() == [Form.PRECURSOR, Form.PEAK, Form.PEAK]
    assert tandem.sign_T.tolist() == [-1, -1, -1]
    without = of_spectra([masses], SETTINGS.model_copy(update={"precursor": False}))
    assert without.position_T.tolist() == [50.0, 70.0]
    electron = of_spectra([ElectronIonisationMS(np.array([43.0]), np.array([9.0]))], SETTINGS)
    assert (electron.values_TW[0, 0], electron.sign_T[0], electron.axis_T[0]) == (1, 0, Axis.MZ)
    cross = of_spectra([HSQC((HSQCPeak(60.0, 4.1, 2, -3.0), HSQCPeak(14.0, 1.2)))], SETTINGS)
    assert cross.second_T.tolist() == pytest.approx([4.1 / 0.005, 1.2 / 0.005])
    assert cross.values_TW[:, 0].tolist() == [-1, 1]


def test_spectra_of_one_kind_are_one_piece() -> None:
    record = Record("two", (CarbonNMR((1.0,)), CarbonNMR((2.0, 3.0))))
    found = of_records([record, Record("none")], Modality.C_NMR, SETTINGS)
    assert found.position_T.tolist() == [1.0, 2.0, 3.0]
    assert found.counts.tolist() == [3, 0]
    assert found.subset(np.array([1, 0, 0])).counts.tolist() == [0, 3, 3]
    assert found.where(np.array([False, True])).counts.tolist() == [0, 0]


def test_the_layout_of_pieces() -> None:
    one = Points.joined([peaks([1.0, 2.0], [1, 1], Axis.MZ, 3), Points.nothing(3)])
    other = Points.joined([peaks([5.0], [1], Axis.C_PPM, 3), peaks([6.0, 7.0, 8.0], [1, 1, 1], Axis.C_PPM, 3)])
    found = lay_out([one, other])
    assert found.sample_P.tolist() == [0, 0, 1]
    assert found.vector_P.tolist() == [0, 1, 3]
    assert found.present_BM.tolist() == [[True, True], [False, True]]
    assert found.steps_T.tolist() == pytest.approx([200, 400, 100, 120, 140, 160], rel=1e-6)
    assert found.at_T.tolist() == [0, 1, 3, 6, 7, 8]
    assert found.modality_PS.tolist() == [[0, 0, -1], [1, -1, -1], [1, 1, 1]]
    assert found.second_T.isnan().all()
    assert not found.two_axes


def test_the_embedding_depends_on_what_a_token_says_alone() -> None:
    torch.manual_seed(0)
    embed = TokenEmbedding(d_model=8, patch=3, features=16, std=0.5).double()
    same = peaks([100.0, 100.0], [0.5, 0.5], Axis.MZ, 3)
    base = embed_pieces(embed, lay_out([same]))[0]
    torch.testing.assert_close(base[0], base[1], rtol=0, atol=0)
    for other in (
        peaks([100.01], [0.5], Axis.MZ, 3),
        peaks([100.0], [0.6], Axis.MZ, 3),
        peaks([1000.0], [0.5], Axis.C_PPM, 3),  # as many steps
        peaks([100.0], [0.5], Axis.MZ, 3, extent=0.1),
        peaks([100.0], [0.5], Axis.MZ, 3, sign=1.0),
        peaks([100.0], [0.5], Axis.MZ, 3, second_T=np.array([0.0])),
        Points.of(np.array([100.0]), same.values_TW[:1].astype(float), Axis.MZ, Form.PATCH),
    ):
        assert (embed_pieces(embed, lay_out([other]))[0, 0] - base[0]).abs().max() > 1e-3
    hidden = embed_pieces(embed, lay_out([same], [np.array([True, False])]))[0]
    silent = embed_pieces(embed, lay_out([peaks([100.0], [0.0], Axis.MZ, 3)]))[0, 0]
    torch.testing.assert_close(hidden[0], silent + embed.hidden_D)
    torch.testing.assert_close(hidden[1], base[1])


def test_positions_keep_their_decimals_in_half_precision() -> None:
    """m/z 1000.000 and 1000.005 are 200,000 and 200,001 steps: bfloat16 could not tell them apart."""
    embed = TokenEmbedding(d_model=8, patch=1, features=16, std=0.5).to(torch.bfloat16)
    pieces = lay_out([peaks([1000.0, 1000.005], [1, 1], Axis.MZ, 1)])
    first, second = embed_pieces(embed, pieces)[0].float()
    exact = TokenEmbedding(d_model=8, patch=1, features=16, std=0.5)
    exact.load_state_dict(embed.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(first, embed_pieces(exact, pieces)[0, 0], rtol=0.05, atol=0.05)
    waves = embed.sinusoids(torch.tensor([1000.0, 1000.005], dtype=torch.float64) / 0.005, torch.float32)
    expected = math.sin(2 * math.pi * 200_001 / 2)
    assert waves[1, 0].item() == pytest.approx(expected, abs=1e-4)
    assert (first - second).abs().max() > 0.05
