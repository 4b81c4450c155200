"""Tokens of modalities read as tokens of axes, by hand, and their embedding in a batch."""

from typing import Any

import numpy as np
import pytest
import torch

from mmspec_ds.data.batch import ModalityTokens, SpectraBatch
from mmspec_ds.data.collate import collate
from mmspec_ds.data.encoding import InputEncoding
from mmspec_ds.data.reading import pack
from mmspec_ds.nn.axis_embedding import AxisEmbedding, read_tokens
from mmspec_ds.nn.token_embedding import AxisTokens
from mmspec_ds.spectra.axes import STEP, Axis, Form
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
from mmspec_ds.spectra.tokens import TokenSchema

SETTINGS = CompressionSettings.model_validate(
    {
        "ir": {"intervals": 10, "window": 4, "stride": 2, "lowest_cm1": 400, "highest_cm1": 4000},
        "ms": {"precursor": True},
    }
)
ENCODING = InputEncoding(tuple(Modality), SETTINGS)
RECORD = Record(
    "r",
    (
        HydrogenNMR((Multiplet(7.0, 7.1, 6.85, "s", 1), Multiplet(1.2, 1.25, 1.15, "t", 3, (7.0,)))),
        CarbonNMR((60.0, 14.1)),
        Infrared(np.array([0.0, 1, 2, 3, 4, 5, 6, 7, 8, 10])),
        TandemMS(np.array([50.0, 70.0]), np.array([4.0, 16.0]), "negative", 10.0, precursor_mz=99.5),
        TandemMS(np.array([41.0]), np.array([3.0]), "positive", 20.0),
        HSQC((HSQCPeak(60.0, 4.1, 2, -3.0), HSQCPeak(14.0, 1.2))),
        ElectronIonisationMS(np.array([43.0, 58.0]), np.array([9.0, 1.0])),
    ),
    "CCO",
    "C2H6O",
)


def batch_of(*records: Record) -> SpectraBatch:
    packed = pack([(one, ENCODING.encode(one)) for one in records], ENCODING.schemas)
    return collate(packed, range(len(records))).spectra


def read(modality: Modality, patch: int = 4) -> AxisTokens:
    return read_tokens(batch_of(RECORD).tokens[modality], ENCODING.schemas[modality], patch)


def positions(tokens: AxisTokens) -> torch.Tensor:
    """In the unit of the axis."""
    return tokens.steps_T * torch.tensor([STEP[Axis(one)] for one in tokens.axis_T.tolist()])


def extents(tokens: AxisTokens) -> torch.Tensor:
    """In steps."""
    return torch.expm1(tokens.numbers_TF[:, -2])


def near(values: torch.Tensor, expected: Any) -> None:
    np.testing.assert_allclose(values.numpy(), expected, rtol=2e-6, atol=2e-6)


def test_shifts_by_hand() -> None:
    """Bins are of 0.1 ppm, those of spans of 0.05."""
    hydrogen = read(Modality.H_NMR)
    near(positions(hydrogen), [7.0, 1.2])
    near(hydrogen.numbers_TF[:, :4], [[0.1, 0, 0, 0], [0.3, 0, 0, 0]])
    near(extents(hydrogen), [0.25 / 0.005, 0.1 / 0.005])  # in steps of 0.005 ppm
    carbon = read(Modality.C_NMR)
    near(positions(carbon), [60.0, 14.1])
    near(carbon.numbers_TF[:, :4], [[1, 0, 0, 0], [1, 0, 0, 0]])
    assert carbon.axis_T.tolist() == [Axis.C_PPM] * 2
    assert carbon.form_T.tolist() == [Form.PEAK] * 2
    assert carbon.two_X is None
    cross = read(Modality.HSQC)
    near(positions(cross), [60.0, 14.0])
    assert cross.two_X is not None
    assert cross.second_X is not None
    assert cross.two_X.tolist() == [0, 1]
    near(cross.second_X, [4.1 / 0.005, 1.2 / 0.005])
    near(cross.numbers_TF[:, 0], [-1, 1])  # an unknown intensity is 1


def test_a_curve_by_hand() -> None:
    """Ten points from 400 to 4000 cm-1, 400 apart: windows of four begin at points 0, 2, 4 and 6."""
    infrared = read(Modality.IR, patch=5)
    near(positions(infrared), [1000, 1800, 2600, 3400])
    near(extents(infrared), [1200 / 2] * 4)
    starts = np.arange(4)[:, None] * 2 + np.arange(4)
    heights = np.array([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0])
    near(infrared.numbers_TF[:, :4], heights[starts])
    assert not infrared.numbers_TF[:, 4].any()
    assert set(infrared.form_T.tolist()) == {Form.PATCH}


