"""Means over seeds, tables and the folder of a study, from small files alone."""

import csv
import json
from pathlib import Path

import pytest

from mmspec_ds.studies.cells import distinct
from mmspec_ds.studies.plan import Budget, Column, Row, Table, Value
from mmspec_ds.studies.report import write_report
from mmspec_ds.studies.results import StoredResults, mean_of
from mmspec_ds.studies.tables import formatted, in_markdown
from tests.studies.conftest import DENSE, cell, finish, study_of, train_otherwise


def test_mean_and_standard_deviation_by_hand() -> None:
    # Deviations of 1, 2 and 6 from 3 are -2, -1 and 3: their squares sum to 14, over n - 1 to 7.
    assert mean_of([1.0, 2.0, 6.0]) == Value(3.0, pytest.approx(7**0.5), 3)
    assert mean_of([4.0]) == Value(4.0, None, 1)
    assert mean_of([]) is None


def test_a_figure_over_seeds_leaves_out_what_was_not_run(budget: Budget, tmp_path: Path) -> None:
    cells = distinct([cell(0), cell(1), cell(2), cell(0, DENSE)], budget)
    finish(tmp_path, cell(0), budget, 50.0, 0.2)
    finish(tmp_path, cell(2), budget, 53.0, 0.4)
    results = StoredResults(study_of(cells), budget, tmp_path, cells)
    assert results.value(cells[0], "accuracy", "top_1") == Value(51.5, pytest.approx(4.5**0.5), 2)
    assert results.value(cells[0], "training", "best_validation_loss") == Value(
        pytest.approx(0.3), pytest.approx(0.02**0.5), 2
    )
    assert results.value(cells[0], "accuracy", "of.molecules") == Value(5.0, 0.0, 2)
    assert results.value(cells[3], "accuracy", "top_1") is None
    assert [one.seed for one in results.alike(cells[1])] == [0, 1, 2]
    assert results.missing() == [cells[1], cells[3]]


def test_a_cell_of_other_settings_is_not_shown(budget: Budget, tmp_path: Path) -> None:
    """Its name tells what differs from the defaults: where one has changed, the figures are of another one."""
    cells = distinct([cell(0), cell(1)], budget)
    train_otherwise(finish(tmp_path, cell(0), budget, 50.0), budget)
    finish(tmp_path, cell(1), budget, 40.0)
    results = StoredResults(study_of(cells), budget, tmp_path, cells)
    assert results.value(cells[0], "accuracy", "top_1") == Value(40.0, None, 1)
    assert results.missing() == [cells[0]]
    write_report(results)
    told = (tmp_path / "toy-smoke" / "table.md").read_text()
    assert "was trained with moe.renormalise False, and True is asked for" in told


def test_a_measure_of_another_budget_is_none(budget: Budget, tmp_path: Path) -> None:
    from dataclasses import replace

    folder = finish(tmp_path, cell(), budget, 50.0)
    assert folder.measure("accuracy", budget) is not None
    assert folder.measure("accuracy", replace(budget, evaluate=13)) is None


@pytest.mark.parametrize(
    ("entry", "digits", "text"),
    [
        (Value(51.25, 0.4567, 3), 2, "51.25 ± 0.46"),
        (Value(51.25), 1, "51.2"),
        (1_739_008, 2, "1,739,008"),
        (0.1, 3, "0.100"),
        ("all", 2, "all"),
        (None, 2, ""),
    ],
)
def test_figures_as_text(entry: object, digits: int, text: str) -> None:
    assert formatted(entry, digits) == text  # type: ignore[arg-type]


def test_a_table_has_groups_the_best_in_bold_and_the_papers_values() -> None:
    columns = [Column("a", "A", 1, "higher"), Column("b", "B", 1, "lower", paper=False)]
    rows = [
        Row("one", {"a": Value(1.0, 0.5, 2), "b": 3.0}, {"a": 70.03, "b": 1.0}, "first"),
        Row("two", {"a": Value(2.0), "b": 4.0}, {"a": None}, "first"),
        Row("three", {"a": None, "b": 5.0}, group="second|third"),
    ]
    assert in_markdown(Table("T", columns, rows, "model")).splitlines() == [
        "| model | A | paper | B |",
        "|---|---:|---:|---:|",
        "| *first* |  |  |  |",
        "| one | 1.0 ± 0.5 | 70.0 | **3.0** |",
        "| two | **2.0** |  | 4.0 |",
        "| *second\\|third* |  |  |  |",
        "| three | not run |  | 5.0 |",
    ]


def test_the_folder_of_a_study(budget: Budget, tmp_path: Path) -> None:
    cells = distinct([cell(0), cell(1), cell(0, DENSE)], budget)
    finish(tmp_path, cells[0], budget, 50.0, 0.2)
    finish(tmp_path, cells[1], budget, 53.0, 0.4)
    page = write_report(StoredResults(study_of(cells), budget, tmp_path, cells))
    folder = tmp_path / "toy-smoke"
    assert page == folder / "index.html"
    with (folder / "runs.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [(one["seed"], one["moe"], one["complete"]) for one in lines] == [
        ("0", "", "True"),
        ("1", "", "True"),
        ("0", "", "False"),  # None of the dense model is an empty field
    ]
    assert [one["accuracy.top_1"] for one in lines] == ["50.0", "53.0", ""]
    sparse, dense = json.loads((folder / "metrics.json").read_text())["variants"]
    assert sparse["seeds"] == [0, 1]
    assert sparse["figures"]["accuracy"]["top_1"] == {"mean": 51.5, "sd": pytest.approx(4.5**0.5), "n": 2}
    assert dense["figures"] == {"training": {}, "accuracy": {}}
    text = (folder / "table.md").read_text()
    assert "| sparse | 51.5 ± 2.1 | 76.0 | 0.300 ± 0.141 |" in text
    assert "| dense | not run | 44.0 | not run |" in text
    assert "- cells: 3, of which 1 are not complete" in text
    html = page.read_text()
    assert "51.5 ± 2.1" in html
    assert "http" not in html.replace("http-equiv", "")  # nothing is fetched
