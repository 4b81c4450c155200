"""Simulated HSQC, attached hydrogens and precursors: values worked out by hand, and their noise."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from rdkit import Chem

from mmspec_ds.simulator.environments import surroundings
from mmspec_ds.simulator.nmr import assigned_multiplets, carbon_nmr, hsqc
from mmspec_ds.simulator.noise import noisy_carbon, noisy_hsqc, noisy_tandem
from mmspec_ds.simulator.noise_settings import NoiseSettings
from mmspec_ds.simulator.shifts import table_shifts
from mmspec_ds.simulator.simulate import simulate_record
from mmspec_ds.spectra.parquet import read_records
from mmspec_ds.spectra.records import (
    HSQC,
    CarbonNMR,
    HSQCPeak,
    HydrogenNMR,
    Modality,
    Record,
    TandemMS,
)
from tools.spectrum_comparison import hsqc_errors

CLEAN = NoiseSettings.off()
ONLY_SHIFTS = NoiseSettings.off().model_copy(update={"carbon_ppm": 2.0, "hydrogen_ppm": 0.2})
AnySpectrum = TypeVar("AnySpectrum", HSQC, CarbonNMR, HydrogenNMR)


def only(record: Record, kind: type[AnySpectrum]) -> AnySpectrum:
    (found,) = (spectrum for spectrum in record.spectra if isinstance(spectrum, kind))
    return found


def cross_peaks(smiles: str) -> list[tuple[int | None, float | None]]:
    """(hydrogens, intensity) without order."""
    return sorted(
        (peak.hydrogens or 0, peak.intensity or 0.0)
        for peak in only(simulate_record(smiles, noise=CLEAN), HSQC).peaks
    )


def by_hand(smiles: str, carbon: dict[int, float], hydrogen: dict[int, float]) -> HSQC:
    mol = Chem.MolFromSmiles(smiles)
    return hsqc(mol, carbon, assigned_multiplets(mol, hydrogen))


def test_ethanol_by_hand() -> None:
    """Two cross peaks; the hydroxyl has none."""
    found = by_hand("CCO", {0: 18.4, 1: 58.3}, {0: 1.2, 1: 3.7, 2: 2.6})
    assert found == HSQC((HSQCPeak(58.3, 3.7, 2, 2.0), HSQCPeak(18.4, 1.2, 3, 3.0)))


def test_toluene_by_hand() -> None:
    """C0 CH3, C1 ipso, C2 and C6 ortho, C3 and C5 meta, C4 para: four peaks, the ipso carbon has none. Two
    equivalent carbons give one peak of one hydrogen, with twice the intensity."""
    carbon = {0: 21.4, 1: 137.8, 2: 129.0, 6: 129.0, 3: 128.2, 5: 128.2, 4: 125.3}
    hydrogen = {0: 2.35, 2: 7.17, 6: 7.17, 3: 7.25, 5: 7.25, 4: 7.16}
    assert by_hand("Cc1ccccc1", carbon, hydrogen) == HSQC(
        (
            HSQCPeak(129.0, 7.17, 1, 2.0),
            HSQCPeak(128.2, 7.25, 1, 2.0),
            HSQCPeak(125.3, 7.16, 1, 1.0),
            HSQCPeak(21.4, 2.35, 3, 3.0),
        )
    )


def test_the_hydrogens_of_a_terminal_ch2_have_a_peak_each() -> None:
    """CH2=CH-CN at 5.9 ppm: 0.08 ppm to either side, one hydrogen each."""
    found = by_hand("C=CC#N", {0: 137.0, 1: 107.8, 2: 116.0}, {0: 5.9, 1: 5.7})
    assert [(p.carbon_ppm, p.hydrogens, p.intensity) for p in found.peaks] == [
        (137.0, 1, 1.0),
        (137.0, 1, 1.0),
        (107.8, 1, 1.0),
    ]
    assert [p.hydrogen_ppm for p in found.peaks] == pytest.approx([5.98, 5.82, 5.7])


def test_peaks_at_one_place_merge() -> None:
    """Two CH2 that are not equivalent, at the same shifts: four hydrogens at one place."""
    found = by_hand("CCCCO", {0: 14.0, 1: 30.0, 2: 30.002, 3: 60.0}, {0: 0.9, 1: 1.5, 2: 1.501, 3: 3.6, 4: 2.0})
    assert [(p.hydrogens, p.intensity) for p in found.peaks] == [(2, 2.0), (4, 4.0), (3, 3.0)]


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("CC(C)(C)O", [(3, 9.0)]),
        ("c1ccccc1", [(1, 6.0)]),
        ("CCOC(C)=O", [(2, 2.0), (3, 3.0), (3, 3.0)]),
        ("CC(C)O", [(1, 1.0), (3, 6.0)]),
        ("CNC", [(3, 6.0)]),
        ("CC(=O)O", [(3, 3.0)]),
    ],
)
def test_hydrogens_and_intensities(smiles: str, expected: list[tuple[int, float]]) -> None:
    assert cross_peaks(smiles) == expected


def test_cross_peaks_are_where_the_clean_spectra_have_their_lines() -> None:
    for smiles in ("CC(C)Cc1ccc(C(C)C(=O)O)cc1", "C=CC(=O)NC", "CCCCC1CC1"):
        record = simulate_record(smiles, noise=CLEAN)
        lines, centres = only(record, CarbonNMR), [m.centroid_ppm for m in only(record, HydrogenNMR).multiplets]
        hydrogens_at = dict(zip(lines.shifts_ppm, lines.attached_hydrogens))
        for peak in only(record, HSQC).peaks:
            assert peak.hydrogen_ppm in centres
            assert 0 < (peak.hydrogens or 0) <= (hydrogens_at[peak.carbon_ppm] or 0)


def test_errors_of_shifts_are_shared_with_the_other_spectra() -> None:
    """With no other noise, cross peaks stay on the lines and multiplets, which are not where they were."""
    clean, moved = (simulate_record("CCOC(C)=O", 3, noise) for noise in (CLEAN, ONLY_SHIFTS))
    lines = only(moved, CarbonNMR).shifts_ppm
    centres = [multiplet.centroid_ppm for multiplet in only(moved, HydrogenNMR).multiplets]
    for peak in only(moved, HSQC).peaks:
        assert peak.carbon_ppm in lines
        assert peak.hydrogen_ppm in centres
    assert not {p.carbon_ppm for p in only(clean, HSQC).peaks} & set(lines)
    assert not {p.hydrogen_ppm for p in only(clean, HSQC).peaks} & set(centres)


def many_peaks(count: int) -> HSQC:
    return HSQC(tuple(HSQCPeak(100.0 * n, 10.0 * n, 2, 2.0) for n in range(count, 0, -1)))


def test_cross_peaks_have_errors_of_their_own() -> None:
    settings = replace_noise(hsqc_carbon_ppm=0.3, hsqc_hydrogen_ppm=0.02, hsqc_intensity=0.3)
    found = noisy_hsqc(many_peaks(4000), settings, np.random.default_rng(0)).peaks
    carbon = np.array([p.carbon_ppm - 100.0 * n for p, n in zip(found, range(4000, 0, -1))])
    hydrogen = np.array([p.hydrogen_ppm - 10.0 * n for p, n in zip(found, range(4000, 0, -1))])
    logarithm = np.log([(p.intensity or 0.0) / 2.0 for p in found])
    assert carbon.std() == pytest.approx(0.3, rel=0.05)
    assert hydrogen.std() == pytest.approx(0.02, rel=0.05)
    assert logarithm.std() == pytest.approx(0.3, rel=0.05)
    assert abs(np.corrcoef(carbon, hydrogen)[0, 1]) < 0.06
    assert {p.hydrogens for p in found} == {2}


def test_cross_peaks_are_missed_false_and_unknown_at_their_rates() -> None:
    settings = replace_noise(missing_peak=0.1, spurious_peak=0.2, unknown_hydrogens=0.3)
    found = noisy_hsqc(many_peaks(5000), settings, np.random.default_rng(1)).peaks
    true = [p for p in found if p.carbon_ppm % 100.0 == 0.0]
    assert len(true) / 5000 == pytest.approx(0.9, abs=0.015)
    assert (len(found) - len(true)) / 5000 == pytest.approx(0.2, abs=0.02)
    assert [p.hydrogens for p in true].count(None) / len(true) == pytest.approx(0.3, abs=0.02)
    assert list(found) == sorted(found, key=lambda p: -p.carbon_ppm)
    assert noisy_hsqc(HSQC(()), NoiseSettings(), np.random.default_rng(0)) == HSQC(())


def replace_noise(**values: float) -> NoiseSettings:
    return NoiseSettings.off().model_copy(update=values)


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("CCO", [2, 3]),
        ("CCOC(C)=O", [0, 2, 3, 3]),
        ("Cc1ccccc1", [0, 1, 1, 1, 3]),
        ("CC(C)(C)O", [0, 3]),
        ("CC#N", [0, 3]),
        ("CC(C)CO", [1, 2, 3]),
        ("CCF", [2, 2, 3, 3]),  # doublets by fluorine
    ],
)
def test_attached_hydrogens_as_dept_shows_them(smiles: str, expected: list[int]) -> None:
    spectrum = only(simulate_record(smiles, noise=CLEAN), CarbonNMR)
    assert len(spectrum.attached_hydrogens) == len(spectrum.shifts_ppm)
    assert sorted(n for n in spectrum.attached_hydrogens if n is not None) == expected


def test_attached_hydrogens_agree_with_the_structure() -> None:
    """Of every molecule the counts of CH3, CH2, CH and C are those of its sets of equivalent carbons."""
    for smiles in ("Cn1c(=O)c2c(ncn2C)n(C)c1=O", "CC(C)Cc1ccc(C(C)C(=O)O)cc1", "OCC1CCCCC1", "C=CC(=O)NC"):
        mol = Chem.MolFromSmiles(smiles)
        ranks = Chem.CanonicalRankAtoms(mol, breakTies=False)
        expected = {r: a.GetTotalNumHs() for a, r in zip(mol.GetAtoms(), ranks) if a.GetAtomicNum() == 6}
        found = carbon_nmr(mol, table_shifts(mol, surroundings(mol)).carbon.ppm).attached_hydrogens
        assert sorted(n for n in found if n is not None) == sorted(expected.values())


def test_carbons_in_one_line_keep_what_they_share() -> None:
    mol = Chem.MolFromSmiles("CCCO")
    assert carbon_nmr(mol, {0: 20.0, 1: 20.001, 2: 60.0}) == CarbonNMR((60.0, 20.001), (2, None))
    assert carbon_nmr(mol, {0: 10.0, 1: 60.0, 2: 60.0}) == CarbonNMR((60.0, 10.0), (2, 3))


def test_attached_hydrogens_follow_their_lines_and_some_are_unknown() -> None:
    count = 6000
    clean = CarbonNMR(tuple(10.0 * n for n in range(count, 0, -1)), tuple(n % 4 for n in range(count, 0, -1)))
    settings = replace_noise(carbon_ppm=0.1, missing_peak=0.1, unknown_hydrogens=0.2)
    noisy = noisy_carbon(clean, settings, np.random.default_rng(0))
    known = [(s, n) for s, n in zip(noisy.shifts_ppm, noisy.attached_hydrogens) if n is not None]
    assert all(round(shift / 10.0) % 4 == n for shift, n in known)
    assert len(known) / len(noisy.shifts_ppm) == pytest.approx(0.8, abs=0.02)
    bare = noisy_carbon(replace(clean, attached_hydrogens=()), settings, np.random.default_rng(0))
    assert bare == CarbonNMR(noisy.shifts_ppm)


def tandem(smiles: str, noise: NoiseSettings = CLEAN, seed: int = 0) -> Iterator[TandemMS]:
    return (s for s in simulate_record(smiles, seed, noise).spectra if isinstance(s, TandemMS))


@pytest.mark.parametrize(
    ("smiles", "positive", "negative"),
    [
        # Caffeine C8H10N4O2 194.080376 +- 1.007276 (a hydrogen less an electron).
        ("Cn1c(=O)c2c(ncn2C)n(C)c1=O", 195.087652, 193.073099),
        # Ibuprofen C13H18O2 206.130680.
        ("CC(C)Cc1ccc(C(C)C(=O)O)cc1", 207.137956, 205.123403),
    ],
)
def test_precursors_have_exact_masses(smiles: str, positive: float, negative: float) -> None:
    expected = {"positive": (positive, "[M+H]+", 1), "negative": (negative, "[M-H]-", -1)}
    found = list(tandem(smiles))
    assert [(s.polarity, s.collision_energy_ev) for s in found] == [
        (polarity, energy) for polarity in ("positive", "negative") for energy in (10.0, 20.0, 40.0)
    ]
    for spectrum in found:
        mz, adduct, charge = expected[spectrum.polarity]
        assert spectrum.precursor_mz == pytest.approx(mz, abs=2e-6)
        assert (spectrum.adduct, spectrum.charge) == (adduct, charge)


def test_an_ion_has_no_precursor_of_a_neutral_molecule() -> None:
    assert {(s.precursor_mz, s.adduct, s.charge) for s in tandem("C[N+](C)(C)C")} == {(None, None, None)}
    assert {s.adduct for s in tandem("C[N+](C)(C)CC([O-])=O")} == {"[M+H]+", "[M-H]-"}


def test_the_precursors_error_is_in_parts_per_million() -> None:
    clean = TandemMS(np.array([50.0]), np.array([100.0]), precursor_mz=200.0, adduct="[M+H]+", charge=1)
    random = np.random.default_rng(0)
    found = [noisy_tandem(clean, replace_noise(precursor_ppm=5.0), random).precursor_mz for _ in range(3000)]
    assert (1e6 * (np.array(found, dtype=float) / 200.0 - 1)).std() == pytest.approx(5.0, rel=0.05)


def test_new_noise_leaves_the_other_spectra_alone() -> None:
    """The draws for HSQC, attached hydrogens and precursors come from generators of their own."""
    usual = simulate_record("CCOC(C)=O", 4)
    hsqc_noise = {"hsqc_carbon_ppm": 3.0, "hsqc_hydrogen_ppm": 1.0, "hsqc_intensity": 2.0}
    settings = NoiseSettings(unknown_hydrogens=0.9, precursor_ppm=50.0, **hsqc_noise)
    other = simulate_record("CCOC(C)=O", 4, settings)
    assert only(usual, HydrogenNMR) == only(other, HydrogenNMR)
    assert only(usual, CarbonNMR).shifts_ppm == only(other, CarbonNMR).shifts_ppm
    assert only(usual, HSQC) != only(other, HSQC)
    pairs = zip(usual.of(Modality.MS), other.of(Modality.MS), strict=True)
    for first, second in pairs:
        assert isinstance(first, TandemMS)
        assert isinstance(second, TandemMS)
        assert np.array_equal(first.mz, second.mz)
        assert first.precursor_mz != second.precursor_mz


def test_errors_of_cross_peaks_are_those_of_the_best_pairs() -> None:
    """Distances count 13C in units of 10 ppm against 1H in units of 1 ppm."""
    one = HSQC((HSQCPeak(100.0, 7.0), HSQCPeak(50.0, 3.0)))
    other = HSQC((HSQCPeak(52.0, 3.1), HSQCPeak(99.0, 6.5), HSQCPeak(20.0, 1.0)))
    carbon, hydrogen = hsqc_errors(one, other)
    assert sorted(carbon) == pytest.approx([1.0, 2.0])
    assert sorted(hydrogen) == pytest.approx([0.1, 0.5])


def test_published_cross_peaks_are_met(shared_data: Path) -> None:
    path = shared_data / "alberts" / "example_data_1.parquet"
    carbon, hydrogen, made_peaks, published_peaks = [], [], 0, 0
    for record in read_records(path, modalities=[Modality.HSQC]):
        (published,) = (s for s in record.spectra if isinstance(s, HSQC))
        made = only(simulate_record(record.smiles or "", noise=CLEAN), HSQC)
        errors = hsqc_errors(made, published)
        carbon.append(errors[0])
        hydrogen.append(errors[1])
        made_peaks, published_peaks = made_peaks + len(made.peaks), published_peaks + len(published.peaks)
    assert np.median(np.concatenate(carbon)) <= 2.0
    assert np.median(np.concatenate(hydrogen)) <= 0.30
    assert 0.75 < made_peaks / published_peaks < 1.05
