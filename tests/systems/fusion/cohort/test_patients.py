"""Columns that seem to name patients, although no setting says so: a silent leak between folds is refused."""

from pathlib import Path

import pytest

from mmspec_ds.errors import DataError
from tests.systems.fusion.cohort.tables import read


def table(column: str, patients: list[str]) -> str:
    """A table of as many samples as there are patients, of two classes: each half of the list is one."""
    half = len(patients) // 2
    rows = "".join(
        f"S{at},{who},{'ill' if at < half else 'well'},{at + 0.5},{1.5 * at % 4}\n"
        for at, who in enumerate(patients)
    )
    return f"sample,{column},class,ala,lac\n" + rows


TWICE = ["7", "7", "9", "9", "12", "12", "31", "31"]


@pytest.mark.parametrize(
    ("column", "patients"),
    [
        ("PatientNr", TWICE),
        ("donor", TWICE),
        ("patient", [f"P{one}" for one in TWICE]),
        ("Subject ID", [f"P{one}" for one in TWICE]),
    ],
)
def test_patients_that_no_setting_names_are_refused_until_one_does(
    tmp_path: Path, column: str, patients: list[str]
) -> None:
    files = {"nmr.csv": table(column, patients)}
    told = f"nmr.csv, column {column}: seems to name patients: 4 values with several samples, such as"
    with pytest.raises(DataError, match=told) as caught:
        read(tmp_path, files)
    assert f"expected `patient={column}`, or `patient=none`" in str(caught.value)
    assert "\n" not in str(caught.value)
    named = read(tmp_path, files, patient=column)
    assert named.group_N.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert named.blocks[0].features == ("ala", "lac")
    none = read(tmp_path, files, patient="none")
    assert none.group_N.tolist() == list(range(8))
    assert none.blocks[0].features == ("ala", "lac")
    assert any(
        f"column {column} of nmr.csv seems to name patients and is not used" in one for one in none.remarks
    )


def test_patients_of_metadata_are_refused_too(tmp_path: Path) -> None:
    rows = [line.split(",") for line in table("x", TWICE).splitlines()]
    nmr = "\n".join(",".join((row[0], *row[3:])) for row in rows)
    samples = "\n".join(",".join(("Patient No" if row[1] == "x" else row[1], row[0], row[2])) for row in rows)
    settings = {"file": "samples.csv", "key": "sample"}
    with pytest.raises(DataError, match=r"samples\.csv, column Patient No: seems to name patients: 4 values"):
        read(tmp_path, {"nmr.csv": nmr, "samples.csv": samples}, metadata=settings)


@pytest.mark.parametrize("patients", [[f"P{at}" for at in range(8)], ["human"] * 8])
def test_one_sample_of_each_patient_needs_no_setting(tmp_path: Path, patients: list[str]) -> None:
    """Nor does a column that says the same throughout."""
    assert read(tmp_path, {"nmr.csv": table("subject", patients)}).group_N.tolist() == list(range(8))


def test_samples_that_are_left_out_may_share_a_patient(tmp_path: Path) -> None:
    text = table("patient", [f"P{at}" for at in range(8)]) + "QC1,pool,QC,1,1\nQC2,pool,QC,2,2\n"
    names = {"ill": ["ill"], "well": ["well"]}
    assert len(read(tmp_path, {"nmr.csv": text}, classes={"column": "class", "names": names}).samples) == 8


def test_whole_numbers_that_recur_within_a_class_alone_are_told(tmp_path: Path) -> None:
    told = (
        "nmr: 1 feature of whole numbers that recur within a class alone, as the numbers of patients do: code2"
    )
    assert any(one.startswith(told) for one in read(tmp_path, {"nmr.csv": table("code2", TWICE)}).remarks)
    between = ["7", "9", "12", "31", "7", "9", "12", "31"]  # each in both classes, as counts are
    assert not any(
        "whole numbers" in one for one in read(tmp_path, {"nmr.csv": table("code2", between)}).remarks
    )


def test_how_many_features_are_used_and_which(tmp_path: Path) -> None:
    rows = "".join(
        f"S{at},{('ill', 'well')[at % 2]}," + ",".join(str(at * 0.3 + place) for place in range(9)) + "\n"
        for at in range(4)
    )
    text = "sample,class," + ",".join(f"met{place}" for place in range(9)) + "\n" + rows
    assert "nmr: 9 features: met0, met1, met2 and 6 more" in read(tmp_path, {"nmr.csv": text}).remarks
