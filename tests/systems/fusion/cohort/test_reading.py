"""Tables become a cohort: matched by names, described by metadata, repeats averaged or kept; bad tables."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmspec_ds.errors import DataError
from tests.systems.fusion.cohort.tables import MS, NMR, SAMPLES, read

NAN = float("nan")


def test_two_tables_and_their_metadata(tmp_path: Path) -> None:
    cohort = read(
        tmp_path,
        {"nmr.csv": NMR, "ms.csv": MS, "samples.csv": SAMPLES},
        metadata={"file": "samples.csv"},
        patient="patient",
        batch="batch",
        covariates=["age"],
    )
    assert cohort.samples == ("S1", "S2", "S3", "S4", "S5")
    assert cohort.classes == ("ill", "well")
    assert cohort.label_N.tolist() == [0, 1, 0, 1, 0]
    assert cohort.group_N.tolist() == [0, 1, 2, 3, 4]
    assert cohort.batch_N is not None
    assert cohort.batch_N.tolist() == [0, 0, 1, 1, 1]
    patients = ("P1", "P2", "P3", "P4", "P5")
    assert cohort.covariates == {"patient": patients, "age": ("61", "50", "44", "", "70")}
    nmr, ms = cohort.blocks
    assert (nmr.unit, ms.unit) == ("ppm", "m/z")
    assert nmr.present_N.tolist() == [True, True, True, True, False]
    np.testing.assert_array_equal(nmr.values_NF[0], [1, 2, 3.5])
    np.testing.assert_array_equal(nmr.values_NF[4], [NAN] * 3)
    np.testing.assert_array_equal(ms.values_NF, [[10, 5], [20, 7], [40, 2], [NAN, NAN], [30, 9]])
    assert ms.position_F is not None
    assert ms.position_F.tolist() == [90.05, 61.04]
    for told in (
        "5 samples: ill 3, well 2",
        "3 samples measured by nmr and ms",
        "1 sample measured by nmr",
        "1 sample measured by ms",
        "ms: 1 sample of samples.csv not in it: S4",
    ):
        assert told in cohort.remarks


def test_classes_that_differ_in_case_alone_are_told(tmp_path: Path) -> None:
    told = "classes 'Ill' and 'ill' differ in case or blanks alone"
    remarks = read(tmp_path, {"nmr.csv": NMR.replace("P3,ill", "P3,Ill")}).remarks
    assert any(one.startswith(told) for one in remarks)
    assert not any("differ in case" in one for one in read(tmp_path, {"nmr.csv": NMR}).remarks)


def test_metadata_in_the_order_of_rows(tmp_path: Path) -> None:
    """A table that names no samples; the names, by which another one is matched, are in its metadata."""
    bare = "alanine (90.05),urea (61.04)\n10,5\n20,7\n30,9\n"
    described = "number,patient_id,group\n1,S3,ill\n2,S2,well\n3,S9,well\n"
    tables = [
        {"name": "nmr", "file": "nmr.csv", "sample": "sample"},
        {
            "name": "ms",
            "file": "ms.csv",
            "sample": "patient_id",
            "metadata": {"file": "described.csv", "join": "order"},
        },
    ]
    files = {"nmr.csv": NMR, "ms.csv": bare, "described.csv": described}
    cohort = read(tmp_path, files, tables=tables, classes={"column": ["class", "group"]})
    ms = cohort.blocks[1]
    found = dict(zip(cohort.samples, ms.values_NF[:, 0].tolist()))
    assert {name: found[name] for name in ("S3", "S2", "S9")} == {"S3": 10, "S2": 20, "S9": 30}
    assert cohort.label_N[cohort.samples.index("S9")] == cohort.classes.index("well")
    assert any("nothing checks that the orders agree" in one for one in cohort.remarks)


REPEATED = NMR + "S1,P1,ill,3,6,\n"


@pytest.mark.parametrize(
    ("repeats", "names", "values"),
    [
        ("mean", ["S1", "S2", "S3", "S4"], [2, 4, 3.5]),
        ("first", ["S1", "S2", "S3", "S4"], [1, 2, 3.5]),
        ("keep", ["S1 #1", "S1 #2", "S2", "S3", "S4"], [1, 2, 3.5]),
    ],
)
def test_repeats(tmp_path: Path, repeats: str, names: list[str], values: list[float]) -> None:
    cohort = read(tmp_path, {"nmr.csv": REPEATED, "ms.csv": MS}, repeats=repeats)
    assert [name for name in cohort.samples if name != "S5"] == names
    np.testing.assert_array_equal(cohort.blocks[0].values_NF[0], values)
    assert any(one.startswith("nmr: 1 sample measured more than once") for one in cohort.remarks)
    if repeats == "keep":
        np.testing.assert_array_equal(cohort.blocks[0].values_NF[1], [3, 6, NAN])
        assert cohort.group_N.tolist()[:3] == [0, 0, 1]
        assert cohort.blocks[1].present_N.tolist()[:3] == [True, False, True]  # ms measured it once


def test_names_with_a_number_are_not_taken_for_repeats(tmp_path: Path) -> None:
    text = "sample,class,a\nP #1,ill,1.5\nP #2,well,2.5\nQ,ill,3\nQ,ill,4\n"
    cohort = read(tmp_path, {"nmr.csv": text}, repeats="keep")
    assert cohort.samples == ("P #1", "P #2", "Q #1", "Q #2")
    assert cohort.group_N.tolist() == [0, 1, 2, 2]


def test_names_of_classes_gather_values_and_leave_others_out(tmp_path: Path) -> None:
    text = NMR.replace("S4,P4,well", "S4,P4,QC") + "S6,P6,,7,7,7\nS7,P7,healthy,5,5,5\n"
    names = {"case": ["ill"], "control": ["well", "healthy"]}
    cohort = read(tmp_path, {"nmr.csv": text}, classes={"column": "class", "names": names})
    assert cohort.classes == ("case", "control")
    assert dict(zip(cohort.samples, cohort.label_N.tolist())) == {"S1": 0, "S2": 1, "S3": 0, "S7": 1}
    assert "1 sample of no class named left out: QC 1" in cohort.remarks
    assert "1 sample without a class left out" in cohort.remarks


def test_a_value_that_is_the_name_of_a_class_must_be_listed(tmp_path: Path) -> None:
    names = {"ill": ["II"], "well": ["well"]}
    with pytest.raises(
        DataError, match="has 'ill' in the column of classes, the name of a class that does not"
    ):
        read(tmp_path, {"nmr.csv": NMR}, classes={"column": "class", "names": names})


def test_classes_that_are_numbers(tmp_path: Path) -> None:
    text = NMR.replace("ill", "1").replace("well", "0")
    cohort = read(tmp_path, {"nmr.csv": text}, classes={"column": "class", "names": {"ill": 1, "well": [0]}})
    assert cohort.counts == {"ill": 2, "well": 2}


def test_features_that_say_nothing_are_counted(tmp_path: Path) -> None:
    text = "sample,class,a,b,c\nS1,ill,1.5,7,\nS2,well,2.5,7,\nS3,ill,3.5,,\nS4,well,NA,7,\n"
    cohort = read(tmp_path, {"nmr.csv": text})
    assert cohort.blocks[0].features == ("a",)
    assert "nmr: 1 column without any number left out: c" in cohort.remarks
    assert "nmr: 1 feature with one value throughout left out: b" in cohort.remarks
    assert "1 sample without any value left out: S4" not in cohort.remarks  # b measured it


def test_a_sample_without_any_value_is_left_out(tmp_path: Path) -> None:
    text = "sample,class,a,b\nS1,ill,1.5,7\nS2,well,2.5,8\nS3,ill,3.5,4\nS4,well,NA,\n"
    cohort = read(tmp_path, {"nmr.csv": text})
    assert cohort.samples == ("S1", "S2", "S3")
    assert "1 sample without any value left out: S4" in cohort.remarks


def test_the_same_sample_twice_in_metadata_may_say_the_same(tmp_path: Path) -> None:
    files = {"nmr.csv": NMR, "samples.csv": SAMPLES + "S1,P1,ill,1,61\n"}
    assert len(read(tmp_path, files, metadata={"file": "samples.csv"}).samples) == 4


FAULTS: dict[str, tuple[dict[str, str], dict[str, Any], str]] = {
    "a sample with two classes in one table": (
        {"nmr.csv": NMR + "S1,P1,well,1,1,1\n"},
        {},
        r"sample 'S1' has two classes: 'ill' and 'well' \(nmr.csv, line 6\): expected one",
    ),
    "a sample with two classes in two tables": (
        {
            "nmr.csv": NMR,
            "ms.csv": MS.replace("sample,", "sample,class,").replace("\nS", "\nS1,well,1,1\nS", 1),
        },
        {},
        r"has two classes: 'ill' and 'well' \(ms.csv, line 2\)",
    ),
    "a sample with two patients": (
        {"nmr.csv": NMR + "S1,P9,ill,1,1,1\n"},
        {"patient": "patient"},
        r"sample 'S1' has two patients: 'P1' and 'P9'",
    ),
    "a table and its metadata disagree": (
        {"nmr.csv": NMR, "samples.csv": SAMPLES.replace("S2,P2,well", "S2,P2,ill")},
        {"metadata": {"file": "samples.csv"}},
        "samples.csv: says class 'ill' of line 3 of nmr.csv, where nmr.csv says 'well'",
    ),
    "metadata that match nothing": (
        {"nmr.csv": NMR, "samples.csv": SAMPLES.replace("\nS", "\nsubject-")},
        {"metadata": {"file": "samples.csv"}},
        "matches no row of nmr.csv: it names subject-1, subject-2, subject-3 and 2 more, the table S1, S2, S3",
    ),
    "metadata with a sample twice": (
        {"nmr.csv": NMR, "samples.csv": SAMPLES + "S1,P1,ill,1,77\n"},
        {"metadata": {"file": "samples.csv"}},
        "column age: 'S1' is described twice, in line 2 and line 7, with '61' and '77'",
    ),
    "no such class column": ({"nmr.csv": NMR}, {"classes": {"column": "clas"}}, "did you mean 'class'"),
    "no such patient column": ({"nmr.csv": NMR}, {"patient": "person"}, "has no column 'person'"),
    "no such sample column": (
        {"nmr.csv": NMR},
        {"tables": [{"name": "nmr", "file": "nmr.csv", "sample": "ID"}]},
        "nmr.csv: has no column 'ID'",
    ),
    "a class without samples": (
        {"nmr.csv": NMR},
        {"classes": {"column": "class", "names": {"ill": "ill", "well": "well", "polyp": "polyp"}}},
        "column class: has no sample of class 'polyp': values are ill, well",
    ),
    "too many classes": (
        {"nmr.csv": "sample,class,a\n" + "".join(f"S{at},c{at},{at}.5\n" for at in range(13))},
        {},
        "has 13 different values .* expected at most 12",
    ),
    "no class at all": (
        {"nmr.csv": NMR.replace("ill", "").replace("well", "NA")},
        {},
        "no sample has a class",
    ),
    "tables that share no sample": (
        {"nmr.csv": NMR, "ms.csv": MS.replace("\nS", "\n0")},
        {},
        "no two of them share a sample: nmr.csv names S1, S2, S3 and 1 more; ms.csv names 01, 02",
    ),
    "a row without a name": (
        {"nmr.csv": NMR.replace("S2,", ",")},
        {},
        "1 row without a name of a sample, first line 3",
    ),
    "no column varies": (
        {"nmr.csv": "sample,class,a\nS1,ill,1.5\nS2,well,1.5\n"},
        {},
        "nmr.csv: has no feature that varies",
    ),
    "a value that nothing measures": (
        {"nmr.csv": NMR.replace("4,8,2.5", "4,1e308,2.5").replace("3,6,4.5", "-2e60,6,4.5")},
        {},
        r"nmr.csv, column 3.05: 2 values beyond 1e\+50, first -2e\+60 in line 4: expected measured values",
    ),
    "rows that differ in number": (
        {"nmr.csv": "a,b\n1.5,2.5\n2.5,2\n", "s.csv": "id,class\nS1,ill\n"},
        {
            "tables": [
                {"name": "n", "file": "nmr.csv", "metadata": {"file": "s.csv", "join": "order"}, "sample": "id"}
            ]
        },
        "s.csv: has 1 row, but nmr.csv has 2",
    ),
    "a file that is not there": (
        {"nmr.csv": NMR},
        {"tables": [{"name": "ms", "file": "nms.csv"}]},
        "nms.csv: there is no such file",
    ),
}


@pytest.mark.parametrize(("files", "settings", "told"), FAULTS.values(), ids=FAULTS)
def test_faults_take_one_line(
    tmp_path: Path, files: dict[str, str], settings: dict[str, Any], told: str
) -> None:
    with pytest.raises(DataError, match=told) as caught:
        read(tmp_path, files, **settings)
    assert "\n" not in str(caught.value)
    print(caught.value)


def test_metadata_of_patients_match_the_column_that_is_their_key(tmp_path: Path) -> None:
    """Samples have numbers, and so have patients: those of the patients count, and are not measured."""
    nmr = "sample,person,3.05,2.05\n1,3,1.5,2\n2,1,2.5,4\n3,2,3.5,5\n4,3,4.5,7\n"
    people = "person,class\n1,well\n2,well\n3,ill\n"
    cohort = read(
        tmp_path,
        {"nmr.csv": nmr, "people.csv": people},
        metadata={"file": "people.csv", "key": "person"},
        patient="person",
    )
    assert cohort.samples == ("1", "2", "3", "4")
    assert [cohort.classes[label] for label in cohort.label_N] == ["ill", "well", "well", "ill"]
    assert cohort.group_N.tolist() == [0, 1, 2, 0]
    unnamed = read(
        tmp_path,
        {"nmr.csv": nmr, "people.csv": people},
        metadata={"file": "people.csv", "key": "person"},
        patient="none",
    )
    assert unnamed.label_N.tolist() == cohort.label_N.tolist()
    assert unnamed.blocks[0].features == ("3.05", "2.05")


@pytest.mark.parametrize("value", ["none", "-", "ND"])
def test_a_value_that_a_class_names_is_not_missing(tmp_path: Path, value: str) -> None:
    names = {"ill": ["ill"], "healthy": [value]}
    cohort = read(
        tmp_path, {"nmr.csv": NMR.replace(",well,", f",{value},")}, classes={"column": "class", "names": names}
    )
    assert cohort.counts == {"ill": 2, "healthy": 2}


def test_samples_as_columns_that_no_other_table_has_are_kept(tmp_path: Path) -> None:
    """As in a table with samples as rows: S5 is a sample with this table alone; words describe features."""
    lines = ("name,kind,S1,S2,S5,S9", "class,,ill,well,well,", "urea,amide,10,5,7,1", "alanine,acid,2,3,9,4")
    cohort = read(tmp_path, {"nmr.csv": NMR, "ms.csv": "\n".join(lines)})
    assert cohort.samples == ("S1", "S2", "S3", "S4", "S5")
    nmr, ms = cohort.blocks
    assert nmr.present_N.tolist() == [True, True, True, True, False]
    assert ms.present_N.tolist() == [True, True, False, False, True]
    np.testing.assert_array_equal(ms.values_NF[4], [7, 9])
    assert "1 sample without a class left out" in cohort.remarks  # S9
    assert any("2 columns that no other table knows taken for samples: S5, S9" in one for one in cohort.remarks)
    told = "1 column without numbers that no other table knows left out: kind"
    assert any(told in one for one in cohort.remarks)


def test_the_table_with_the_odd_names_is_named_whatever_its_place(tmp_path: Path) -> None:
    odd = "sample,urine (61.04)\ns 1,5\ns 2,7\n"
    tables = [{"name": name, "file": f"{name}.csv"} for name in ("nmr", "ms", "odd")]
    told = r"odd\.csv: shares no sample with another table: it names s 1, s 2, they name S1, S2, S"
    for chosen in (tables, tables[::-1]):
        with pytest.raises(DataError, match=told) as caught:
            read(tmp_path, {"nmr.csv": NMR, "ms.csv": MS, "odd.csv": odd}, tables=chosen)
        assert "without case and blanks 's 1' would match 'S1'" in str(caught.value)
