"""The table of predictions."""

import csv
from dataclasses import replace
from pathlib import Path

from mmspec_ds.reporting.cohort_tables import write_predictions
from mmspec_ds.systems.fusion.cohort.analysis import analyse
from mmspec_ds.systems.fusion.cohort.analysis_settings import AnalysisSettings, ControlSettings, FoldSettings
from tests.systems.fusion.cohort.made_cohort import make_cohort


def test_a_covariate_takes_no_place_of_the_samples(tmp_path: Path) -> None:
    cohort = make_cohort(count=20, effects=(1,), features=(3,))
    cohort = replace(cohort, covariates={"sample": ("tube",) * 20, "age": ("50",) * 20})
    settings = AnalysisSettings(
        folds=FoldSettings(outer=2, inner=2, repeats=1), controls=ControlSettings(permutations=0)
    )
    write_predictions(tmp_path / "out.csv", {"x": cohort}, {"x": analyse(cohort, settings)})
    first = next(csv.DictReader((tmp_path / "out.csv").open(encoding="utf-8")))
    assert (first["sample"], first["sample (column)"], first["age"]) == ("s0", "tube", "50")
