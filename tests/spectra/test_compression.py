"""The compression operators against numbers worked out by hand, and every token inside its schema."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmspec_ds.settings import Settings
from mmspec_ds.spectra.modalities.c_nmr import CarbonNMRSettings
from mmspec_ds.spectra.modalities.formula import SYMBOLS
from mmspec_ds.spectra.modalities.h_nmr import MULTIPLICITIES, HydrogenNMRSettings, multiplicity_ids
from mmspec_ds.spectra.modalities.ir import InfraredSettings
from mmspec_ds.spectra.modalities.ms import TandemMSSettings
from mmspec_ds.spectra.packed import PackedTokens
from mmspec_ds.spectra.parquet import available_modalities, read_records
from mmspec_ds.spectra.records import (
    CarbonNMR,
    HydrogenNMR,
    Infrared,
    Modality,
    Multiplet,
    Record,
    Spectrum,
    TandemMS,
)
from mmspec_ds.spectra.registry import REGISTRY, CompressionSettings, compress_record, schema_of
from mmspec_ds.spectra.tokens import TokenSchema


def compress(spectrum: Spectrum, options: Settings) -> PackedTokens:
    """The tokens of one spectrum."""
    entry = REGISTRY[spectrum.modality]
    return entry.compress(entry.from_records([Record("r", (spectrum,))]), options)


def schema(modality: Modality, options: Settings) -> TokenSchema:
    return REGISTRY[modality].schema(options)


def check_against(tokens: PackedTokens, schema: TokenSchema) -> None:
    assert tokens.discrete.dtype == np.int16
    assert tokens.continuous.dtype == np.float32
    assert tokens.discrete.shape == (len(tokens), len(schema.discrete))
    assert tokens.continuous.shape == (len(tokens), len(schema.continuous))
    sizes = np.array([field.size for field in schema.discrete])
    assert (tokens.discrete >= 0).all()
    assert (tokens.discrete < sizes).all()
    assert np.isfinite(tokens.continuous).all()


# 1H


def test_multiplet_by_hand() -> None:
    multiplet = Multiplet(7.26, 7.30, 7.22, "dd", 1, (8.1, 1.6))
    tokens = compress(HydrogenNMR((multiplet,)), HydrogenNMRSettings())
    # (7.26 + 2) / 0.1 = 92.6; 0.08 / 0.05 = 1.6; d d; one hydrogen; 8.1 / 0.5 = 16.2; 1.6 / 0.5 = 3.2
    assert tokens.discrete.tolist() == [[93, 2, 2, 2, 0, 0, 1, 16, 3, 0, 0]]
    assert tokens.continuous.shape == (1, 0)


def test_multiplet_beyond_every_limit() -> None:
    high = Multiplet(25.0, 29.0, 21.0, "ddddt", 40, (100.0, 0.1, 31.5, 31.2, 7.0))
    low = Multiplet(-5.0, -5.0, -5.0, "brs", 0)
    tokens = compress(HydrogenNMR((low, high)), HydrogenNMRSettings())
    other = MULTIPLICITIES.index("other")
    assert tokens.discrete.tolist() == [
        [200, 63, 2, 2, 2, 2, 31, 63, 1, 63, 62],
        [0, 0, other, other, 1, 0, 0, 0, 0, 0, 0],
    ]


@pytest.mark.parametrize("tenths", range(-20, 181))
def test_a_shift_on_the_grid_has_its_own_bin(tenths: int) -> None:
    spectrum = HydrogenNMR((Multiplet(tenths / 10, tenths / 10, tenths / 10, "s", 1),))
    assert compress(spectrum, HydrogenNMRSettings()).discrete[0, 0] == tenths + 20


@pytest.mark.parametrize(
    ("category", "names"),
    [
        ("s", ["s", "none", "none", "none"]),
        ("hept", ["hept", "none", "none", "none"]),
        ("heptd", ["hept", "d", "none", "none"]),
        ("dhept", ["d", "hept", "none", "none"]),
        ("dh", ["d", "h", "none", "none"]),
        ("pqtm", ["p", "q", "t", "m"]),
        ("dddddd", ["d", "d", "d", "d"]),
        ("x", ["other", "none", "none", "none"]),
        ("", ["none", "none", "none", "none"]),
    ],
)
def test_multiplicity_slots(category: str, names: list[str]) -> None:
    assert [MULTIPLICITIES[i] for i in multiplicity_ids(category)] == names


def test_order_of_the_multiplets_does_not_matter_and_the_lowest_are_cut() -> None:
    multiplets = tuple(Multiplet(ppm, ppm, ppm, "s", 1) for ppm in (1.0, 7.0, 3.0))
    tokens = compress(HydrogenNMR(multiplets), HydrogenNMRSettings(max_tokens=2))
    assert tokens.discrete[:, 0].tolist() == [90, 50]


@given(
    st.lists(
        st.builds(
            lambda centre, width, category, hydrogens, j: Multiplet(
                centre, centre + width, centre - width, category, hydrogens, tuple(j)
            ),
            st.floats(-10, 30),
            st.floats(0, 20),
            st.text("sdtqphmx", max_size=7),
            st.integers(0, 500),
            st.lists(st.floats(0, 1e4), max_size=6),
        ),
        max_size=8,
    ),
    st.floats(0.01, 3.0),
)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_multiplets_always_fit_their_schema(multiplets: list[Multiplet], bin_ppm: float) -> None:
    options = HydrogenNMRSettings(bin_ppm=bin_ppm, max_tokens=5)
    tokens = compress(HydrogenNMR(tuple(multiplets)), options)
    assert len(tokens) == min(len(multiplets), 5)
    check_against(tokens, schema(Modality.H_NMR, options))


# 13C


def test_lines_by_hand() -> None:
    spectrum = CarbonNMR((0.0, 128.37, 300.0, -30.0, 128.37))
    tokens = compress(spectrum, CarbonNMRSettings())
    assert tokens.discrete.tolist() == [[2700], [1484], [1484], [200], [0]]
    check_against(tokens, schema(Modality.C_NMR, CarbonNMRSettings()))
    assert schema(Modality.C_NMR, CarbonNMRSettings()).discrete[0].size == 2701


def test_lines_are_cut_at_the_low_end() -> None:
    tokens = compress(CarbonNMR((10.0, 30.0, 20.0)), CarbonNMRSettings(max_tokens=2))
    assert tokens.discrete.tolist() == [[500], [400]]


# IR


def test_windows_by_hand() -> None:
    # Four points from -1 to 1 are -1, -1/3, 1/3, 1, and 0, 1/3, 2/3, 1 when normalised.
    options = InfraredSettings(intervals=4, window=2, stride=2)
    tokens = compress(Infrared(np.array([-1.0, 1.0])), options)
    np.testing.assert_allclose(tokens.continuous, [[0, 1 / 3], [2 / 3, 1]], rtol=1e-6)
    assert tokens.discrete.shape == (2, 0)


def test_overlapping_windows() -> None:
    options = InfraredSettings(intervals=5, window=3, stride=1)
    tokens = compress(Infrared(np.array([0.0, 4.0])), options)
    np.testing.assert_allclose(tokens.continuous, np.array([[0, 1, 2], [1, 2, 3], [2, 3, 4]]) / 4, rtol=1e-6)


@pytest.mark.parametrize(("window", "stride", "number"), [(4, 4, 256), (32, 32, 32), (8, 4, 255), (1024, 1, 1)])
def test_number_of_windows(window: int, stride: int, number: int) -> None:
    options = InfraredSettings(window=window, stride=stride)
    tokens = compress(Infrared(np.sin(np.arange(1800.0))), options)
    assert tokens.continuous.shape == (number, window)
    assert options.tokens == number
    assert (tokens.continuous.min(), tokens.continuous.max()) == (0.0, 1.0)
    assert schema(Modality.IR, options).ordered


def test_a_constant_spectrum_is_zero() -> None:
    tokens = compress(Infrared(np.full(1800, -0.25)), InfraredSettings())
    assert not tokens.continuous.any()


def test_neither_offset_nor_scale_matter() -> None:
    absorbance = np.random.default_rng(5).normal(size=1800)
    plain = compress(Infrared(absorbance), InfraredSettings())
    changed = compress(Infrared(40 * absorbance + 7), InfraredSettings())
    np.testing.assert_allclose(plain.continuous, changed.continuous, atol=1e-6)


def test_a_narrower_range_keeps_its_wavenumbers() -> None:
    # Measured from 1600 to 2800 cm-1 only; the grid has a point every 600.
    options = InfraredSettings(intervals=7, window=1, stride=1)
    spectrum = Infrared(np.array([2.0, 3.0, 4.0]), 1600.0, 2800.0)
    # 2, 2, 2, 3, 4, 2, 2 before the lowest value is taken off and the rest divided by the range.
    assert compress(spectrum, options).continuous[:, 0].tolist() == [0, 0, 0, 0.5, 1, 0, 0]
    backwards = Infrared(np.array([4.0, 3.0, 2.0]), 2800.0, 1600.0)
    assert compress(backwards, options).continuous[:, 0].tolist() == [0, 0, 0, 0.5, 1, 0, 0]


# MS/MS


def test_peaks_by_hand() -> None:
    spectrum = TandemMS(np.array([50.0, 80.0, 70.0, 60.0]), np.array([10.0, 20.0, 5.0, 5.0]), "negative", 20.0)
    tokens = compress(spectrum, TandemMSSettings(max_peaks=3))
    # 60 and 70 are equally strong: the one of lower m/z stays. 20 eV is the bin after 0-5, 5-10, 10-15, 15-20.
    np.testing.assert_allclose(tokens.continuous, [[50, 0.5], [60, 0.25], [80, 1]])
    assert tokens.discrete.tolist() == [[5, 1]] * 3


@pytest.mark.parametrize(
    ("energy", "energy_bin"), [(None, 0), (0.0, 1), (4.9, 1), (10.0, 3), (40.0, 9), (199.0, 40), (900.0, 40)]
)
def test_energy_bins(energy: float | None, energy_bin: int) -> None:
    tokens = compress(TandemMS(np.array([50.0]), np.array([1.0]), "positive", energy), TandemMSSettings())
    assert tokens.discrete.tolist() == [[energy_bin, 0]]
    check_against(tokens, schema(Modality.MS, TandemMSSettings()))


@given(
    st.lists(st.tuples(st.floats(1, 2000), st.floats(0.001, 1e6)), min_size=1, max_size=40), st.integers(1, 50)
)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_the_kept_peaks_are_the_strongest(peaks: list[tuple[float, float]], max_peaks: int) -> None:
    mz, intensity = np.array(peaks).T
    tokens = compress(TandemMS(mz, intensity), TandemMSSettings(max_peaks=max_peaks))
    strongest = np.sort(intensity / intensity.max())[::-1][:max_peaks]
    np.testing.assert_allclose(np.sort(tokens.continuous[:, 1])[::-1], strongest, rtol=1e-6)
    assert (np.diff(tokens.continuous[:, 0]) >= 0).all()


def test_no_peaks_no_tokens() -> None:
    assert len(compress(TandemMS(np.array([]), np.array([])), TandemMSSettings())) == 0


# Formula


def test_formula_by_hand() -> None:
    plain, ion = (Record("r", formula=text) for text in ("C11H15FN2O2", "C300PtO4-2"))
    tokens = compress_record(plain, Modality, CompressionSettings())[Modality.FORMULA]
    assert tokens.discrete.tolist() == [[1, 11], [2, 15], [6, 1], [4, 2], [5, 2]]
    charged = compress_record(ion, Modality, CompressionSettings())[Modality.FORMULA]
    other, minus = SYMBOLS.index("other"), SYMBOLS.index("-")
    assert charged.discrete.tolist() == [[1, 255], [other, 1], [5, 4], [minus, 2]]
    check_against(charged, schema_of(Modality.FORMULA, CompressionSettings()))


# All of them


def test_the_published_sample_fits_the_schemas(shared_data: Path) -> None:
    options = CompressionSettings()
    path = shared_data / "alberts" / "example_data_1.parquet"
    available = available_modalities(path)
    assert available == tuple(Modality)[:-1]  # but for EI-MS
    for record in read_records(path, modalities=available):
        compressed = compress_record(record, Modality, options)
        assert set(compressed) == set(available)
        for modality, tokens in compressed.items():
            check_against(tokens, schema_of(modality, options))
        spectra = {spectrum.modality: spectrum for spectrum in record.spectra}
        assert len(compressed[Modality.H_NMR]) == len(spectra[Modality.H_NMR].multiplets)
        assert len(compressed[Modality.C_NMR]) == len(spectra[Modality.C_NMR].shifts_ppm)
        assert len(compressed[Modality.IR]) == 256
        assert len(compressed[Modality.MS]) == sum(len(s.mz) for s in record.of(Modality.MS))
        assert MULTIPLICITIES.index("other") not in compressed[Modality.H_NMR].discrete[:, 2:6]
