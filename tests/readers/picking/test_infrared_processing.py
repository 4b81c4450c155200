"""IR axes and ordinates: values worked out by hand."""

import numpy as np
import pytest

from mmspec_ds.readers.picking.infrared import AxisUnit, Ordinate, axis_unit, ordinate, to_grid
from mmspec_ds.readers.picking.pick_settings import InfraredProcessingSettings

SETTINGS = InfraredProcessingSettings()
GRID = np.linspace(400, 4000, 1800)


def bands(wavenumber: np.ndarray) -> np.ndarray:
    """Absorbance with bands at 1700 (0.9) and 2900 (0.5) on a ground of 0.05, 60 cm-1 wide."""
    return sum(
        height / (1 + ((wavenumber - place) / 30) ** 2) for place, height in ((1700, 0.9), (2900, 0.5))
    ) + np.full(len(wavenumber), 0.05)


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("1/CM", "cm-1"),
        ("cm-1", "cm-1"),
        ("Wavenumber (cm^-1)", "cm-1"),
        ("cm⁻¹", "cm-1"),
        ("WAVENUMBERS", "cm-1"),
        ("MICROMETERS", "um"),
        ("wavelength / µm", "um"),
        ("microns", "um"),
        ("NANOMETERS", "nm"),
        ("Wavelength (nm)", "nm"),
        ("HZ", None),
        ("", None),
    ],
)
def test_axis_units(text: str, unit: AxisUnit | None) -> None:
    assert axis_unit(text) == unit


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("ABSORBANCE", "absorbance"),
        ("Abs", "absorbance"),
        ("A.U.", "absorbance"),
        ("(micromol/mol)-1m-1 (base 10)", "absorbance"),
        ("TRANSMITTANCE", "transmittance"),
        ("%T", "per cent transmittance"),
        ("% Transmittance", "per cent transmittance"),
        ("Transmittance [%]", "per cent transmittance"),
        ("ARBITRARY UNITS", None),
        ("intensity", None),
    ],
)
def test_ordinates(text: str, kind: Ordinate | None) -> None:
    assert ordinate(text) == kind


def test_reflectance_is_refused() -> None:
    with pytest.raises(ValueError, match="'REFLECTANCE', expected absorbance or transmittance"):
        ordinate("REFLECTANCE")


def test_the_grid_is_the_benchmarks_and_values_on_it_stay() -> None:
    made = to_grid(GRID, bands(GRID), "cm-1", "absorbance", SETTINGS)
    assert made.spectrum.absorbance.shape == (1800,)
    assert (made.spectrum.start_cm1, made.spectrum.stop_cm1) == (400.0, 4000.0)
    np.testing.assert_allclose(made.spectrum.absorbance, bands(GRID), rtol=1e-12)


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize(
    ("unit", "axis"),
    [
        ("cm-1", np.linspace(400, 4000, 20_000)),
        ("um", np.linspace(2.5, 25, 60_000)),
        ("nm", np.linspace(2500, 25_000, 60_000)),
    ],
)
@pytest.mark.parametrize("kind", ["absorbance", "transmittance", "per cent transmittance"])
def test_every_unit_and_direction_gives_the_same(
    direction: int, unit: AxisUnit, axis: np.ndarray, kind: Ordinate
) -> None:
    wavenumber = {"cm-1": axis, "um": 1e4 / axis, "nm": 1e7 / axis}[unit]
    absorbance = bands(wavenumber)
    values = {
        "absorbance": absorbance,
        "transmittance": 10**-absorbance,
        "per cent transmittance": 100 * 10**-absorbance,
    }[kind]
    for said in (kind, None):
        made = to_grid(axis[::direction], values[::direction], unit, said, SETTINGS)
        np.testing.assert_allclose(made.spectrum.absorbance, bands(GRID), atol=1e-4)


@pytest.mark.parametrize(
    ("axis", "unit"),
    [
        (np.linspace(2.5, 25, 9000), "um"),
        (np.linspace(2500, 25_000, 9000), "nm"),
        (np.linspace(400, 4000, 900), "cm-1"),
    ],
)
def test_a_missing_unit_is_guessed_and_told(axis: np.ndarray, unit: AxisUnit) -> None:
    wavenumber = {"cm-1": axis, "um": 1e4 / axis, "nm": 1e7 / axis}[unit]
    made = to_grid(axis, bands(wavenumber), None, None, SETTINGS)
    assert made.remarks[0].startswith(f"the axis has no unit: {unit} guessed")
    assert GRID[int(made.spectrum.absorbance.argmax())] == pytest.approx(1700, abs=3)


def test_outside_the_measured_range_is_the_lowest_absorbance() -> None:
    axis = np.arange(650.0, 3500.0)
    made = to_grid(axis, bands(axis), "cm-1", "absorbance", SETTINGS)
    outside = (GRID < 650) | (GRID > 3499)
    assert made.spectrum.absorbance[outside] == pytest.approx(bands(axis).min())
    assert made.remarks[-1].startswith(f"{outside.mean():.0%} of the grid lies outside")


def test_dark_points_end_at_an_absorbance_of_three() -> None:
    axis = np.arange(400.0, 4001.0)
    transmittance = np.full(len(axis), 80.0)
    transmittance[1000:1100] = 0.0
    transmittance[1100:1110] = -0.4
    made = to_grid(axis, transmittance, "cm-1", "per cent transmittance", SETTINGS)
    assert made.spectrum.absorbance.max() == pytest.approx(3.0)
    assert made.spectrum.absorbance.min() == pytest.approx(-np.log10(0.8))
    assert any(remark.startswith("110 transmittances under 0.001") for remark in made.remarks)


def test_unsorted_and_doubled_points_are_put_in_order() -> None:
    axis = np.arange(400.0, 4001.0)
    order = np.random.default_rng(0).permutation(len(axis))
    twice = np.concatenate([axis[order], axis[:10]])
    values = np.concatenate([bands(axis)[order], bands(axis)[:10] + 0.2])
    made = to_grid(twice, values, "cm-1", "absorbance", SETTINGS)
    assert "10 points at places that were there already averaged" in made.remarks
    assert made.absorbance[:10] == pytest.approx(bands(axis)[:10] + 0.1)
    assert made.absorbance[10:] == pytest.approx(bands(axis)[10:])


@pytest.mark.parametrize(
    ("axis", "values", "words"),
    [
        (np.arange(5.0), np.arange(5.0), "5 points with a value"),
        (np.arange(400.0, 4000), np.full(3600, 0.3), "all values between the ends of the grid are equal"),
        (np.linspace(-100, 4000, 500), np.random.default_rng(0).random(500), "-100 cm-1, expected positive"),
        (np.linspace(2.5, 25, 500), np.random.default_rng(0).random(500), "is the unit right?"),
        (np.linspace(400, 4000, 500), np.full(500, np.nan), "0 points with a value"),
        (
            np.linspace(400, 4000, 500),
            np.where(np.arange(500) % 4, 0.5, np.nan),
            "125 of 500 points are missing",
        ),
    ],
)
def test_what_is_no_spectrum(axis: np.ndarray, values: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        to_grid(axis, values, "cm-1", "absorbance", SETTINGS)
