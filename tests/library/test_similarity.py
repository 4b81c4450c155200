"""Similarities of mass spectra, compared with values worked out by hand and with ms_entropy and matchms."""

from typing import Any

import numpy as np
import pytest

from mmspec_ds.library.peaks import Peaks, PeakSettings, peaks_of
from mmspec_ds.library.similarity import (
    COSINE,
    NIST,
    SQUARE_ROOT,
    STEIN_SCOTT,
    Weights,
    cosine,
    entropy_similarity,
    entropy_weighted,
    modified_cosine,
)

SETTINGS = PeakSettings()
ALL_WEIGHTS = (COSINE, SQUARE_ROOT, NIST, STEIN_SCOTT)


def random_spectra(seed: int, count: int, step: float = 0.015) -> list[tuple[np.ndarray, np.ndarray]]:
    """Spectra on a coarse grid, so that many peaks are equal and some are close; intensities without ties."""
    rng = np.random.default_rng(seed)
    spectra = []
    for _ in range(count):
        places = np.sort(rng.choice(900, size=rng.integers(1, 60), replace=False))
        mz = 100 + places * step + rng.uniform(-0.002, 0.002, len(places))
        spectra.append((mz, rng.lognormal(0, 1.5, len(places))))
    return spectra


def one(peaks: Peaks, row: int) -> Peaks:
    return peaks.take(np.array([row]))


