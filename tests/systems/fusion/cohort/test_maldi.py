"""Raw MALDI-TOF spectra as a cohort: spots are samples, folders classes, plates batches; and what is told of
spectra whose truth is known."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmspec_ds.systems.fusion.cohort.analysis import analyse
from mmspec_ds.systems.fusion.cohort.analysis_settings import (
    AnalysisSettings,
    ControlSettings,
    FoldSettings,
    PreparationSettings,
)
from mmspec_ds.systems.fusion.cohort.comparisons import compared
from mmspec_ds.systems.fusion.cohort.reading import read_cohort
from mmspec_ds.systems.fusion.cohort.run_settings import ClassSettings, CohortRun
from tests.readers.flex_writer import counts_of, write_flex

MARKERS = {"first": (3657.6, 6260.6, 8117.5), "second": (4475.5, 7345.7)}
"""In the middle of bins, for the spectra drift."""
COMMON = (2500.0, 4336.2, 5173.5, 7368.0, 9645.3, 12_000.0)


def run_of(folder: Path, **more: Any) -> CohortRun:
    return CohortRun(**{"tables": [{"name": "maldi", "file": folder}], "classes": {"column": "class"}, **more})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine spots of each of two classes, two spectra each, drifting by 100 ppm; three peaks are of the
    first class alone, two of the second."""
    folder, rng = tmp_path_factory.mktemp("spots"), np.random.default_rng(3)
    for name in ("first", "second"):
        for spot in range(9):
            drift = 1 + 1e-4 * rng.normal()
            heights = {mz * drift: float(9000 * rng.lognormal(sigma=0.4)) for mz in COMMON}
            heights |= {mz * drift: float(9000 * rng.lognormal(sigma=0.4)) for mz in MARKERS[name]}
            for number in (1, 2):
                counts = counts_of(heights, seed=int(rng.integers(1_000_000)))
                plate = {"$TgIDS": f"<plate {name if spot else 'both'}>"}
                write_flex(folder / name / f"0_A{spot}" / str(number) / "1SLin", counts, plate)
    return folder


def test_samples_classes_and_batches(folder: Path) -> None:
    cohort = read_cohort(run_of(folder, batch="plate"))
    assert cohort.classes == ("first", "second")
    assert cohort.counts == {"first": 9, "second": 9}
    assert len(set(cohort.group_N.tolist())) == 18
    assert cohort.samples[:2] == ("first/0_A0", "first/0_A1")
    assert cohort.batch_N is not None
    assert np.bincount(cohort.batch_N).tolist() == [2, 8, 8]
    (block,) = cohort.blocks
    assert block.unit == "m/z"
    assert block.position_F is not None


def test_kept_repeats_stay_on_one_side(folder: Path) -> None:
    cohort = read_cohort(run_of(folder, repeats="keep"))
    assert len(cohort.samples) == 36
    assert sorted(np.bincount(cohort.group_N).tolist()) == [2] * 18


def test_the_markers_are_found(folder: Path) -> None:
    """They are the strongest features, at their m/z; classes dealt out at random are not told apart."""
    settings = AnalysisSettings(
        methods=("alone",),
        preparation={"maldi": PreparationSettings(least_present=0.2)},
        folds=FoldSettings(outer=3, inner=2, repeats=2),
        controls=ControlSettings(permutations=6, shuffled_blocks=False),
    )
    found = analyse(read_cohort(run_of(folder)).choose(("first", "second")), settings)
    ((scores),) = found.scores.values()
    assert scores["maldi alone"].area.auc > 0.95
    assert {(one.toward, one.unit) for one in found.markers} == {("first", "m/z")}
    for name, sign in (("first", 1), ("second", -1)):
        told = [one.position for one in found.markers[:5] if sign * one.coefficient > 0]
        np.testing.assert_allclose(np.sort(np.array(told, dtype=np.float64)), MARKERS[name], rtol=1e-3)
    ((permuted),) = found.controls.permuted.values()
    assert 0.2 < np.mean(permuted["maldi alone"]) < 0.8


def test_published_species(bacteria: Path) -> None:
    """Eight spots of each species; two species were measured on the one plate and two on the other."""
    cohort = read_cohort(run_of(bacteria, batch="plate"))
    assert cohort.counts == {f"species{n}": 8 for n in (1, 2, 3, 4)}
    assert cohort.batch_N is not None
    plates = {tuple(cohort.batch_N[cohort.label_N == label]) for label in (0, 1)}
    others = {tuple(cohort.batch_N[cohort.label_N == label]) for label in (2, 3)}
    assert len(plates) == len(others) == 1
    assert plates != others
    told = compared(cohort, ClassSettings(column=("class",)), AnalysisSettings())
    warned = {name for name, part in told.items() if "holds one class alone" in " ".join(part.remarks)}
    assert set(told) - warned == {"species1 against species2", "species3 against species4"}
