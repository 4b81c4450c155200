"""From curves with known multiplets back to these multiplets: shift, name, J, hydrogens."""

from collections.abc import Callable

import numpy as np
import pytest

from mmspec_ds.readers.picking.baseline import estimate_noise, subtract_baseline
from mmspec_ds.readers.picking.curve import NMRCurve
from mmspec_ds.readers.picking.nmr import multiplets_of_peaks, pick_carbon, pick_hydrogen
from mmspec_ds.readers.picking.pick_settings import (
    ExclusionSettings,
    NMRProcessingSettings,
    PeakPickingSettings,
)
from mmspec_ds.readers.picking.solvents import find_solvent

Make = Callable[..., NMRCurve]

DEFAULT = NMRProcessingSettings()

KNOWN = (
    # shift, couplings one by one, hydrogens, name
    (8.02, (8.5,), 2, "d"),
    (7.40, (16.0,), 1, "d"),
    (7.00, (7.9, 7.9, 1.5), 1, "td"),
    (6.40, (16.0, 6.9), 1, "dd"),
    (5.20, (17.2, 10.5, 1.4), 1, "ddd"),
    (4.12, (7.1,) * 3, 2, "q"),
    (3.71, (), 3, "s"),
    (2.90, (6.9,) * 6, 1, "hept"),
    (2.30, (7.5, 7.5), 2, "t"),
    (1.65, (7.4,) * 5, 2, "h"),
    (1.26, (7.1, 7.1), 3, "t"),
    (0.95, (7.4, 7.4), 3, "t"),
    (0.85, (6.9,), 6, "d"),
)


@pytest.mark.parametrize(
    ("noise", "ppm_error", "j_error"), [(0.0, 2e-5, 1e-3), (0.002, 1e-4, 0.01), (0.01, 3e-4, 0.03)]
)
def test_known_multiplets_come_back(make_curve: Make, noise: float, ppm_error: float, j_error: float) -> None:
    """Noise relative to a line of one hydrogen: the highest line of the ddd, 1/8 of it, is 12 times 0.01."""
    signals = [(shift, couplings, hydrogens) for shift, couplings, hydrogens, _ in KNOWN]
    found = pick_hydrogen(make_curve(signals, noise=noise), DEFAULT).spectrum.multiplets
    assert [one.category for one in found] == [name for *_, name in KNOWN]
    assert [one.hydrogens for one in found] == [hydrogens for _, _, hydrogens, _ in KNOWN]
    for one, (shift, couplings, _, _) in zip(found, KNOWN):
        assert one.centroid_ppm == pytest.approx(shift, abs=ppm_error)
        assert one.j_hz == pytest.approx(sorted(set(couplings)), abs=j_error)


def test_ranges_are_those_of_the_published_sample(make_curve: Make) -> None:
    """0.017 ppm beyond the outer lines: a singlet is 0.034 ppm wide, a doublet J / MHz more."""
    found = pick_hydrogen(make_curve([(3.7, (), 3), (7.4, (8.0,), 1)]), DEFAULT).spectrum.multiplets
    assert [one.max_ppm - one.min_ppm for one in found] == pytest.approx([0.034 + 8.0 / 400, 0.034], abs=1e-4)


def test_halves_of_a_wide_coupling_are_joined_but_neighbours_are_not(make_curve: Make) -> None:
    """J of 16 Hz is wider than the grouping distance of 10; methoxy singlets 13 Hz apart are two signals."""
    signals = [(6.4, (16.0,), 1), (7.6, (16.0,), 1), (3.85, (), 3), (3.85 - 13 / 400, (), 3), (2.1, (), 3)]
    found = pick_hydrogen(make_curve(signals), DEFAULT).spectrum.multiplets
    named = [(round(one.centroid_ppm, 4), one.category, one.hydrogens) for one in found]
    assert named == [(7.6, "d", 1), (6.4, "d", 1), (3.85, "s", 3), (3.8175, "s", 3), (2.1, "s", 3)]


