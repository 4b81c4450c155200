"""Spectra become the same vectors in elucidation as in fusion, wherever both cut them alike: weights that one
pretrained mean the same in the other."""

import numpy as np
import pytest
import torch

from mmspec_ds.data.collate import collate
from mmspec_ds.data.encoding import InputEncoding
from mmspec_ds.data.reading import pack
from mmspec_ds.nn.axis_embedding import AxisEmbedding
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
from mmspec_ds.spectra.registry import CompressionSettings
from mmspec_ds.systems.fusion.batch import lay_out
from mmspec_ds.systems.fusion.embedding import embed_pieces
from mmspec_ds.systems.fusion.tokens import MAKERS, TokenSettings, of_records

POINTS = 73
FUSION = TokenSettings(patch=8, max_peaks=3)
MASSES, SHARES = np.array([43.015625, 58.5, 91.0625, 105.03125]), np.array([16.0, 1.0, 4.0, 9.0])
"""m/z that float32 holds, for tokens keep them so; the weakest peak is left out by both."""
RECORD = Record(
    "all",
    (
        HydrogenNMR((Multiplet(7.265, 7.35, 7.17, "m", 5), Multiplet(1.205, 1.225, 1.185, "t", 3, (7.0,)))),
        CarbonNMR((170.35, 60.05, 14.1)),
        Infrared(np.cos(np.linspace(0, 9, POINTS)) + 1.0),
        TandemMS(MASSES, SHARES, "positive", 10.0, precursor_mz=151.0625),
        TandemMS(MASSES[:3], SHARES[:3], "negative", 40.0, precursor_mz=149.0625),
        HSQC((HSQCPeak(60.05, 4.105, 2, -3.0), HSQCPeak(14.1, 1.205, 3, 2.0))),
        ElectronIonisationMS(MASSES, SHARES),
    ),
)
ALIKE = {
    "h_nmr": {"bin_ppm": 0.005, "span_bin_ppm": 0.005},
    "c_nmr": {"bin_ppm": 0.05},
    "hsqc": {"carbon_bin_ppm": 0.05, "hydrogen_bin_ppm": 0.005},
    "ms": {"max_peaks": 3, "precursor": True},
    "ei": {"max_peaks": 3},
    "ir": {"intervals": 72, "window": 8, "stride": 8},
}


def both(modality: Modality, compression: dict[str, dict[str, float]]) -> list[torch.Tensor]:
    """The vectors of a modality of the record by each system, [T, D], from the same weights in float64."""
    encoding = InputEncoding(tuple(MAKERS), CompressionSettings.model_validate(compression))
    torch.manual_seed(0)
    module = AxisEmbedding(encoding.schemas, 16, FUSION.patch, 32).double()
    spectra = collate(pack([(RECORD, encoding.encode(RECORD))], encoding.schemas), [0]).spectra
    ours = module(spectra)[spectra.modality_BS == modality]
    pieces = lay_out([of_records([RECORD], modality, FUSION)])
    return [ours, embed_pieces(module.tokens, pieces)[pieces.mask_PS]]


@pytest.mark.parametrize("modality", [one for one in MAKERS if one is not Modality.IR])
def test_the_same_weights_give_the_same_vectors(modality: Modality) -> None:
    ours, theirs = both(modality, ALIKE)
    assert ours.abs().min(1).values.max() > 0
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-8)


def test_curves_are_the_same_where_their_patches_are() -> None:
    """Nine windows of eight points on a grid of 72 points, as many as the curve then has."""
    curve = RECORD.spectra[2]
    assert isinstance(curve, Infrared)
    heights = curve.absorbance[:72] - curve.absorbance[:72].min()
    even = Record("ir", (Infrared((heights / heights.max()).astype(np.float32).astype(np.float64)),))
    encoding = InputEncoding((Modality.IR,), CompressionSettings.model_validate(ALIKE))
    torch.manual_seed(0)
    module = AxisEmbedding(encoding.schemas, 16, FUSION.patch, 32).double()
    ours = module(collate(pack([(even, encoding.encode(even))], encoding.schemas), [0]).spectra)
    pieces = lay_out([of_records([even], Modality.IR, FUSION)])
    torch.testing.assert_close(ours, embed_pieces(module.tokens, pieces), rtol=0, atol=1e-6)
    assert ours.shape == (1, 9, 16)
    wide, narrow = both(Modality.IR, ALIKE)
    assert len(wide) < len(narrow), "73 points are a patch more, for the last one"


def test_coarse_bins_move_positions() -> None:
    """With the default bins of 0.1 ppm a shift is off by up to 0.05 ppm, ten steps of the axis of 1H."""
    ours, theirs = both(Modality.H_NMR, {**ALIKE, "h_nmr": {}})
    assert (ours - theirs).abs().max() > 0.1
