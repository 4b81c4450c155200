"""Studies of elucidation from end to end within the smallest budget: trained, measured, laid out.

Some in every test run, which have each measure and each kind of cell, and on what they trained the pages of all
others; all of them by hand, with `-m slow`.
"""

import multiprocessing
from collections.abc import Sequence
from pathlib import Path

import pytest

from mmspec_ds.cli import main
from mmspec_ds.studies.cells import distinct
from mmspec_ds.studies.elucidation.budgets import SMOKE
from mmspec_ds.studies.elucidation.definitions import STUDIES
from mmspec_ds.studies.elucidation.measures import MEASURES
from mmspec_ds.studies.plan import Table
from mmspec_ds.studies.results import StoredResults
from mmspec_ds.studies.runner import with_sources
from tests.studies.forked import run_cells

SOME = ("missing", "utilization", "routing-history", "resources")


def run(names: Sequence[str], out: Path) -> dict[str, StoredResults]:
    """Train and measure the cells of some studies, each once, in a process that has made no process group."""
    cells = [cell for name in names for cell in STUDIES[name].cells(SMOKE)]
    process = multiprocessing.get_context("spawn").Process(target=run_cells, args=(cells, SMOKE, out))
    process.start()
    process.join()
    assert process.exitcode == 0
    return {name: stored(name, out) for name in names}


def stored(name: str, out: Path) -> StoredResults:
    """What is there of a study."""
    study = STUDIES[name]
    return StoredResults(study, SMOKE, out, distinct(with_sources(study.cells(SMOKE)), SMOKE))


def check(results: StoredResults) -> None:
    """Everything was measured, and every table and figure is there."""
    assert results.missing() == []
    for table in results.study.tables(results):
        assert table.rows, table.title
        assert missing_figures(table) == [], table.title
    figures = results.study.figures(results)
    assert figures, results.study.name
    assert all(figure.png.startswith(b"\x89PNG") for figure in figures)


def missing_figures(table: Table) -> list[str]:
    """Rows and columns that every trained model should have, and lack."""
    heads = {column.key for column in table.columns}
    wanted = heads & {"steps", "seconds", "parameters", "active", "feed_forward"}
    trained = [row for row in table.rows if not row.name.startswith("matcher")]
    return [f"{row.name}: {key}" for row in trained for key in wanted if row.entries.get(key) is None]


def test_some_studies_have_every_measure_of_trained_models() -> None:
    measured = {name for study in SOME for cell in STUDIES[study].cells(SMOKE) for name in cell.measures}
    assert set(MEASURES) - measured <= {"matcher"}


def test_some_studies_run_and_all_lay_out_what_is_there(tmp_path: Path) -> None:
    for results in run(SOME, tmp_path).values():
        check(results)
    for name in STUDIES:
        assert main(["study", name, "--budget", "smoke", "--only-trained", "--out", str(tmp_path)]) == 0
        page = (tmp_path / f"{name}-smoke" / "index.html").read_text(encoding="utf-8")
        assert page.count('<section id="table-') >= 1
        # Studies whose every model is another than those that were trained have nothing to draw.
        results = stored(name, tmp_path)
        if any(results.of(cell, "accuracy") for cell in results.cells):
            assert "data:image/png" in page, name


@pytest.mark.slow
def test_all_studies_run(tmp_path: Path) -> None:
    for results in run(list(STUDIES), tmp_path).values():
        check(results)
