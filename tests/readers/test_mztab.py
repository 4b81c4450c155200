"""mzTab-M: abundances by assay, their m/z, and the study variables as classes; compared with pyteomics."""

from pathlib import Path

import numpy as np
import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.readers.sample_columns import Layout
from mmspec_ds.readers.sample_table import SampleTable, read_sample_table

NAN = float("nan")
METADATA = """MTD\tmzTab-version\t2.0.0-M
MTD\tmzTab-ID\tours
MTD\tsample[1]\tserum A
MTD\tassay[1]\trun_A1
MTD\tassay[1]-sample_ref\tsample[1]
MTD\tassay[2]\trun_A2
MTD\tassay[3]\trun_B1
MTD\tstudy_variable[1]\till
MTD\tstudy_variable[1]-assay_refs\tassay[1] | assay[2]
MTD\tstudy_variable[2]\twell
MTD\tstudy_variable[2]-assay_refs\tassay[3]
"""
MOLECULES = """
SMH\tSML_ID\tSMF_ID_REFS\tchemical_name\tabundance_assay[1]\tabundance_assay[2]\tabundance_assay[3]\topt_x
SML\t1\t11 | 12\tcreatinine\t59.5\t63.25\tnull\t7
SML\t2\t13\thypoxanthine\t1\t2\t3\t7
SML\t3\t13\tnull\t5\t6\t8\t7
"""
FEATURES = """
SFH\tSMF_ID\tadduct_ion\texp_mass_to_charge\tabundance_assay[1]\tabundance_assay[2]\tabundance_assay[3]
SMF\t11\t[M+H]1+\t114.0654\t40\t41\t42
SMF\t12\t[M+Na]1+\t136.0475\t19.5\t22.25\tnull
SMF\t13\tnull\t137.0452\t1\t2\t3
"""


def read(folder: Path, text: str, section: str = "auto") -> SampleTable:
    path = folder / "study.mztab"
    path.write_text(text)
    return read_sample_table(path, Layout(describing=("study_variable",)), section)  # type: ignore[arg-type]


def test_features_with_their_masses(tmp_path: Path) -> None:
    table = read(tmp_path, METADATA + MOLECULES + FEATURES)
    assert table.names == ("run_A1", "run_A2", "run_B1")
    assert table.columns["study_variable"] == ("ill", "ill", "well")
    assert table.columns["sample_ref"] == ("serum A", "", "")
    assert table.features == ("SMF_11", "SMF_12", "SMF_13")
    np.testing.assert_array_equal(table.values_NF, [[40, 19.5, 1], [41, 22.25, 2], [42, NAN, 3]])
    assert table.axis.unit == "m/z"
    np.testing.assert_array_equal(table.axis.position_F, [114.0654, 136.0475, 137.0452])
    assert "mzTab-M, section SMF: 3 features of 3 assays" in table.remarks


def test_molecules_with_the_mass_of_their_first_feature(tmp_path: Path) -> None:
    table = read(tmp_path, METADATA + MOLECULES + FEATURES, "molecules")
    assert table.features == ("creatinine", "hypoxanthine", "SML_3")
    np.testing.assert_array_equal(table.values_NF, [[59.5, 1, 5], [63.25, 2, 6], [NAN, 3, 8]])
    np.testing.assert_array_equal(table.axis.position_F, [114.0654, 137.0452, 137.0452])


def test_molecules_alone(tmp_path: Path) -> None:
    table = read(tmp_path, METADATA + MOLECULES)
    assert table.features == ("creatinine", "hypoxanthine", "SML_3")
    assert table.axis.unit is None


def test_abundances_are_those_of_pyteomics(tmp_path: Path) -> None:
    mztab = pytest.importorskip("pyteomics.mztab")
    pytest.importorskip("pandas")
    table = read(tmp_path, METADATA + MOLECULES + FEATURES, "molecules")
    frame = mztab.MzTab(str(tmp_path / "study.mztab")).small_molecule_table
    theirs = frame[[f"abundance_assay[{number}]" for number in (1, 2, 3)]].to_numpy(dtype=float).T
    np.testing.assert_array_equal(table.values_NF, theirs)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (METADATA.replace("2.0.0-M", "1.0.0") + FEATURES, "is mzTab 1.0.0: expected mzTab-M 2"),
        (METADATA, "has no section SMF"),
        (METADATA + FEATURES + "SMF\t14" + "\tnull" * 12 + "\t1\n", "but its header has 7"),
        (METADATA + "SMF\t11\tnull\n" + FEATURES, "comes before its header"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(DataError, match=told):
        read(tmp_path, text)


def test_assays_in_several_or_no_study_variables_are_counted(tmp_path: Path) -> None:
    text = METADATA.replace("\tassay[3]\n", "\tassay[1]\n", 1)
    text = text.replace("-assay_refs\tassay[3]", "-assay_refs\tassay[1]")
    table = read(tmp_path, text + FEATURES)
    assert table.columns["study_variable"] == ("ill | well", "ill", "")
    assert "1 assay in several study variables, named together" in table.remarks
    assert "1 assay in no study variable" in table.remarks
