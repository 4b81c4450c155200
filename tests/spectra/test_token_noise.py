"""Noise on tokens: what is lost is what a record without it gives, and errors have the asked-for size."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import kstest

from mmspec_ds.readers.nmr_lists import listed_multiplet
from mmspec_ds.spectra.packed import PackedTokens, places
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
    Spectrum,
    TandemMS,
)
from mmspec_ds.spectra.registry import REGISTRY, CompressionSettings, block_of, compress_records
from mmspec_ds.spectra.token_noise import Draws, _mixed, kept_items

COMPRESSION = CompressionSettings.model_validate(
    {"c_nmr": {"multiplicity": True}, "ms": {"precursor": True}, "ir": {"window": 128, "stride": 64}}
)
BENCHMARK = CompressionSettings()

PROTON = HydrogenNMR(
    (
        Multiplet(7.26, 7.30, 7.22, "dd", 2, (8.0, 1.5)),
        Multiplet(3.71, 3.74, 3.60, "q", 2, (7.1,)),
        Multiplet(1.18, 1.20, 1.16, "t", 3, (7.1,)),
    )
)
CARBON = CarbonNMR((170.4, 77.2, 14.1), (0, 1, 3))
CROSS = HSQC((HSQCPeak(77.2, 3.71, 1, 50.0), HSQCPeak(14.1, 1.18, 3, -100.0)))
CURVE = Infrared(np.random.default_rng(0).random(1800))
TANDEM = tuple(
    TandemMS(
        np.array([41.0386, 57.0335, 75.0441]),
        np.array([20.0, 100.0, 5.0]),
        polarity,
        energy,
        precursor_mz=75.0441,
        adduct="[M+H]+",
        charge=1,
        measured_energy_ev=energy + 1,
    )
    for polarity in ("positive", "negative")
    for energy in (10.0, 40.0)
)
IONISED = ElectronIonisationMS(np.array([29.0, 43.0, 58.0]), np.array([40.0, 100.0, 12.0]), 70.0)


def record(*spectra: Spectrum) -> Record:
    return Record("one", spectra, "CCO", "C2H6O")


WHOLE = record(PROTON, CARBON, CURVE, *TANDEM, CROSS, IONISED)
BARE = record(
    HydrogenNMR(tuple(listed_multiplet(one.centroid_ppm, "m", 1, ()) for one in PROTON.multiplets)),
    CarbonNMR(CARBON.shifts_ppm),
    CURVE,
    *(
        TandemMS(one.mz, one.intensity, one.polarity, energy)
        for one, energy in zip(TANDEM, (None, None, None, None))
    ),
    HSQC(tuple(HSQCPeak(peak.carbon_ppm, peak.hydrogen_ppm) for peak in CROSS.peaks)),
    IONISED,
)
"""The same with shifts, m/z and intensities alone."""
ALL_LOST = {
    Modality.H_NMR: {"couplings_lost": 1.0, "integrals_lost": 1.0},
    Modality.C_NMR: {"attached_lost": 1.0},
    Modality.HSQC: {"hydrogens_lost": 1.0, "intensities_lost": 1.0},
    Modality.MS: {"energy_lost": 1.0, "precursor_lost": 1.0},
}


def tokens_of(
    modality: Modality, *records: Record, settings: CompressionSettings = COMPRESSION
) -> PackedTokens:
    return compress_records(records, [modality], settings)[modality]


def noisy(
    modality: Modality,
    tokens: PackedTokens,
    settings: CompressionSettings = COMPRESSION,
    seed: int = 0,
    **noise: float,
) -> PackedTokens:
    """The tokens after a modality's own operator."""
    entry = REGISTRY[modality]
    draws = Draws.of(np.arange(len(tokens.counts)), seed)
    block = type(entry.noise).model_validate(noise)
    return entry.with_noise(tokens, block_of(entry, settings), block, draws)


def assert_equal(found: PackedTokens, expected: PackedTokens) -> None:
    np.testing.assert_array_equal(found.offsets, expected.offsets)
    np.testing.assert_array_equal(found.discrete, expected.discrete)
    np.testing.assert_allclose(found.continuous, expected.continuous, rtol=0, atol=1e-7)


def test_the_generator_is_splitmix64() -> None:
    # The published first outputs for the seed 1234567, whose state grows by the golden ratio.
    state = np.array(
        [1234567 + step * 0x9E3779B97F4A7C15 & (1 << 64) - 1 for step in (1, 2, 3)], dtype=np.uint64
    )
    assert _mixed(state).tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_draws_are_even_and_belong_to_their_row() -> None:
    draws, alone = Draws.of(np.array([7, 3, 12]), 5, 1), Draws.of(np.array([3]), 5, 1)
    counts = np.array([20_000, 30_000, 0])
    first, second = draws.items(counts), draws.items(counts)
    np.testing.assert_array_equal(first[20_000:], alone.items(counts[1:2]))
    assert kstest(first, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(first, second)[0, 1]) < 5 / np.sqrt(len(first))
    assert kstest(draws.normal_items(counts), "norm").pvalue > 1e-3
    assert not np.intersect1d(first, Draws.of(np.array([7, 3, 12]), 5, 2).items(counts)).size


