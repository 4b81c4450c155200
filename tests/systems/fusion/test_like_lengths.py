"""Pieces of like lengths are encoded together: by hand, and with the vectors and gradients of all together."""

import numpy as np
import pytest
import torch

from mmspec_ds.spectra.axes import Axis
from mmspec_ds.systems.fusion import batch as batches
from mmspec_ds.systems.fusion.batch import Pieces, lay_out, of_like_lengths
from mmspec_ds.systems.fusion.encoder import ModalityEncoder
from mmspec_ds.systems.fusion.run_settings import FusionEncoderSettings
from mmspec_ds.systems.fusion.tokens import Points, peaks


def made(counts: list[int], axis: Axis) -> Points:
    """Pieces of so many peaks each."""
    rng = np.random.default_rng(len(counts))
    return Points.joined([peaks(np.sort(rng.random(n)) * 100, rng.random(n), axis, 1) for n in counts])


def test_the_lengths_are_cut_where_it_saves_most(monkeypatch: pytest.MonkeyPatch) -> None:
    counts_P = np.array([30, 2, 3, 100, 2])
    # Sorted 2, 2, 3, 30, 100: three at most 3 long save 291 places, four at most 30 long 280; of 30 and 100 the
    # first alone saves 70, and of 2, 2 and 3 the first two save 2.
    for saved, expected in ((300, [[1, 4, 2, 0, 3]]), (71, [[1, 4, 2], [0, 3]]), (70, [[1, 4, 2], [0], [3]])):
        monkeypatch.setattr(batches, "SAVED", saved)
        assert [one.tolist() for one in of_like_lengths(counts_P)] == expected
    assert [one.tolist() for one in of_like_lengths(np.zeros(0, dtype=np.int64))] == [[]]


def test_vectors_and_gradients_are_those_of_all_together(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = FusionEncoderSettings(d_model=16, encoder_layers=2, ffn_width=24, heads=2, dropout=0.0)
    torch.manual_seed(0)
    encoder = ModalityEncoder(settings, ("c_nmr", "ms"), 1).double()
    pieces = lay_out([made([3, 0, 40, 5], Axis.C_PPM), made([9, 2, 1, 70], Axis.MZ)])

    def found(saved: int) -> tuple[int, torch.Tensor, list[torch.Tensor], float]:
        monkeypatch.setattr(batches, "SAVED", saved)
        encoder.zero_grad()
        vectors_BMD, present_BM, _ = encoder(pieces)
        assert present_BM.tolist() == [[True, True], [False, True], [True, True], [True, True]]
        assert not vectors_BMD[1, 0].any()
        vectors_BMD.square().sum().backward()
        gradients = [one.grad.clone() for one in encoder.parameters() if one.grad is not None]
        return len(pieces.of_like_lengths()), vectors_BMD.detach(), gradients, float(encoder.cost(pieces).total)

    parts, vectors_BMD, gradients, flops = found(10**6)
    more, same_BMD, same_gradients, fewer_flops = found(10)
    assert (parts, more) == (1, 4)
    torch.testing.assert_close(same_BMD, vectors_BMD, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(same_gradients, gradients, rtol=1e-9, atol=1e-12)
    assert fewer_flops < 0.5 * flops, "what is not padded is not counted"


def test_a_part_has_no_place_that_none_of_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "SAVED", 1)
    pieces: Pieces = lay_out([made([3, 1], Axis.MZ)])
    short, long = pieces.of_like_lengths()
    assert (short.modality_PS.shape, long.modality_PS.shape) == ((1, 1), (1, 3))
    assert (short.sample_P.tolist(), long.sample_P.tolist()) == ([1], [0])
    assert (short.at_T.tolist(), long.at_T.tolist()) == ([0], [0, 1, 2])
    torch.testing.assert_close(long.steps_T, pieces.steps_T[:3])
    torch.testing.assert_close(short.numbers_TF, pieces.numbers_TF[3:])
