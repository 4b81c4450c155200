"""Noise: its size over many draws, its independence of everything but seed and molecule, and none when off."""

import numpy as np
import pytest
from pydantic import ValidationError

from mmspec_ds.simulator.noise import (
    add_noise,
    molecule_generator,
    noisy_carbon,
    noisy_hydrogen,
    noisy_infrared,
    noisy_tandem,
)
from mmspec_ds.simulator.noise_settings import NoiseSettings
from mmspec_ds.simulator.simulate import simulate_record
from mmspec_ds.spectra.records import CarbonNMR, HydrogenNMR, Infrared, Modality, Multiplet, TandemMS

ONLY_SCATTER = NoiseSettings(missing_peak=0.0, spurious_peak=0.0, unresolved=0.0)


def test_defaults_are_the_required_ones() -> None:
    settings = NoiseSettings()
    assert (settings.carbon_ppm, settings.hydrogen_ppm) == (2.0, 0.2)
    assert settings.missing_peak > 0
    assert settings.spurious_peak > 0
    with pytest.raises(ValidationError):
        NoiseSettings(carbon_ppm=-1.0)


def test_13c_scatter_is_2_ppm() -> None:
    clean = CarbonNMR(
        tuple(float(1000 * line) for line in range(4000, 0, -1))
    )  # too far apart to change places
    noisy = noisy_carbon(clean, ONLY_SCATTER, np.random.default_rng(0))
    errors = np.array(noisy.shifts_ppm) - np.array(clean.shifts_ppm)
    assert errors.std() == pytest.approx(2.0, rel=0.05)
    assert abs(errors.mean()) < 0.15


def test_1h_scatter_is_0_2_ppm_and_moves_the_edges_along() -> None:
    clean = HydrogenNMR(tuple(Multiplet(c, c + 0.05, c - 0.05, "t", 2, (7.0,)) for c in range(4000, 0, -1)))
    noisy = noisy_hydrogen(clean, ONLY_SCATTER, np.random.default_rng(0))
    errors = np.array([m.centroid_ppm - round(m.centroid_ppm) for m in noisy.multiplets])
    assert errors.std() == pytest.approx(0.2, rel=0.05)
    assert all(m.max_ppm - m.min_ppm == pytest.approx(0.1) for m in noisy.multiplets)
    assert all((m.category, m.hydrogens, m.j_hz) == ("t", 2, (7.0,)) for m in noisy.multiplets)


def test_missing_and_spurious_peaks_have_their_rates() -> None:
    clean = CarbonNMR(tuple(float(1000 * line) for line in range(20000, 0, -1)))
    missing = NoiseSettings(missing_peak=0.03, spurious_peak=0.0)
    kept = len(noisy_carbon(clean, missing, np.random.default_rng(1)).shifts_ppm)
    assert 1 - kept / 20000 == pytest.approx(0.03, abs=0.004)
    spurious = NoiseSettings(missing_peak=0.0, spurious_peak=0.05)
    added = len(noisy_carbon(clean, spurious, np.random.default_rng(1)).shifts_ppm) - 20000
    assert added / 20000 == pytest.approx(0.05, abs=0.005)


def test_one_peak_always_remains() -> None:
    settings = NoiseSettings(missing_peak=0.99, spurious_peak=0.0)
    for seed in range(50):
        random = np.random.default_rng(seed)
        assert len(noisy_carbon(CarbonNMR((10.0, 20.0)), settings, random).shifts_ppm) >= 1


def test_unresolved_multiplets_lose_their_couplings() -> None:
    clean = HydrogenNMR(tuple(Multiplet(c, c + 0.05, c - 0.05, "t", 2, (7.0,)) for c in range(5000, 0, -1)))
    settings = NoiseSettings(missing_peak=0.0, spurious_peak=0.0, unresolved=0.1)
    noisy = noisy_hydrogen(clean, settings, np.random.default_rng(2)).multiplets
    blurred = [m for m in noisy if m.category == "m"]
    assert len(blurred) / 5000 == pytest.approx(0.1, abs=0.015)
    assert all(m.j_hz == () and m.hydrogens == 2 for m in blurred)