def stacked(spectrum: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    return np.stack(spectrum, axis=1)


def test_entropy_similarity_by_hand() -> None:
    """Two spectra of one equal and one other peak each, all of 1/2: half a bit. The weights change nothing."""
    peaks = peaks_of([(np.array([50.0, 80.0]), np.ones(2)), (np.array([50.01, 90.0]), np.ones(2))])
    weighted = entropy_weighted(peaks.cleaned(SETTINGS))
    got = entropy_similarity(one(weighted, 0), weighted, SETTINGS)
    np.testing.assert_allclose(got, [1.0, 0.5], atol=1e-12)


def test_entropy_weights_by_hand() -> None:
    """Shares 0.2 and 0.8 have an entropy of 0.5004 nats: power 0.25 + 0.1251."""
    weighted = entropy_weighted(Peaks(np.array([50.0, 60.0]), np.array([0.2, 0.8]), np.array([0, 2])))
    power = 0.25 + 0.25 * -(0.2 * np.log(0.2) + 0.8 * np.log(0.8))
    by_hand = np.array([0.2**power, 0.8**power])
    np.testing.assert_allclose(weighted.intensity, by_hand / by_hand.sum(), rtol=1e-12)


def test_nist_cosine_by_hand() -> None:
    peaks = peaks_of([(np.array([40.0, 100.0]), np.array([1.0, 3.0])), (np.array([100.0]), np.array([7.0]))])
    cleaned = peaks.cleaned(SETTINGS)
    heavy, light = 100**1.3 * 0.75**0.53, 40**1.3 * 0.25**0.53
    got = cosine(one(cleaned, 0), cleaned, SETTINGS, NIST)
    np.testing.assert_allclose(got, [1.0, heavy / np.hypot(heavy, light)], rtol=1e-12)


def test_modified_cosine_pairs_shifted_peaks() -> None:
    """Precursors 14 apart: 60 and 74 are equal by the shift, 50 as it is; 200 has no partner."""
    peaks = peaks_of(
        [
            (np.array([50.0, 60.0, 200.0]), np.array([3.0, 4.0, 12.0])),
            (np.array([50.0, 74.0]), np.array([3.0, 4.0])),
        ]
    )
    got = modified_cosine(one(peaks, 0), 150.0, peaks, np.array([150.0, 164.0]), SETTINGS)
    np.testing.assert_allclose(got, [1.0, 25 / (13 * 5)], rtol=1e-12)


def test_without_a_precursor_peaks_count_as_they_are() -> None:
    peaks = peaks_of([(np.array([50.0, 60.0]), np.ones(2)), (np.array([50.0, 74.0]), np.ones(2))])
    got = modified_cosine(one(peaks, 0), 150.0, peaks, np.array([np.nan, np.nan]), SETTINGS)
    np.testing.assert_allclose(got, [1.0, 0.5], rtol=1e-12)


TOLERANCES = [
    pytest.param(PeakSettings(), id="20 mDa"),
    pytest.param(PeakSettings(tolerance_da=0.05), id="50 mDa"),
    pytest.param(PeakSettings(tolerance_ppm=100), id="100 ppm"),
    pytest.param(PeakSettings(most_peaks=10), id="10 peaks"),
]


def in_their_words(settings: PeakSettings, by: float, what: str) -> dict[str, float]:
    """The tolerance, times a number, as ms_entropy wants it."""
    if settings.tolerance_ppm is None:
        return {f"{what}_in_da": by * settings.tolerance_da}
    return {f"{what}_in_ppm": by * settings.tolerance_ppm}


@pytest.mark.parametrize("settings", TOLERANCES)
def test_entropy_as_ms_entropy(settings: PeakSettings) -> None:
    ms_entropy = pytest.importorskip("ms_entropy")
    cleaned = peaks_of(random_spectra(1, 80)).cleaned(settings)
    theirs = [stacked(cleaned.spectrum(row)) for row in range(len(cleaned))]
    named = in_their_words(settings, 1, "ms2_tolerance")
    expected = [
        ms_entropy.calculate_entropy_similarity(theirs[0], other, clean_spectra=False, **named)
        for other in theirs
    ]
    weighted = entropy_weighted(cleaned)
    got = entropy_similarity(one(weighted, 0), weighted, settings)
    assert np.count_nonzero(got > 0.02) > 5
    np.testing.assert_allclose(got, expected, atol=1e-6)


@pytest.mark.parametrize("settings", TOLERANCES)
def test_cleaning_as_ms_entropy(settings: PeakSettings) -> None:
    """On a grid on which peaks merge in twos and threes: in longer chains its compiled and its Python code
    do not agree with each other."""
    ms_entropy = pytest.importorskip("ms_entropy")
    spectra = random_spectra(2, 60, step=0.8 * settings.tolerance(np.full(1, 100.0))[0] * 2)
    cleaned = peaks_of(spectra).cleaned(settings)
    assert sum(cleaned.counts) < 0.95 * sum(len(mz) for mz, _ in spectra)
    for row, spectrum in enumerate(spectra):
        expected = ms_entropy.clean_spectrum(
            stacked(spectrum),
            max_peak_num=settings.most_peaks or -1,
            **in_their_words(settings, 2, "min_ms2_difference"),
        )
        np.testing.assert_allclose(stacked(cleaned.spectrum(row)), expected, rtol=3e-6)


def matchms_spectrum(matchms: Any, spectrum: tuple[np.ndarray, np.ndarray], precursor: float) -> Any:
    mz, intensity = spectrum
    return matchms.Spectrum(mz=mz, intensities=intensity, metadata={"precursor_mz": precursor})


@pytest.mark.parametrize("weights", ALL_WEIGHTS, ids=["cosine", "square root", "NIST", "Stein and Scott"])
def test_cosines_as_matchms(weights: Weights) -> None:
    matchms = pytest.importorskip("matchms")
    cleaned = peaks_of(random_spectra(3, 60)).cleaned(SETTINGS)
    theirs = [matchms_spectrum(matchms, cleaned.spectrum(row), 100.0) for row in range(len(cleaned))]
    score = matchms.similarity.CosineGreedy(SETTINGS.tolerance_da, weights.mz, weights.intensity)
    expected = [float(score.pair(other, theirs[0])["score"]) for other in theirs]
    np.testing.assert_allclose(cosine(one(cleaned, 0), cleaned, SETTINGS, weights), expected, atol=1e-12)


@pytest.mark.parametrize("tolerance", [0.02, 0.1])
def test_modified_cosine_as_matchms(tolerance: float) -> None:
    """Of spectra that are not cleaned: with 0.1 Da a peak has several partners, and the choice matters."""
    matchms = pytest.importorskip("matchms")
    spectra = random_spectra(4, 60)
    precursors = 115 + np.random.default_rng(5).integers(-2, 3, len(spectra)) * 0.75
    theirs = [matchms_spectrum(matchms, one, mass) for one, mass in zip(spectra, precursors)]
    score = matchms.similarity.ModifiedCosineGreedy(tolerance)
    expected = [float(score.pair(theirs[0], other)["score"]) for other in theirs]
    peaks = peaks_of(spectra)
    got = modified_cosine(one(peaks, 0), precursors[0], peaks, precursors, PeakSettings(tolerance_da=tolerance))
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_whole_numbers_add_up_the_peaks_of_a_nominal_mass() -> None:
    peaks = peaks_of([(np.array([57.03, 57.07, 71.086, 71.5]), np.array([1.0, 1.0, 2.0, 4.0]))])
    cleaned = peaks.cleaned(PeakSettings(whole_numbers=True))
    np.testing.assert_array_equal(cleaned.mz, [57, 71, 72])
    np.testing.assert_allclose(cleaned.intensity, [0.25, 0.25, 0.5])


def test_spectra_without_usable_peaks_have_similarity_zero() -> None:
    bad = (np.array([np.nan, -1.0, 50.0]), np.array([1.0, 1.0, 0.0]))
    peaks = peaks_of([(np.array([50.0]), np.array([2.0])), bad, (np.zeros(0), np.zeros(0))]).cleaned(SETTINGS)
    np.testing.assert_array_equal(peaks.counts, [1, 0, 0])
    np.testing.assert_array_equal(cosine(one(peaks, 0), peaks, SETTINGS), [1, 0, 0])
    weighted = entropy_weighted(peaks)
    np.testing.assert_array_equal(entropy_similarity(one(weighted, 0), weighted, SETTINGS), [1, 0, 0])
    np.testing.assert_array_equal(entropy_similarity(one(weighted, 1), weighted, SETTINGS), [0, 0, 0])


def test_rows_are_taken_in_the_order_asked_for() -> None:
    peaks = peaks_of(random_spectra(6, 5))
    taken = peaks.take(np.array([3, 0, 3]))
    for place, row in enumerate((3, 0, 3)):
        np.testing.assert_array_equal(stacked(taken.spectrum(place)), stacked(peaks.spectrum(row)))
