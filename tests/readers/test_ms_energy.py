"""Collision energies as files write them, against values worked out by hand."""

import math

import pytest

from mmspec_ds.readers.collision_energy import nearest_energy, normalised_factor, parse_collision_energy


@pytest.mark.parametrize(
    ("text", "ev"),
    [
        ("20", 20.0),
        ("20.5 eV", 20.5),
        ("45V", 45.0),
        ("10 ev", 10.0),
        ("CE30", 30.0),
        ("HCD 30 eV", 30.0),
        ("hcd; 45", 45.0),
        ("-20", 20.0),
        ("−35 V", 35.0),
        ("3e1", 30.0),
        ("35 eV FT-MS II", 35.0),
        ("30 V (ramped)", 30.0),
        ("Ramp 5-60 V", 32.5),
        ("Ramp 22,9-34.3 eV", 28.6),
        ("20 to 40", 30.0),
        ("10..40", 25.0),
        ("20eV/40eV", 30.0),
        ("15, 30, 45", 30.0),
        ("stepped 20,30,40", 30.0),
        ("Stepped collision energy: 20 30 40", 30.0),
        ("[20, 40]", 30.0),
        ("{20;35;50} eV", 35.0),
        ("20/35/50 HCD", 35.0),
        ("ramp 20 to 40 eV", 30.0),
        ("20 eV, 30 eV and 40 eV", 30.0),
        ("22,5 eV", 22.5),
        ("10,5", 10.5),
        ("20,40", 30.0),
        ("30 ± 5 eV", 30.0),
        # Normalised, at m/z 250 and charge 1: half of it.
        ("35 % (nominal)", 17.5),
        ("35(NCE)", 17.5),
        ("NCE 60", 30.0),
        ("45 HCD % normalized", 22.5),
        ("20,40,130% (stepped)", 190 / 6),
        ("Ramp 20%-70% (nominal)", 22.5),
        ("HCD (NCE 20-30-40%)", 15.0),
        ("HCD [NCE: 20/30/40]", 15.0),
        ("nce_20_30_40", 15.0),
        ("normalized collision energy 30", 15.0),
        ("35,0 % (nominal)", 17.5),
        ("NCE=35% 14eV", 14.0),
    ],
)
def test_what_is_understood(text: str, ev: float) -> None:
    found = parse_collision_energy(text, precursor_mz=250.0, charge=1)
    assert found.ev == pytest.approx(ev, rel=1e-12)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "scaled by m/z",
        "160-0.41mz or 15 (mz>350)",
        "20 kV",
        "SORI CID",
        "ceV",
        "0",
        "0.0 eV",
        "1001",
        "9" * 400,
    ],
)
def test_what_is_not_understood(text: str) -> None:
    found = parse_collision_energy(text, precursor_mz=250.0)
    assert found.ev is None
    assert found.how.endswith(("is not understood", "is out of range"))


def test_long_text_takes_no_time() -> None:
    assert parse_collision_energy("ramp " * 100_000 + "20").ev is None
    assert parse_collision_energy("1-" * 100_000).ev == 1.0


def test_normalised_energy_without_a_precursor_is_taken_at_500() -> None:
    found = parse_collision_energy("35 %")
    assert (found.ev, found.how) == (35.0, "normalised energy at an assumed m/z of 500")


@pytest.mark.parametrize(("charge", "factor"), [(1, 1.0), (2, 0.9), (-3, 0.85), (4, 0.8), (5, 0.75), (9, 0.75)])
def test_the_factor_of_the_charge(charge: int, factor: float) -> None:
    assert normalised_factor(500.0, charge) == factor
    assert normalised_factor(1000.0, charge) == 2 * factor


def test_the_nearest_energy_is_of_the_nearest_ratio() -> None:
    assert [nearest_energy(ev) for ev in (0.1, 10, 14.1, 14.2, 20, 28.2, 28.3, 30, 40, 999)] == [
        *(10, 10, 10, 20, 20, 20, 40, 40, 40, 40)
    ]
    assert 14.1 < 10 * math.sqrt(2) < 14.2
    assert 28.2 < 20 * math.sqrt(2) < 28.3


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("22,5 eV", "a decimal comma"),
        ("20,40", "mean of 20 and 40"),
        ("HCD (NCE 20-30-40%)", "mean of 20 and 30 and 40, normalised energy at m/z 250.0"),
        ("20 eV", ""),
    ],
)
def test_what_was_assumed_is_told(text: str, how: str) -> None:
    assert parse_collision_energy(text, precursor_mz=250.0).how == how
