"""Polarity, charge, adduct and what else a field may say, through MGF, which can say all of it."""

from pathlib import Path

import pytest

from mmspec_ds.readers import part as keys
from mmspec_ds.readers.mgf import read_mgf
from mmspec_ds.readers.part import Part, Rejected
from mmspec_ds.readers.read_settings import FormatSettings, TandemReadSettings
from mmspec_ds.spectra.records import TandemMS


@pytest.fixture
def read(tmp_path: Path):  # type: ignore[no-untyped-def]
    """Reads one block of these lines."""

    def read_block(*lines: str, **settings: object) -> Part | Rejected:
        path = tmp_path / "one.mgf"
        path.write_text("\n".join(["BEGIN IONS", *lines, "50 1", "END IONS\n"]))
        (item,) = read_mgf(path, None, FormatSettings(ms=TandemReadSettings(**settings)))  # type: ignore[arg-type]
        return item

    return read_block


@pytest.mark.parametrize(
    ("lines", "polarity", "charge"),
    [
        (("IONMODE=Positive",), "positive", None),
        (("IONMODE=N", "CHARGE=1"), "negative", -1),
        (("POLARITY=-",), "negative", None),
        (("CHARGE=2-",), "negative", -2),
        (("CHARGE=-1",), "negative", -1),
        (("CHARGE=3+",), "positive", 3),
        (("CHARGE=1.0",), "positive", 1),
        (("CHARGE=0",), "positive", None),
        (("CHARGE=2+ and 3+",), "positive", None),
        (("ADDUCT=[M-H]-",), "negative", -1),
        (("ADDUCT=[M-2H]2-",), "negative", -2),
        (("ADDUCT=[M+2H]++",), "positive", 2),
        (("ADDUCT=[M]+*",), "positive", 1),
        (("ADDUCT=[2M+H]+",), "positive", 1),
        (("ADDUCT=M-H",), "negative", -1),
        (("ADDUCT=M+Na",), "positive", 1),
        (("ADDUCT=[M+2H]2+", "CHARGE=2"), "positive", 2),
        (("IONMODE=negative", "CHARGE=1+"), "negative", -1),  # GNPS: the ion mode is right, the sign a default
        ((), "positive", None),
    ],
)
def test_polarity_and_charge(read, lines: tuple[str, ...], polarity: str, charge: int | None) -> None:  # type: ignore[no-untyped-def]
    part = read(*lines)
    assert isinstance(part, Part)
    (spectrum,) = part.spectra
    assert isinstance(spectrum, TandemMS)
    assert spectrum.polarity == polarity
    assert part.metadata.get(keys.CHARGE) == charge


def test_what_was_guessed_is_a_remark(read) -> None:  # type: ignore[no-untyped-def]
    assert read().remarks == (
        "no precursor m/z",
        "polarity not stated, taken as positive",
        "no collision energy, taken as 20 eV",
    )
    told = read("PEPMASS=0", "IONMODE=negative", "CHARGE=1+", "CE=35 NCE").remarks
    assert told == (
        "no precursor m/z",
        "the sign of the charge 1+ is not that of the negative ion mode",
        "collision energy 35 NCE understood as 35.0 eV (normalised energy at an assumed m/z of 500)",
        "35 eV read as 40 eV, the nearest energy of the benchmark",
    )


def test_the_rules_may_be_changed(read) -> None:  # type: ignore[no-untyped-def]
    (measured,) = read("CE=33", map_energies=False).spectra
    assert measured.collision_energy_ev == 33.0
    (assumed,) = read(assumed_energy_ev=10.0).spectra
    assert assumed.collision_energy_ev == 10.0


def test_smiles_and_formulas_that_are_none_are_left_out(read) -> None:  # type: ignore[no-untyped-def]
    part = read("SMILES=C1CC", "FORMULA=Xx2", "INCHIKEY=N/A", "NAME=n/a")
    assert (part.smiles, part.formula) == (None, None)
    assert part.remarks[-2:] == (
        "SMILES C1CC is not a valid structure, left out",
        "formula Xx2 is not understood, left out",
    )
    assert keys.INCHIKEY not in part.metadata
    long = read("SMILES=" + "C" * 5000)
    assert long.remarks[-1] == "a SMILES of 5,000 characters left out"


def test_a_formula_of_an_ion_loses_its_brackets(read) -> None:  # type: ignore[no-untyped-def]
    assert read("FORMULA=[C5H12N]+").formula == "C5H12N+"
    assert read("FORMULA=[C10H8N2]2+").formula == "C10H8N2+2"


def test_fields_without_end_are_bounded(read) -> None:  # type: ignore[no-untyped-def]
    part = read(*(f"KEY{number}={'x' * 3000}" for number in range(500)))
    assert len(part.metadata) <= 64
    assert max(len(str(value)) for value in part.metadata.values()) <= 1000


def test_a_field_by_the_name_of_something_else_is_text(read) -> None:  # type: ignore[no-untyped-def]
    """What readers of XML know of the isolation window is not a field."""
    part = read("ISOLATED_MZ=abc", "window=1 2", "NORMALISED_ENERGY=x")
    assert part.metadata["isolated_mz"] == "abc"
    assert part.metadata["window"] == "1 2"
