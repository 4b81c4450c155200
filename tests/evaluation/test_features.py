"""Vectors of spectra, by hand."""

import numpy as np
import pytest

from mmspec_ds.data.dataset import SpectraDataset
from mmspec_ds.evaluation.features import AXIS_POINTS, SpectralFeatures, smoothing_kernel
from mmspec_ds.spectra.packed import PackedTokens, offsets_of
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.tokens import ContinuousField, DiscreteField, TokenSchema


def dataset(schema, samples, modality=Modality.MS):
    """`samples`: per sample a list of (discrete values, continuous values)."""
    rows = [token for sample in samples for token in sample]
    packed = PackedTokens(
        np.array([row[0] for row in rows], dtype=np.int16).reshape(len(rows), len(schema.discrete)),
        np.array([row[1] for row in rows], dtype=np.float32).reshape(len(rows), len(schema.continuous)),
        offsets_of([len(sample) for sample in samples]),
    )
    names = tuple(str(at) for at in range(len(samples)))
    return SpectraDataset(names, (None,) * len(names), {modality: packed}, {modality: schema})


def uncentred(data):
    """The blocks of the one modality, scaled but with nothing taken off."""
    (modality,) = data.tokens
    fitted = SpectralFeatures.fit(data)
    zero = {modality: tuple(np.zeros_like(centre) for centre in fitted.centres[modality])}
    return SpectralFeatures(zero, fitted.curve_points).vectors(data, np.arange(len(data)))[modality]


def test_a_nominal_axis_is_counted():
    """Three of word 1 and one of word 2: (3, 1) / sqrt(10); the other sample has word 0 alone."""
    data = dataset(
        TokenSchema(discrete=(DiscreteField("word", 3),), ordered=True),
        [[((1,), ())] * 3 + [((2,), ())], [((0,), ())]],
    )
    np.testing.assert_allclose(uncentred(data), [[0, 3 / 10**0.5, 1 / 10**0.5], [1, 0, 0]], atol=1e-6)


def test_a_further_ordinal_field_weighs():
    """The formula C2H6: plain counts (1, 1), and counts weighed by 2 and 6; both blocks of length 1 / sqrt
    2."""
    schema = TokenSchema(discrete=(DiscreteField("element", 2), DiscreteField("count", 9, ordinal=True)))
    data = dataset(schema, [[((0, 2), ()), ((1, 6), ())]])
    expected = np.array([1 / 2**0.5, 1 / 2**0.5, 2 / 40**0.5, 6 / 40**0.5]) / 2**0.5
    np.testing.assert_allclose(uncentred(data), [expected], atol=1e-6)


def test_peaks_count_with_the_root_of_their_intensity():
    schema = TokenSchema(
        continuous=(ContinuousField("mz", wavelengths=(0.02, 2000.0)), ContinuousField("intensity"))
    )
    data = dataset(schema, [[((), (43.9, 0.09)), ((), (58.0, 0.16))], [((), (5000.0, 1.0))]])
    vectors = uncentred(data)
    assert vectors[0].nonzero()[0].tolist() == [43, 58]
    assert vectors[0, [43, 58]] == pytest.approx([0.6, 0.8])
    assert vectors[1].nonzero()[0].tolist() == [1023]


def test_a_curve_is_laid_out_in_order():
    schema = TokenSchema(continuous=(ContinuousField("a"), ContinuousField("b")), ordered=True)
    data = dataset(schema, [[((), (0.0, 3.0)), ((), (4.0, 0.0))], [((), (1.0, 0.0))]], Modality.IR)
    np.testing.assert_allclose(uncentred(data), [[0, 0.6, 0.8, 0], [1, 0, 0, 0]], atol=1e-6)


def test_what_all_have_in_common_is_taken_off():
    """Words (0, 1) and (0, 2): the mean is (1, .5, .5), so word 0 counts nothing and the two are opposites."""
    data = dataset(
        TokenSchema(discrete=(DiscreteField("word", 3),)),
        [[((0,), ()), ((1,), ())], [((0,), ()), ((2,), ())]],
    )
    vectors = SpectralFeatures.fit(data).vectors(data, np.arange(2))[Modality.MS]
    half = 0.5**0.5
    np.testing.assert_allclose(vectors, [[0, half, -half], [0, -half, half]], atol=1e-6)


def test_a_sample_without_the_modality_is_zero():
    data = dataset(TokenSchema(discrete=(DiscreteField("word", 3),)), [[((0,), ())], [], [((1,), ())]])
    vectors = SpectralFeatures.fit(data).vectors(data, np.arange(3))[Modality.MS]
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 0, 1])


def test_smoothing():
    """Of 1001 bins the standard deviation is 20.02; the grid has 128 points. Two tokens one deviation apart are
    alike to exp(-1/4), far ones are not; a small field is not coarsened."""
    kernel = smoothing_kernel(DiscreteField("shift", 1001, ordinal=True)).astype(float)
    assert kernel.shape == (1001, AXIS_POINTS)
    rows = kernel / np.linalg.norm(kernel, axis=1, keepdims=True)
    assert rows[500] @ rows[520] == pytest.approx(np.exp(-((20 / 20.02) ** 2) / 4), abs=1e-3)
    assert rows[500] @ rows[700] < 1e-9
    assert smoothing_kernel(DiscreteField("energy", 9, ordinal=True)).shape == (9, 9)
