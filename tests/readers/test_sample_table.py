"""Tables of samples in the forms that programs and core facilities write."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.readers.sample_columns import Layout
from mmspec_ds.readers.sample_table import SampleTable, read_sample_table

NAN = float("nan")
VALUES = [[1.5, 20.25], [2.5, NAN], [-0.5, 40.0]]


def read(
    folder: Path, text: str, name: str = "table.csv", encoding: str = "utf-8", **known: object
) -> SampleTable:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return read_sample_table(path, Layout(**known))  # type: ignore[arg-type]


COMMAS = "sample,class,ala,lac\nS1,ill,1.5,20.25\nS2,well,2.5,\nS3,ill,-0.5,40\n"
FORMS = {
    "commas": COMMAS,
    "semicolons and decimal commas": "sample;class;ala;lac\nS1;ill;1,5;20,25\nS2;well;2,5;NA\nS3;ill;-0,5;40\n",
    "tabs": "sample\tclass\tala\tlac\nS1\till\t1.5\t20.25\nS2\twell\t2.5\nS3\till\t-0.5\t40\n",
    "byte order mark, CRLF": "\ufeff" + COMMAS.replace("\n", "\r\n"),
    "blanks and quotes": COMMAS.replace(",", " , ").replace("well", '"well"').replace("ala", '"ala"'),
    "lines before": f"# exported\nProject 7\n\n{COMMAS}",
    "features as rows": "feature,S1,S2,S3\nclass,ill,well,ill\nala,1.5,2.5,-0.5\nlac,20.25,,40\n",
    "empty cells at the ends": COMMAS.replace("\n", ",,\n") + "\n,,,,,\n",
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_forms_of_one_table(tmp_path: Path, text: str) -> None:
    table = read(tmp_path, text, describing=("class",))
    assert table.names == ("S1", "S2", "S3")
    assert table.features == ("ala", "lac")
    np.testing.assert_array_equal(table.values_NF, VALUES)
    assert table.columns["class"] == ("ill", "well", "ill")


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    table = read(tmp_path, "sample,Größe,ala\nS1,1,1.5\nS2,3,2.5\n", encoding=encoding)
    assert table.features == ("Größe", "ala")


def test_gzip(tmp_path: Path) -> None:
    path = tmp_path / "table.csv.gz"
    path.write_bytes(gzip.compress(FORMS["commas"].encode()))
    np.testing.assert_array_equal(read_sample_table(path, Layout(describing=("class",))).values_NF, VALUES)


def test_measured_numbers_in_the_first_column_are_no_positions(tmp_path: Path) -> None:
    table = read(tmp_path, "ala,lac\n1.5,2\n2.5,3\n2.25,4\n1.75,5\n3.5,6\n", named=False)
    np.testing.assert_array_equal(table.values_NF[:, 0], [1.5, 2.5, 2.25, 1.75, 3.5])


def test_buckets_as_rows(tmp_path: Path) -> None:
    rows = "".join(f"{at / 100},{at},{at + 1}\n" for at in range(120, 100, -1))
    table = read(tmp_path, "ppm,S1,S2\n" + rows)
    assert table.names == ("S1", "S2")
    assert table.values_NF[:, 0].tolist() == [120, 121]
    assert table.axis.position_F is not None
    np.testing.assert_allclose(table.axis.position_F[[0, -1]], [1.2, 1.01])


def test_names_of_rows_as_r_writes_them(tmp_path: Path) -> None:
    table = read(tmp_path, "ala,lac\nS1,1.5,20\nS2,2.5,30\n")
    assert table.names == ("S1", "S2")
    assert table.features == ("ala", "lac")
    assert any("one cell short" in one for one in table.remarks)


def test_a_semicolon_in_names_is_no_separator(tmp_path: Path) -> None:
    table = read(tmp_path, "lipid,S1,S2\nPC 34:1;O2,1.5,2.5\nCer 18:1;O3,3.5,4.5\n", samples="columns")
    assert table.features == ("PC 34:1;O2", "Cer 18:1;O3")
    np.testing.assert_array_equal(table.values_NF, [[1.5, 3.5], [2.5, 4.5]])


@pytest.mark.parametrize(
    ("names", "expected"),
    [("9.5,8.5,7.5,6.5", [9.5, 8.5, 7.5, 6.5]), ("0.5,1.5,2.5,3.5", [0.5, 1.5, 2.5, 3.5])],
)
def test_nmr_buckets_leave_other_numbers_out(tmp_path: Path, names: str, expected: list[float]) -> None:
    table = read(tmp_path, f"sample,creatinine_mM,{names},Age\nS1,7.5,1,2,3,7,61\nS2,8.5,4,5,6,8,50\n")
    assert table.axis.unit == "ppm"
    np.testing.assert_array_equal(table.axis.position_F, expected)
    np.testing.assert_array_equal(table.values_NF, [[1, 2, 3, 7], [4, 5, 6, 8]])
    assert any(one.endswith("not used: Age, creatinine_mM") for one in table.remarks)


def test_numbers_that_describe_samples_are_not_measured(tmp_path: Path) -> None:
    # `injection` is a run order: 2, 4, 6, 1, 3, 5, 7.
    rows = "".join(f"S{at},{at},{2 * at % 8 + at // 4},{60 + at % 3},{at * 1.5}\n" for at in range(1, 8))
    table = read(tmp_path, "sample,count,injection,Age,ala\n" + rows)
    assert table.features == ("ala",)
    assert any(
        one.endswith("that seem to describe samples not used: count, injection, Age") for one in table.remarks
    )


def test_names_that_describe_samples_in_any_writing_are_not_measured(tmp_path: Path) -> None:
    names = ("PatientNr", "donor", "Age_years", "Injection Order", "BMI (kg/m2)", "ID_Patient", "Run-No")
    kept = ("Betaine", "Homoserine", "Glucose 1", "N-orotate", "Stageine")
    cells = ",".join(["1.5,2.5"] * 6)
    text = f"sample,{','.join((*names, *kept))}\nS1,{cells}\nS2,{cells}\n"
    table = read(tmp_path, text)
    assert table.features == kept
    assert any(
        one.startswith("7 columns of numbers that seem to describe samples not used") for one in table.remarks
    )


def test_metabolights_assignment_file(tmp_path: Path) -> None:
    text = (
        "database_identifier\tmetabolite_identification\tmass_to_charge\tretention_time\tS1\tS2\n"
        "CHEBI:1\talanine\t90.055\t1.2\t10\t20\nCHEBI:2\turea\t61.0396\t0.9\t30\t\n"
    )
    table = read(tmp_path, text, "m_study_maf.tsv")
    assert table.names == ("S1", "S2")
    assert table.features == ("alanine", "urea")
    np.testing.assert_array_equal(table.values_NF, [[10, 30], [20, NAN]])
    np.testing.assert_array_equal(table.axis.position_F, [90.055, 61.0396])
    assert any(one.startswith("3 columns beside the samples left out") for one in table.remarks)


WORKBENCH = """#METABOLOMICS WORKBENCH
SUBJECT_SAMPLE_FACTORS           \t-\tS1\tClass:ill | Sex:F\t
SUBJECT_SAMPLE_FACTORS           \t-\tS2\tClass:well | Sex:M\t
MS_METABOLITE_DATA:UNITS\tpeak area
MS_METABOLITE_DATA_START
Samples\tS1\tS2
{factors}alanine\t10\t20
urea\t30\t
MS_METABOLITE_DATA_END
#METABOLITES
METABOLITES_START
metabolite_name\tKEGG ID
alanine\tC00041
METABOLITES_END
#END
"""


@pytest.mark.parametrize("factors", ["", "Factors\tClass:ill | Sex:F\tClass:well | Sex:M\n"])
def test_metabolomics_workbench(tmp_path: Path, factors: str) -> None:
    table = read(tmp_path, WORKBENCH.format(factors=factors), "ST1.txt", describing=("Class",))
    assert table.names == ("S1", "S2")
    assert table.features == ("alanine", "urea")
    np.testing.assert_array_equal(table.values_NF, [[10, 30], [20, NAN]])
    assert (table.columns["Class"], table.columns["Sex"]) == (("ill", "well"), ("F", "M"))


def test_a_block_without_an_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no MS_METABOLITE_DATA_END"):
        read(tmp_path, WORKBENCH.format(factors="").partition("MS_METABOLITE_DATA_END")[0])


def test_repeated_empty_and_odd_columns_are_counted(tmp_path: Path) -> None:
    text = (
        "sample,ala,ala,lac,lac,none,word,odd\n"
        "S1,1.5,1.5,1,2,,red,7\nS2,2.5,2.5,3,4,NA,blue,<0.05\nS3,3.5,3.5,5,6,,red,12..5\nS4,1,1,1,1,,red,8\n"
    )
    table = read(tmp_path, text)
    assert table.features == ("ala", "lac", "lac (2)", "odd")
    told = "\n".join(table.remarks)
    assert "1 column repeated with the same values, used once: ala" in told
    assert "1 column of a name that occurs before with other values, numbered: lac" in told
    assert "1 column without any number left out: none" in told
    assert "1 column of words not used: word" in told
    assert (
        "1 cell with a limit in place of a number read as missing, such as '<0.05' in line 3, column odd"
        in told
    )
    assert (
        "1 cell with words in place of a number read as missing, such as '12..5' in line 4, column odd" in told
    )


def test_zeros(tmp_path: Path) -> None:
    text = "sample,ala,lac\nS1,0,1\nS2,2,3\n"
    assert any("25 % of the values are 0" in one for one in read(tmp_path, text).remarks)
    np.testing.assert_array_equal(read(tmp_path, text, zeros_missing=True).values_NF, [[NAN, 1], [2, 3]])


def test_patterns_leave_columns_out(tmp_path: Path) -> None:
    table = read(tmp_path, "sample,IS_1,IS_2,ala\nS1,1.5,2.5,3.5\nS2,1,2,3\n", leave_out=("IS_*",))
    assert table.features == ("ala",)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the file is empty"),
        ("just words\nand more\n", "is no table"),
        (",,\n,,\n", "all of its cells are empty"),
        ("sample,ala\n", "has no row below the line of names"),
        ("sample,ala,lac\nS1,1,5,2,5\nS2,3,5,1,0\n", "is the comma the decimal mark as well"),
        ("sample;ala;lac\nS1;1,5;2.5\nS2;3,5;1.5\n", "expected one decimal mark"),
        ("sample;ala\nS1;1,234\nS2;3,456\n", "expected `decimal: comma` or `decimal: point`"),
        ("sample,word\nS1,red\nS2,blue\n", "has no column of measured numbers"),
        ('sample,ala\nS1,"1.5\n' + "S2,2\n" * 40_000, "is a quotation mark missing"),
        ("sample,ala\nS1,1\0\n", "holds a zero byte"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(DataError, match=told) as caught:
        read(tmp_path, text)
    assert "table.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_too_many_cells_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmspec_ds.readers.text_grid.MOST_CELLS", 5)
    with pytest.raises(DataError, match="expected at most 5 cells"):
        read(tmp_path, FORMS["commas"])


def test_a_column_that_is_not_there_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no column 'clas': did you mean 'class'\?"):
        read(tmp_path, FORMS["commas"], describing=("clas",))
