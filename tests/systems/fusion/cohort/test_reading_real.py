"""Real cohorts are read as they were published."""

from pathlib import Path

import numpy as np
import pytest

from tests.systems.fusion.cohort.tables import read

NAN = float("nan")


def test_the_real_cohort_of_colorectal_cancer(tmp_path: Path, shared_data: Path) -> None:
    """129 patients in both tables, 79 in the NMR alone, 95 in the MS alone; ten measured twice by MS."""
    folder = shared_data / "crc"
    tables = [
        {"name": "nmr", "file": str(folder / "colorectal_cancer_nmr.csv"), "sample": "sample_id"},
        {
            "name": "ms",
            "file": str(folder / "st000284_dataMatrix.csv"),
            "sample": "Patient_ID",
            "metadata": {"file": str(folder / "st000284_sampleMetadata.csv"), "join": "order"},
        },
    ]
    names = {
        "cancer": ["C", "Colorectal Cancer"],
        "polyp": ["P", "Polyp"],
        "healthy": ["H", "Healthy Control"],
    }
    classes = {"column": ["Groups", "classification"], "names": names}
    cohort = read(tmp_path, {}, tables=tables, classes=classes, covariates=["Age"])
    nmr, ms = cohort.blocks
    both = nmr.present_N & ms.present_N
    assert (both.sum(), (~ms.present_N).sum(), (~nmr.present_N).sum()) == (129, 79, 95)
    assert cohort.subset(np.flatnonzero(both)).counts == {"cancer": 29, "polyp": 45, "healthy": 55}
    assert any(one.startswith("ms: 10 samples measured more than once, averaged") for one in cohort.remarks)
    assert (nmr.values_NF.shape, ms.values_NF.shape) == ((303, 1456), (303, 113))
    assert nmr.position_F is not None
    np.testing.assert_allclose([nmr.position_F[0], nmr.position_F[-1]], [9.997515, -0.046865])
    # Patient 200 is the second row of the MS table, and was measured once.
    at = cohort.samples.index("200")
    assert cohort.covariates["Age"][at] == "27"


def test_the_second_cohort_is_read_from_its_workbook(tmp_path: Path, shared_data: Path) -> None:
    pytest.importorskip("openpyxl")
    path = shared_data / "cohorts" / "ST001047.xlsx"
    tables = [{"name": "nmr", "file": str(path), "sample": "SampleID"}]
    names = {"gastric cancer": "GC", "benign": "BN", "healthy": "HE"}
    cohort = read(tmp_path, {}, tables=tables, classes={"column": "Class", "names": names})
    assert cohort.counts == {"gastric cancer": 43, "benign": 40, "healthy": 40}
    assert "17 samples of no class named left out: QC 17" in cohort.remarks
    assert cohort.blocks[0].values_NF.shape[1] == 149
