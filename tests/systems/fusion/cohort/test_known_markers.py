"""The markers of a simulated cohort are found again, from its tables."""

from pathlib import Path

import numpy as np

from mmspec_ds.simulator.mixture_files import write_cohort
from mmspec_ds.simulator.mixtures import MixtureSettings, simulate_mixtures
from mmspec_ds.systems.fusion.cohort.analysis import analyse
from mmspec_ds.systems.fusion.cohort.analysis_settings import (
    AnalysisSettings,
    ControlSettings,
    FoldSettings,
    PreparationSettings,
)
from mmspec_ds.systems.fusion.cohort.reading import read_cohort
from mmspec_ds.systems.fusion.cohort.run_settings import (
    ClassSettings,
    CohortRun,
    MetadataSettings,
    TableSettings,
)


def test_markers_are_found_with_their_positions(tmp_path: Path) -> None:
    """Six metabolites differ in MS and six in NMR. By chance one of six features of MS would be among them, and
    one of ten bins would lie at a signal of theirs."""
    made = simulate_mixtures(MixtureSettings(patients=240, seed=0))
    write_cohort(tmp_path, made)
    run = CohortRun(
        tables=tuple(TableSettings(name=name, file=tmp_path / f"{name}.csv") for name in ("nmr", "ms")),
        metadata=MetadataSettings(file=tmp_path / "samples.csv"),
        classes=ClassSettings(column=("class",)),
        patient="patient",
    )
    settings = AnalysisSettings(
        methods=("alone",),
        preparation={
            "nmr": PreparationSettings(normalisation="pqn"),
            "ms": PreparationSettings(transform="log"),
        },
        folds=FoldSettings(outer=3, inner=3, repeats=1),
        controls=ControlSettings(permutations=0, shuffled_blocks=False),
        markers=6,
    )
    found = analyse(read_cohort(run).choose(("case", "control")), settings)
    lines = [line.split(",") for line in (tmp_path / "markers.csv").read_text().splitlines()]
    rows = [dict(zip(lines[0], line)) for line in lines[1:]]
    of_ms = {row["metabolite"] for row in rows if row["seen_by"] in ("ms", "both")}
    signals = np.array([float(one) for row in rows if row["seen_by"] != "ms" for one in row["ppm"].split()])
    named = [one.feature.rpartition(" (")[0] for one in found.markers if one.block == "ms"]
    assert len(of_ms & set(named)) >= 5
    near = [np.abs(signals - one.position).min() <= 0.04 for one in found.markers if one.unit == "ppm"]
    assert len(near) == 6
    assert sum(near) >= 4
