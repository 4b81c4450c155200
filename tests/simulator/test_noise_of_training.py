"""The noise that training draws on tokens by the name `simulator`, beside that of the simulator on records."""

import numpy as np
import pytest

from mmspec_ds.data.augmentation import PROFILES, AugmentSettings, augmented
from mmspec_ds.data.dataset import SpectraDataset
from mmspec_ds.settings import ConfigError, validated
from mmspec_ds.simulator.noise_settings import NoiseSettings
from mmspec_ds.simulator.simulate import simulate_record
from mmspec_ds.spectra.records import Modality, Record
from mmspec_ds.spectra.registry import CompressionSettings, compress_records, schema_of

H, C, IR, MS, _, HSQC, _ = Modality
DRAWS = 300
SMILES = "CC(=O)OCCc1ccccc1"
SETTINGS = CompressionSettings.model_validate({"c_nmr": {"multiplicity": True}})


def tokens_of(records: list[Record]) -> SpectraDataset:
    modalities = (H, C, IR, MS, HSQC)
    names = tuple(str(number) for number in range(len(records)))
    schemas = {m: schema_of(m, SETTINGS) for m in modalities}
    tokens = compress_records(records, modalities, SETTINGS)
    return SpectraDataset(names, tuple(one.smiles for one in records), tokens, schemas)


@pytest.fixture(scope="module")
def both() -> tuple[SpectraDataset, SpectraDataset]:
    """Tokens of noisy records, and those of a clean one with noise."""
    noise = NoiseSettings(missing_exchangeable=0.0)
    simulated = tokens_of([simulate_record(SMILES, seed, noise) for seed in range(DRAWS)])
    clean = tokens_of([simulate_record(SMILES, noise=NoiseSettings.off())] * DRAWS)
    profile = AugmentSettings.model_validate("simulator")
    return simulated, augmented(clean, np.arange(DRAWS), (0, 0), profile, SETTINGS)


def check_alike(one: np.ndarray, other: np.ndarray, *, spreads: bool = True) -> None:
    """Means within five standard errors of their difference, standard deviations within a quarter."""
    error = np.hypot(one.std() / len(one) ** 0.5, other.std() / len(other) ** 0.5)
    assert abs(one.mean() - other.mean()) <= 5 * error + 1e-9
    if spreads:
        assert one.std() == pytest.approx(other.std(), rel=0.25, abs=1e-6)


def half_width(values: np.ndarray) -> np.ndarray:
    """Half of what holds the middle 68 %: the standard deviation without false peaks."""
    low, high = np.percentile(values, [16, 84], axis=0)
    return (high - low) / 2


@pytest.mark.parametrize("modality", [H, C, HSQC], ids=["h_nmr", "c_nmr", "hsqc"])
def test_as_many_peaks_are_missing_and_false(modality: Modality, both) -> None:
    one, other = (data.tokens[modality].counts.astype(float) for data in both)
    assert one.std() > 0
    check_alike(one, other)


def test_shifts_scatter_alike(both) -> None:
    clean = tokens_of([simulate_record(SMILES, noise=NoiseSettings.off())])
    for modality, fields in ((H, 1), (C, 1), (HSQC, 2)):
        for field in range(fields):
            whole = clean.tokens[modality].counts[0]
            found = []
            for data in both:
                packed = data.tokens[modality]
                complete = np.flatnonzero(packed.counts == whole)
                bins = packed.subset(complete).discrete[:, field].reshape(len(complete), whole)
                found.append(np.sort(bins.astype(float), axis=1))
            check_alike(found[0].mean(axis=1), found[1].mean(axis=1), spreads=modality is not HSQC)
            for place in range(whole):
                check_alike(found[0][:, place], found[1][:, place], spreads=False)
            spread = [half_width(one).mean() for one in found]
            assert spread[0] == pytest.approx(spread[1], rel=0.15)


def test_names_and_hydrogens_are_lost_alike(both) -> None:
    letters = [data.tokens[H].discrete[:, 2] for data in both]
    for letter in set(letters[0].tolist()):
        check_alike((letters[0] == letter).astype(float), (letters[1] == letter).astype(float), spreads=False)
    for modality, field in ((C, 1), (HSQC, 2)):
        one, other = ((data.tokens[modality].discrete[:, field] == 0).astype(float) for data in both)
        assert one.mean() == pytest.approx(0.1, abs=0.03)
        check_alike(one, other, spreads=False)


def test_curves_are_alike(both) -> None:
    one, other = (data.tokens[IR].continuous.reshape(DRAWS, -1).astype(float) for data in both)
    assert np.abs(one.mean(axis=0) - other.mean(axis=0)).max() < 0.01
    assert one.std(axis=0).mean() == pytest.approx(other.std(axis=0).mean(), rel=0.1)
    steps = [np.diff(curves, axis=1).std(axis=0).mean() for curves in (one, other)]
    assert steps[0] == pytest.approx(steps[1], rel=0.1)


def test_ions_are_alike(both) -> None:
    one, other = (data.tokens[MS] for data in both)
    assert one.counts.mean() == pytest.approx(other.counts.mean(), rel=0.03)
    mass = [packed.continuous[np.abs(packed.continuous[:, 0] - 105.0699) < 0.01, 0] for packed in (one, other)]
    assert len(mass[0]) == pytest.approx(len(mass[1]), rel=0.05)
    widths = [float(half_width(masses)) / 105.0699 * 1e6 for masses in mass]
    assert widths[0] == pytest.approx(widths[1], rel=0.1)
    strengths = [np.log(packed.continuous[:, 1]) for packed in (one, other)]
    assert strengths[0].mean() == pytest.approx(strengths[1].mean(), abs=0.1)


def test_the_numbers_are_those_of_the_simulator() -> None:
    noise, profile = NoiseSettings(), PROFILES["simulator"]
    assert profile["h_nmr"]["shift_ppm"] == noise.hydrogen_ppm
    assert profile["c_nmr"]["shift_ppm"] == noise.carbon_ppm
    assert profile["ms"]["mz_ppm"] == noise.mz_ppm
    assert profile["ms"]["intensity"] == noise.intensity
    assert profile["ir"]["slope"] == noise.ir_baseline
    for name in ("h_nmr", "c_nmr", "hsqc", "ms"):
        assert profile[name]["missing_peak"] == noise.missing_peak
        assert profile[name]["false_peak"] == noise.spurious_peak


def test_another_name_is_refused_in_a_line() -> None:
    with pytest.raises(ConfigError, match=r"no noise is named 'simulater': did you mean 'simulator'\?"):
        validated(AugmentSettings, "simulater", "run.yaml")  # type: ignore[arg-type]
