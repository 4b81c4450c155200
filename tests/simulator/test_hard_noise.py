"""The noise profile `hard`: what it does to IR and MS/MS, and that the other profiles are as they were."""

from dataclasses import replace

import numpy as np
import pytest

from mmspec_ds.simulator.noise import BAND_CM1, noisy_infrared, noisy_tandem
from mmspec_ds.simulator.noise_settings import NoiseSettings
from mmspec_ds.simulator.simulate import simulate_record
from mmspec_ds.spectra.records import Infrared, TandemMS

OFF = NoiseSettings.off()
GRID = np.linspace(400.0, 4000.0, 1800)
BAND = Infrared(np.exp(-0.5 * ((GRID - 1700.0) / 15.0) ** 2), 400.0, 4000.0)


def generator(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_bands_move_by_the_standard_deviation_that_is_asked_for() -> None:
    settings = OFF.model_copy(update={"ir_shift_cm1": 20.0})
    places = [
        GRID[noisy_infrared(BAND, settings, generator(seed)).absorbance.argmax()] - 1700.0
        for seed in range(400)
    ]
    # Between knots, errors are means of two: their variance is two thirds on average.
    assert np.std(places) == pytest.approx(20.0 * (2 / 3) ** 0.5, rel=0.2)
    assert np.mean(places) == pytest.approx(0.0, abs=4.0)


def test_heights_scatter_independently_of_each_other() -> None:
    other = np.exp(-0.5 * ((GRID - 1700.0 + 10 * BAND_CM1) / 15.0) ** 2)
    two = replace(BAND, absorbance=BAND.absorbance + other)
    settings = OFF.model_copy(update={"ir_bands": 0.7})
    curves = [noisy_infrared(two, settings, generator(seed)).absorbance for seed in range(400)]
    at = [int(np.abs(GRID - place).argmin()) for place in (1700.0, 1700.0 - 10 * BAND_CM1)]
    logs = np.log([[curve[place] for place in at] for curve in curves])
    assert all(curve.max() == pytest.approx(1.0) for curve in curves)
    assert (logs[:, 0] - logs[:, 1]).std() == pytest.approx(0.7 * (2 * 2 / 3) ** 0.5, rel=0.25)


def test_fragments_are_missing_and_one_stays() -> None:
    spectrum = TandemMS(np.linspace(20.0, 200.0, 40), np.linspace(1.0, 100.0, 40), "positive", 10.0)
    settings = OFF.model_copy(update={"missing_fragment": 0.8})
    found = [noisy_tandem(spectrum, settings, generator(seed)) for seed in range(300)]
    assert np.mean([len(one.mz) for one in found]) == pytest.approx(8.0, abs=0.5)
    for one in found:
        assert one.intensity.max() == pytest.approx(100.0)
        assert set(one.mz) <= set(spectrum.mz)
    single = TandemMS(np.array([50.0]), np.array([100.0]), "positive", 10.0)
    assert len(noisy_tandem(single, settings, generator(0)).mz) == 1


def test_the_rest_of_the_noise_is_drawn_as_without() -> None:
    plain, changed = (
        simulate_record("CC(=O)OCCc1ccccc1", 1, settings)
        for settings in (NoiseSettings(), NoiseSettings(ir_shift_cm1=20.0, missing_fragment=0.5))
    )
    for one, other in zip(plain.spectra, changed.spectra, strict=True):
        if isinstance(one, TandemMS):
            assert isinstance(other, TandemMS)
            assert set(other.mz) < set(one.mz)
            assert other.precursor_mz == one.precursor_mz
        elif not isinstance(one, Infrared):
            assert one == other


def test_it_is_a_profile() -> None:
    hard = NoiseSettings.of_profile("hard")
    assert (hard.carbon_ppm, hard.missing_peak, hard.missing_exchangeable) == (2.0, 0.15, 0.7)
    assert NoiseSettings.of_profile("benchmark") == NoiseSettings()
    assert (NoiseSettings().ir_bands, NoiseSettings().ir_shift_cm1, NoiseSettings().missing_fragment) == (
        0,
        0,
        0,
    )
