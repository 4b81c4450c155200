"""The tables of predictions and of features."""

import csv
from dataclasses import replace
from pathlib import Path

from mmspec_ds.reporting.cohort_tables import feature_rows, write_predictions
from mmspec_ds.systems.fusion.cohort.analysis import analyse
from mmspec_ds.systems.fusion.cohort.analysis_settings import AnalysisSettings, ControlSettings, FoldSettings
from tests.systems.fusion.cohort.made_cohort import make_cohort

SHORT = AnalysisSettings(
    folds=FoldSettings(outer=2, inner=2, repeats=1), controls=ControlSettings(permutations=0)
)


def test_a_covariate_takes_no_place_of_the_samples(tmp_path: Path) -> None:
    cohort = make_cohort(count=20, effects=(1,), features=(3,))
    cohort = replace(cohort, covariates={"sample": ("tube",) * 20, "age": ("50",) * 20})
    write_predictions(tmp_path / "out.csv", {"x": cohort}, {"x": analyse(cohort, SHORT)})
    first = next(csv.DictReader((tmp_path / "out.csv").open(encoding="utf-8")))
    assert (first["sample"], first["sample (column)"], first["age"]) == ("s0", "tube", "50")


def test_positions_have_the_digits_of_their_unit() -> None:
    result = analyse(make_cohort(count=20, effects=(1,), features=(3,)), SHORT)
    first = result.markers[0]
    places = [(1265.11834, "m/z"), (3.28, "ppm"), (None, None)]
    markers = tuple(replace(first, position=position, unit=unit) for position, unit in places)
    rows = feature_rows(replace(result, markers=markers), first.block)
    assert [row[1] for row in rows] == ["m/z 1265.1183", "3.28 ppm", ""]