def test_the_largest_of_each_row_is_kept() -> None:
    chance = np.array([0.1, 0.3, 0.2, 0.9, 0.5, 0.05])
    kept = kept_items(np.array([3, 0, 2, 1]), 0.6, chance)
    assert kept.tolist() == [False, True, False, True, False, True]


@pytest.mark.parametrize("settings", [COMPRESSION, BENCHMARK], ids=["all fields", "benchmark"])
@pytest.mark.parametrize("modality", list(REGISTRY), ids=lambda modality: modality.name.lower())
def test_without_noise_nothing_changes(modality: Modality, settings: CompressionSettings) -> None:
    tokens = tokens_of(modality, WHOLE, record(CURVE), BARE, settings=settings)
    assert_equal(noisy(modality, tokens, settings), tokens)


@pytest.mark.parametrize("modality", list(ALL_LOST), ids=lambda modality: modality.name.lower())
def test_what_is_lost_is_what_a_record_without_it_gives(modality: Modality) -> None:
    found = noisy(modality, tokens_of(modality, WHOLE), **ALL_LOST[modality])
    assert_equal(found, tokens_of(modality, BARE))


def test_one_field_of_multiplets_is_lost_without_the_other() -> None:
    tokens = tokens_of(Modality.H_NMR, WHOLE)
    without_couplings = HydrogenNMR(
        tuple(listed_multiplet(one.centroid_ppm, "m", one.hydrogens, ()) for one in PROTON.multiplets)
    )
    counted_as_one = HydrogenNMR(tuple(replace(one, hydrogens=1) for one in PROTON.multiplets))
    for lost, expected in (("couplings_lost", without_couplings), ("integrals_lost", counted_as_one)):
        found = noisy(Modality.H_NMR, tokens, **{lost: 1.0})
        assert_equal(found, tokens_of(Modality.H_NMR, record(expected)))


def rows_of(modality: Modality, count: int) -> PackedTokens:
    return tokens_of(modality, WHOLE).subset(np.zeros(count, dtype=np.int64))


@pytest.mark.parametrize(
    ("modality", "field", "noise", "bin_ppm", "spread"),
    [
        (Modality.H_NMR, 0, "shift_ppm", 0.1, 0.4),
        (Modality.C_NMR, 0, "shift_ppm", 0.1, 1.5),
        (Modality.HSQC, 0, "carbon_ppm", 0.1, 1.5),
        (Modality.HSQC, 1, "hydrogen_ppm", 0.1, 0.4),
    ],
)
def test_shifts_have_errors_of_the_asked_size(
    modality: Modality, field: int, noise: str, bin_ppm: float, spread: float
) -> None:
    tokens = rows_of(modality, 20_000)
    found = noisy(modality, tokens, **{noise: spread})
    last = places(tokens.counts) == tokens.counts[0] - 1  # far from the others: the order stays
    moved = bin_ppm * (found.discrete[last, field].astype(float) - tokens.discrete[last, field])
    # Rounding to a bin adds width^2 / 12 to the variance; five standard errors.
    expected = np.sqrt(spread**2 + bin_ppm**2 / 12)
    assert abs(moved.mean()) < 5 * expected / np.sqrt(20_000)
    assert moved.std() == pytest.approx(expected, rel=5 / np.sqrt(2 * 20_000))
    assert (np.delete(found.discrete[last], field, 1) == np.delete(tokens.discrete[last], field, 1)).all()


@pytest.mark.parametrize("modality", [Modality.H_NMR, Modality.C_NMR, Modality.HSQC])
def test_peaks_are_missing_and_false_as_often_as_asked(modality: Modality) -> None:
    tokens = rows_of(modality, 10_000)
    size = len(tokens)
    gone = noisy(modality, tokens, missing_peak=0.2)
    assert (gone.counts > 0).all()
    one_row = tokens.counts[0]
    expected = 0.8 + 0.2**one_row / one_row  # of a row without any, one stays
    assert len(gone) / size == pytest.approx(expected, abs=5 * np.sqrt(0.16 / size))
    more = noisy(modality, tokens, false_peak=0.25)
    assert len(more) / size == pytest.approx(1.25, abs=5 * np.sqrt(0.1875 / size))
    shift = more.discrete[:, 0]
    row = np.repeat(np.arange(len(more.counts)), more.counts)
    assert (np.diff(shift)[np.diff(row) == 0] <= 0).all()