def test_an_ab_system_is_two_hydrogens(make_curve: Make) -> None:
    """Lines at 0 12 28 40 Hz with a steep roof (1:3:3:1): none is a hydrogen by itself, two neighbours are."""
    base = 3.5
    signals = [(base + hz / 400, (), area) for hz, area in ((0, 0.25), (12, 0.75), (28, 0.75), (40, 0.25))]
    found = pick_hydrogen(make_curve([*signals, (2.0, (), 3), (7.3, (), 1)]), DEFAULT).spectrum.multiplets
    assert [(one.category, one.hydrogens) for one in found] == [("s", 1), ("d", 1), ("d", 1), ("s", 3)]
    assert [one.j_hz for one in found[1:3]] == [pytest.approx((12.0,), abs=0.01)] * 2


def test_solvent_water_and_tms_are_left_out(make_curve: Make) -> None:
    signals = [(7.26, (), 0.5), (1.56, (), 0.4), (0.0, (), 9.0), (7.8, (8.0,), 2), (2.4, (), 3)]
    picked = pick_hydrogen(make_curve(signals, solvent="CDCl3"), DEFAULT)
    assert [(one.category, one.hydrogens) for one in picked.spectrum.multiplets] == [("d", 2), ("s", 3)]
    assert picked.foreign_ppm == pytest.approx((7.26, 1.56, 0.0), abs=1e-3)
    assert "1 line left out as water (1.56 ppm)" in picked.remarks
    kept = pick_hydrogen(
        make_curve(signals), NMRProcessingSettings(exclusion=ExclusionSettings(reference_ppm=0))
    )
    assert len(kept.spectrum.multiplets) == 5
    assert "no solvent signal left out: none is named" in kept.remarks


def test_impurities_cost_no_hydrogen(make_curve: Make) -> None:
    """Lines of 0.04 hydrogens beside a triplet do not make an m of it, nor the unit smaller."""
    signals = [(4.1, (7.1,) * 3, 2), (1.26, (7.1,) * 2, 3), (1.31, (), 0.04), (2.0, (), 3), (5.0, (), 0.05)]
    picked = pick_hydrogen(make_curve(signals, noise=0.001), DEFAULT)
    named = [(one.category, one.hydrogens) for one in picked.spectrum.multiplets]
    assert named == [("q", 2), ("s", 3), ("t", 3)]
    assert "2 signals of up to 0.05 H left out as impurities" in picked.remarks


def test_carbon_lines_without_the_solvent(make_curve: Make) -> None:
    """DMSO's septet, referenced 0.5 ppm off: its outer lines lie outside the region, one J after another."""
    septet = [(40.02 + step * 21.0 / 100, (), area) for step, area in zip(range(-3, 4), (1, 3, 6, 7, 6, 3, 1))]
    lines = [(170.3, (), 0.8), (128.5, (), 2.0), (60.2, (), 1.0), (14.1, (), 1.0), (0.0, (), 3.0)]
    curve = make_curve(
        [*septet, *lines],
        nucleus="13C",
        mhz=100.0,
        width_hz=3.0,
        noise=0.01,
        ends=(-10.0, 220.0),
        solvent="DMSO-d6",
    )
    picked = pick_carbon(curve, DEFAULT)
    assert picked.spectrum.shifts_ppm == pytest.approx((170.3, 128.5, 60.2, 14.1), abs=0.005)
    assert len(picked.foreign_ppm) == 8


def test_negative_carbon_lines_count(make_curve: Make) -> None:
    """An APT spectrum: CH2 down, CH3 up."""
    curve = make_curve(
        [(60.0, (), -1.0), (14.0, (), 1.0)], nucleus="13C", mhz=100.0, width_hz=3.0, ends=(-10.0, 220.0)
    )
    assert pick_carbon(curve, DEFAULT).spectrum.shifts_ppm == pytest.approx((60.0, 14.0), abs=1e-3)


def test_noise_is_found_under_signals(make_curve: Make) -> None:
    """The standard deviation of the noise that was put in, within 10 %, with lines 1000 times higher."""
    curve = make_curve([(shift, (), 5.0) for shift in np.linspace(0.5, 9, 30)], noise=0.005, seed=3)
    assert estimate_noise(curve.intensity, 64) == pytest.approx(5.0, rel=0.1)
    assert estimate_noise(np.zeros(1000), 64) == 0.0


