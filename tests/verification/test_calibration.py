"""The file of a calibration, and what it says of records unlike its own."""

from pathlib import Path

import pytest

from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.simulator.simulate import simulate_record
from mmspec_ds.spectra.records import CarbonNMR, Record
from mmspec_ds.verification.calibration import (
    CALIBRATION,
    Calibration,
    describe_known,
    load_calibration,
    save_calibration,
    unlike,
)
from mmspec_ds.verification.error_models import ErrorModels

RECORDS = [simulate_record(smiles) for smiles in ("CCO", "CCCC(=O)C", "Cc1ccccc1")]


def test_a_calibration_is_read_as_it_was_written(tmp_path: Path) -> None:
    errors = ErrorModels(weights={"c_nmr": 0.7, "h_nmr": 0.3})
    known = describe_known(RECORDS)
    written = Calibration(errors=errors, model_weight=0.5, listed=(0.1, 2.0, -1.0, 0.5), known=known)
    save_calibration(written, tmp_path)
    assert load_calibration(tmp_path) == written


def test_a_folder_without_one_has_the_defaults(tmp_path: Path) -> None:
    assert load_calibration(tmp_path) == Calibration()


@pytest.mark.parametrize(
    ("text", "error", "told"),
    [("{", DataError, "cannot be read"), ('{"model_wait": 1}', ConfigError, "did you mean 'model_weight'?")],
)
def test_a_damaged_file_is_named(tmp_path: Path, text: str, error: type[Exception], told: str) -> None:
    (tmp_path / CALIBRATION).write_text(text)
    with pytest.raises(error, match=told):
        load_calibration(tmp_path)


def test_known_records_are_not_unlike_themselves() -> None:
    known = describe_known(RECORDS)
    assert [unlike(record, known) for record in RECORDS] == [[], [], []]
    assert known.elements == ("C", "H", "O")
    assert known.ranges["number of heavy atoms"] == (3, 7)


def test_what_is_unlike_is_said() -> None:
    known = describe_known([Record("a", (CarbonNMR((20.0, 120.0)),), formula="C7H8O")])
    strange = Record("b", (CarbonNMR((20.0, 180.0)),), formula="C20H30BrN")
    assert unlike(strange, known) == [
        "unlike the known molecules: element Br, N",
        "unlike the known records: number of heavy atoms 22, known are 8 to 8",
        "unlike the known records: 13C shift (ppm) 180, known are 20 to 120",
    ]
    other = simulate_record("CCCCC")
    assert "unlike the known records: spectra of h_nmr, hsqc, ir, ms" in unlike(other, known)
    assert unlike(Record("c"), known) == ["unlike the known records: no spectra of c_nmr"]