def test_false_lines_are_no_more_than_a_spectrum_may_have() -> None:
    settings = CompressionSettings.model_validate({"c_nmr": {"max_tokens": 3, "multiplicity": True}})
    tokens = tokens_of(Modality.C_NMR, WHOLE, settings=settings)
    assert noisy(Modality.C_NMR, tokens, settings, false_peak=1.0).counts.tolist() == [3]


def test_curves_are_normalised_again() -> None:
    settings = COMPRESSION.ir
    curve = np.zeros(1800)
    curve[900:1000] = np.linspace(0, 1, 100)
    tokens = tokens_of(Modality.IR, record(Infrared(curve))).subset(np.zeros(500, dtype=np.int64))
    for noise in ({"slope": 0.5}, {"noise": 0.1}, {"contrast": 0.5}):
        found = noisy(Modality.IR, tokens, **noise).continuous.reshape(500, settings.tokens, settings.window)
        assert found.min(axis=(1, 2)) == pytest.approx(0, abs=1e-6)
        assert found.max(axis=(1, 2)) == pytest.approx(1, abs=1e-6)
        # Windows overlap by half: both show the same points.
        np.testing.assert_array_equal(found[:, 1:, :64], found[:, :-1, 64:])
    powers = noisy(Modality.IR, tokens, contrast=0.5).continuous
    inside = (tokens.continuous > 0.3) & (tokens.continuous < 0.7)
    logarithms = np.log(np.log(powers[inside]) / np.log(tokens.continuous[inside]))
    assert logarithms.std() == pytest.approx(0.5, rel=0.15)


def spectra_of(tokens: PackedTokens) -> list[dict[str, Any]]:
    """The spectra of tokens with precursors, one after the other."""
    starts = np.flatnonzero(tokens.discrete[:, 2] > 0)
    parts = zip(np.split(tokens.discrete, starts)[1:], np.split(tokens.continuous, starts)[1:])
    return [{"fields": fields[0], "mz": values[1:, 0], "intensity": values[1:, 1]} for fields, values in parts]


def test_peaks_of_tandem_spectra_move_and_scatter() -> None:
    tokens = rows_of(Modality.MS, 2000)
    found = spectra_of(noisy(Modality.MS, tokens, mz_ppm=20.0))
    errors = [1e6 * (one["mz"] / TANDEM[0].mz - 1) for one in found]
    assert np.std(errors) == pytest.approx(20.0, rel=0.03)
    scattered = spectra_of(noisy(Modality.MS, tokens, intensity=0.2))
    assert all(one["intensity"].max() == 1 for one in scattered)
    ratio = np.log([one["intensity"][0] / one["intensity"][1] / 0.2 for one in scattered])
    assert ratio.std() == pytest.approx(0.2 * np.sqrt(2), rel=0.05)


def test_tandem_spectra_and_their_peaks_are_missing() -> None:
    tokens = rows_of(Modality.MS, 3000)
    fewer = noisy(Modality.MS, tokens, missing_spectrum=0.5)
    spectra = np.bincount(np.repeat(np.arange(3000), fewer.counts)[fewer.discrete[:, 2] > 0], minlength=3000)
    assert spectra.min() == 1
    assert spectra.mean() == pytest.approx(2 + 0.5**4, abs=5 / np.sqrt(3000))
    found = spectra_of(noisy(Modality.MS, tokens, missing_peak=0.4, false_peak=0.5))
    assert min(len(one["mz"]) for one in found) == 1
    assert np.mean([len(one["mz"]) for one in found]) == pytest.approx(1.8 + 0.4**3, rel=0.01)
    assert all((np.diff(one["mz"]) >= 0).all() for one in found)
    true = np.isin(np.concatenate([one["mz"] for one in found]), TANDEM[0].mz.astype(np.float32))
    assert true.mean() == pytest.approx(0.5, abs=0.02)


def test_energies_move_together() -> None:
    found = spectra_of(noisy(Modality.MS, rows_of(Modality.MS, 3000), energy=0.3))
    energies = np.array([one["fields"][5] for one in found]).reshape(3000, 4)
    assert np.log(energies[:, 1] / 41.0).std() == pytest.approx(0.3, rel=0.05)
    assert np.corrcoef(np.log(energies[:, :2]).T)[0, 1] > 0.98


@pytest.mark.parametrize("modality", list(REGISTRY), ids=lambda modality: modality.name.lower())
def test_rows_without_the_modality_stay_so(modality: Modality) -> None:
    strong: dict[str, float] = {"missing_peak": 0.5, "false_peak": 0.5}
    fields = type(REGISTRY[modality].noise).model_fields
    noise = {name: value for name, value in strong.items() if name in fields}
    without = Record("none", (), "CCO", None)
    found = noisy(modality, tokens_of(modality, without, WHOLE, without), **noise)
    assert (found.counts > 0).tolist() == [False, True, False]
    nothing = tokens_of(modality, without, without)
    assert noisy(modality, nothing, **noise).counts.tolist() == [0, 0]