def test_infrared_noise() -> None:
    flat = Infrared(np.zeros(1800))
    noisy = noisy_infrared(flat, NoiseSettings(ir_noise=0.01, ir_baseline=0.0), np.random.default_rng(0))
    assert noisy.absorbance.std() == pytest.approx(0.01, rel=0.05)
    tilted = noisy_infrared(flat, NoiseSettings(ir_noise=0.0, ir_baseline=0.5), np.random.default_rng(0))
    assert np.ptp(np.diff(tilted.absorbance)) == pytest.approx(0.0, abs=1e-12)  # a straight line
    assert abs(tilted.absorbance[0] - tilted.absorbance[-1]) > 1e-3


def test_mass_errors_are_parts_per_million_and_peaks_stay_sorted() -> None:
    clean = TandemMS(np.linspace(50.0, 500.0, 5000), np.full(5000, 50.0), "negative", 20.0)
    settings = NoiseSettings(missing_peak=0.0, spurious_peak=0.0, mz_ppm=5.0, intensity=0.0)
    noisy = noisy_tandem(clean, settings, np.random.default_rng(0))
    assert (1e6 * (noisy.mz / clean.mz - 1)).std() == pytest.approx(5.0, rel=0.05)
    assert noisy.intensity == pytest.approx(np.full(5000, 100.0))
    assert (noisy.polarity, noisy.collision_energy_ev) == ("negative", 20.0)
    crowded = noisy_tandem(clean, NoiseSettings(mz_ppm=2000.0), np.random.default_rng(0))
    assert (np.diff(crowded.mz) >= 0).all()
    assert crowded.intensity.max() == pytest.approx(100.0)


def test_off_changes_nothing() -> None:
    clean = simulate_record("CCOC(C)=O", noise=NoiseSettings.off())
    streams = molecule_generator(5, "CCOC(C)=O").spawn(len(clean.spectra))
    again = add_noise(clean.spectra, NoiseSettings.off(), streams)
    for first, second in zip(clean.spectra, again, strict=True):
        match first, second:
            case Infrared(), Infrared():
                assert np.array_equal(first.absorbance, second.absorbance)
            case TandemMS(), TandemMS():
                assert np.array_equal(first.mz, second.mz)
                assert second.intensity == pytest.approx(first.intensity)
            case _:
                assert first == second


def test_noise_depends_on_seed_and_molecule_alone() -> None:
    def carbon(smiles: str, seed: int) -> object:
        return next(simulate_record(smiles, seed).of(Modality.C_NMR))

    assert carbon("CCOC(C)=O", 0) == carbon("CCOC(C)=O", 0)
    assert carbon("CCOC(C)=O", 0) == carbon("O=C(C)OCC", 0)  # another spelling of the same molecule
    assert carbon("CCOC(C)=O", 0) != carbon("CCOC(C)=O", 1)


def test_noise_of_one_modality_leaves_the_others_alone() -> None:
    usual = simulate_record("CCOC(C)=O", 0)
    other = simulate_record("CCOC(C)=O", 0, NoiseSettings(carbon_ppm=0.0, missing_peak=0.02))
    assert next(usual.of(Modality.C_NMR)) != next(other.of(Modality.C_NMR))
    assert next(usual.of(Modality.H_NMR)) == next(other.of(Modality.H_NMR))


def test_measured_lists_have_positions_and_mostly_nothing_else() -> None:
    settings = NoiseSettings.of_profile("measured-lists")
    assert NoiseSettings.of_profile("benchmark") == NoiseSettings()
    clean = HydrogenNMR((Multiplet(3.6, 3.7, 3.5, "q", 2, (7.0,)), Multiplet(1.2, 1.3, 1.1, "t", 3, (7.0,))))
    lists = [noisy_hydrogen(clean, settings, np.random.default_rng(seed)).multiplets for seed in range(400)]
    for multiplet in (one for multiplets in lists for one in multiplets if one.category != "s"):
        assert (multiplet.category, multiplet.j_hz) == ("m", ())
        assert multiplet.max_ppm - multiplet.min_ppm == pytest.approx(0.034)
        assert multiplet.max_ppm + multiplet.min_ppm == pytest.approx(2 * multiplet.centroid_ppm)
    counted = sum(any(one.hydrogens > 1 for one in multiplets) for multiplets in lists)
    assert counted / 400 == pytest.approx(0.05, abs=0.03)