def test_a_bent_baseline_is_taken_off() -> None:
    """A slope of 100 and an arch of 50 under lines of 1000: what is left is under 2 % of a line."""
    places = np.linspace(0, 1, 32_768)
    bend = 100 * places + 50 * np.sin(np.pi * places)
    lines = sum(1000 / (1 + ((places - at) / 2e-4) ** 2) for at in (0.2, 0.5, 0.52, 0.8))
    noise = np.random.default_rng(0).normal(size=len(places))
    left = subtract_baseline(bend + lines + noise, 1.0, 2048) - lines - noise
    assert np.abs(left).max() < 20.0
    assert np.abs(left).mean() < 1.0


def test_a_curve_of_nothing_is_no_spectrum(make_curve: Make) -> None:
    with pytest.raises(ValueError, match="no line rises"):
        pick_hydrogen(make_curve([], noise=0.01), DEFAULT)
    few = NMRProcessingSettings(peaks=PeakPickingSettings(most_lines=3))
    with pytest.raises(ValueError, match="5 lines rise over the threshold, more than 3"):
        pick_hydrogen(make_curve([(shift, (), 1) for shift in (1, 2, 3, 4, 5)]), few)


def test_an_unphased_curve_is_told_of(make_curve: Make) -> None:
    curve = make_curve([(3.0, (), 3), (5.0, (), -1)])
    assert any("is it phased?" in remark for remark in pick_hydrogen(curve, DEFAULT).remarks)


def test_a_table_of_lines_becomes_multiplets() -> None:
    """The quartet and triplet of an ethyl group at 400 MHz, in no order; heights 1:3:3:1 and 1:2:1."""
    quartet = [4.10 + step * 7.0 / 400 for step in (-1.5, -0.5, 0.5, 1.5)]
    triplet = [1.20 + step * 7.0 / 400 for step in (-1, 0, 1)]
    ppm = np.array([*triplet, 2.05, *quartet])
    heights = np.array([0.75, 1.5, 0.75, 3.0, 0.25, 0.75, 0.75, 0.25])
    order = np.random.default_rng(1).permutation(len(ppm))
    spectrum, _ = multiplets_of_peaks(ppm[order], heights[order], 400.0, DEFAULT)
    found = [(round(m.centroid_ppm, 3), m.category, m.hydrogens, m.j_hz) for m in spectrum.multiplets]
    assert found == [(4.1, "q", 2, (7.0,)), (2.05, "s", 3, ()), (1.2, "t", 3, (7.0,))]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("CDCl3", "cdcl3"),
        ("CHLOROFORM-d", "cdcl3"),
        ("DMSO-D6", "dmso"),
        ("DMSO", "dmso"),
        ("(CD3)2SO", "dmso"),
        ("MeOD", "cd3od"),
        ("methanol-d4", "cd3od"),
        ("Acetone_d6", "acetone"),
        ("<D2O>", "d2o"),
        ("C6D6", "c6d6"),
    ],
)
def test_solvents_are_known_by_many_names(text: str, name: str) -> None:
    solvent = find_solvent(text)
    assert solvent is not None
    assert solvent.names[0] == name


@pytest.mark.parametrize("text", ["", "unknown", "COFFEE_calctemp"])
def test_other_solvents_are_not(text: str) -> None:
    assert find_solvent(text) is None


@pytest.mark.filterwarnings("error")
def test_lines_of_one_shift_are_no_ab_quartet() -> None:
    """Lines 2 and 3 of four at one place: their distance is no divisor."""
    ppm = np.array([2.02, 2.0, 2.0, 1.98])
    spectrum, remarks = multiplets_of_peaks(ppm, np.array([1.0, 1.1, 1.1, 1.0]), 400.0, DEFAULT)
    assert len(spectrum.multiplets) >= 1
    assert any("made of 4 lines" in remark for remark in remarks)