def test_masses_by_hand() -> None:
    tandem = read(Modality.MS)
    near(positions(tandem), [99.5, 50.0, 70.0, 0.0, 41.0])  # the second precursor is not known
    near(tandem.numbers_TF[:, 0], [0, 0.5, 1, 0, 1])  # square roots of shares of the strongest
    assert tandem.form_T.tolist() == [Form.PRECURSOR, *[Form.PEAK] * 2, Form.PRECURSOR, Form.PEAK]
    assert tandem.numbers_TF[:, -1].tolist() == [-1, -1, -1, 1, 1]
    electron = read(Modality.EI)
    near(electron.numbers_TF[:, 0], [1, 1 / 3])
    assert electron.numbers_TF[:, -1].tolist() == [0, 0]


def test_what_a_token_does_not_tell_changes_nothing() -> None:
    """Multiplicities, couplings, attached hydrogens and energies have no part in the vectors."""
    torch.manual_seed(0)
    module = AxisEmbedding(ENCODING.schemas, 8, 4, 8).double()
    proton, cross = Multiplet(1.2, 1.25, 1.15, "dd", 3, (2.0, 9.0)), HSQCPeak(60.0, 4.1, 1, -1.0)
    mass = TandemMS(np.array([50.0]), np.array([1.0]), "negative", 10.0, 99.5, "[M-H]-", -1)
    one = Record("1", (HydrogenNMR((proton,)), CarbonNMR((9.0,), (3,)), HSQC((cross,)), mass))
    proton, cross = Multiplet(1.2, 1.25, 1.15, "t", 3), HSQCPeak(60.0, 4.1, None, -1.0)
    mass = TandemMS(np.array([50.0]), np.array([1.0]), "negative", 40.0, 99.5)
    two = Record("2", (HydrogenNMR((proton,)), CarbonNMR((9.0,)), HSQC((cross,)), mass))
    first, second = module(batch_of(one, two))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert first.abs().sum(1).min() > 0


def test_a_batch_is_laid_out_with_zeros_at_padding_and_a_formula_has_weights_of_its_own() -> None:
    torch.manual_seed(0)
    module = AxisEmbedding(ENCODING.schemas, 8, 4, 8).double()
    alone = Record("c", (CarbonNMR((60.0,)),), None, "CH4")
    spectra = batch_of(RECORD, alone)
    both = module(spectra)
    assert both.shape == (2, *batch_of(RECORD).modality_BS.shape[1:], 8)
    torch.testing.assert_close(both[:1], module(batch_of(RECORD)), rtol=0, atol=0)
    line = (spectra.modality_BS[0] == Modality.C_NMR).nonzero()[0]
    torch.testing.assert_close(both[1, :1], both[0, line], rtol=0, atol=0), "the same line in both"
    assert not both[1, 3:].any()
    assert module.own is not None
    assert list(module.own.schemas) == [Modality.FORMULA]
    of_formula = spectra.tokens[Modality.FORMULA]
    own = SpectraBatch(spectra.modality_BS, {Modality.FORMULA: of_formula})
    expected = module.own(own).flatten(0, 1)[of_formula.place_T]
    torch.testing.assert_close(both.flatten(0, 1)[of_formula.place_T], expected, rtol=0, atol=0)


def test_every_parameter_has_a_gradient_whatever_a_batch_lacks() -> None:
    module = AxisEmbedding(ENCODING.schemas, 8, 4, 8)
    module(batch_of(Record("c", (CarbonNMR((60.0,)),)))).sum().backward()
    assert all(one.grad is not None for one in module.parameters())


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"model\.patch is 3, but tokens of ir have 4 intensities"):
        AxisEmbedding(ENCODING.schemas, 8, 3)
    with pytest.raises(ValueError, match="at least one modality with an axis, found formula"):
        AxisEmbedding({Modality.FORMULA: ENCODING.schemas[Modality.FORMULA]}, 8, 4)
    module = AxisEmbedding({Modality.C_NMR: ENCODING.schemas[Modality.C_NMR]}, 8, 4, 8)
    with pytest.raises(ValueError, match="the batch holds H_NMR, IR"):
        module(batch_of(Record("r", RECORD.spectra[:3])))


def test_a_modality_without_an_axis_keeps_its_own_embedding() -> None:
    """Such as one that is registered without saying how its tokens are read."""
    line = ENCODING.schemas[Modality.C_NMR]
    plain = TokenSchema(discrete=line.discrete)
    module = AxisEmbedding({Modality.C_NMR: plain, Modality.H_NMR: ENCODING.schemas[Modality.H_NMR]}, 8, 4, 8)
    assert module.own is not None
    assert list(module.own.schemas) == [Modality.C_NMR]
    zero, one = torch.zeros(1, dtype=torch.int64), torch.ones(1, 1, dtype=torch.int64)
    tokens = {Modality.C_NMR: ModalityTokens(zero, zero, one, torch.zeros(1, 0))}
    assert module(SpectraBatch(torch.tensor([[int(Modality.C_NMR)]]), tokens)).any()
