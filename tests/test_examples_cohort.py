"""The example of a cohort: the tables that the simulator makes, and a run file that reads them."""

import csv
from pathlib import Path

from mmspec_ds.cli import main
from mmspec_ds.systems.fusion.cohort.reading import read_cohort
from mmspec_ds.systems.fusion.cohort.run_settings import load_cohort_run

FOLDER = Path(__file__).parents[1] / "examples" / "cohort"


def test_the_example_is_read_as_it_was_made() -> None:
    cohort = read_cohort(load_cohort_run(FOLDER / "cohort.yaml"))
    nmr, ms = cohort.blocks
    assert cohort.counts == {"case": 31, "control": 32}
    assert len(set(cohort.group_N.tolist())) == 60
    assert (nmr.values_NF.shape, nmr.unit) == ((63, 214), "ppm")
    assert (ms.values_NF.shape, ms.unit) == ((63, 35), "m/z")
    with (FOLDER / "markers.csv").open() as file:
        markers = {row["metabolite"]: float(row["mz"]) for row in csv.DictReader(file)}
    assert ms.position_F is not None
    known = {name.partition(" (")[0]: float(at) for name, at in zip(ms.features, ms.position_F)}
    assert {name: known[name] for name in markers if name in known} == {
        name: mz for name, mz in markers.items() if name in known
    }
    assert len(set(markers) & set(known)) >= 6


def test_the_simulator_makes_the_same_again(tmp_path: Path) -> None:
    assert main(["simulate", "--cohort", "60", "--seed", "0", "--out", str(tmp_path)]) == 0
    for name in ("nmr.csv", "ms.csv", "samples.csv", "markers.csv"):
        assert (tmp_path / name).read_text() == (FOLDER / name).read_text(), name
