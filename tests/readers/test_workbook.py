"""Workbooks of tables of samples: sheets of data and of features, numbers, identifiers, damaged files."""

import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmspec_ds.errors import DataError, UserError
from mmspec_ds.readers.sample_columns import Layout
from mmspec_ds.readers.sample_table import read_sample_table

openpyxl = pytest.importorskip("openpyxl")

DATA = [
    ["Idx", "SampleID", "Class", "M1", "M2", "Age"],
    [1, "S1", "GC", 1.5, 20, 61],
    [2, "S2", "QC", None, 30.25, 50],
]
PEAKS = [["Idx", "Name", "Label"], [1, "M1", "alanine"], [2, "M2", "urea"], [3, "M3", "lost"]]


def write(path: Path, **sheets: list[list[Any]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_the_sheet_of_features_says_what_is_measured(tmp_path: Path) -> None:
    path = write(tmp_path / "study.xlsx", Data=DATA, Peak=PEAKS)
    table = read_sample_table(path, Layout(describing=("Class",)))
    assert table.names == ("S1", "S2")
    assert table.features == ("alanine", "urea")
    np.testing.assert_array_equal(table.values_NF, [[1.5, 20], [np.nan, 30.25]])
    assert any("lists 2 features" in one and "1 feature of it without a column" in one for one in table.remarks)


def test_one_sheet_is_read_like_a_text_table(tmp_path: Path) -> None:
    path = write(tmp_path / "study.xlsx", Notes=[["made by us"]], Table=[["made by us"], *DATA])
    table = read_sample_table(path, Layout(describing=("Class",)))
    assert table.features == ("M1", "M2")  # Idx and Age describe samples
    np.testing.assert_array_equal(table.values_NF, [[1.5, 20], [np.nan, 30.25]])


def test_whole_numbers_stay_identifiers(tmp_path: Path) -> None:
    path = write(tmp_path / "study.xlsx", Data=[["patient", "ala"], [12.0, 1.5], [7, 2.5]])
    assert read_sample_table(path, Layout()).names == ("12", "7")


def test_the_sheet_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "study.xlsx", Data=DATA, Second=[["sample", "ala"], ["S1", 1.5], ["S2", 2]])
    assert read_sample_table(path, Layout(sheet="Second")).features == ("ala",)
    with pytest.raises(DataError, match="has no sheet 'Third': it has Data, Second"):
        read_sample_table(path, Layout(sheet="Third"))


def damaged(path: Path) -> None:
    write(path, Data=DATA)
    content = bytearray(path.read_bytes())
    content[200:1200] = bytes(1000)
    path.write_bytes(content)


def another_archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "words")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (damaged, "cannot be read as xlsx"),
        (another_archive, "is a zip archive without a workbook"),
        (lambda path: path.write_bytes(b"PK\x03\x04" + bytes(100)), "cannot be read as xlsx"),
        (
            lambda path: path.write_bytes(b"\xd0\xcf\x11\xe0" + bytes(100)),
            "old format xls: expected xlsx or CSV",
        ),
        (lambda path: write(path, Data=[["only"]]), "no sheet holds a table"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, make: Any, told: str) -> None:
    make(tmp_path / "study.xlsx")
    with pytest.raises(DataError, match=told) as caught:
        read_sample_table(tmp_path / "study.xlsx", Layout())
    assert "\n" not in str(caught.value)


def test_an_archive_that_unfolds_too_far_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmspec_ds.readers.workbook.LARGEST", 1000)
    with pytest.raises(DataError, match="unfolds to"):
        read_sample_table(write(tmp_path / "study.xlsx", Data=DATA), Layout())


def test_without_the_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "study.xlsx", Data=DATA)
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(UserError, match=r"pip install 'mmspec-ds\[cohorts\]'"):
        read_sample_table(path, Layout())
